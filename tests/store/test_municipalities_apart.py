"""The same id in two municipalities is two streams, two persons, two timers: each has its own."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import pytest
from msgspec import structs

from services.kernel.clock import wall_time
from services.kernel.consumer.decoding import EventDecoder
from services.kernel.consumer.processing import BatchStore
from services.kernel.decider.decision import Actor, Context, Decision
from services.kernel.ids import new_id
from services.kernel.kafka.cloudevents import Message
from services.kernel.postgres.connections import tenant_transaction
from services.kernel.privacy.encryption import Keyring
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.consent_watermark import ConsentWatermark
from services.kernel.streams.envelopes import Envelope
from services.kernel.streams.parked import park
from services.kernel.streams.store import WriteSet, save
from tests.side_effects import PostOffice, performing
from tests.tally import (
    ACTOR,
    START,
    TALLY,
    TENANT,
    Count,
    a_message,
    a_record,
    case_id,
    decide,
    kms_for,
    running,
    seen,
)

ELSEWHERE = "0461"
BOTH = (TENANT, ELSEWHERE)
STREAM = case_id(1)
KEYS = [(tenant, STREAM) for tenant in BOTH]
DECODER = EventDecoder(TALLY)


@pytest.fixture
async def runtime(postgres_dsn: str) -> AsyncIterator[Runtime]:
    """Run a tally that takes commands only."""
    async with running(postgres_dsn, "", "none") as started:
        yield started


def command(tenant: str, body: Any, stream: UUID = STREAM) -> Envelope:
    """Return a command of a caseworker of one municipality."""
    cause = str(new_id())
    return Envelope(stream, tenant, body, Actor(ACTOR, "caseworker", tenant), START, cause, cause)


async def process(runtime: Runtime, batch: Sequence[Envelope]) -> None:
    """Process a batch."""
    async with runtime.pool.acquire() as tx:
        await runtime.processor.process(tx, batch)


async def consume(runtime: Runtime, messages: Sequence[Message]) -> None:
    """Consume messages as one batch of a topic."""
    records = [a_record(message) for message in messages]
    for offset, record in enumerate(records):
        record.offset = offset
    async with runtime.pool.acquire() as tx:
        await BatchStore(runtime.processor, runtime.settings).store(tx, DECODER.read(records))


async def streams(runtime: Runtime) -> dict[str, tuple[int, int, bool]]:
    """Return version, sequence and halt of the stream in each municipality."""
    rows = await runtime.pool.fetch(
        "select tenant, version, seq, halted from streams where stream_id = $1", STREAM
    )
    return {row["tenant"]: (row["version"], row["seq"], row["halted"]) for row in rows}


async def test_each_has_its_own_versions_and_events(runtime: Runtime) -> None:
    """Finding 1: whoever names another's stream id writes in a stream of their own."""
    await process(runtime, [command(tenant, Count(new_id())) for tenant in BOTH])
    await process(runtime, [command(ELSEWHERE, Count(new_id()))])
    logged = await runtime.pool.fetch("select tenant, seq from event_log order by tenant, seq")

    assert await streams(runtime) == {TENANT: (1, 1, False), ELSEWHERE: (2, 2, False)}
    assert [tuple(row) for row in logged] == [(TENANT, 1), (ELSEWHERE, 1), (ELSEWHERE, 2)]


async def test_each_seals_under_its_own_key(runtime: Runtime, postgres_dsn: str) -> None:
    """Finding 12: who names a person first does not hold the key of what another municipality seals."""
    words = dict(zip(BOTH, ("here", "there"), strict=True))
    for tenant, word in words.items():
        await process(runtime, [command(tenant, Count(new_id(), word))])
    async with runtime.pool.acquire() as tx:
        keys = await tx.fetch("select tenant, wrapped from data_keys where subject_id = $1", ACTOR)
        opened = await Keyring("consent", kms_for(postgres_dsn)).open_streams(tx, KEYS)

    assert {row["tenant"] for row in keys} == set(BOTH)
    assert len({row["wrapped"] for row in keys}) == 2
    assert opened == {(tenant, STREAM): {"word": word} for tenant, word in words.items()}


