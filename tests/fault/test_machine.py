"""A machine of steps, shuffled without end: whatever comes in whatever order, a small model predicts it."""

import asyncio
import tempfile
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID

import hypothesis.strategies as st
import pytest
from aiokafka import ConsumerRecord
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from contracts.event import Event
from contracts.referral import ReferralReady
from services.kernel import crash_points as crash
from services.kernel.consumer.decoding import EventDecoder
from services.kernel.consumer.processing import BatchStore
from services.kernel.decider.decision import Actor, Decision
from services.kernel.embedded.servers import Postgres
from services.kernel.ids import new_id
from services.kernel.operations import parked_events as operating
from services.kernel.privacy.key_store import FileKeyStore
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.envelopes import Envelope
from tests.servers import drop_database, fresh_database
from tests.tally import ACTOR, START, TALLY, TENANT, Count, a_message, case_id, decide, running, seen, tallies

STREAMS = range(3)
POINTS = ("save.before", "save.after", "commit.before", "commit.after")


class Crashed(BaseException):
    """The process is gone."""


@dataclass
class Expected:
    """What one stream is predicted to hold."""

    seen: list[str] = field(default_factory=list)
    said: list[bool] = field(
        default_factory=list
    )  # whether each event in order can be taken before the repair
    applied: int = 0
    waiting: dict[int, bool] = field(default_factory=dict)  # by number, whether it was found to be poison

    def consume(self, number: int, *, repaired: bool) -> None:
        """Take one event, or let it wait."""
        if number <= self.applied:
            return
        if not self.waiting and number == self.applied + 1 and self._fit(number, repaired=repaired):
            self._apply(number)
            return
        first = not self.waiting and number == self.applied + 1
        self.waiting.setdefault(number, first)
        self.go_on(repaired=repaired, poison=False)

    def go_on(self, *, repaired: bool, poison: bool) -> None:
        """Take up what waits, in order, as far as it can be taken."""
        while (number := self.applied + 1) in self.waiting:
            if self.waiting[number] and not poison:
                return
            if not self._fit(number, repaired=repaired):
                self.waiting[number] = True
                return
            del self.waiting[number]
            self._apply(number)

    def _fit(self, number: int, *, repaired: bool) -> bool:
        return repaired or self.said[number - 1]

    def _apply(self, number: int) -> None:
        self.applied = number
        if self.said[number - 1]:
            self.seen.append(str(seen(number).referral_id))


