"""An independent ledger of the chain: what stands in databases and topics, held against what was promised.

It reads by plain clients and shares no code with what it checks.
What each service must hold follows from the log of the one before it.
"""

import email
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

SOURCES: Final = {
    "referral": (),
    "consent": ("referral",),
    "agreement": ("referral", "consent"),
    "notify": ("consent",),
}
SPOKEN: Final = ("referral", "consent")
FOLDS: Final = {  # what a service's own log says of its state: list, type of event, field of its body
    "referral": (("seen", "referral.seen.v1", "referral_id"),),
    "consent": (("seen", "consent.given.v1", "consent_id"),),
    "agreement": (),
    "notify": (("mailed", "notify.mail_delivered.v1", "notice_id"),),
}
COUNTS: Final = {"referral.seen.v1": ("seen", "referral_id"), "consent.given.v1": ("given", "consent_id")}
NAMES: Final = {"consent": "seen"}
# `consent` counts what it consumes under the name of what it publishes


class Finding(NamedTuple):
    """One thing that is not as it was promised."""

    kind: str
    where: str
    what: str


class Line(NamedTuple):
    """One event, in a log or on a topic."""

    stream: UUID
    seq: int
    event_id: UUID
    type: str
    body: Any


@dataclass
class Book:
    """What one service holds."""

    streams: dict[UUID, Mapping[str, Any]] = field(default_factory=dict)
    log: list[Line] = field(default_factory=list)
    pending: list[int] = field(default_factory=list)
    parked: list[Mapping[str, Any]] = field(default_factory=list)
    effects: dict[UUID, Mapping[str, Any]] = field(default_factory=dict)
    timers: int = 0


@dataclass
class Evidence:
    """The evidence after a campaign."""

    books: dict[str, Book]
    topics: dict[str, list[Line]]
    mails: list[UUID]
    promised: Mapping[UUID, tuple[UUID, bool]]
    poisoned: frozenset[UUID] = frozenset()
    emptied: bool = False
    """Whether the broker has forgotten its topics on the way."""


async def read_book(connection: "asyncpg.Connection[Any]", service: str, tenant: str) -> Book:
    """Read what one service holds of a municipality, and what is parked of nobody."""

    async def read(columns: str, table: str, rest: str = "") -> list[Any]:
        statement = f"select {columns} from {service}.{table} where tenant = $1 {rest}"  # noqa: S608  names of ours
        return list(await connection.fetch(statement, tenant))

    rows = await read("*", "streams")
    log = await read("*", "event_log", "order by id")
    pending = await read("unnest(ids) as id", "pending")
    parked = await read("*", "parked_events", "or tenant = ''")
    effects = await read("*", "effects")
    timers = await read("ref", "timers")
    return Book(
        streams={
            row["stream_id"]: {
                "seq": row["seq"],
                "halted": row["halted"],
                "marks": json.loads(row["marks"]),
                "state": json.loads(row["state"] or "{}"),
            }
            for row in rows
        },
        log=[
            Line(row["stream_id"], row["seq"], row["event_id"], row["type"], json.loads(row["data"]))
            for row in log
        ],
        pending=[row["id"] for row in pending],
        parked=[dict(row) for row in parked],
        effects={row["key"]: dict(row) for row in effects},
        timers=len(timers),
    )


