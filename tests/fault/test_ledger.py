"""The ledger finds every kind of damage: each is done to a copy of what a sound run has left."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import asyncpg
import pytest

from tests.fault.campaign import evidence_of
from tests.fault.ledger import SOURCES, Evidence, examine, read_book
from tests.fault.load import Load
from tests.fault.stage import stage
from tests.servers import scratch_folder
from tests.tally import TENANT
from tests.waiting import under_way, until

UNCOMMANDED = uuid5(NAMESPACE_URL, "never commanded")


@dataclass
class Sound:
    """The evidence that a sound run leaves."""

    dsn: str
    evidence: Evidence


@pytest.fixture(scope="module")
def sound() -> Iterator[Sound]:
    """Run the chain for a moment without any fault, and keep what it leaves."""
    with scratch_folder() as folder, asyncio.Runner() as runner:
        run = played(folder)
        left = runner.run(run.__aenter__())
        try:
            yield left
        finally:
            runner.run(run.__aexit__(None, None, None))


@asynccontextmanager
async def played(folder: Path) -> AsyncIterator[Sound]:
    """Run the chain until it has come to rest, and keep its database."""
    async with stage("embedded", folder) as made:
        load = Load([f"http://127.0.0.1:{made.members['referral-1'].port}"], made.token, 1, cases=10)
        async with under_way(load):
            await until(lambda: promised(load, 80))
            await load.end()
        made.clock.write_text("60")

        async def rests() -> bool:
            return await made.left(load.cases) == ""

        await until(rests)
        evidence = await evidence_of(made, load.promised)
        for member in made.firsts():
            member.kept = False
            member.end()
        yield Sound(made.dsn, evidence)


async def promised(load: Load, count: int) -> bool:
    """Return whether so many commands were answered."""
    return len(load.promised) >= count


def test_a_sound_run_leaves_nothing_to_find(sound: Sound) -> None:
    """Where nothing went wrong nothing is found, and there was something to examine."""
    found = examine(sound.evidence)

    assert found == []
    assert len(sound.evidence.promised) >= 80
    assert len(sound.evidence.mails) >= 80


IN_TABLES = {
    "an event of the first log is gone": (
        "delete from referral.event_log where id = (select min(id) from referral.event_log)",
        "lost",
    ),
    "a later event of a log is gone": (
        "delete from consent.event_log where id = (select max(id) from consent.event_log)",
        "lost",
    ),
    "an event stands in the log twice": (
        (
            "insert into referral.event_log (stream_id, seq, event_id, tenant, type, meta, data) "
            "select stream_id, 9999, stream_id, tenant, type, meta, data from referral.event_log limit 1"
        ),
        "doubled",
    ),
    "two events bear one id": (
        "update referral.event_log set event_id = (select event_id from referral.event_log limit 1)",
        "doubled",
    ),
    "a log has a hole": (
        "update consent.event_log set seq = seq + 1000 where seq > 1",
        "disordered",
    ),
    "a stream stands beyond its log": (
        "update referral.streams set seq = seq + 1",
        "lost",
    ),
    "a stream is gone": (
        "delete from referral.streams",
        "lost",
    ),
    "a consumer has not come to the end": (
        "update notify.streams set marks = jsonb_set(marks, '{consent,0}', '0')",
        "lost",
    ),
    "a consumer's mark bears another id": (
        "update agreement.streams set marks = jsonb_set(marks, '{consent,1}', '\"another\"')",
        "lost",
    ),
    "a consumer never consumed a stream": (
        "delete from agreement.streams",
        "lost",
    ),
    "a state lacks one": (
        (
            "update agreement.streams "
            "set state = jsonb_set(state::jsonb, '{given}', (state::jsonb -> 'given') - 0)"
        ),
        "lost",
    ),
    "a state counts one twice": (
        (
            "update agreement.streams "
            "set state = jsonb_set(state::jsonb, '{seen,0}', state::jsonb -> 'seen' -> 0) "
            "|| jsonb_build_object('seen', (state::jsonb -> 'seen') || (state::jsonb -> 'seen' -> 0))"
        ),
        "doubled",
    ),
    "a state is in another order": (
        (
            "update agreement.streams set state = state::jsonb || jsonb_build_object('seen', "
            "(select jsonb_agg(one order by n desc) from jsonb_array_elements(state::jsonb -> 'seen') "
            "with ordinality as e (one, n)))"
        ),
        "disordered",
    ),
    "a state is not what its own log says": (
        "update consent.streams set state = jsonb_set(state::jsonb, '{seen}', '[]')",
        "lost",
    ),
    "something was never sent": (
        "insert into consent.pending (first_id, tenant, ids) values (1, '0440', '{1,2}')",
        "pending",
    ),
    "a timer never fired": (
        (
            "insert into referral.timers select tenant, stream_id, 'wake', stream_id, now() "
            "from referral.streams limit 1"
        ),
        "pending",
    ),
    "a good event is parked": (
        (
            "insert into consent.parked_events "
            "(tenant, stream_id, source, seq, event_id, topic, kafka_partition, kafka_offset, "
            "headers, reason) "
            "select tenant, stream_id, 'referral', 99, stream_id, 't', 0, 1, '[]', 'gap' "
            "from consent.streams limit 1"
        ),
        "parked_not_poison",
    ),
    "a good event is quarantined": (
        (
            "insert into consent.parked_events "
            "(tenant, key, topic, kafka_partition, kafka_offset, headers, reason) "
            "select tenant, stream_id::text::bytea, 't', 0, 1, '[]', 'header' from consent.streams limit 1"
        ),
        "parked_not_poison",
    ),
    "a good stream halts": (
        "update agreement.streams set halted = true",
        "parked_not_poison",
    ),
    "an effect was never done": (
        (
            "update notify.effects set done_at = null, outcome = null "
            "where key = (select key from notify.effects limit 1)"
        ),
        "pending",
    ),
    "an effect is gone": (
        "delete from notify.effects where key = (select key from notify.effects limit 1)",
        "lost",
    ),
}


@pytest.mark.parametrize("damage", IN_TABLES)
async def test_damage_in_the_tables_is_found(damage: str, sound: Sound) -> None:
    """A change of a table, in a transaction that is then rolled back, is named for what it is."""
    statement, kind = IN_TABLES[damage]
    connection = await asyncpg.connect(sound.dsn)
    try:
        await connection.execute("begin")
        await connection.execute(statement)
        books = {name: await read_book(connection, name, TENANT) for name in SOURCES}
        await connection.execute("rollback")
    finally:
        await connection.close()
    evidence = sound.evidence
    found = examine(Evidence(books, evidence.topics, evidence.mails, evidence.promised))

    assert kind in {finding.kind for finding in found}


def lose_a_record(evidence: Evidence) -> None:
    """Take an event off a topic."""
    evidence.topics["referral"].pop(0)


def disorder_a_stream(evidence: Evidence) -> None:
    """Put the last event of a stream first."""
    lines = evidence.topics["consent"]
    late = max(lines, key=lambda line: line.seq)
    lines.remove(late)
    lines.insert(0, late)


def change_a_record(evidence: Evidence) -> None:
    """Let an event on a topic say something else than in the log."""
    lines = evidence.topics["consent"]
    lines[0] = lines[0]._replace(body=lines[0].body | {"consent_id": str(UNCOMMANDED)})


def say_what_was_not_committed(evidence: Evidence) -> None:
    """Put an event on a topic that no log has."""
    lines = evidence.topics["referral"]
    lines.append(lines[0]._replace(seq=9999, event_id=UNCOMMANDED))


def lose_a_mail(evidence: Evidence) -> None:
    """Take a mail away."""
    evidence.mails.remove(evidence.mails[0])


def send_a_mail_thrice(evidence: Evidence) -> None:
    """Send one mail twice more."""
    evidence.mails.extend([evidence.mails[0]] * 2)


def send_nobodys_mail(evidence: Evidence) -> None:
    """Send a mail without an effect."""
    evidence.mails.append(UNCOMMANDED)


def promise_more(evidence: Evidence) -> None:
    """Answer a command that was never carried out."""
    evidence.promised = dict(evidence.promised) | {UNCOMMANDED: (UNCOMMANDED, False)}


def promise_less(evidence: Evidence) -> None:
    """Carry out a command that was not sent."""
    evidence.promised = dict(list(evidence.promised.items())[1:])


AROUND: dict[Callable[[Evidence], None], str] = {
    lose_a_record: "lost",
    disorder_a_stream: "disordered",
    change_a_record: "disordered",
    say_what_was_not_committed: "doubled",
    lose_a_mail: "lost",
    send_a_mail_thrice: "doubled",
    send_nobodys_mail: "doubled",
    promise_more: "lost",
    promise_less: "doubled",
}


@pytest.mark.parametrize("damage", AROUND, ids=lambda damage: damage.__name__)
def test_damage_around_the_tables_is_found(damage: Callable[[Evidence], None], sound: Sound) -> None:
    """So is what is changed on topics, among mails, and in what was promised."""
    evidence = deepcopy(sound.evidence)
    damage(evidence)
    found = examine(evidence)

    assert AROUND[damage] in {finding.kind for finding in found}


def test_a_mail_that_came_twice_under_one_key_is_no_damage(sound: Sound) -> None:
    """Where a worker dies between sending and noting it, the mail is sent again under its key."""
    evidence = deepcopy(sound.evidence)
    key = evidence.mails[0]
    evidence.mails.append(key)
    effects = evidence.books["notify"].effects
    effects[key] = dict(effects[key]) | {"attempts": 2}

    assert examine(evidence) == []


def test_what_waits_in_a_poisoned_stream_is_no_damage(sound: Sound) -> None:
    """Poison waits, and what stands behind it."""
    evidence = deepcopy(sound.evidence)
    stream_id, row = next(iter(evidence.books["agreement"].streams.items()))
    evidence.books["agreement"].streams[stream_id] = dict(row) | {"halted": True}
    before = examine(evidence)
    evidence.poisoned = frozenset({stream_id})

    assert {finding.kind for finding in before} == {"parked_not_poison"}
    assert [finding for finding in examine(evidence) if finding.kind == "parked_not_poison"] == []
