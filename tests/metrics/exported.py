"""What an exporter of Prometheus says, read by prometheus_client's own parser."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families


class Exported:
    """The samples of one answer."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = list(text_string_to_metric_families(text))
        self.samples = [sample for family in self.families for sample in family.samples]

    def names(self) -> set[str]:
        return {sample.name for sample in self.samples}

    def get(self, name: str, **labels: str) -> float | None:
        """The sum of the samples that have these labels; None: there is none."""
        found = [s.value for s in self.samples if s.name == name and s.labels.items() >= labels.items()]
        return sum(found) if found else None

    def labels(self, name: str) -> set[str]:
        return {label for s in self.samples if s.name == name for label in s.labels}


def export(*collectors: Any) -> Exported:
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    return Exported(generate_latest(registry).decode())
