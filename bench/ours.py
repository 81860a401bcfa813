"""Our own path: six hops of a case through the real services, as they run in production.

The chain is the life of one consent. A hop is an event that is taken by a service's real intake, decided by
its real rules, saved with state, marks, log and pending, sealed where it carries words, and relayed:

    referral.consent_awaited → consent   asks the guardian                        consent.requested
    consent.requested        → referral  the caseworker notes views, sealed       referral.views_noted
    referral.views_noted     → consent   the guardian says yes                    consent.given, .granted
    consent.granted          → referral  may be sent                              referral.ready
    referral.ready           → consent   the guardian takes it back               consent.withdrawn, .lost
    consent.lost             → referral  stops                                    referral.withdrawn

Where a person acts, the event before stands for the person's click: the command is put through the service's
own rules on hearing it, so that no HTTP is measured. Everything else is the product as it is.
"""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid5

from pydantic import SecretStr

from bench.load import InvalidRunError, Latency, Meter, Run, arrivals
from contracts.consent import ConsentGranted, ConsentLost, ConsentRequested
from contracts.directory import ModelAdopted, OfferPublished, OrganisationJoined
from contracts.event import Event, municipality_stream
from contracts.model import load_models, model_folder
from contracts.referral import CaseOpened, ConsentAwaited, ReferralReady, ViewsNoted
from services.consent.app import SERVICE as CONSENT
from services.consent.domain_answers import GiveConsent, WithdrawConsent
from services.consent.domain_custody import NamedHolder, RecordCustody
from services.kernel.clock import SystemClock
from services.kernel.decision import Actor, Decision, Given
from services.kernel.ids import new_id, new_ids
from services.kernel.kms import FileKms
from services.kernel.messages import Meta
from services.kernel.migrations import migrate
from services.kernel.runtime import Runtime
from services.kernel.service import Service
from services.kernel.serving import settle_garbage
from services.kernel.settings import Settings
from services.kernel.topics import make_topics
from services.kernel.weighing import Asked, Heard, Outcome
from services.referral.app import SERVICE as REFERRAL
from services.referral.domain_commands import (
    AssessEligibility,
    AwaitConsent,
    Child,
    DraftReferral,
    NoteViews,
    OpenCase,
    View,
)
from services.referral.domain_states import Help

HOPS: Final = 6
TENANT: Final = "0440"
MODEL: Final = "kerteminde/1"
_PORTION: Final = 500
_WARM_UP_CASES: Final = 200
_STALLED_SECONDS: Final = 60.0
_WORDS: Final = (
    "The child would like to play football on Thursdays with somebody who has time to listen. " * 4
)
_SYSTEM: Final = Actor(tenant=TENANT)


def consent_with_guardian(state: Any, asked: Any, given: Given) -> Decision:
    """Decide as the consent service does, with a guardian who answers at once."""
    guardian = replace_actor(given)
    match asked:
        case ViewsNoted() if state is not None and state.consents:
            ((consent_id, consent),) = state.consents.items()
            question = consent.question
            yes = GiveConsent(consent_id, question.language, question.text_sha256)
            return CONSENT.decide(state, yes, guardian)
        case ReferralReady():
            return CONSENT.decide(state, WithdrawConsent(next(iter(state.consents))), guardian)
    return CONSENT.decide(state, asked, given)


def referral_with_caseworker(state: Any, asked: Any, given: Given) -> Decision:
    """Decide as the referral service does, with a caseworker who notes views when a consent is asked for."""
    if isinstance(asked, ConsentRequested):
        heard = View(answer="heard", view=_WORDS)
        return REFERRAL.decide(state, NoteViews(child=heard, family=heard), replace_actor(given))
    return REFERRAL.decide(state, asked, given)


def replace_actor(given: Given) -> Given:
    """Return what is given as a person's command is given it."""
    return Given(given.now, given.stream_id, given.tenant, _SYSTEM, given.models, given.others)


CHAIN: Final[dict[str, Service]] = {
    "referral": replace(
        REFERRAL,
        decide=referral_with_caseworker,
        hears=(ConsentRequested, ConsentGranted, ConsentLost),
    ),
    "consent": replace(
        CONSENT,
        decide=consent_with_guardian,
        hears=(CaseOpened, ConsentAwaited, ViewsNoted, ReferralReady),
    ),
}


