"""Field errors of a request: where, what and a hint, with nothing in them that the client chose."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from pydantic import BaseModel

_HIDDEN: Final = "?"
_OURS: Final = frozenset({"value_error", "assertion_error", "nul"})
"""Kinds whose message is a sentence of ours; others may quote the value after a comma, or a tag."""


def field_error(fault: Mapping[str, Any]) -> dict[str, str]:
    """Return one error of pydantic's without any word of the value that was sent."""
    where = fault["loc"]
    known = [str(where[0]), *_known(where[1:])] if where[0] == "body" else map(str, where)
    return {"at": "/".join(known), "what": fault["type"], "hint": _hint(fault)}


def _hint(fault: Mapping[str, Any]) -> str:
    """Return pydantic's message without the cause that the parser of a value names, or the tag of a union."""
    context = fault.get("ctx") or {}
    if fault["type"] in _OURS:
        return str(fault["msg"])
    if "tag" in context:
        return f"Input should have one of the tags: {context.get('expected_tags', '')}"
    return str(fault["msg"].partition(", ")[0] if "error" in context else fault["msg"])


def _known(parts: Sequence[object]) -> Iterator[str]:
    """Return the parts of a path in a body: a key that no model has is the client's, and is hidden."""
    names = _field_names()
    for part in parts:
        yield str(part) if isinstance(part, int) or part in names or part == "[key]" else _HIDDEN


@lru_cache(maxsize=1)
def _field_names() -> frozenset[str]:
    """Return the names of all fields of all models, which are there before the first request."""
    found: set[str] = set()
    kinds = list(BaseModel.__subclasses__())
    while kinds:
        kind = kinds.pop()
        found.update(kind.model_fields)
        kinds.extend(kind.__subclasses__())
    return frozenset(found)
