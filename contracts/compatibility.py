"""Compatibility check of two versions of an event's schema, whichever side is deployed first.

A writer writes what its schema names and nothing else; a reader ignores unknown fields.
Full compatibility: today's readers accept every event that was ever written, and readers of any earlier day
accept what is written today. The changes left are to add and to remove optional fields. The comparison is
strict: an unknown keyword is a break.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from contracts.plain_schema import NotUnderstood, Schema, branches, plain, walk

_SAME: Final = ("pattern", "format", "multipleOf", "uniqueItems")
_AT_LEAST: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_AT_MOST: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")

NEW_READERS: Final = "new readers would refuse old events"
OLD_READERS: Final = "old readers would refuse new events"
UNCHECKED: Final = "the check does not understand it, so it must not pass"


@dataclass(frozen=True, order=True)
class Break:
    """One reason why two schemas do not fit, and which side would fail."""

    path: str
    what: str
    who: str

    def __str__(self) -> str:
        """Return the break as one line."""
        return f"{self.path or 'the body'}: {self.what}; {self.who}"


def breaks(old: Schema, new: Schema) -> tuple[Break, ...]:
    """Return why `new` may not follow `old`; nothing where both ways are safe."""
    try:
        before, after = plain(old), plain(new)
        for schema in (before, after):
            _understand(schema)
        found = [
            *(Break(path, what, NEW_READERS) for path, what in _refusals(before, after, "")),
            *(Break(path, what, OLD_READERS) for path, what in _refusals(after, before, "")),
        ]
    except NotUnderstood as unknown:
        return (Break(unknown.path, unknown.what, UNCHECKED),)
    return tuple(sorted(set(found)))


def breaks_with_any(history: Iterable[Schema], new: Schema) -> tuple[Break, ...]:
    """Return why `new` may not follow all earlier schemas: events of every age are read again."""
    return tuple(sorted({one for old in history for one in breaks(old, new)}))


def _understand(schema: Schema) -> None:
    """Visit all of a schema, also where the other one has nothing to compare."""
    for _ in walk(schema):
        pass


_Refusals = Iterator[tuple[str, str]]


def _refusals(written: Schema, read: Schema, path: str) -> _Refusals:
    """Yield what a reader would refuse of what a writer may write."""
    readers = branches(read, path)
    for kind, own in branches(written, path):
        fitting = [other for name, other in readers if name == kind or (kind, name) == ("integer", "number")]
        tries = [tuple(_refusals_of_one(own, other, path)) for other in fitting]
        if not tries:
            yield path, f"{kind} is written, {' or '.join(name for name, _ in readers)} is read"
        elif all(tries):
            yield from min(tries, key=len)


def _refusals_of_one(own: Schema, other: Schema, path: str) -> _Refusals:
    """Yield what a reader would refuse of one type."""
    yield from _refusals_by_value(own, other, path)
    yield from _refusals_by_bound(own, other, path)
    yield from _refusals_in_list(own, other, path)
    yield from _refusals_in_object(own, other, path)


def _refusals_by_value(own: Schema, other: Schema, path: str) -> _Refusals:
    if "enum" in other:
        accepted = {json.dumps(value) for value in other["enum"]}
        refused = [word for value in own.get("enum", ()) if (word := json.dumps(value)) not in accepted]
        if "enum" not in own:
            yield path, f"any value is written, only {', '.join(sorted(accepted))} is read"
        elif refused:
            yield path, f"{', '.join(sorted(refused))} is written, only {', '.join(sorted(accepted))} is read"
    for keyword in _SAME:
        if other.get(keyword) and own.get(keyword) != other[keyword]:
            yield path, f"{keyword} {own.get(keyword)} is written, {other[keyword]} is read"


def _refusals_by_bound(own: Schema, other: Schema, path: str) -> _Refusals:
    for keywords, sign in ((_AT_LEAST, 1), (_AT_MOST, -1)):
        for keyword in keywords:
            written, read = own.get(keyword), other.get(keyword)
            if read is not None and (written is None or sign * written < sign * read):
                yield path, f"{keyword} {written} is written, {read} is read"


def _refusals_in_list(own: Schema, other: Schema, path: str) -> _Refusals:
    written, read = own.get("prefixItems", []), other.get("prefixItems", [])
    if len(written) != len(read):
        yield path, f"{len(written)} fixed items are written, {len(read)} are read"
    for first, second in zip(written, read, strict=False):
        yield from _refusals(first, second, f"{path}[]")
    if "items" in own and "items" in other:
        yield from _refusals(own["items"], other["items"], f"{path}[]")
    elif "items" in other:
        yield path, "items of any kind are written, only some are read"


def _refusals_in_object(own: Schema, other: Schema, path: str) -> _Refusals:
    always, needed = set(own.get("required", ())), set(other.get("required", ()))
    for name in sorted(needed - always):
        yield _within(path, name), "is needed, but not always written"
    written: Mapping[str, Any] = own.get("properties", {})
    read: Mapping[str, Any] = other.get("properties", {})
    for name in sorted(set(written) & set(read)):
        yield from _refusals(written[name], read[name], _within(path, name))
        if name not in always | needed and _default(written[name]) != _default(read[name]):
            yield _within(path, name), "its meaning when absent has changed"


def _default(schema: Schema) -> str:
    return json.dumps(schema["default"], sort_keys=True) if "default" in schema else ""


def _within(path: str, name: str) -> str:
    return f"{path}.{name}".lstrip(".")
