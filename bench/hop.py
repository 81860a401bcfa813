"""The six hops of a case and their events: small, plain and as cheap as Python makes them."""

import os
import time
from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec
from aiokafka import ConsumerRecord
from msgspec import Struct

from bench.load import stamp

Record: TypeAlias = ConsumerRecord[bytes, bytes]
Row = tuple[bytes, bytes, bytes, bytes, bytes, bytes]
"""Event id, case, step, time of the cause; headers and body of the event that follows, empty at the end."""
Who = tuple[bytes, bytes, bytes, bytes, bytes]
"""Tenant, correlation id, causation id, actor, role."""

HOPS: Final = (
    ("referral.consent_awaited.v1", "consent"),
    ("consent.granted.v1", "referral"),
    ("referral.accepted.v1", "agreement"),
    ("agreement.in_force.v1", "evaluation"),
    ("evaluation.concluded.v1", "agreement"),
    ("agreement.ended.v1", "referral"),
)
"""Each event of a case, and the service that consumes it."""
SERVICES: Final = tuple(sorted({service for _, service in HOPS}))
STEPS: Final = len(HOPS)

_JSON: Final = ("content-type", b"application/json")
_SPEC: Final = ("ce_specversion", b"1.0")
_ROOM: Final = 1 << 47


class Facts(Struct, gc=False):
    """An event's body: about 600 bytes of ids, dates and codes."""

    case_id: str
    child_id: str
    referral_id: str
    organisation_id: str
    offer_id: str
    department_id: str
    agreement_id: str
    purposes: list[str]
    conditions: list[str]
    starts_on: str
    ends_on: str
    answer_by: str
    decided_at: str
    hours: int
    step: int


class Kind(Struct, frozen=True):
    """What all events of one step have in common; the headers' names and values are made once."""

    type: str
    source: tuple[str, bytes]
    named: tuple[str, bytes]
    sequence: tuple[str, bytes]
    schema: tuple[str, bytes]


def _kind(step: int) -> Kind:
    name = HOPS[step - 1][0]
    return Kind(
        type=name,
        source=("ce_source", f"urn:samspil:{name.partition('.')[0]}".encode()),
        named=("ce_type", name.encode()),
        sequence=("ce_sequence", b"%010d" % step),
        schema=("ce_dataschema", f"urn:samspil:schema:{name}".encode()),
    )


_FIRST: Final = _kind(1)
_NEXT: Final = {_kind(step).named[1]: _kind(step + 1) for step in range(1, STEPS)}
_decode = msgspec.json.Decoder(Facts).decode
_encode = msgspec.json.Encoder().encode


class Outgoing(Struct, gc=False):
    """An event to be sent; its headers are made where they are written, to be gone again at once."""

    kind: Kind
    position: int
    event_id: bytes
    case: bytes
    body: bytes
    time: bytes
    who: Who


class Batch:
    """What a batch of events, of a case each, needs of the database, and the events that follow from it."""

    def __init__(self) -> None:
        """Begin with no event."""
        self.rows: list[Row] = []
        self.following: list[Outgoing] = []
        self._cases: set[bytes] = set()

    def follow(self, records: Sequence[Record]) -> list[Record]:
        """Add events and what follows from them; return those whose case is in the batch already."""
        now = stamp()
        decided_at = now.decode()
        cases, rows, following = self._cases, self.rows, self.following
        later = []
        for record, fresh in zip(records, fresh_ids(len(records)), strict=True):
            head = dict(record.headers)
            case, cause = head["ce_subject"], head["ce_id"]
            if case in cases:
                later.append(record)
                continue
            cases.add(case)
            facts = _decode(record.value or b"")
            kind = _NEXT.get(head["ce_type"])
            if kind is None:
                rows.append((cause, case, head["ce_sequence"], head["ce_time"], b"", b""))
                continue
            facts.step += 1
            facts.decided_at = decided_at
            body = _encode(facts)
            who = (head["ce_tenant"], head["ce_correlationid"], cause, head["ce_actor"], head["ce_role"])
            kept = b"\t".join((fresh, now, *who))
            rows.append((cause, case, head["ce_sequence"], head["ce_time"], kept, body))
            following.append(Outgoing(kind, len(rows), fresh, case, body, now, who))
        return later


def opened(cases: Sequence[bytes]) -> list[Outgoing]:
    """Make the first event of each case."""
    now = stamp()
    child, referral, organisation, offer, department, agreement = (text.decode() for text in fresh_ids(6))
    begun = []
    for position, (case, fresh) in enumerate(zip(cases, fresh_ids(len(cases)), strict=True), 1):
        facts = Facts(
            case_id=case.decode(),
            child_id=child,
            referral_id=referral,
            organisation_id=organisation,
            offer_id=offer,
            department_id=department,
            agreement_id=agreement,
            purposes=["casework", "evaluation"],
            conditions=["autism", "loneliness"],
            starts_on="2027-01-04",
            ends_on="2027-07-02",
            answer_by="2026-12-01",
            decided_at=now.decode(),
            hours=3,
            step=1,
        )
        who = (b"0440", fresh, fresh, department.encode(), b"caseworker")
        begun.append(Outgoing(_FIRST, position, fresh, case, _encode(facts), now, who))
    return begun


def fresh_ids(count: int) -> list[bytes]:
    """Return UUIDv7 texts: one random beginning for the batch, and a counter from a random start."""
    noise = int.from_bytes(os.urandom(10), "big")
    ms = time.time_ns() // 1_000_000
    first = (noise >> 28) % _ROOM
    start = b"%08x-%04x-7%03x-%04x-" % (ms >> 16, ms & 0xFFFF, noise & 0xFFF, 0x8000 | (noise >> 12) & 0x3FFF)
    return [b"%b%012x" % (start, number) for number in range(first, first + count)]


def headers_of(event: Outgoing) -> list[tuple[str, bytes]]:
    """Return the fifteen headers of CloudEvents binary mode."""
    kind, case = event.kind, event.case
    tenant, begun, cause, actor, role = event.who
    return [
        _JSON,
        _SPEC,
        ("ce_id", event.event_id),
        kind.source,
        kind.named,
        ("ce_subject", case),
        ("ce_time", event.time),
        ("ce_partitionkey", case),
        kind.sequence,
        ("ce_tenant", tenant),
        ("ce_correlationid", begun),
        ("ce_causationid", cause),
        ("ce_actor", actor),
        ("ce_role", role),
        kind.schema,
    ]
