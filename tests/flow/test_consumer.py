"""Events are applied once and in order, whatever the broker, the body or the deploy does to them."""

import asyncio
from contextlib import AsyncExitStack

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.event import municipality_stream
from contracts.referral import ReferralReady, ReferralSeen
from services.kernel.consumer.faststream_subscriber import EagerBatchSubscriber
from services.kernel.kafka.cloudevents import Message
from services.kernel.operations import parked_events as operating
from services.kernel.runtime.runtime import Runtime
from tests.tally import TENANT, a_message, case_id, publish, running, seen, tallies
from tests.waiting import until


def expected(cases: int, each: int) -> dict[object, list[str]]:
    """Return what the tally holds once it has consumed `each` events of so many cases."""
    return {case_id(n): [str(seen(k).referral_id) for k in range(1, each + 1)] for n in range(cases)}


def a_load(cases: int, each: int) -> list[Message]:
    """Return events of many cases, interleaved."""
    return [a_message(case_id(n), k, seen(k)) for k in range(1, each + 1) for n in range(cases)]


async def consumed(runtime: Runtime, count: int) -> bool:
    """Return whether the tally has counted so many events."""
    return sum(map(len, (await tallies(runtime)).values())) >= count


async def parked_reasons(runtime: Runtime) -> list[str]:
    """Return why events were parked."""
    return [row["reason"] for row in await operating.list_parked(runtime)]