async def read_topic(bootstrap: str, service: str, partitions: int, tenant: str) -> list[Line]:
    """Read what a topic holds of a municipality, without watermarks and unreadable records."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        fetch_max_wait_ms=50,
        auto_offset_reset="earliest",  # to seek after `assign` is overtaken by the reset
    )
    await consumer.start()
    lines: list[Line] = []
    try:
        assigned = [TopicPartition(f"samspil.{service}.v1", n) for n in range(partitions)]
        consumer.assign(assigned)
        ends = await consumer.end_offsets(assigned)
        while any([await consumer.position(one) < ends[one] for one in assigned]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                lines.extend(line for record in records if (line := _line(record, tenant)))
    finally:
        await consumer.stop()
    return lines


def _line(record: Any, tenant: str) -> Line | None:
    headers = dict(record.headers)
    if headers.get("ce_tenant") != tenant.encode():
        return None
    try:
        return Line(
            UUID(record.key.decode()),
            int(headers["ce_sequence"]),
            UUID(headers["ce_id"].decode()),
            headers["ce_type"].decode(),
            json.loads(record.value),
        )
    except (KeyError, ValueError, AttributeError, TypeError):
        return None


def read_mails(folder: Path) -> list[UUID]:
    """Return the keys of the mails that were taken, one as often as it came."""
    found = []
    for file in folder.glob("*.eml"):
        sign = email.message_from_bytes(file.read_bytes()).get("Message-ID", "")
        found.append(UUID(sign.strip("<> ").partition("@")[0]))
    return found


def examine(evidence: Evidence) -> list[Finding]:
    """Return all that is not as it was promised."""
    found: list[Finding] = list(_promises(evidence))
    for name, book in evidence.books.items():
        found.extend(_log(name, book))
        found.extend(_rest(name, book, evidence.poisoned))
        for source in SOURCES[name]:
            found.extend(_consumed(name, book, source, evidence))
        if name in SPOKEN:
            found.extend(_topic(name, book, evidence))
    found.extend(_mails(evidence))
    return found


def _promises(evidence: Evidence) -> Iterator[Finding]:
    """Every command that was answered stands in the first log, once."""
    refs = Counter(line.body["referral_id"] for line in evidence.books["referral"].log)
    for ref, (_, timed) in evidence.promised.items():
        for wanted in (ref, uuid5(ref, "woken")) if timed else (ref,):
            times = refs.pop(str(wanted), 0)
            if times != 1:
                yield Finding("lost" if times == 0 else "doubled", "referral", f"{wanted} {times} times")
    for ref in refs:
        yield Finding("doubled", "referral", f"{ref} was never commanded")


def _log(name: str, book: Book) -> Iterator[Finding]:
    """Each stream's own events count 1, 2, 3 to its number, and say what its state says."""
    logged: dict[UUID, list[Line]] = defaultdict(list)
    for line in book.log:
        logged[line.stream].append(line)
    ids = Counter(line.event_id for line in book.log)
    yield from (Finding("doubled", name, f"id {one}") for one, times in ids.items() if times > 1)
    for stream_id in logged.keys() | book.streams.keys():
        lines, row = logged[stream_id], book.streams.get(stream_id)
        if row is None:
            yield Finding("lost", name, f"stream {stream_id}")
            continue
        if [line.seq for line in lines] != list(range(1, len(lines) + 1)):
            yield Finding("disordered", name, f"log of {stream_id}")
        if row["seq"] != len(lines):
            yield Finding("lost", name, f"{stream_id} stands at {row['seq']}, its log at {len(lines)}")
        for what, kind, part in FOLDS[name]:
            said = [line.body[part] for line in lines if line.type == kind]
            yield from _differ(name, stream_id, said, row["state"].get(what, []))


def _differ(name: str, stream_id: UUID, wanted: Sequence[str], found: Sequence[str]) -> Iterator[Finding]:
    """Yield in which way a list is not as it should be."""
    if list(found) == list(wanted):
        return
    missing, surplus = Counter(wanted) - Counter(found), Counter(found) - Counter(wanted)
    yield from (Finding("lost", name, f"{one} in {stream_id}") for one in missing)
    yield from (Finding("doubled", name, f"{one} in {stream_id}") for one in surplus)
    if not missing and not surplus:
        yield Finding("disordered", name, f"state of {stream_id}")