class Ours:
    """The two services of the chain on one event loop, with their relays, timers and metrics."""

    def __init__(self) -> None:
        """Prepare; nothing is opened before `start`."""
        self._runtimes: dict[str, Runtime] = {}
        self._ended = 0
        self._expected = 0
        self._done = asyncio.Event()
        self._last = 0.0
        self._waits: list[float] | None = None
        self._injected: dict[UUID, float] = {}
        self._offer, self._organisation = new_ids(2)

    async def start(self, dsn: str, bootstrap: str, kafka: bool) -> None:  # noqa: FBT001  which broker it is
        """Make schemas and topics, begin to listen, and warm up."""
        settings = Settings(
            mode="test",
            database=SecretStr(dsn),
            bootstrap=bootstrap,
            broker="kafka" if kafka else "embedded",
        )
        kms = FileKms(Path(tempfile.mkdtemp()) / "kek", mode="test")
        models = load_models(model_folder())
        for service in CHAIN.values():
            await migrate(dsn, service)
        await make_topics(CHAIN, settings)
        self._runtimes = {
            name: Runtime(service, settings, clock=SystemClock(), models=models, kms=kms)
            for name, service in CHAIN.items()
        }
        for runtime in self._runtimes.values():
            await runtime.start(listen=False)
        await self._directory(models[MODEL].sha256)
        for runtime in self._runtimes.values():
            self._watch(runtime)
            await runtime.listen()
        while any([await runtime.why_not_ready() for runtime in self._runtimes.values()]):
            await asyncio.sleep(0.1)
        await self.run(_WARM_UP_CASES)
        settle_garbage()

    async def run(self, cases: int) -> Run:
        """Work a closed batch off; the clock starts when the first events, logged before, are queued."""
        ids = await self._prepare(cases)
        meter = Meter()
        await self._inject(ids)
        await self._finish()
        figures = meter.run(HOPS * cases, self._last)
        await self._check(ids)
        return figures

    async def open_load(self, cases_per_second: float, seconds: float) -> Latency:
        """Let cases arrive evenly spaced; a hop's wait is from its cause's time to its own commit."""
        ids = await self._prepare(round(cases_per_second * seconds))
        self._waits = waits = []
        meter = Meter()
        gone = 0
        async for due in arrivals(cases_per_second, seconds):
            await self._inject(ids[gone : gone + due])
            gone += due
        await self._finish()
        figures = meter.latency(cases_per_second, waits)
        self._waits = None
        await self._check(ids)
        return figures

    async def stop(self) -> None:
        """Let go of the servers."""
        await asyncio.gather(*(runtime.stop() for runtime in self._runtimes.values()))

    def _watch(self, runtime: Runtime) -> None:
        """Count the last events of cases as they are committed, and how long each hop waited."""
        apply, tell = runtime.step.apply, runtime.relay.tell

        async def measured(tx: Any, batch: Sequence[Asked], **more: Any) -> Outcome:
            outcome = await apply(tx, batch, **more)
            if self._waits is not None:
                now = time.time()
                self._waits.extend(
                    now - self._injected.pop(asked.stream_id, asked.now.timestamp())
                    for asked in batch
                    if asked.body is not None
                )
            return outcome

        def counted(committed: Sequence[Any]) -> None:
            tell(committed)
            self._ended += sum(message.type == "referral.withdrawn.v1" for _, message in committed)
            if self._ended >= self._expected:
                self._last = time.perf_counter()
                self._done.set()

        runtime.step.apply = measured  # type: ignore[method-assign]
        runtime.relay.tell = counted  # type: ignore[method-assign]

    async def _finish(self) -> None:
        while not self._done.is_set():
            before = self._ended
            try:
                async with asyncio.timeout(_STALLED_SECONDS):
                    await self._done.wait()
            except TimeoutError:
                if self._ended == before:
                    raise InvalidRunError(f"stands still after {before} of {self._expected} cases") from None
        for runtime in self._runtimes.values():
            while await runtime.unsettled():
                await asyncio.sleep(0.005)

    async def _prepare(self, cases: int) -> list[UUID]:
        """Bring cases, by the services' own steps, to where a consent is awaited; nothing of it is sent."""
        ids = new_ids(cases)
        for n in range(0, cases, _PORTION):
            await self._open(ids[n : n + _PORTION])
        self._ended, self._expected = 0, cases
        self._done.clear()
        return ids

    async def _open(self, ids: Sequence[UUID]) -> None:
        referral, consent = self._runtimes["referral"], self._runtimes["consent"]
        for commands in zip(*(self._commands(case_id) for case_id in ids), strict=True):
            await self._obey(referral, dict(zip(ids, commands, strict=True)))
        await self._hear(consent, referral, ids, first=1, last=4)
        custody = {case_id: _custody(case_id) for case_id in ids}
        await self._obey(consent, custody)
        await self._hear(referral, consent, ids, first=1, last=1)

    def _commands(self, case_id: UUID) -> list[Any]:
        heard = View(answer="heard", view="x")
        born = datetime.now(UTC).date() - timedelta(days=9 * 365)
        child = Child(first_name="Xylla", family_name="Qvorst", born=born, residence=TENANT)
        referral_id = uuid5(case_id, "referral")
        return [
            OpenCase(
                municipality_id=municipality_stream(TENANT),
                department_id=uuid5(case_id, "department"),
                child_id=uuid5(case_id, "child"),
                child=child,
            ),
            NoteViews(child=heard, family=heard),
            AssessEligibility(
                theme="mentor",
                measure="mentor",
                conditions=("friends",),
                factors=(),
                answers=self._answers,
                judgement="fits",
                offer_id=self._offer,
            ),
            DraftReferral(
                referral_id=referral_id,
                organisation_id=self._organisation,
                offer_id=self._offer,
                purposes=("networks",),
                public_help=(Help("school_support", uuid5(case_id, "department")),),
                need="x",
                aim="x",
            ),
            AwaitConsent(referral_id, ()),
        ]

    async def _obey(self, runtime: Runtime, commands: dict[UUID, Any]) -> None:
        now, cause = datetime.now(UTC), str(new_id())
        batch = [
            Asked(case_id, TENANT, command, _SYSTEM, now, cause, cause)
            for case_id, command in commands.items()
        ]
        async with runtime.pool.acquire() as tx, tx.transaction():
            await runtime.step.once(tx, batch)
            await tx.execute("delete from pending")

    async def _hear(
        self, runtime: Runtime, source: Runtime, ids: Sequence[UUID], *, first: int, last: int
    ) -> None:
        """Let a service hear events from another's log, without the broker."""
        kinds = {kind.type: kind for kind in runtime.service.hears}
        rows = await source.pool.fetch(
            "select * from event_log where stream_id = any($1) and seq between $2 and $3 order by id",
            ids, first, last,
        )  # fmt: skip
        batch = []
        for row in rows:
            kind = kinds.get(row["type"])
            body = kind.model_validate_json(row["data"]) if kind else None
            batch.append(_heard(row["stream_id"], source.service.name, row["seq"], row["event_id"], body))
        async with runtime.pool.acquire() as tx:
            await runtime.step.once(tx, batch)

    async def _directory(self, sha256: str) -> None:
        """Let the referral service know a model, an organisation and an offer."""
        today = datetime.now(UTC).date()
        known: dict[UUID, Event] = {
            municipality_stream(TENANT): ModelAdopted(model="kerteminde", version=1, sha256=sha256),
            self._organisation: OrganisationJoined(
                organisation_id=self._organisation,
                terms="kerteminde_1",
                joined_on=today,
                declaration_until=date(2099, 1, 1),
            ),
            self._offer: OfferPublished(
                offer_id=self._offer,
                organisation_id=self._organisation,
                theme="mentor",
                format="one_to_one",
                age_from=0,
                age_to=17,
                areas=(TENANT,),
                price="free",
                places=100_000,
            ),
        }
        model = self._runtimes["referral"].models[MODEL]
        self._answers = {
            criterion.code: criterion.kind == "needed"
            for criterion in model.eligibility
            if criterion.by == "answer"
        }
        batch = [_heard(stream, "directory", 1, new_id(), body) for stream, body in known.items()]
        async with self._runtimes["referral"].pool.acquire() as tx:
            await self._runtimes["referral"].step.once(tx, batch)

    async def _inject(self, ids: Sequence[UUID]) -> None:
        """Queue the events that cases begin with, as a resend would."""
        now = time.time()
        self._injected.update(dict.fromkeys(ids, now))
        referral = self._runtimes["referral"]
        await referral.pool.execute(_QUEUE, ids)
        referral.relay.tell(())

    async def _check(self, ids: Sequence[UUID]) -> None:
        """Raise `InvalidRunError` unless each case went the whole way once."""
        ends = {"referral": 8, "consent": 6}
        for name, seq in ends.items():
            found = await self._runtimes[name].pool.fetchrow(_STATE, ids, seq)
            if found is None or tuple(found) != (len(ids), 0, 0):
                raise InvalidRunError(f"{name}: {found}, of {len(ids)} cases")


def _heard(stream_id: UUID, source: str, seq: int, event_id: UUID, body: Event | None) -> Heard:
    now = datetime.now(UTC)
    cause = str(event_id)
    meta = Meta(now, str(_SYSTEM.id), "system", cause, cause)
    return Heard(
        stream_id, TENANT, body, _SYSTEM, now, cause, cause,
        event_id=event_id, source=source, seq=seq, type=body.type if body else "", meta=meta, record=None,
    )  # fmt: skip


def _custody(case_id: UUID) -> RecordCustody:
    born = datetime.now(UTC).date() - timedelta(days=9 * 365)
    return RecordCustody((NamedHolder(uuid5(case_id, "guardian"), "Xylla Qvorst", True, "da"),), born)  # noqa: FBT003


_QUEUE: Final = """
insert into pending (first_id, created_on, ids)
select min(id), min(created_on), array_agg(id order by id) from (
  select id, created_on, (row_number() over (order by id) - 1) / 500 as portion
  from event_log where stream_id = any($1) and type = 'referral.consent_awaited.v1'
) as begun group by portion
"""

_STATE: Final = """
select
  (select count(*) from streams where stream_id = any($1) and seq = $2 and not parked),
  (select count(*) from parked_events),
  (select count(*) from pending)
"""
