"""Comes last: every script of the package was watched by then."""

from __future__ import annotations

from declared_keys import ours, ran

NEEDS_HSETEX = {"settle"}
"""Not every server has it."""


def test_every_script_ran() -> None:
    assert set(ours.values()) - ran - NEEDS_HSETEX - {"the script"} == set()
