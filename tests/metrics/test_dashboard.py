"""examples/grafana/tokenstore.json asks for names and labels that the exporters have, and for all that they have."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from exported import Exported, export

import tokenstore
from servers import Server
from tokenstore.ext.prometheus import Collector

DASHBOARD = Path(__file__).resolve().parents[2] / "examples/grafana/tokenstore.json"

NOT_SHOWN = {"tokenstore_near_cache_oldest_proof_seconds"}  # alive says it


@pytest.fixture(scope="module")
def dashboard() -> Any:
    return json.loads(DASHBOARD.read_text())


@pytest.fixture
def exported(server: Server) -> Iterator[Exported]:
    with tokenstore.Sessions(server.url, near_cache=10) as sessions:
        collector = Collector(sessions)
        token = sessions.create(app="web", owner_id="bob", data={})
        assert sessions.get(app="web", token=token)
        yield export(collector)


def expressions(dashboard: Any) -> list[str]:
    found = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(found) > 20
    return found


def test_every_name_is_exported(dashboard: Any, exported: Exported) -> None:
    asked = {name for text in expressions(dashboard) for name in re.findall(r"tokenstore_\w+", text)}
    variables = {name for v in dashboard["templating"]["list"] for name in re.findall(r"tokenstore_\w+", str(v["query"]))}
    assert asked | variables <= exported.names()


def test_every_exported_name_is_shown(dashboard: Any, exported: Exported) -> None:
    asked = {name for text in expressions(dashboard) for name in re.findall(r"tokenstore_\w+", text)}
    families = {name for name in exported.names() if not name.endswith(("_sum", "_count"))}
    assert families - asked == NOT_SHOWN


def test_every_label_is_exported(dashboard: Any, exported: Exported) -> None:
    for text in expressions(dashboard):
        for name, selectors in re.findall(r"(tokenstore_\w+)\{([^}]*)\}", text):
            labels = set(re.findall(r"(\w+)(?:=~|!~|!=|=)", selectors))
            assert labels, text
            assert labels <= exported.labels(name), text
        for group in re.findall(r"by \(([^)]*)\)", text):
            name = re.search(r"tokenstore_\w+", text)
            assert name is not None
            assert set(group.split(", ")) <= exported.labels(name[0]), text


def test_legends_have_labels_that_are_kept(dashboard: Any) -> None:
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            kept = {label for group in re.findall(r"by \(([^)]*)\)", target["expr"]) for label in group.split(", ")}
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= kept, panel["title"]


def test_panels_do_not_overlap(dashboard: Any) -> None:
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one, other in itertools.combinations([panel["gridPos"] for panel in panels], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
