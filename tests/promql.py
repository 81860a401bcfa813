"""PromQL queries: the metrics of a query with their labels, and the labels that it groups by."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_STRING: Final = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`")
_GROUPING: Final = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_RANGE: Final = re.compile(r"\[[^\]]*\]|\boffset\s+\S+?(?=[\s)]|$)")
_SELECTOR: Final = re.compile(r"([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?\s*(\()?")
_MATCHER: Final = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_WORDS: Final = frozenset(
    {
        "and",
        "or",
        "unless",
        "bool",
        "inf",
        "nan",
        "by",
        "without",
        "on",
        "ignoring",
        "group_left",
        "group_right",
    }
)


class MetricReference(NamedTuple):
    """One metric in a query, with the labels that it is chosen by."""

    metric: str
    labels: frozenset[str]


def metrics_of(query: str) -> list[MetricReference]:
    """Return the metrics of a query; functions and operators are none."""
    bare = _RANGE.sub(" ", _GROUPING.sub(" ", _STRING.sub('""', query)))
    return [
        MetricReference(name, frozenset(_MATCHER.findall(matchers)))
        for name, matchers, call in _SELECTOR.findall(bare)
        if name.lower() not in _WORDS and not call and not name.startswith("$")
    ]


def grouped_by(query: str) -> set[str]:
    """Return the labels that a query groups or matches by."""
    return {
        label.strip()
        for _, labels in _GROUPING.findall(_STRING.sub('""', query))
        for label in labels.split(",")
        if label.strip()
    }


def queries(read: object) -> Iterator[dict[str, str]]:
    """Return whatever holds an `expr` in a dashboard or a file of rules, however deep it lies."""
    if isinstance(read, dict):
        if isinstance(read.get("expr"), str):
            yield read
        for value in read.values():
            yield from queries(value)
    elif isinstance(read, list):
        for value in read:
            yield from queries(value)
