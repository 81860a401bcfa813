"""Whether two versions of an event's schema can live beside each other, whoever is deployed first.

A writer writes what its schema names and nothing else; a reader passes over fields that it does not know.
Full compatibility: readers of today take every event that was ever written, and readers of any earlier day
take what is written today. What remains is to add and to remove optional fields. The comparison rather
stops too much than too little: a keyword that it does not know is a break.
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
NOBODY_KNOWS: Final = "the check does not understand it, so it must not pass"


@dataclass(frozen=True, order=True)
class Break:
    """One reason why two schemas do not fit, and who would stumble."""

    place: str
    what: str
    who: str

    def __str__(self) -> str:
        """Return the break as one line."""
        return f"{self.place or 'the body'}: {self.what}; {self.who}"


def breaks(old: Schema, new: Schema) -> tuple[Break, ...]:
    """Return why `new` may not follow `old`; nothing where both ways are safe."""
    try:
        before, after = plain(old), plain(new)
        for schema in (before, after):
            _understand(schema)
        found = [
            *(Break(place, what, NEW_READERS) for place, what in _refusals(before, after, "")),
            *(Break(place, what, OLD_READERS) for place, what in _refusals(after, before, "")),
        ]
    except NotUnderstood as unknown:
        return (Break(unknown.place, unknown.what, NOBODY_KNOWS),)
    return tuple(sorted(set(found)))


def breaks_with_any(history: Iterable[Schema], new: Schema) -> tuple[Break, ...]:
    """Return why `new` may not follow all earlier schemas: events of every age are read again."""
    return tuple(sorted({one for old in history for one in breaks(old, new)}))


def _understand(schema: Schema) -> None:
    """Go through a schema to its last corner, also where the other one has nothing to compare."""
    for _ in walk(schema):
        pass


_Refusals = Iterator[tuple[str, str]]


def _refusals(written: Schema, read: Schema, place: str) -> _Refusals:
    """Say what a reader would refuse of what a writer may write."""
    readers = branches(read, place)
    for kind, own in branches(written, place):
        fitting = [other for name, other in readers if name == kind or (kind, name) == ("integer", "number")]
        tries = [tuple(_refusals_of_one(own, other, place)) for other in fitting]
        if not tries:
            yield place, f"{kind} is written, {' or '.join(name for name, _ in readers)} is read"
        elif all(tries):
            yield from min(tries, key=len)


def _refusals_of_one(own: Schema, other: Schema, place: str) -> _Refusals:
    """Say what a reader would refuse of one type."""
    yield from _refusals_by_value(own, other, place)
    yield from _refusals_by_bound(own, other, place)
    yield from _refusals_in_list(own, other, place)
    yield from _refusals_in_object(own, other, place)


def _refusals_by_value(own: Schema, other: Schema, place: str) -> _Refusals:
    if "enum" in other:
        taken = {json.dumps(value) for value in other["enum"]}
        refused = [word for value in own.get("enum", ()) if (word := json.dumps(value)) not in taken]
        if "enum" not in own:
            yield place, f"any value is written, only {', '.join(sorted(taken))} is read"
        elif refused:
            yield place, f"{', '.join(sorted(refused))} is written, only {', '.join(sorted(taken))} is read"
    for keyword in _SAME:
        if other.get(keyword) and own.get(keyword) != other[keyword]:
            yield place, f"{keyword} {own.get(keyword)} is written, {other[keyword]} is read"


def _refusals_by_bound(own: Schema, other: Schema, place: str) -> _Refusals:
    for keywords, sign in ((_AT_LEAST, 1), (_AT_MOST, -1)):
        for keyword in keywords:
            written, read = own.get(keyword), other.get(keyword)
            if read is not None and (written is None or sign * written < sign * read):
                yield place, f"{keyword} {written} is written, {read} is read"


def _refusals_in_list(own: Schema, other: Schema, place: str) -> _Refusals:
    written, read = own.get("prefixItems", []), other.get("prefixItems", [])
    if len(written) != len(read):
        yield place, f"{len(written)} fixed places are written, {len(read)} are read"
    for first, second in zip(written, read, strict=False):
        yield from _refusals(first, second, f"{place}[]")
    if "items" in own and "items" in other:
        yield from _refusals(own["items"], other["items"], f"{place}[]")
    elif "items" in other:
        yield place, "items of any kind are written, only some are read"


def _refusals_in_object(own: Schema, other: Schema, place: str) -> _Refusals:
    always, needed = set(own.get("required", ())), set(other.get("required", ()))
    for name in sorted(needed - always):
        yield _within(place, name), "is needed, but not always written"
    written: Mapping[str, Any] = own.get("properties", {})
    read: Mapping[str, Any] = other.get("properties", {})
    for name in sorted(set(written) & set(read)):
        yield from _refusals(written[name], read[name], _within(place, name))
        if name not in always | needed and _default(written[name]) != _default(read[name]):
            yield _within(place, name), "what it means when absent has changed"


def _default(schema: Schema) -> str:
    return json.dumps(schema["default"], sort_keys=True) if "default" in schema else ""


def _within(place: str, name: str) -> str:
    return f"{place}.{name}".lstrip(".")
