"""Alerts: each is caused in running services, fired by Prometheus itself, and resolved with its cause."""

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest

from services.kernel.embedded.development_api import Bearer
from services.kernel.ids import new_id
from services.kernel.operations import missing_events as losing
from services.kernel.operations import parked_events as operating
from services.referral.app import SERVICE as REFERRAL
from tests.alerting import CASEWORKER, RUNNING, Installation, installation
from tests.examples_notify import MOTHER, custody_recorded, requested
from tests.servers import running, scratch_folder
from tests.tally import TENANT, a_message, seen
from tests.waiting import until

pytestmark = pytest.mark.prometheus

DIRECTORY = "samspil.directory.v1"
STRANGE = "directory.something_new.v1"
A_TIMER = """
insert into timers (stream_id, kind, ref, tenant, due_at)
values ($1, 'wake', gen_random_uuid(), '0440', now() - interval '20 minutes')
"""
A_STREAM = """
insert into streams (stream_id, tenant, version, seq, marks, state) values ($1, '0440', 1, 0, '{}', $2)
"""

LATER_TIMELINE = "insert into timelines values (7, '00000002', nextval('event_log_id'), 1772438400000)"


@pytest.fixture(scope="module")
def at() -> Iterator[Installation]:
    """Run an installation for all tests of this file; each leaves it repaired."""
    with scratch_folder() as folder, running(installation(folder)) as installed:
        yield installed


@pytest.fixture(autouse=True)
async def fresh(at: Installation) -> None:
    """Start what is stopped, and write the watermarks of the consent service, which does not run here."""
    if not at.database.alive():
        await at.database.start()
    if not at.broker.alive():
        await at.broker.start()
        await at.make_topics()
    await set_watermarks(at, "now() + interval '1 hour'")


async def set_watermarks(at: Installation, when: str, *services: str) -> None:
    """Set the watermark of each partition at the named services, or at both, to a time."""
    async with at.stranger() as stranger:
        for name in services or RUNNING:
            await stranger.execute(
                f"insert into {name}.consent_watermarks "  # noqa: S608  our own words
                f"select 'consent', n, {when} from generate_series(0, 1) n"
                " on conflict (source, kafka_partition) do update set watermark_at = excluded.watermark_at"
            )


@asynccontextmanager
async def locked(at: Installation, table: str) -> AsyncIterator[None]:
    """Let a stranger hold a table of the referrals while the block runs."""
    async with at.stranger() as stranger, stranger.transaction():
        await stranger.execute(f"lock table {table} in access exclusive mode")
        yield


async def test_no_alert_fires_when_all_is_well(at: Installation) -> None:
    """Two services that run leave the operator alone."""
    await at.evaluated()

    assert [alert["labels"] for alert in await at.firing_alerts()] == []


async def wait_for_a_stranger(at: Installation) -> int:
    """Ask for a case while a stranger holds them all for two seconds, and return the answer's status."""
    began = time.monotonic()

    async def long_enough() -> bool:
        return time.monotonic() - began > 2

    async with locked(at, "streams"):
        request = asyncio.create_task(at.request("GET", "referral", f"cases/{uuid4()}"))
        await until(long_enough)
    return await request


async def test_slow_responses_fire_an_alert(at: Installation) -> None:
    """Requests that wait for a stranger's lock take more than a second, and an alert fires."""
    answers = [await wait_for_a_stranger(at) for _ in range(2)]  # of a first answer there is no rate
    await at.until_firing("AnswersSlow", service="referral")

    assert answers == [404, 404]


async def test_a_service_that_is_gone_fires_an_alert(at: Installation) -> None:
    """A process that was killed is missed; when all are gone, their metrics are."""
    await at.stop("notify", how=9)
    gone = await at.until_firing("ServiceNotReady")
    await at.stop("referral", how=9)
    await at.until_firing("NothingMeasured")
    await asyncio.gather(at.start("notify"), at.start("referral"))
    await at.until_resolved("NothingMeasured")
    await at.until_resolved("ServiceNotReady")

    assert gone["annotations"]["summary"] == f"127.0.0.1:{at.ports['notify']} cannot be used."


