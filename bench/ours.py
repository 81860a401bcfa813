"""Our own path: the hops of `bench.chain` through the real services, as they run in production.

A hop is one event that a service's real consumer fetches, decides by its real rules and commits:
state, marks, event log (who, in which role, why), timers, projections and private words under their keys, and
the event that follows, which the relay sends. Metrics are counted, traces are on and sample by their parent.
"""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from pydantic import SecretStr

from bench.chain import CHAIN, ENDS, HOPS
from bench.load import InvalidRunError, Latency, Meter, Progress, Run, arrivals
from bench.opening import Opening
from contracts.model import load_models, model_folder
from services.kernel.clock import SystemClock
from services.kernel.kafka.signals import NO_SIGNALS, TopicSignals
from services.kernel.kafka.topics import make_topics
from services.kernel.limits import EMBEDDED, Limits
from services.kernel.postgres.migrations import migrate
from services.kernel.privacy.key_store import FileKeyStore
from services.kernel.runtime.assembly import tune_garbage_collector
from services.kernel.runtime.runtime import Runtime
from services.kernel.settings import Settings
from services.kernel.streams.envelopes import Envelope
from services.kernel.streams.handler import BatchResult
from services.kernel.tracing import set_up_tracing

_WARM_UP_CASES: Final = 200
_STALLED_SECONDS: Final = 60.0
_NO_COLLECTOR: Final = "http://127.0.0.1:9/v1/traces"
"""Nothing is sent there: what a trace's parent does not sample is not recorded."""


