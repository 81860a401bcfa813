"""Bring cases, by the services' own steps, to where custody is on record and nothing of it is sent yet."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID, uuid5

from bench.chain import BORN, CHAIN, PERSON, TENANT, custody_of
from contracts.directory import DepartmentRegistered, ModelAdopted, OfferPublished, OrganisationJoined
from contracts.event import Event, municipality_stream
from services.kernel.decider.service import EventMetadata
from services.kernel.ids import new_id, new_ids
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.envelopes import Envelope, IncomingEvent
from services.referral.domain.commands import (
    AssessEligibility,
    Child,
    DraftReferral,
    NoteViews,
    OpenCase,
    View,
)
from services.referral.domain.states import Help

MODEL: Final = "kerteminde/1"
_CHUNK: Final = 500
_EVENTS_BEFORE: Final = 4


class Opening:
    """Opens cases in the services of the chain."""

    def __init__(self, runtimes: Mapping[str, Runtime]) -> None:
        """Open them in these."""
        self._runtimes = runtimes
        self._model = runtimes["referral"].models[MODEL]
        self._offer, self.organisation, self._department = new_ids(3)

    async def of(self, cases: int) -> list[UUID]:
        """Open so many cases and return their ids; the last event of each waits in the log."""
        ids = new_ids(cases)
        for n in range(0, cases, _CHUNK):
            await self._open(ids[n : n + _CHUNK])
        return ids

    async def directory(self) -> None:
        """Let the referral service know a model, a department, an organisation and an offer."""
        events: dict[UUID, Event] = {
            municipality_stream(TENANT): ModelAdopted(
                model="kerteminde", version=1, sha256=self._model.sha256
            ),
            self.organisation: OrganisationJoined(
                organisation_id=self.organisation,
                terms="kerteminde_1",
                joined_on=datetime.now(UTC).date(),
                declaration_until=date(2099, 1, 1),
            ),
            self._offer: OfferPublished(
                offer_id=self._offer,
                organisation_id=self.organisation,
                theme="mentor",
                format="one_to_one",
                age_from=0,
                age_to=17,
                areas=(TENANT,),
                price="free",
                places=100_000,
            ),
        }
        batch = [_incoming(stream, "directory", 1, new_id(), body) for stream, body in events.items()]
        department = DepartmentRegistered(department_id=self._department, kind="counselling")
        batch.append(_incoming(municipality_stream(TENANT), "directory", 2, new_id(), department))
        async with self._runtimes["referral"].pool.acquire() as tx:
            await self._runtimes["referral"].processor.process_once(tx, batch)

    async def _open(self, ids: Sequence[UUID]) -> None:
        referral, consent = self._runtimes["referral"], self._runtimes["consent"]
        await self.draft(ids)
        await _consume(consent, referral, ids)
        await execute(consent, {case_id: custody_of(case_id) for case_id in ids})

    async def draft(self, ids: Sequence[UUID]) -> None:
        """Open cases with these ids in the referral service, each with one drafted referral."""
        for commands in zip(*(self._commands(case_id) for case_id in ids), strict=True):
            await execute(self._runtimes["referral"], dict(zip(ids, commands, strict=True)))

    def _commands(self, case_id: UUID) -> list[Any]:
        view = View(answer="heard", view="x")
        child = Child(first_name="Xylla", family_name="Qvorst", born=BORN, residence=TENANT)
        answers = {
            criterion.code: criterion.kind == "needed"
            for criterion in self._model.eligibility
            if criterion.by == "answer"
        }
        return [
            OpenCase(
                municipality_id=municipality_stream(TENANT),
                department_id=uuid5(case_id, "department"),
                child_id=uuid5(case_id, "child"),
                child=child,
            ),
            NoteViews(child=view, family=view),
            AssessEligibility(
                theme="mentor",
                measure="mentor",
                conditions=("friends",),
                factors=(),
                answers=answers,
                judgement="fits",
                offer_id=self._offer,
            ),
            DraftReferral(
                municipality_id=municipality_stream(TENANT),
                referral_id=uuid5(case_id, "referral"),
                organisation_id=self.organisation,
                offer_id=self._offer,
                purposes=("networks",),
                public_help=(Help("school_support", self._department),),
                need="x",
                aim="x",
            ),
        ]


async def execute(runtime: Runtime, commands: dict[UUID, Any]) -> None:
    """Give one command to each of some streams as the system, without sending what follows."""
    now, cause = datetime.now(UTC), str(new_id())
    batch = [Envelope(at, TENANT, command, PERSON, now, cause, cause) for at, command in commands.items()]
    async with runtime.pool.acquire() as tx, tx.transaction():
        outcome = await runtime.processor.process_once(tx, batch)
        await tx.execute("delete from pending")
    runtime.processor.dependencies.keyring.remember(outcome.new_keys)


async def _consume(runtime: Runtime, source: Runtime, ids: Sequence[UUID]) -> None:
    """Let a service consume events from another's log, without the broker."""
    kinds = {kind.type: kind for kind in CHAIN[runtime.service.name].subscribes_to}
    rows = await source.pool.fetch(_LOGGED, ids, _EVENTS_BEFORE)
    opening = kinds[rows[0]["type"]]
    batch = []
    for row in rows:  # what follows the opening is not decided yet: it only advances the mark
        body = opening.model_validate_json(row["data"]) if row["type"] == opening.type else None
        batch.append(_incoming(row["stream_id"], source.service.name, row["seq"], row["event_id"], body))
    async with runtime.pool.acquire() as tx:
        await runtime.processor.process_once(tx, batch)


def _incoming(stream_id: UUID, source: str, seq: int, event_id: UUID, body: Event | None) -> IncomingEvent:
    now = datetime.now(UTC)
    cause = str(event_id)
    meta = EventMetadata(now, str(PERSON.id), "system", cause, cause)
    return IncomingEvent(
        stream_id, TENANT, body, PERSON, now, cause, cause,
        event_id=event_id, source=source, seq=seq, type=body.type if body else "", metadata=meta, record=None,
    )  # fmt: skip


_LOGGED: Final = "select * from event_log where stream_id = any($1) and seq <= $2 order by id"
