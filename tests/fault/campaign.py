"""Play a seeded stream of faults against the chain under load, then examine the ledger.

`python -m tests.fault.campaign --seed 1 --faults 50 --broker embedded` prints a table and writes
`build/faults.json`.
"""

import argparse
import asyncio
import json
import logging
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final
from uuid import UUID

import asyncpg

from tests.fault.brokers import KINDS, Kind
from tests.fault.faults import FAULTS, full_disk, full_log, repaired
from tests.fault.hostile import Hostile, closed_gates, parked_of, stopped
from tests.fault.latency import measured, until_all_work
from tests.fault.ledger import (
    SOURCES,
    SPOKEN,
    Evidence,
    Finding,
    examine,
    read_book,
    read_mails,
    read_topic,
)
from tests.fault.load import Load
from tests.fault.spoiling import poison_again, poison_left
from tests.fault.stage import PARTITIONS, Stage, stage
from tests.fault.timing import pause
from tests.servers import scratch_folder
from tests.tally import TENANT
from tests.waiting import under_way

ROUND: Final = 50
_AT_ONCE: Final = 2
_AMID: Final = 4
_AMID_SECONDS: Final = 5.0
_DRAIN_SECONDS: Final = 240.0
_POISON_SECONDS: Final = 5.0
"""Poison that a broker forgot is in no log: it is sent once more at such distances until it is found."""

_KINDS: Final = ("lost", "doubled", "disordered", "parked_not_poison", "pending", "stopped", "gate")