class Machine(RuleBasedStateMachine):
    """One consumer without a broker: its topic is a list."""

    server: Postgres

    @initialize()
    def begin(self) -> None:
        """Start on an empty database."""
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.dsn = self.runner.run(fresh_database(self.server))
        self.topic: list[ConsumerRecord[bytes, bytes]] = []
        self.offset = 0
        self.repaired = False
        self.expected: defaultdict[UUID, Expected] = defaultdict(Expected)
        self.counted = 0
        self._open()

    def _open(self) -> None:
        def rule_of(state: Any, trigger: Any, context: Any) -> Decision:
            if self.repaired and isinstance(trigger, ReferralReady):
                return Decision(state)
            return decide(state, trigger, context)

        self.stack = AsyncExitStack()
        key_store = FileKeyStore(Path(self.folder.name) / "kek", mode="test")
        service = replace(TALLY, decide=rule_of)
        self.runtime: Runtime = self.runner.run(
            self.stack.enter_async_context(running(self.dsn, "", "none", service, key_store=key_store))
        )
        self.decoder = EventDecoder(service)
        self.store = BatchStore(self.runtime.processor, self.runtime.settings)

    def teardown(self) -> None:
        """Leave nothing behind."""
        if hasattr(self, "runner"):
            self.runner.run(self.stack.aclose())
            self.runner.run(drop_database(self.server, self.dsn))
            self.runner.close()
            self.folder.cleanup()

    @rule(n=st.sampled_from(STREAMS), good=st.booleans() | st.just(value=True))
    def say(self, n: int, *, good: bool) -> None:
        """Let the sender publish one more."""
        stream = case_id(n)
        said = self.expected[stream].said
        said.append(good)
        number = len(said)
        body: Event = seen(number) if good else ReferralReady(referral_id=stream, send_by="2026-03-02")
        message = a_message(stream, number, body)
        self.topic.append(_record(len(self.topic), message))

    @rule(count=st.integers(1, 5))
    def take(self, count: int) -> None:
        """Take the next few."""
        self._take(count)
        self._predict(count)

    @rule(count=st.integers(1, 5), point=st.sampled_from(POINTS), times=st.integers(1, 3))
    def take_and_crash(self, count: int, point: str, times: int) -> None:
        """Die while consuming them, restart, and consume them again, since the offset was not committed."""
        with patch("services.kernel.crash_points.os.kill", side_effect=Crashed):
            crash._armed[point] = times
            try:
                self._take(count)
            except Crashed:
                self.restart()
            finally:
                crash._armed.clear()
        self._take(count)
        self._predict(count)

    @rule()
    def overlook(self) -> None:
        """Pass one event by, as if it had been lost on the way."""
        self.offset = min(self.offset + 1, len(self.topic))

    @rule(share=st.floats(0, 1))
    def rewind(self, share: float) -> None:
        """Go back on the topic."""
        self.offset = int(self.offset * share)

    @rule(n=st.sampled_from(STREAMS))
    def submit(self, n: int) -> None:
        """Give a command, once."""
        self.counted += 1
        cause, ref = str(new_id()), UUID(int=self.counted)
        envelope = Envelope(
            case_id(n), TENANT, Count(ref), Actor(ACTOR, "caseworker", TENANT), START, cause, cause
        )
        self.runner.run(self._submit(envelope))
        self.expected[case_id(n)].seen.append(str(ref))

    @rule()
    def repair(self) -> None:
        """Install a rule that can take what broke the old one."""
        self.repaired = True

    @rule()
    def replay(self) -> None:
        """Take up all that waits, as an operator does."""
        self.runner.run(operating.replay_parked(self.runtime))
        for one in self.expected.values():
            one.go_on(repaired=self.repaired, poison=True)

    @rule()
    def restart(self) -> None:
        """End the process and start another."""
        self.runner.run(self.stack.aclose())
        self._open()

    @invariant()
    def all_is_as_predicted(self) -> None:
        """What each stream has seen, what waits, and the log that follows from it."""
        if not hasattr(self, "runner"):
            return
        found = self.runner.run(tallies(self.runtime))
        waiting, holes = self.runner.run(self._rest())

        assert found == {stream: one.seen for stream, one in self.expected.items() if one.seen}
        assert waiting == {stream: set(one.waiting) for stream, one in self.expected.items() if one.waiting}
        assert holes == 0

    def _take(self, count: int) -> None:
        records = self.topic[self.offset : self.offset + count]
        if records:
            self.runner.run(self._store(records))

    def _predict(self, count: int) -> None:
        for record in self.topic[self.offset : self.offset + count]:
            number = int(dict(record.headers)["ce_sequence"])
            self.expected[UUID((record.key or b"").decode())].consume(number, repaired=self.repaired)
        self.offset = min(self.offset + count, len(self.topic))

    async def _store(self, records: list[Any]) -> None:
        async with self.runtime.pool.acquire() as tx:
            await self.store.store(tx, self.decoder.read(records))

    async def _submit(self, envelope: Envelope) -> None:
        async with self.runtime.pool.acquire() as tx:
            await self.runtime.processor.process(tx, [envelope])

    async def _rest(self) -> tuple[dict[UUID, set[int]], int]:
        rows = await self.runtime.pool.fetch("select stream_id, seq from parked_events")
        waiting: defaultdict[UUID, set[int]] = defaultdict(set)
        for row in rows:
            waiting[row["stream_id"]].add(row["seq"])
        holes: int = await self.runtime.pool.fetchval(_HOLES)
        return waiting, holes


def _record(offset: int, message: Any) -> "ConsumerRecord[bytes, bytes]":
    return ConsumerRecord(
        topic="samspil.referral.v1",
        partition=0,
        offset=offset,
        timestamp=0,
        timestamp_type=0,
        key=message.key,
        value=message.value,
        checksum=None,
        serialized_key_size=len(message.key),
        serialized_value_size=len(message.value),
        headers=tuple(message.headers),
    )


_HOLES = """
select count(*) from (
  select stream_id from streams left join event_log using (stream_id) group by stream_id, streams.seq
  having count(event_log.id) <> streams.seq or coalesce(max(event_log.seq), 0) <> streams.seq
) as off
"""


@pytest.mark.parametrize("stories", [6, pytest.param(60, marks=pytest.mark.campaign)])
def test_a_model_predicts_every_interleaving(postgres_server: Postgres, stories: int) -> None:
    """Submit, crash, repeat, go back, overlook, park, repair, replay, restart: the model is never wrong."""
    machine = type("OnThisServer", (Machine,), {"server": postgres_server})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=stories, stateful_step_count=25, deadline=None, derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_armed() -> Any:
    """Leave no point armed."""
    yield
    crash._armed.clear()