async def test_a_broker_that_was_killed_fires_an_alert(at: Installation) -> None:
    """Every service misses its broker, the libraries complain, and both find it again by themselves."""
    await at.broker.kill()
    missed = await at.until_firing("BrokerUnreachable", service="notify")
    await at.until_firing("BrokerUnreachable", service="referral")
    await at.until_firing("LogLinesDropped", logger="aiokafka")
    led = await at.firing_alert("RelayWithoutLeader")
    await at.broker.start()
    await at.make_topics()
    await at.until_resolved("BrokerUnreachable")

    assert missed["annotations"]["summary"].startswith("notify does not reach the broker")
    assert led is None


async def test_a_database_that_was_stopped_fires_an_alert(at: Installation) -> None:
    """Services miss their database and say so; requests meanwhile are answered 503."""
    await at.database.stop(immediate=True)
    await at.until_firing("DatabaseUnreachable", service="referral")
    answers = set()

    async def failed_often() -> bool:
        answers.add(await at.request("GET", "referral", "cases"))
        return await at.firing_alert("AnswersFail", service="referral") is not None

    await until(failed_often)
    failed = await at.until_firing("AnswersFail", service="referral")
    await at.database.start()
    await at.until_resolved("DatabaseUnreachable")

    assert answers == {503}
    assert failed["annotations"]["summary"].startswith("referral fails to answer ")


async def test_a_relay_without_a_leader_fires_an_alert(at: Installation) -> None:
    """While somebody else holds the lock nothing is sent; what was decided goes out once it is free."""
    lock = zlib.crc32(b"samspil relay notify")
    async with at.stranger() as stranger, at.stranger() as other:
        waiting = asyncio.create_task(stranger.execute("select pg_advisory_lock($1)", lock))
        await until(lambda: other.fetchval("select exists (select from pg_locks where not granted)"))
        await other.execute(
            "select pg_terminate_backend(pid) from pg_locks where objid = $1 and granted", lock
        )
        await waiting
        await at.until_firing("RelayWithoutLeader", service="notify")
        done = await at.request("POST", "notify", "contacts/mine", {"language": "da"})
        await other.execute("update notify.pending set queued_at = now() - interval '61 s'")
        await at.until_firing("EventsNotSent", service="notify")
    await at.until_resolved("RelayWithoutLeader")
    await at.until_resolved("EventsNotSent")

    assert done == 201


async def test_missing_consent_watermarks_fire_an_alert(at: Installation) -> None:
    """A service without a watermark for a minute refuses what needs consent, and an alert fires."""
    await set_watermarks(at, "now() - interval '61 s'", "referral")
    unknown = await at.until_firing("ConsentUnknown", service="referral")
    await set_watermarks(at, "now()")
    await at.until_resolved("ConsentUnknown")

    assert await at.firing_alert("ConsentUnknown", service="notify") is None
    assert unknown["annotations"]["runbook_url"] == "docs/runbooks/ConsentUnknown.md"


async def test_a_gap_fires_an_alert_and_resolves_it(at: Installation) -> None:
    """An event that waits for an earlier one is counted by its reason, until that one comes."""
    stream = uuid4()
    first, second, third = (a_message(stream, n, seen(n), event_type=STRANGE) for n in (1, 2, 3))
    await at.publish(DIRECTORY, [first, third])
    await at.until_firing("EventsParked", service="referral", reason="gap")
    await at.publish(DIRECTORY, [second])
    await at.until_resolved("EventsParked")


async def test_two_timelines_fire_an_alert_at_once(at: Installation) -> None:
    """Another event under a used sequence fires an alert until a person has decided."""
    stream = uuid4()
    true = a_message(stream, 1, seen(1), event_type=STRANGE)
    false = a_message(stream, 1, seen(1), event_type=STRANGE, event_id=uuid4())
    await at.publish(DIRECTORY, [true, false])
    await at.until_firing("TimelinesDiverge", service="referral")
    async with at.stranger() as stranger:
        await stranger.execute("delete from parked_events where reason = 'divergence'")
        await stranger.execute("delete from notify.parked_events where reason = 'divergence'")
    await at.until_resolved("TimelinesDiverge")


async def test_an_unacknowledged_timeline_fires_an_alert(at: Installation) -> None:
    """The log goes on after a restore: an alert fires until the lost events are listed."""
    async with at.stranger() as stranger:
        await stranger.execute(LATER_TIMELINE)
        begun = await at.until_firing("TimelineBegun", service="referral")
    async with operating.open_service(REFERRAL, at.settings()) as runtime:
        await losing.find_missing_events(runtime)
    await at.until_resolved("TimelineBegun")

    assert begun["labels"]["severity"] == "page"


