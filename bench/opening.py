"""Bring cases, by the services' own steps, to where custody is on record and nothing of it is sent yet."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID, uuid5

from bench.chain import BORN, CHAIN, PERSON, TENANT, custody_of
from contracts.directory import ModelAdopted, OfferPublished, OrganisationJoined
from contracts.event import Event, municipality_stream
from services.kernel.ids import new_id, new_ids
from services.kernel.kafka.cloudevents import EventMetadata
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.handler import Envelope, IncomingEvent
from services.referral.domain_commands import (
    AssessEligibility,
    Child,
    DraftReferral,
    NoteViews,
    OpenCase,
    View,
)
from services.referral.domain_states import Help

MODEL: Final = "kerteminde/1"
_PORTION: Final = 500
_EVENTS_BEFORE: Final = 4


class Opening:
    """Opens cases in the services of the chain."""

    def __init__(self, runtimes: Mapping[str, Runtime]) -> None:
        """Open them in these."""
        self._runtimes = runtimes
        self._model = runtimes["referral"].models[MODEL]
        self._offer, self._organisation = new_ids(2)

    async def of(self, cases: int) -> list[UUID]:
        """Open so many cases and return their ids; the last event of each waits in the log."""
        ids = new_ids(cases)
        for n in range(0, cases, _PORTION):
            await self._open(ids[n : n + _PORTION])
        return ids

    async def directory(self) -> None:
        """Let the referral service know a model, an organisation and an offer."""
        known: dict[UUID, Event] = {
            municipality_stream(TENANT): ModelAdopted(
                model="kerteminde", version=1, sha256=self._model.sha256
            ),
            self._organisation: OrganisationJoined(
                organisation_id=self._organisation,
                terms="kerteminde_1",
                joined_on=datetime.now(UTC).date(),
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
        batch = [_heard(stream, "directory", 1, new_id(), body) for stream, body in known.items()]
        async with self._runtimes["referral"].pool.acquire() as tx:
            await self._runtimes["referral"].processor.process_once(tx, batch)

    async def _open(self, ids: Sequence[UUID]) -> None:
        referral, consent = self._runtimes["referral"], self._runtimes["consent"]
        for commands in zip(*(self._commands(case_id) for case_id in ids), strict=True):
            await _obey(referral, dict(zip(ids, commands, strict=True)))
        await _hear(consent, referral, ids)
        await _obey(consent, {case_id: custody_of(case_id) for case_id in ids})

    def _commands(self, case_id: UUID) -> list[Any]:
        heard = View(answer="heard", view="x")
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
            NoteViews(child=heard, family=heard),
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
                referral_id=uuid5(case_id, "referral"),
                organisation_id=self._organisation,
                offer_id=self._offer,
                purposes=("networks",),
                public_help=(Help("school_support", uuid5(case_id, "department")),),
                need="x",
                aim="x",
            ),
        ]


async def _obey(runtime: Runtime, commands: dict[UUID, Any]) -> None:
    now, cause = datetime.now(UTC), str(new_id())
    batch = [Envelope(at, TENANT, command, PERSON, now, cause, cause) for at, command in commands.items()]
    async with runtime.pool.acquire() as tx, tx.transaction():
        outcome = await runtime.processor.process_once(tx, batch)
        await tx.execute("delete from pending")
    runtime.processor.dependencies.keyring.remember(outcome.new_keys)


async def _hear(runtime: Runtime, source: Runtime, ids: Sequence[UUID]) -> None:
    """Let a service hear events from another's log, without the broker."""
    kinds = {kind.type: kind for kind in CHAIN[runtime.service.name].subscribes_to}
    rows = await source.pool.fetch(_TOLD, ids, _EVENTS_BEFORE)
    opening = kinds[rows[0]["type"]]
    batch = []
    for row in rows:  # of what follows the opening nothing is to be decided yet: it only counts
        body = opening.model_validate_json(row["data"]) if row["type"] == opening.type else None
        batch.append(_heard(row["stream_id"], source.service.name, row["seq"], row["event_id"], body))
    async with runtime.pool.acquire() as tx:
        await runtime.processor.process_once(tx, batch)


def _heard(stream_id: UUID, source: str, seq: int, event_id: UUID, body: Event | None) -> IncomingEvent:
    now = datetime.now(UTC)
    cause = str(event_id)
    meta = EventMetadata(now, str(PERSON.id), "system", cause, cause)
    return IncomingEvent(
        stream_id, TENANT, body, PERSON, now, cause, cause,
        event_id=event_id, source=source, seq=seq, type=body.type if body else "", metadata=meta, record=None,
    )  # fmt: skip


_TOLD: Final = "select * from event_log where stream_id = any($1) and seq <= $2 order by id"
