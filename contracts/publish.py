"""Command that publishes the contracts: writes or checks the golden schemas and the AsyncAPI document."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from contracts.asyncapi import document
from contracts.event import Event
from contracts.golden import Golden, as_text
from contracts.registry import EVENTS

ASYNCAPI: Final = Path(__file__).resolve().parent / "asyncapi.json"

_ADVICE: Final = (
    "Nothing was written. Inside one version only optional fields are added or removed;"
    " for anything else make a new type that ends in .v2, beside a function from the old to the new."
)
_COMMAND: Final = "python -m contracts.publish"


def publish(events: Mapping[str, type[Event]], golden: Golden, asyncapi: Path) -> tuple[list[str], list[str]]:
    """Write what is new; return the faults that forbid it, and else the files that were written."""
    if faults := golden.faults(events):
        return faults, []
    written = [f"{golden.folder.name}/{name}.json" for name in golden.write(events)]
    text = as_text(document(events, golden))
    if _read(asyncapi) != text:
        asyncapi.write_text(text, encoding="utf-8")
        written.append(asyncapi.name)
    return [], written


def check(events: Mapping[str, type[Event]], golden: Golden, asyncapi: Path) -> list[str]:
    """Return what is broken or not current; nothing where all is well."""
    if faults := golden.faults(events):
        return faults
    stale = [
        f"{name}: its class differs from what was accepted; run {_COMMAND}" for name in golden.stale(events)
    ]
    if not stale and _read(asyncapi) != as_text(document(events, golden)):
        stale.append(f"{asyncapi.name} is not current; run {_COMMAND}")
    return stale


def main(
    arguments: Sequence[str] | None = None,
    *,
    events: Mapping[str, type[Event]] = EVENTS,
    golden: Golden = Golden(),  # noqa: B008 - a path and nothing else
    asyncapi: Path = ASYNCAPI,
) -> int:
    """Run the command and return its exit code: 1 for a break, or with `--check` for anything not current."""
    parser = argparse.ArgumentParser(prog=_COMMAND, description="Publish the contracts of all events.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail unless all is current")
    if parser.parse_args(arguments).check:
        faults, lines = check(events, golden, asyncapi), ["The contracts are current."]
        advice: list[str] = []
    else:
        faults, written = publish(events, golden, asyncapi)
        lines, advice = [f"wrote {name}" for name in written] or ["The contracts were current."], [_ADVICE]
    sys.stdout.write("\n".join([*faults, *advice] if faults else lines) + "\n")
    return 1 if faults else 0


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
