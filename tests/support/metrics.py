"""Reads metrics as Prometheus does, of this process or of a running system."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from tests.support.http import ask

_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


class Sample(NamedTuple):
    """One line."""

    name: str
    labels: Mapping[str, str]
    value: float


class Scrape(NamedTuple):
    """What one process told: its text, the kinds of its families by name, the names of their series, the lines."""

    text: str
    kinds: dict[str, str]
    names: set[str]
    samples: list[Sample]


async def scraped(service: Mapping[str, Any]) -> Scrape:
    """What a service of `run.json` tells now."""
    base, _, path = service["metrics_url"].rpartition("/")
    answer = await ask(base, "GET", f"/{path}")
    assert answer.status == 200, answer
    return read(answer.body.decode())


def read(text: str) -> Scrape:
    """The parsed text of one /metrics."""
    families = list(text_string_to_metric_families(text))
    return Scrape(
        text,
        {family.name: family.type for family in families},
        {f"{family.name}{suffix}" for family in families for suffix in _SUFFIXES.get(family.type, ())},
        [Sample(each.name, each.labels, each.value) for family in families for each in family.samples],
    )


def named(text: str) -> set[str]:
    """Every metric of ours that an expression, a dashboard or a page names."""
    return set(re.findall(r"\bsmsfleet_[a-z_]+\b", text))


def metric(name: str, **labels: str) -> float:
    """The value of one series of this process; 0 for one that is not there yet."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def series(name: str) -> Iterator[dict[str, str]]:
    """The labels of each series of this name in this process."""
    for family in REGISTRY.collect():
        for sample in family.samples:
            if sample.name == name:
                yield sample.labels