async def test_each_event_is_applied_once_however_often_it_is_sent(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """The same events sent three times count once, in order."""
    load = a_load(20, 5)
    async with running(postgres_dsn, bootstrap, broker_kind) as runtime:
        await publish(bootstrap, [*load, *load, *load, a_message(case_id(99), 1, seen(1))])
        await until(lambda: consumed(runtime, 101))

        found = await tallies(runtime)

    assert found == {**expected(20, 5), case_id(99): expected(1, 1)[case_id(0)]}


async def test_a_stop_under_load_loses_nothing(postgres_dsn: str, bootstrap: str, broker_kind: str) -> None:
    """T1, T8: a stop in the middle of a load leaves the rest for the next start."""
    load = a_load(200, 10)
    async with running(postgres_dsn, bootstrap, broker_kind) as runtime:
        await publish(bootstrap, load)
        await until(lambda: consumed(runtime, 1))
    async with running(postgres_dsn, bootstrap, broker_kind) as runtime:
        await until(lambda: consumed(runtime, 2000))

        found = await tallies(runtime)

    assert found == expected(200, 10)


async def test_a_failing_database_is_waited_for(postgres_dsn: str, bootstrap: str, broker_kind: str) -> None:
    """T2, T3, T4: a batch that cannot be saved is tried again, and neither skipped nor overtaken."""
    stranger = await asyncpg.connect(postgres_dsn)
    async with running(postgres_dsn, bootstrap, broker_kind) as runtime:
        await stranger.execute("alter table consent.streams rename to away")
        await publish(bootstrap, a_load(5, 4))

        async def complains() -> bool:
            assert runtime.consumer is not None
            return runtime.consumer.failures >= 2

        await until(complains)
        await stranger.execute("alter table consent.away rename to streams")
        await until(lambda: consumed(runtime, 20))
        found = await tallies(runtime)
    await stranger.close()

    assert found == expected(5, 4)


@pytest.mark.parametrize("fault", ["57014", "25P03", "58030", "42P01", "42501"])
@pytest.mark.parametrize("broker_kind", ["embedded"])
async def test_what_the_database_cannot_do_now_is_no_fault_of_the_event(
    fault: str, postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """A time that is up, a disk that fails, a table or right that is lacking: the event is tried again."""
    stranger = await asyncpg.connect(postgres_dsn)
    async with running(postgres_dsn, bootstrap, broker_kind) as runtime:
        await stranger.execute(ONCE_NOT.format(fault=fault))
        await publish(bootstrap, [a_message(case_id(0), 1, seen(1))])
        await until(lambda: consumed(runtime, 1))
        found, reasons = await tallies(runtime), await parked_reasons(runtime)
        failures = runtime.consumer.failures if runtime.consumer else 0
    await stranger.close()

    assert found == expected(1, 1)
    assert reasons == []
    assert failures == 1


ONCE_NOT = """
create sequence consent.tries;
create function consent.once_not() returns trigger language plpgsql security definer as $$
begin
  if nextval('consent.tries') = 1 then raise exception 'not now' using errcode = '{fault}'; end if;
  return new;
end $$;
create trigger once_not before insert or update on consent.streams
for each row execute function consent.once_not();
"""


async def test_connections_cut_under_load_cost_nothing(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """Connections that the server ends are opened again, and the batch is repeated."""
    stranger = await asyncpg.connect(postgres_dsn)
    async with running(postgres_dsn, bootstrap, broker_kind) as runtime:
        for n_th in range(5):
            await publish(bootstrap, [a_message(case_id(n), n_th + 1, seen(n_th + 1)) for n in range(50)])
            await stranger.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where application_name = 'samspil consent' and pid <> pg_backend_pid()"
            )
        await until(lambda: consumed(runtime, 250))
        found = await tallies(runtime)
    await stranger.close()

    assert found == expected(50, 5)


def poison(kind: str, stream: int) -> Message:  # noqa: PLR0911  a table
    """Return a message that cannot be taken, instead of the second event of a case."""
    good = a_message(case_id(stream), 2, seen(2))
    match kind:
        case "header":
            bad = [(name, b"\xff\xfe" if name == "ce_time" else value) for name, value in good.headers]
            return Message(good.type, good.key, good.value, bad)
        case "body":
            return Message(good.type, good.key, b"{not json", good.headers)
        case "fields":
            return Message(good.type, good.key, b"{}", good.headers)
        case "oversized":
            return Message(good.type, good.key, b"[" + b"1," * 40_000 + b"1]", good.headers)
        case "source":
            bad = [(n, b"urn:samspil:agreement" if n == "ce_source" else value) for n, value in good.headers]
            return Message(good.type, good.key, good.value, bad)
        case "tenant":
            return a_message(municipality_stream(TENANT), 2, seen(2), tenant="0461")
        case "version":
            return a_message(case_id(stream), 2, seen(2), event_type="referral.seen.v2")
        case "bug":
            return a_message(case_id(stream), 2, ReferralReady(referral_id=case_id(0), send_by="2026-03-02"))
    raise AssertionError(kind)


BLOCKING = ("body", "fields", "version", "bug")
KINDS = ("header", "body", "fields", "oversized", "source", "tenant", "version", "bug")


@pytest.mark.parametrize("kind", KINDS)
async def test_poison_is_set_aside_and_the_others_flow(
    kind: str, postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """T5, T6, T7: one bad event in a batch parks its own stream, and no other event is lost or doubled."""
    load = [a_message(case_id(n), 1, seen(1)) for n in range(10)]
    after = [a_message(case_id(n), 2, seen(2)) for n in range(1, 10)]
    async with running(postgres_dsn, bootstrap, broker_kind) as runtime:
        await publish(bootstrap, [*load, poison(kind, 0), a_message(case_id(0), 3, seen(3)), *after])
        await until(lambda: consumed(runtime, 19))

        async def two_wait() -> bool:
            return len(await parked_reasons(runtime)) == 2

        await until(two_wait)
        found = await tallies(runtime)
        reasons = await parked_reasons(runtime)

    assert found == {**expected(10, 2), case_id(0): expected(1, 1)[case_id(0)]}
    assert reasons[0] == {"fields": "body"}.get(kind, kind)
    assert reasons[1] == ("behind" if kind in BLOCKING else "gap")


async def test_unknown_types_and_fields_are_passed_over(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """A newer sender's types and fields do not stop an older reader."""
    more = a_message(case_id(0), 2, seen(2))
    wider = Message(more.type, more.key, more.value[:-1] + b', "new": 1}', more.headers)
    strange = a_message(case_id(0), 1, seen(1), event_type="referral.something_new.v1")
    async with running(postgres_dsn, bootstrap, broker_kind) as runtime:
        await publish(bootstrap, [strange, wider])
        await until(lambda: consumed(runtime, 1))
        found, reasons = await tallies(runtime), await parked_reasons(runtime)

    assert found == {case_id(0): [str(seen(2).referral_id)]}
    assert reasons == []


async def test_structured_mode_is_understood(postgres_dsn: str, bootstrap: str, broker_kind: str) -> None:
    """T18: an event whose attributes stand in its body is the same event."""
    binary = a_message(case_id(0), 1, seen(1))
    attributes = ",".join(
        f'"{name.removeprefix("ce_")}":"{value.decode()}"'
        for name, value in binary.headers
        if name.startswith("ce_")
    )
    body = b"{" + attributes.encode() + b',"datacontenttype":"application/json","data":' + binary.value + b"}"
    structured = Message(
        binary.type, binary.key, body, [("content-type", b"application/cloudevents+json; charset=UTF-8")]
    )
    async with running(postgres_dsn, bootstrap, broker_kind) as runtime:
        await publish(bootstrap, [structured, binary, a_message(case_id(0), 2, seen(2))])
        await until(lambda: consumed(runtime, 2))
        found = await tallies(runtime)

    assert found == expected(1, 2)


async def test_a_hole_waits_and_heals(postgres_dsn: str, bootstrap: str, broker_kind: str) -> None:
    """Events behind a missing one wait, and go on in order when it arrives."""
    async with running(postgres_dsn, bootstrap, broker_kind) as runtime:
        await publish(bootstrap, [a_message(case_id(0), k, seen(k)) for k in (1, 3, 4)])

        async def two_wait() -> bool:
            return await parked_reasons(runtime) == ["gap", "behind"]

        await until(two_wait)
        held = await tallies(runtime)
        await publish(bootstrap, [a_message(case_id(0), 2, seen(2)), a_message(case_id(0), 5, seen(5))])
        await until(lambda: consumed(runtime, 5))
        found = await tallies(runtime)

        async def none_waits() -> bool:
            return await parked_reasons(runtime) == []

        await until(none_waits)

    assert held == expected(1, 1)
    assert found == expected(1, 5)


async def test_another_event_under_the_same_sequence_is_a_divergence(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """The same sequence with another id means that timelines have diverged: never skipped."""
    async with running(postgres_dsn, bootstrap, broker_kind) as runtime:
        await publish(bootstrap, [a_message(case_id(0), 1, seen(1))])
        await until(lambda: consumed(runtime, 1))
        await publish(bootstrap, [a_message(case_id(0), 1, seen(7), event_id=case_id(77))])

        async def diverged() -> bool:
            return await parked_reasons(runtime) == ["divergence"]

        await until(diverged)
        found = await tallies(runtime)

    assert found == expected(1, 1)


async def test_a_rebalance_under_load_doubles_nothing(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """T9: members come and go while events flow, and each event counts once."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running(postgres_dsn, bootstrap, broker_kind))
        sending = asyncio.create_task(publish(bootstrap, a_load(100, 30)))
        await until(lambda: consumed(first, 1))
        second = await stack.enter_async_context(running(postgres_dsn, bootstrap, broker_kind))
        await sending

        async def shared() -> bool:
            members = [member.consumer for member in (first, second)]
            return all(member and member.consumer and member.consumer.assignment() for member in members)

        await until(shared)
        await second.stop()
        await publish(bootstrap, [a_message(case_id(n), 31, seen(31)) for n in range(100)])
        await until(lambda: consumed(first, 3100))
        found = await tallies(first)

    assert found == expected(100, 31)


async def test_a_bad_deploy_stops_instead_of_parking_everything(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """When nearly every event fails the fault is ours: the consumer stops, and keeps the events."""
    bad = [
        a_message(case_id(n), 1, ReferralReady(referral_id=case_id(0), send_by="2026-03-02"))
        for n in range(300)
    ]
    async with running(postgres_dsn, bootstrap, broker_kind, parked_limit=20) as runtime:
        await publish(bootstrap, bad)

        async def red() -> bool:
            return "stopped: too-many-parked" in (await runtime.unready_reasons()).values()

        await until(red)
        parked = len(await parked_reasons(runtime))

    assert parked <= 20


async def test_replay_after_mending_applies_in_order_and_twice_is_harmless(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """What was parked by a bug goes on in order once the rule is repaired."""
    from dataclasses import replace  # noqa: PLC0415

    from services.kernel.decider.decision import Decision  # noqa: PLC0415
    from tests.tally import TALLY, decide  # noqa: PLC0415

    async with running(postgres_dsn, bootstrap, broker_kind) as runtime:
        await publish(bootstrap, [poison_first(), *(a_message(case_id(0), k, seen(k)) for k in (2, 3))])

        async def three_wait() -> bool:
            return len(await parked_reasons(runtime)) == 3

        await until(three_wait)
        in_vain = await operating.replay_parked(runtime)
    repaired = replace(
        TALLY,
        decide=lambda state, trigger, context: (
            Decision(state) if isinstance(trigger, ReferralReady) else decide(state, trigger, context)
        ),
    )
    async with running(postgres_dsn, "", "none", repaired) as runtime:  # no consumer redelivers them
        done = await operating.replay_parked(runtime)
        again = await operating.replay_parked(runtime)
        found = await tallies(runtime)

    assert in_vain == {"streams": 1, "applied": 0, "left": 3}
    assert done == {"streams": 1, "applied": 3, "left": 0}
    assert again == {"streams": 0, "applied": 0, "left": 0}
    assert found == {case_id(0): [str(seen(k).referral_id) for k in (2, 3)]}


def poison_first() -> Message:
    """Return a first event that breaks the rule."""
    return a_message(case_id(0), 1, ReferralReady(referral_id=case_id(0), send_by="2026-03-02"))


async def test_a_refused_event_is_passed_by(postgres_dsn: str, bootstrap: str, broker_kind: str) -> None:
    """An event that a rule says no to is acknowledged, and the stream goes on."""
    refused = ReferralSeen(
        referral_id="00000000-0000-0000-0000-000000000000",
        organisation_id=case_id(1),
        seen_at=seen(1).seen_at,
    )
    async with running(postgres_dsn, bootstrap, broker_kind) as runtime:
        await publish(bootstrap, [a_message(case_id(0), 1, refused), a_message(case_id(0), 2, seen(2))])
        await until(lambda: consumed(runtime, 1))
        found, reasons = await tallies(runtime), await parked_reasons(runtime)

    assert found == {case_id(0): [str(seen(2).referral_id)]}
    assert reasons == []


async def test_there_is_no_pause_between_two_fetches(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """T11: after an empty fetch the next one starts at once."""

    class Silent:
        """A consumer that never has anything."""

        fetches = 0

        def assignment(self) -> set[TopicPartition]:
            """No partition is assigned."""
            return set()

        async def getmany(self, *, timeout_ms: int, max_records: int | None) -> dict[object, list[object]]:
            """Return nothing."""
            assert timeout_ms >= 500
            assert max_records
            self.fetches += 1
            return {}

    async with running(postgres_dsn, bootstrap, broker_kind) as runtime:

        async def begun() -> bool:
            return runtime.consumer is not None

        await until(begun)
        assert runtime.consumer is not None
        subscriber = runtime.consumer._subscription._subscriber
        silent = Silent()
        async with asyncio.timeout(10):  # pauses would take twice as long
            for _ in range(100):
                await subscriber.get_msg(silent)

    assert isinstance(subscriber, EagerBatchSubscriber)
    assert silent.fetches == 100


@pytest.mark.parametrize("broker_kind", ["embedded"])
async def test_a_consumer_without_a_group_reads_everything(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """Where one process runs everything, each service reads all there is, and joins no group for it."""
    async with running(postgres_dsn, bootstrap, broker_kind, mode="embedded") as runtime:
        await publish(bootstrap, a_load(20, 5))
        await until(lambda: consumed(runtime, 100))
        assert runtime.consumer is not None
        group = f"samspil.{runtime.service.name}"
        stranger = AIOKafkaConsumer(*runtime.consumer.topics, bootstrap_servers=bootstrap, group_id=group)
        await stranger.start()
        left_to_others = stranger.assignment()
        await stranger.stop()

        assert runtime.consumer.consumer is not None
        assert left_to_others == runtime.consumer.consumer.assignment()
        assert await runtime.unready_reasons() == {}
