"""Which refusals a call can end in: read from the code that its commands lead to."""

import sys
from collections.abc import Iterator
from functools import cache
from inspect import unwrap
from types import CodeType, FunctionType
from typing import Any, Final

from services.kernel.errors import InvalidTransition, Refused

_OURS: Final = ("services.",)
_PLUMBING: Final = ("services.kernel.http", "services.kernel.streams", "services.kernel.runtime")


def refusals_of(decide: Any, endpoint: Any) -> frozenset[type[Refused]]:
    """Return the refusals by rules that a call can be answered by; `decide` is the rule of its service.

    They are those that its own function names, and those that the steps of its commands name, with the
    functions that these call. Where it gives a command, the command may also not fit the state.
    """
    named = frozenset(_named_in(unwrap(endpoint)))
    commands = {one for one in named if isinstance(one, type) and one.__module__.endswith(".commands")}
    steps = [
        row.step
        for lifecycle in _lifecycles(decide)
        for row in lifecycle.on_command
        if row.trigger in commands
    ]
    found = {one for step in steps for one in _refusals_named_in(unwrap(step))}
    found |= {one for one in named if _is_refusal(one)}
    return frozenset(found | ({InvalidTransition} if commands else set()))


def _lifecycles(decide: Any) -> tuple[Any, ...]:
    return tuple(getattr(sys.modules[decide.__module__], "LIFECYCLES", ()))


@cache
def _refusals_named_in(function: FunctionType) -> frozenset[type[Refused]]:
    return frozenset(one for one in _named_in(function) if _is_refusal(one))


def _named_in(function: Any) -> Iterator[Any]:
    """Yield everything of ours that a function names, and the functions that it calls in turn."""
    seen: set[int] = set()
    waiting = [function]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, FunctionType):
            waiting += [unwrap(found) for found in _globals_of(one) if _is_ours(found)]


def _globals_of(function: FunctionType) -> Iterator[Any]:
    names = {name for code in _codes(function.__code__) for name in code.co_names}
    yield from (function.__globals__[name] for name in names if name in function.__globals__)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yield a function's code with that of the functions and comprehensions inside it."""
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _codes(inner)


def _is_ours(one: Any) -> bool:
    module = getattr(one, "__module__", None) or ""
    return module.startswith(_OURS) and not module.startswith(_PLUMBING)


def _is_refusal(one: Any) -> bool:
    return isinstance(one, type) and issubclass(one, Refused) and one is not Refused