def _consumed(name: str, book: Book, source: str, evidence: Evidence) -> Iterator[Finding]:
    """The events of one service are applied at another once and in order, to the last."""
    said: dict[UUID, list[Line]] = defaultdict(list)
    for line in evidence.books[source].log:
        said[line.stream].append(line)
    for stream_id, lines in said.items():
        if stream_id in evidence.poisoned:
            continue
        row = book.streams.get(stream_id, {"marks": {}, "state": {}})
        number, event_id = row["marks"].get(source, [0, ""])
        if (number, event_id.partition(" ")[0]) != (lines[-1].seq, str(lines[-1].event_id)):
            yield Finding("lost", name, f"{source} {stream_id} to {lines[-1].seq}, mark {number}")
        for kind, (what, part) in COUNTS.items():
            wanted = [line.body[part] for line in lines if line.type == kind]
            if wanted:
                yield from _differ(name, stream_id, wanted, row["state"].get(NAMES.get(name, what), []))


def _rest(name: str, book: Book, poisoned: Iterable[UUID]) -> Iterator[Finding]:
    """Nothing waits but poison, and what stands behind poison."""
    if book.pending:
        yield Finding("pending", name, f"{len(book.pending)} events")
    if book.timers:
        yield Finding("pending", name, f"{book.timers} timers")
    poison = set(poisoned)
    for row in book.parked:
        if _stream(row) not in {*poison, None}:
            yield Finding("parked_not_poison", name, f"{row['stream_id']} {row['seq']} {row['reason']}")
    for stream_id, stream in book.streams.items():
        if stream["halted"] and stream_id not in poison:
            yield Finding("parked_not_poison", name, f"{stream_id} halts")


def _stream(row: Mapping[str, Any]) -> UUID | None:
    """Return the stream of what is parked; of what could not be read, the one that its key names."""
    try:
        return row["stream_id"] or UUID((row["key"] or b"").decode())
    except ValueError:
        return None


def _topic(name: str, book: Book, evidence: Evidence) -> Iterator[Finding]:
    """The topic holds every event of the log, each stream in order of first coming, the same to the word.

    A broker that was emptied may have got its newest events before it was filled again: consumers set those
    aside until the others come, and what counts is what they hold.
    """
    log = {(line.stream, line.seq): line for line in book.log}
    firsts: dict[UUID, list[int]] = defaultdict(list)
    seen: set[tuple[UUID, int]] = set()
    for line in evidence.topics[name]:
        if line.stream in evidence.poisoned:
            continue
        position = (line.stream, line.seq)
        if position not in log:
            yield Finding("doubled", f"topic {name}", f"{position} was never committed")
        elif line != log[position]:
            yield Finding("disordered", f"topic {name}", f"{position} is another event than in the log")
        if position not in seen:
            firsts[line.stream].append(line.seq)
        seen.add(position)
    yield from (
        Finding("lost", f"topic {name}", f"{at}")
        for at in log.keys() - seen
        if at[0] not in evidence.poisoned
    )
    for stream_id, seqs in firsts.items():
        if seqs != sorted(seqs) and not evidence.emptied:
            yield Finding("disordered", f"topic {name}", f"{stream_id}")


def _mails(evidence: Evidence) -> Iterator[Finding]:
    """Every effect was done; its mail was taken, under one key, and not more often than it was tried."""
    book, copies = evidence.books["notify"], Counter(evidence.mails)
    effects = book.effects
    wanted = {UUID(ref) for row in book.streams.values() for ref in row["state"].get("given", ())}
    for key in wanted - effects.keys():
        yield Finding("lost", "effects", f"{key}")
    for key, row in effects.items():
        if row["done_at"] is None:
            yield Finding("pending", "effects", f"{key}")
        if copies[key] == 0:
            yield Finding("lost", "mails", f"{key}")
        if copies[key] > row["attempts"]:
            yield Finding("doubled", "mails", f"{key} {copies[key]} times")
    yield from (Finding("doubled", "mails", f"{key} of no effect") for key in copies.keys() - effects.keys())
