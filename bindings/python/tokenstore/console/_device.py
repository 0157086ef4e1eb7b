"""What a user agent is called by people: ``Firefox on Linux``."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Device", "device_of"]


class Device(NamedTuple):
    """A name, and of which kind it is: ``computer``, ``phone``, ``program`` or ``unknown``."""

    name: str
    kind: str


# The first that is found counts: most browsers also claim to be those they descend from.
_BROWSERS = (
    ("Edge", r"\bEdg(?:A|iOS)?/"),
    ("Opera", r"\bOPR/"),
    ("Vivaldi", r"\bVivaldi/"),
    ("Samsung Internet", r"\bSamsungBrowser/"),
    ("Firefox", r"\b(?:Firefox|FxiOS)/"),
    ("Chrome", r"\b(?:Headless)?(?:Chrome|CriOS|Chromium)/"),
    ("Safari", r"\bSafari/"),
)
_SYSTEMS = (
    ("iPhone", r"\biPhone\b", "phone"),
    ("iPad", r"\biPad\b", "phone"),
    ("Android", r"\bAndroid\b", "phone"),
    ("Windows", r"\bWindows\b", "computer"),
    ("ChromeOS", r"\bCrOS\b", "computer"),
    ("macOS", r"\bMac(?:intosh| OS X)\b", "computer"),
    ("Linux", r"\bLinux\b", "computer"),
)
_PROGRAM = re.compile(r"[A-Za-z][\w.+-]*(?=/\d)")
_LONG = 60  # characters


def device_of(agent: str | None) -> Device:
    """By the words in it; it may say anything, so this helps to recognise a device and proves nothing."""
    if not agent:
        return Device("Unknown device", "unknown")
    browser = next((name for name, words in _BROWSERS if re.search(words, agent)), None)
    system, kind = next(
        ((name, kind) for name, words, kind in _SYSTEMS if re.search(words, agent)), (None, "program")
    )
    if browser is not None and system is not None:
        return Device(f"{browser} on {system}", kind)
    program = _PROGRAM.match(agent)
    if browser is None and program is not None and program[0] != "Mozilla":
        return Device(program[0], "program")
    short = agent if len(agent) <= _LONG else agent[: _LONG - 1] + "…"
    return Device(short, kind if system is not None else "unknown")
