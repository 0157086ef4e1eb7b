"""A server's key endpoint, and tokens signed with its keys."""

from __future__ import annotations

from typing import Any

from authorization import Answer, Asked
from tokenstore import jwt

PRIVATE = [
    {"d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    {"d": "TM0Imyj_ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U-4pvs", "x": "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"},
]  # fmt: skip
KEYS = [
    jwt.Key.from_jwk({"kty": "OKP", "crv": "Ed25519", "kid": f"k{i}", **half})
    for i, half in enumerate(PRIVATE)
]


class Keys:
    """A server's key endpoint: its keys may be changed while it runs."""

    def __init__(self, *keys: jwt.Key) -> None:
        self.keys = list(keys)
        self.status, self.delay, self.headers = 200, 0.0, {}
        self.body: Any = None

    def __call__(self, asked: Asked) -> Answer:
        body = self.body if self.body is not None else {"keys": [k.to_jwk() for k in self.keys]}
        return Answer(self.status, body, dict(self.headers), delay=self.delay)


def token(key: jwt.Key = KEYS[0], **headers: Any) -> str:
    return jwt.encode({"sub": "bob"}, key, "EdDSA", headers=headers or None)
