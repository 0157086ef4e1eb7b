"""spike-get-token's options, in each spelling: their effects, and invalid values."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

AUDIENCE = "https://api.example/a"
SOURCE = Path(__file__).parent.parent.parent / "core" / "src" / "ops" / "spike_creator.c"

TEXT = [7, "", True, [], 1.5]
BOOL = ["yes", 1, 0, "true", []]
NUMBER = ["3", -1, 1.5, 1e99, float("nan"), float("inf"), True, []]

# Spelling: rejected values.
BAD: dict[str, list[Any]] = {
    "ClientId": TEXT,
    "clientId": TEXT,
    "ClientSecret": TEXT,
    "clientSecret": TEXT,
    "spikeURL": [*TEXT, "ftp://x", "spike.example", "https://", "https:///path", "HTTPS", "https://x?y", "https://x/y#z"],
    "spikeUrl": [*TEXT, "ftp://x", "spike.example", "https://", "https:///path", "HTTPS"],
    "tokenGrantType": TEXT,
    "tokenAudience": TEXT,
    "tokenRedisKeyName": TEXT,
    "spikePublicKeyFullPath": [*TEXT, "/no/such/file", "/", __file__],
    "useRedis": BOOL,
    "redisHost": [*TEXT, "http://x", "localhost:port", "redis://x?nonsense=1"],
    "httpsValidation": BOOL,
    "hostHeader": [7, "", [], 1.5, "a\r\nb", " a", "a\x00b"],
    "retries": [*NUMBER, 101],
    "sleepBetweenRetries": [*NUMBER, 600001],
}

# Its name in the message if the core or the constructor rejects the value, not the creator.
CALLED = {"hostHeader": "host", "redisHost": "", "spikePublicKeyFullPath": ""}

TWICE = [("ClientId", "clientId"), ("ClientSecret", "clientSecret"), ("spikeURL", "spikeUrl")]
REQUIRED = ["ClientId", "ClientSecret", "spikeURL", "tokenAudience"]


def spellings() -> list[str]:
    """All spellings known to the core."""
    return re.findall(r'^    \{"(\w+)", \w+, TKS_CREATOR_\w+\},$', SOURCE.read_text(), re.M)


def options(url: str, **more: Any) -> dict[str, Any]:
    return {
        "ClientId": "id",
        "ClientSecret": "secret-canary",
        "spikeURL": url,
        "tokenAudience": AUDIENCE,
        **more,
    }


def with_value(name: str, value: Any) -> dict[str, Any]:
    """Valid options, except for this one, in this spelling."""
    given = options("https://spike.example")
    for pair in TWICE:
        if name == pair[1]:
            del given[pair[0]]
    return {**given, name: value}


def in_lower_case(given: dict[str, Any]) -> dict[str, Any]:
    """The same in the other spellings."""
    return {dict(TWICE).get(name, name): value for name, value in given.items()}