async def test_a_destroyed_key_is_the_key_of_one(runtime: Runtime, postgres_dsn: str) -> None:
    """An erasure in one municipality leaves what the other holds of the same person."""
    await process(runtime, [command(tenant, Count(new_id(), "word")) for tenant in BOTH])
    async with runtime.pool.acquire() as tx:
        await tx.execute("update data_keys set destroyed_at = now() where tenant = $1", ELSEWHERE)
        opened = await Keyring("consent", kms_for(postgres_dsn)).open_streams(tx, KEYS)

    assert opened == {(TENANT, STREAM): {"word": "word"}}


async def test_no_person_takes_the_place_of_an_internal_key(runtime: Runtime) -> None:
    """Finding 3: a person of any id, in any municipality, leaves another's request digests as they are."""
    digests = runtime.keyed_digests
    claimed = uuid5(NAMESPACE_URL, f"urn:samspil:request-digests:{TENANT}")
    async with runtime.pool.acquire() as tx:
        for tenant in BOTH:
            new_key = (await runtime.processor.dependencies.keyring.make(tenant, claimed))[1]
            await save(tx, WriteSet(), new_keys=[new_key])
    made = {}
    for tenant in BOTH:
        begin = partial(tenant_transaction, runtime.api_pool, tenant)
        made[tenant] = await digests.digest(begin, tenant, b"request")
    async with runtime.pool.acquire() as tx:
        kept = await tx.fetch("select tenant, purpose from internal_keys order by tenant")

    assert made[TENANT] != made[ELSEWHERE]
    assert [tuple(row) for row in kept] == [(TENANT, "request-digests"), (ELSEWHERE, "request-digests")]


async def test_each_wakes_its_own_stream(runtime: Runtime) -> None:
    """Timers of the same stream, kind and reference fire once in each municipality."""
    timer = Count(case_id(7), wake_at=START)
    await process(runtime, [command(tenant, timer) for tenant in BOTH])
    kept = await runtime.pool.fetchval("select count(*) from timers")
    fired = await runtime.timers.fire()
    woken = await runtime.pool.fetch(
        "select tenant, state::json ->> 'woken' as woken from streams order by 1"
    )

    assert (kept, fired) == (2, 2)
    assert [tuple(row) for row in woken] == [(TENANT, "1"), (ELSEWHERE, "1")]


async def test_each_performs_its_own_effect(postgres_dsn: str) -> None:
    """Effects under one key are performed for each municipality, which reads what is its own."""
    post, key = PostOffice(), new_id()
    async with performing(postgres_dsn, post) as runtime:
        await process(runtime, [command(TENANT, Count(new_id()))])
        await process(runtime, [command(tenant, Count(key)) for tenant in BOTH])
        while await runtime.effects.perform():
            pass
        done = await runtime.pool.fetch("select tenant, outcome from effects where key = $1", key)

    # The stream of two effects may have counted the first one when the second is performed.
    counted = [min(len(state.seen), 2) for _, (state, _) in post.seen]
    assert post.sent.count(key) == 2
    assert {row["tenant"]: row["outcome"] for row in done} == dict.fromkeys(BOTH, "Sent")
    assert sorted(counted) == [1, 2, 2]


async def test_a_foreign_id_among_related_streams_is_absent(postgres_dsn: str) -> None:
    """A rule that asks for another municipality's stream finds none, also where both are in one batch."""
    other, found = case_id(2), []

    def rule(tally: Any, trigger: Any, context: Context) -> Decision:
        found.append((context.tenant, sorted(context.others)))
        return decide(tally, trigger, context)

    service = replace(TALLY, decide=rule, related_streams=lambda _state, _trigger: (other,))
    async with running(postgres_dsn, "", "none", service) as runtime:
        await process(runtime, [command(ELSEWHERE, Count(new_id()), other)])
        await process(runtime, [command(tenant, Count(new_id())) for tenant in BOTH])

    assert found[1:] == [(TENANT, []), (ELSEWHERE, [other])]


