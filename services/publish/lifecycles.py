"""Draw every state machine in `docs/lifecycles/`: `python -m services.publish.lifecycles [--check]`."""

import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from contracts.event import SERVICES
from services.kernel.decider.lifecycle import ABSENT, Lifecycle, Row
from services.publish.files import publish

FOLDER: Final = Path(__file__).parents[2] / "docs" / "lifecycles"
_MOST_LABELS: Final = 8

_HEAD: Final = """\
# States of {service}

This page is generated from the tables of `services/{service}/domain/lifecycle.py` by `make publish`.
An arrow names the command, the event or the timer that leads from one state to another.
"""


def documents() -> dict[Path, str]:
    """Return a document for each service that has a lifecycle."""
    lifecycles = {service: lifecycles_of(service) for service in SERVICES}
    return {
        FOLDER / f"{service}.md": document_of(service, found)
        for service, found in lifecycles.items()
        if found
    }


def lifecycles_of(service: str) -> tuple[Lifecycle, ...]:
    """Return the lifecycles of a service's module `domain.lifecycle`, in their order there."""
    module = importlib.import_module(f"services.{service}.domain.lifecycle")
    lifecycles: tuple[Lifecycle, ...] = module.LIFECYCLES
    return lifecycles


def document_of(service: str, lifecycles: tuple[Lifecycle, ...]) -> str:
    """Return the document of a service: a diagram for each of its lifecycles."""
    return _HEAD.format(service=service) + "".join(f"\n{diagram(one)}" for one in lifecycles)


def diagram(lifecycle: Lifecycle) -> str:
    """Return a section with the state diagram of a lifecycle, in Mermaid."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for source, target, label in _arrows(lifecycle):
        labels = arrows.setdefault((source, target), [])
        if label not in labels:
            labels.append(label)
    lines = [
        f"## {lifecycle.name.capitalize()}",
        "",
        "```mermaid",
        "stateDiagram-v2",
        *(f"    state {state.__name__}" for state in lifecycle.states if state is not ABSENT),
        *(f"    {source} --> {target}: {_text(labels)}" for (source, target), labels in arrows.items()),
        *(f"    {name} --> [*]" for name in _final_states(lifecycle)),
        "```",
        *_lists(arrows),
    ]
    return "\n".join(lines) + "\n"


def _text(labels: Sequence[str]) -> str:
    """Return the text of an arrow; of many triggers the number, since they are listed below."""
    return ", ".join(labels) if len(labels) <= _MOST_LABELS else f"{len(labels)} triggers"


def _lists(arrows: Mapping[tuple[str, str], Sequence[str]]) -> Iterator[str]:
    """Return the triggers of each arrow that shows their number only, in sentences of Markdown."""
    shown: set[tuple[str, ...]] = set()
    for (source, target), labels in arrows.items():
        if len(labels) > _MOST_LABELS and tuple(labels) not in shown:
            shown.add(tuple(labels))
            names = ", ".join(f"`{label}`" for label in labels)
            yield f"\nThe {len(labels)} triggers from {_state(source)} to {_state(target)}: {names}."


def _state(name: str) -> str:
    return "the start" if name == "[*]" else f"`{name}`"


def _arrows(lifecycle: Lifecycle) -> Iterator[tuple[str, str, str]]:
    for row in lifecycle.rows:
        for target in row.to:
            if (row.state, target) != (ABSENT, ABSENT):
                yield _name(row.state), _name(target), _label(row)


def _final_states(lifecycle: Lifecycle) -> Iterator[str]:
    """Return the states that are reached from another state and that no row leaves again."""
    moves = {(row.state, target) for row in lifecycle.rows for target in row.to if row.state is not target}
    left = {source for source, _ in moves}
    reached = {target for source, target in moves if source is not ABSENT}
    yield from (state.__name__ for state in lifecycle.states if state in reached - left)


def _name(state: type) -> str:
    return "[*]" if state is ABSENT else state.__name__


def _label(row: Row) -> str:
    return f"timer {row.trigger}" if isinstance(row.trigger, str) else row.trigger.__name__


if __name__ == "__main__":
    sys.exit(publish(documents(), sys.argv[1:]))