async def test_a_consumer_that_is_held_up_fires_an_alert(at: Installation) -> None:
    """Events pile up on the broker while a stranger holds the streams, and are consumed afterwards."""
    load = [a_message(UUID(int=n), 1, seen(1), event_type=STRANGE) for n in range(1, 11_001)]
    async with locked(at, "streams"):
        await at.publish(DIRECTORY, load)
        behind = await at.until_firing("FallingBehind", service="referral")
    await at.until_resolved("FallingBehind")

    assert float(behind["value"]) > 10_000


async def test_an_overdue_timer_fires_an_alert(at: Installation) -> None:
    """While a stranger holds a case, its timer is late; it fires once the case is free."""
    stream = new_id()
    async with at.stranger() as stranger:
        await stranger.execute(A_STREAM, stream, None)
        async with stranger.transaction():
            await stranger.execute("select 1 from streams where stream_id = $1 for update", stream)
            async with at.stranger() as other:
                await other.execute(A_TIMER, stream)
            await at.until_firing("TimersLate", service="referral")
        await at.until_resolved("TimersLate")


async def test_mails_that_are_not_accepted_fire_an_alert(at: Installation) -> None:
    """With the mail server away mails are tried again and again, and after an hour they are late."""
    how = {"language": "da", "email": "mother@example.org"}
    mother = Bearer(sub=MOTHER, role="guardian", tenant=TENANT)
    done = await at.request("POST", "notify", "contacts/mine", how, bearer=mother)
    cases = [new_id() for _ in range(8)]
    await at.publish(
        "samspil.consent.v1",
        [
            a_message(case, n, body)
            for case in cases
            for n, body in enumerate((custody_recorded(MOTHER), requested()), 1)
        ],
    )
    failing = await at.until_firing("EffectsFailing", service="notify", kind="mail")
    async with at.stranger() as stranger:
        await stranger.execute("update notify.effects set created_at = now() - interval '61 minutes'")
        await at.until_firing("EffectsLate", service="notify", kind="mail")
        await stranger.execute("update notify.effects set done_at = now(), outcome = 'none'")
    await at.until_resolved("EffectsLate")

    assert done == 201
    assert failing["annotations"]["summary"] == "notify could not deliver mail several times."
    assert "mother@example.org" not in await at.numbers("notify")


async def test_a_bug_in_a_rule_fires_an_alert(at: Installation) -> None:
    """An unforeseen case breaks a rule at its deadline; the others go on."""
    stream = new_id()
    async with at.stranger() as stranger:
        await stranger.execute(A_STREAM, stream, '{"kind": "case"}')
        await stranger.execute(A_TIMER, stream)
        broken = await at.until_firing("RulesBreak", service="referral", kind="ValidationError")
        await stranger.execute("delete from timers")

    assert broken["labels"]["severity"] == "ticket"


async def test_a_transaction_that_is_left_open_fires_an_alert(at: Installation) -> None:
    """A transaction that is left open fires an alert, whatever client holds it."""
    async with at.stranger() as stranger, stranger.transaction():
        await stranger.execute("select 1")
        await at.until_firing("OldTransaction", service="notify")
    await at.until_resolved("OldTransaction")


async def test_gauges_that_are_not_refreshed_fire_an_alert(at: Installation) -> None:
    """While a stranger holds a table that is counted, the service is up and its numbers are old."""
    async with locked(at, "parked_events"):
        await at.until_firing("MeasuresStale", service="referral")
        reached = await at.firing_alert("DatabaseUnreachable")
    await at.until_resolved("MeasuresStale")

    assert reached is None


async def test_a_stopped_consumer_fires_an_alert(at: Installation) -> None:
    """A sender who has gone wrong altogether stops the consumer; a repaired version goes on."""
    rubbish = a_message(CASEWORKER, 1, seen(1), event_type=STRANGE)
    await at.publish(DIRECTORY, [type(rubbish)(rubbish.type, rubbish.key, b"rubbish", [])] * 5_000)
    stopped = await at.until_firing("ConsumerStopped", service="referral")
    await at.until_firing("ServiceNotReady", service="referral")
    await at.stop("referral")
    await at.start("referral", parked_limit="9999")
    await at.until_resolved("ConsumerStopped", service="referral")

    assert stopped["labels"]["severity"] == "page"
    await at.until_firing("EventsParked", service="referral", reason="header")