async def test_what_a_rule_changes_beside_its_stream_is_of_its_own_municipality(postgres_dsn: str) -> None:
    """A change of another stream by its id begins or changes the own municipality's."""
    other = case_id(2)

    def rule(tally: Any, trigger: Any, context: Context) -> Decision:
        decided = decide(tally, trigger, context)
        further = decide(context.others.get(other), trigger, context)
        return structs.replace(decided, others={other: further}) if context.stream_id == STREAM else decided

    service = replace(TALLY, decide=rule, related_streams=lambda _state, _trigger: (other,))
    async with running(postgres_dsn, "", "none", service) as runtime:
        await process(runtime, [command(ELSEWHERE, Count(new_id()), other)])
        await process(runtime, [command(TENANT, Count(new_id()))])
        rows = await runtime.pool.fetch(
            "select tenant, seq from streams where stream_id = $1 order by 1", other
        )

    assert [tuple(row) for row in rows] == [(TENANT, 1), (ELSEWHERE, 1)]


async def test_events_of_both_are_consumed_in_their_own_order(runtime: Runtime) -> None:
    """Finding 1: what one municipality sends out of order under another's id halts its own stream alone."""
    mine = [a_message(STREAM, k, seen(k)) for k in (1, 2, 3)]
    theirs = [a_message(STREAM, k, seen(k), tenant=ELSEWHERE, event_id=new_id()) for k in (1, 3, 4)]
    await consume(runtime, [message for pair in zip(mine, theirs, strict=True) for message in pair])
    parked = await runtime.pool.fetch("select tenant, seq, reason from parked_events order by seq")
    marks = await runtime.pool.fetch("select tenant, marks -> 'referral' ->> 0 from streams order by tenant")

    assert {tenant: row[2] for tenant, row in (await streams(runtime)).items()} == {
        TENANT: False,
        ELSEWHERE: True,
    }
    assert [tuple(row) for row in marks] == [(TENANT, "3"), (ELSEWHERE, "1")]
    assert [tuple(row) for row in parked] == [(ELSEWHERE, 3, "gap"), (ELSEWHERE, 4, "behind")]


@pytest.mark.parametrize(
    ("header", "value", "counted"),
    [("ce_id", b"x", ELSEWHERE), ("ce_tenant", b"04x0", ""), ("ce_tenant", b"\xff", "")],
)
async def test_an_unreadable_record_counts_to_the_municipality_that_it_names(
    runtime: Runtime, header: str, value: bytes, counted: str
) -> None:
    """Where its header holds no code nobody knows whose it is."""
    good = a_message(STREAM, 1, seen(1), tenant=ELSEWHERE)
    headers = [(name, value if name == header else kept) for name, kept in good.headers]
    await consume(runtime, [Message(good.type, good.key, good.value, headers)])

    rows = await runtime.pool.fetch("select tenant, stream_id from parked_events")
    assert [tuple(row) for row in rows] == [(counted, None)]


@pytest.mark.parametrize(("sender", "shut"), [(ELSEWHERE, {ELSEWHERE}), (b"x", set(BOTH))])
async def test_an_unreadable_message_shuts_the_consents_of_its_sender(
    runtime: Runtime, sender: str | bytes, shut: set[str]
) -> None:
    """One that names no municipality may have withdrawn any consent: nobody's are fresh."""
    watermark = ConsentWatermark(needed=True, partitions=1, seconds=60)
    good = a_message(STREAM, 1, seen(1))
    code = sender.encode() if isinstance(sender, str) else sender
    headers = [(name, code if name == "ce_tenant" else value) for name, value in good.headers]
    record = a_record(Message(good.type, good.key, good.value, headers), topic="samspil.consent.v1")
    async with runtime.pool.acquire() as tx:
        await watermark.advance(tx, {0: wall_time() - timedelta(seconds=1)})
        before = await watermark.fresh_streams(tx, KEYS)
        await save(tx, WriteSet(), parked=[park(record, "header")])
        after = await watermark.fresh_streams(tx, KEYS)

    assert before == set(KEYS)
    assert after == {(tenant, STREAM) for tenant in BOTH if tenant not in shut}