class Ours:
    """The two services of the chain on one event loop, with their relays, timers and metrics."""

    def __init__(self) -> None:
        """Prepare; nothing is opened before `start`."""
        self._runtimes: dict[str, Runtime] = {}
        self._taken = 0
        self._expected = 0
        self._done = asyncio.Event()
        self._progress = Progress()
        self._waits: list[float] | None = None
        self._injected: dict[UUID, float] = {}

    async def start(self, dsn: str, bootstrap: str, kafka: bool) -> None:  # noqa: FBT001  which broker it is
        """Create schemas and topics, start consuming, and warm up."""
        set_up_tracing(_NO_COLLECTOR, 0.0)
        settings = Settings(
            mode="production" if kafka else "embedded",  # one process on a broker of its own, as `samspil up`
            database=SecretStr(dsn),
            bootstrap=bootstrap,
            broker="kafka" if kafka else "embedded",
            limits=Limits() if kafka else EMBEDDED,
        )
        signals = NO_SIGNALS if kafka else TopicSignals()
        key_store = FileKeyStore(Path(tempfile.mkdtemp()) / "kek", mode="test")
        models = load_models(model_folder())
        for service in CHAIN.values():
            await migrate(dsn, service)
        await make_topics(CHAIN, settings)
        self._runtimes = {
            name: Runtime(
                service,
                settings,
                clock=SystemClock(),
                models=models,
                key_store=key_store,
                signals=signals,
            )
            for name, service in CHAIN.items()
        }
        for runtime in self._runtimes.values():
            await runtime.start(run_loops=False, serve_requests=False)
            self._watch(runtime)
        self._opening = Opening(self._runtimes)
        await self._opening.directory()
        for runtime in self._runtimes.values():
            await runtime.start_loops()
        while any([await runtime.unready_reasons() for runtime in self._runtimes.values()]):
            await asyncio.sleep(0.1)
        await self.run(_WARM_UP_CASES)
        tune_garbage_collector()

    async def run(self, cases: int) -> Run:
        """Work a closed batch off; the clock starts when the first events, logged before, are queued."""
        ids = await self._prepare(cases)
        meter, self._progress = Meter(), Progress()
        await self._inject(ids)
        await self._finish()
        figures = meter.run(HOPS * cases, self._progress.last, self._progress.longest_gap)
        await self._end(ids)
        return figures

    async def open_load(self, cases_per_second: float, seconds: float) -> Latency:
        """Let cases arrive evenly spaced; a hop's wait is from its cause's time to its own commit."""
        ids = await self._prepare(round(cases_per_second * seconds))
        waits: list[float] = []
        self._waits = waits
        meter = Meter()
        gone = 0
        async for due in arrivals(cases_per_second, seconds):
            await self._inject(ids[gone : gone + due])
            gone += due
        await self._finish()
        figures = meter.latency(cases_per_second, waits)
        self._waits = None
        await self._end(ids)
        return figures

    async def stop(self) -> None:
        """Close the connections."""
        await asyncio.gather(*(runtime.stop() for runtime in self._runtimes.values()))

    def _watch(self, runtime: Runtime) -> None:
        """Count what is applied as it is committed, and how long each hop waited."""
        apply = runtime.processor.process

        async def measured(tx: Any, batch: Sequence[Envelope], **more: Any) -> BatchResult:
            outcome = await apply(tx, batch, **more)
            if self._waits is not None:
                now = time.time()
                self._waits.extend(
                    now - self._injected.pop(envelope.stream_id, envelope.now.timestamp())
                    for envelope in batch
                )
            self._taken += outcome.applied
            if outcome.applied:
                self._progress.record()
            if self._taken >= self._expected:
                self._done.set()
            return outcome

        runtime.processor.process = measured  # type: ignore[method-assign]

    async def _prepare(self, cases: int) -> list[UUID]:
        ids = await self._opening.of(cases)
        self._taken, self._expected = 0, HOPS * cases
        self._done.clear()
        for runtime in self._runtimes.values():
            if runtime.consumer is not None and (consumer := runtime.consumer.consumer) is not None:
                consumer.resume(*consumer.assignment())
        return ids

    async def _inject(self, ids: Sequence[UUID]) -> None:
        """Queue the events that the chain begins with, as a resend would."""
        now = time.time()
        self._injected.update(dict.fromkeys(ids, now))
        consent = self._runtimes["consent"]
        await consent.pool.execute(_QUEUE, ids)
        consent.relay.buffer.enqueue(())

    async def _finish(self) -> None:
        """Wait for the last hop, and until all that follows from it is sent."""
        while not self._done.is_set():
            before = self._taken
            try:
                async with asyncio.timeout(_STALLED_SECONDS):
                    await self._done.wait()
            except TimeoutError:
                if self._taken == before:
                    text = f"stands still after {before} of {self._expected} hops"
                    raise InvalidRunError(text) from None
        for runtime in self._runtimes.values():
            while await runtime.has_pending_work():
                await asyncio.sleep(0.005)

    async def _end(self, ids: Sequence[UUID]) -> None:
        """Rest; raise `InvalidRunError` unless each case went the whole way once and all was sent."""
        for runtime in self._runtimes.values():
            if runtime.consumer is not None and (consumer := runtime.consumer.consumer) is not None:
                consumer.pause(*consumer.assignment())
        for name, seq in ENDS.items():
            found = await self._runtimes[name].pool.fetchrow(_STATE, ids, seq)
            if found is None or tuple(found) != (len(ids), 0, 0):
                raise InvalidRunError(f"{name}: {found}, of {len(ids)} cases")
        if self._taken != self._expected:
            raise InvalidRunError(f"{self._taken} hops of {self._expected}")


_QUEUE: Final = """
insert into pending (first_id, tenant, created_on, ids)
select min(id), tenant, min(created_on), array_agg(id order by id) from (
  select id, tenant, created_on, (row_number() over (order by id) - 1) / 500 as chunk
  from event_log where stream_id = any($1) and type = 'consent.custody_recorded.v1'
) as begun group by chunk, tenant
"""

_STATE: Final = """
select
  (select count(*) from streams where stream_id = any($1) and seq = $2 and not halted),
  (select count(*) from parked_events),
  (select count(*) from pending)
"""