@dataclass
class Result:
    """What a campaign has shown."""

    broker: str
    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    events: int = 0
    mails: int = 0
    mails_twice: int = 0
    mails_oftener: int = 0
    drains: list[float] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    seconds: float = 0.0
    hostile: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the figures as they are written down."""
        counts = Counter(finding.kind for finding in self.findings)
        return {
            "broker": self.broker,
            "seed": self.seed,
            "faults": self.faults.total(),
            "events": self.events,
            "mails": self.mails,
            "mails_twice": self.mails_twice,
            "mails_oftener": self.mails_oftener,
            **{kind: counts[kind] for kind in _KINDS},
            "drain_seconds_max": round(max(self.drains, default=0.0), 1),
            "seconds": round(self.seconds),
            "hostile": self.hostile,
            "by_kind": dict(sorted(self.faults.items())),
        }


async def campaign(
    broker: Kind,
    seed: int,
    faults: int,
    folder: Path,
    *,
    only: Sequence[str] = (),
    short: bool = False,
    say: Callable[[str], None] = print,
    out: Path | None = None,
) -> Result:
    """Play that many faults, of all kinds or a few, in rounds that each end with an examination.

    A hostile municipality sends what is wrong in every round; before them the others' times are measured.
    A `short` campaign measures no times, and begins with one fault of each kind.
    The figures so far are written to `out` after each round.
    """
    result, random = Result(broker, seed), Random(f"{broker} {seed}")
    began = time.monotonic()
    promised: dict[UUID, tuple[UUID, bool]] = {}
    async with stage(broker, folder) as made:
        load = Load(_urls(made), made.token, seed * 1000 + 999)
        hostile = Hostile(made, seed, load.cases)
        if short:
            async with under_way(load):
                await until_all_work(made, load)
                await load.end()
        else:
            result.hostile |= await measured(made, load, hostile)
            say(f"  hostile: {result.hostile}")
        promised.update(load.promised)
        while result.faults.total() < faults and not result.findings:
            count = min(ROUND, faults - result.faults.total())
            load = Load(_urls(made), made.token, seed * 1000 + len(result.drains))
            hostile.cases = load.cases
            async with under_way(load), under_way(hostile):
                kinds = _kinds(made, only, count, random, each=short)
                await _strike(made, load, random, kinds, result, say)
                await repaired(made)
                healed = time.monotonic()
                await load.end()
            promised.update(load.promised)
            await _drain(made, load, result, healed, say)
            evidence = await evidence_of(made, promised)
            result.events = sum(len(book.log) for book in evidence.books.values())
            copies = Counter(evidence.mails).values()
            result.mails = len(copies)
            result.mails_twice = sum(one == 2 for one in copies)
            result.mails_oftener = sum(one > 2 for one in copies)
            result.findings += examine(evidence)
            await _examine_hostile(made, hostile, load, result)
            so_far = f"{result.faults.total()} faults, {result.events} events"
            say(f"  {so_far}, {result.drains[-1]:.1f} s to drain")
            result.seconds = time.monotonic() - began
            if out:
                write_down(result, out)
    return result


def _urls(made: Stage) -> list[str]:
    return [f"http://127.0.0.1:{made.members[f'referral-{slot}'].port}" for slot in (1, 2)]


async def _examine_hostile(made: Stage, hostile: Hostile, load: Load, result: Result) -> None:
    """Find what the hostile municipality has done to the others: consumers stopped, gates closed."""
    result.findings += [Finding("stopped", name, "its consumer has stopped") for name in stopped(made)]
    if closed := await closed_gates(made, load.cases):
        result.findings.append(Finding("gate", "agreement", f"{closed} closed of {len(load.cases)}"))
    result.hostile |= {"sent": dict(sorted(hostile.sent.items())), "parked": await parked_of(made)}


def _kinds(made: Stage, only: Sequence[str], count: int, random: Random, *, each: bool) -> list[str]:
    """Draw that many kinds of faults from those that are possible here; or begin with `each` of them."""
    weights = {
        name: one.weight
        for name, one in FAULTS.items()
        if made.broker.kind in one.brokers
        and (not only or name in only)
        and (made.small_disk or one.strike is not full_disk)
        and (made.small_log or one.strike is not full_log)
    }
    first = random.sample(list(weights), len(weights)) if each else []
    return first[:count] + random.choices(list(weights), list(weights.values()), k=count - len(first))


async def _strike(
    made: Stage,
    load: Load,
    random: Random,
    names: Sequence[str],
    result: Result,
    say: Callable[[str], None],
) -> None:
    """Inject one fault after the other, some at once, never two of the same target, and all under load."""
    at_once = asyncio.Semaphore(_AT_ONCE)
    locks = {target: asyncio.Lock() for name in names for target in FAULTS[name].holds}

    async def strike(name: str, seed: float) -> None:
        async with AsyncExitStack() as held:
            for target in FAULTS[name].holds:
                await held.enter_async_context(locks[target])
            await held.enter_async_context(at_once)
            await _amid(load)
            say(f"    {name}")
            await FAULTS[name].strike(made, Random(seed))
            result.faults[name] += 1

    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(strike(name, random.random()))


async def _amid(load: Load) -> None:
    """Let some more commands be answered, where they can be, however slow the machine is."""
    enough = len(load.promised) + _AMID
    with suppress(TimeoutError):
        async with asyncio.timeout(_AMID_SECONDS):
            while len(load.promised) < enough:
                await pause(0.05)


async def _drain(made: Stage, load: Load, result: Result, healed: float, say: Callable[[str], None]) -> None:
    """Wait until nothing is under way; what never comes to rest is a finding."""
    before, sent_at = "", healed
    while left := await made.left(load.cases) or await poison_left(made):
        if time.monotonic() - sent_at > _POISON_SECONDS:
            sent_at = time.monotonic()
            await poison_again(made)
        since = time.monotonic() - healed
        if left != before:
            say(f"      {since:.1f} s: {left}")
        if since > _DRAIN_SECONDS:
            result.findings.append(Finding("pending", "chain", left))
            break
        before = left
        await asyncio.sleep(0.1)
    result.drains.append(time.monotonic() - healed)


async def evidence_of(made: Stage, promised: Mapping[UUID, tuple[UUID, bool]]) -> Evidence:
    """Read all that there is on a stage."""
    connection = await asyncpg.connect(made.dsn)
    try:
        others = {row["key"] for row in await connection.fetch(_OTHERS_EFFECTS, TENANT)}
        books = {name: await read_book(connection, name, TENANT) for name in SOURCES}
    finally:
        await connection.close()
    topics = {name: await read_topic(made.broker.bootstrap, name, PARTITIONS, TENANT) for name in SPOKEN}
    mails = [key for key in read_mails(made.folder / "mail") if key not in others]
    return Evidence(books, topics, mails, dict(promised), frozenset(made.poisoned), made.emptied)


_OTHERS_EFFECTS: Final = "select key from notify.effects where tenant <> $1"


def table(result: Result) -> str:
    """Return the figures for a terminal."""
    document = result.document()
    kinds, hostile = document.pop("by_kind"), document.pop("hostile")
    lines = [f"{name.replace('_', ' '):<24}{value:>10}" for name, value in document.items()]
    lines += ["", *(f"  {name:<22}{count:>10}" for name, count in kinds.items())]
    lines += ["", *(f"  hostile {name:<22}{value!s:>10}" for name, value in hostile.items())]
    lines += ["", *(f"{one.kind}: {one.where}: {one.what}" for one in result.findings[:20])]
    return "\n".join(lines)


def write_down(result: Result, out: Path) -> None:
    """Write the figures into a file."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result.document(), indent=2) + "\n")


def keep_logs(folder: Path, to: Path) -> None:
    """Copy what the processes have logged."""
    to.mkdir(parents=True, exist_ok=True)
    for file in folder.rglob("*.log"):
        shutil.copy(file, to / f"{file.parent.name}-{file.name}")


def main() -> int:
    """Play one campaign as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--broker", choices=KINDS, default="embedded")
    parser.add_argument("--out", type=Path, default=Path("build/faults.json"))
    parser.add_argument("--only", action="append", choices=sorted(FAULTS), default=[])
    parser.add_argument("--keep", type=Path, help="keep the logs of all processes in this folder")
    options = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    with scratch_folder() as folder:
        playing = campaign(
            options.broker, options.seed, options.faults, folder, only=options.only, out=options.out
        )
        result = asyncio.run(playing)
        if options.keep:
            keep_logs(folder, options.keep)
    print(table(result))  # noqa: T201  the table is what it is for
    return 1 if result.findings else 0


if __name__ == "__main__":
    sys.exit(main())
