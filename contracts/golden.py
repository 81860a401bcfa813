"""Golden schemas: the accepted schemas of every event type, against which each change is checked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contracts.compatibility import breaks_with_any
from contracts.event import Event
from contracts.plain_schema import Schema, plain
from contracts.samples import sample_of


@dataclass(frozen=True)
class Accepted:
    """A schema that was accepted once, and an event of that day, which every later reader must accept."""

    schema: Schema
    sample: Mapping[str, Any]


@dataclass(frozen=True)
class Golden:
    """The folder of the accepted schemas: one file an event type, oldest first."""

    folder: Path = field(default_factory=lambda: Path(__file__).resolve().parent / "golden")

    def types(self) -> set[str]:
        """Return the event types that were ever accepted."""
        return {path.stem for path in self.folder.glob("*.json")}

    def history(self, event_type: str) -> tuple[Accepted, ...]:
        """Return what was accepted for a type, oldest first; nothing for a type that is new."""
        path = self._path(event_type)
        if not path.exists():
            return ()
        accepted = json.loads(path.read_text(encoding="utf-8"))["accepted"]
        return tuple(Accepted(one["schema"], one["sample"]) for one in accepted)

    def faults(self, events: Mapping[str, type[Event]]) -> list[str]:
        """Return what may not be published: breaks, types that are gone, old events no longer read."""
        gone = sorted(self.types() - set(events))
        return [
            *(f"{name}: is gone, but its events are still in logs; keep its class" for name in gone),
            *(fault for name, kind in sorted(events.items()) for fault in self._faults_of(name, kind)),
        ]

    def stale(self, events: Mapping[str, type[Event]]) -> list[str]:
        """Return the types whose class differs from the newest accepted schema."""
        return sorted(name for name, kind in events.items() if not self._current(name, kind))

    def write(self, events: Mapping[str, type[Event]]) -> list[str]:
        """Add the schemas that are new, and return the types that were written; `faults` must be empty."""
        written = self.stale(events)
        self.folder.mkdir(exist_ok=True)
        for name in written:
            schema = schema_of(events[name])
            accepted = [*self.history(name), Accepted(schema, sample_of(schema, name))]
            whole = {
                "accepted": [{"sample": one.sample, "schema": one.schema} for one in accepted],
                "type": name,
            }
            self._path(name).write_text(as_text(whole), encoding="utf-8")
        return written

    def _path(self, event_type: str) -> Path:
        return self.folder / f"{event_type}.json"

    def _current(self, name: str, kind: type[Event]) -> bool:
        history = self.history(name)
        return bool(history) and history[-1].schema == schema_of(kind)

    def _faults_of(self, name: str, kind: type[Event]) -> list[str]:
        history = self.history(name)
        found = [
            f"{name}: {one}" for one in breaks_with_any([one.schema for one in history], schema_of(kind))
        ]
        for number, one in enumerate(history, start=1):
            try:
                kind.model_validate_json(json.dumps(one.sample))
            except ValidationError as invalid:
                found.append(f"{name}: the event of acceptance {number} is no longer read: {invalid}")
        return found


def schema_of(kind: type[Event]) -> dict[str, Any]:
    """Return the plain schema of an event's body."""
    return plain(kind.model_json_schema())


def as_text(document: object) -> str:
    """Return a JSON document as it stands in the repository."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
