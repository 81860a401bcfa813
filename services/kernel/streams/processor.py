"""The one move of every service: read many streams, decide each, save all, tell."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from random import random
from time import perf_counter
from typing import Any, Final, cast
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Struct

from contracts.model import CollaborationModel
from services.kernel import metrics
from services.kernel.crash_points import crash_point
from services.kernel.decider.service import Saved, Service, Tx, nothing_else
from services.kernel.kafka.cloudevents import Told
from services.kernel.privacy.encryption import Box, Keyring, NewKey
from services.kernel.streams.cache import Recent
from services.kernel.streams.consent_watermark import Horizon
from services.kernel.streams.handler import Asked, Entangled, Heard, Note, Outcome, Weighing
from services.kernel.streams.store import Key, Row, Written, read, read_written, row_of, save

RETRIES: Final = 12
_AT_ONCE: Final = 64

Tell = Callable[[Sequence[tuple[int, Told]]], None]
"""Is told of events and their log ids once they are committed."""


class Known(Struct, frozen=True):
    """What a service's rules may know besides their own streams."""

    keyring: Keyring
    models: Mapping[str, CollaborationModel]
    horizon: Horizon
    clock: Callable[[], datetime]


class Step:
    """Applies batches of inputs for one service."""

    def __init__(self, service: Service, known: Known, tell: Tell, recent: Recent | None = None) -> None:
        """Bind the service's rules to what they may know; `tell` is told what was committed.

        What is heard meets the streams that are still in mind, where they are kept in `recent`.
        """
        self.service = service
        self._recent = recent or Recent(0)
        self.known = known
        self._tell = tell
        self._weighing = Weighing(service, known.models, known.clock)
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(service.state)
        self._weighed, self._saved = (
            metrics.BATCH_SECONDS.labels(service.name, at) for at in ("weigh", "save")
        )

    async def apply(
        self, tx: Tx, batch: Sequence[Asked], *, guard: Callable[[Outcome], None] | None = None
    ) -> Outcome:
        """Apply a batch; on a conflict with another writer read again and repeat.

        `guard` sees the outcome before it is saved, and may raise. Raises what a command's rule raises, and
        what the database raises. Inside a transaction of the caller a conflict is raised too, and the caller
        tells after its commit.
        """
        for attempt in range(RETRIES):
            try:
                return await self.once(tx, batch, guard=guard)
            except asyncpg.SerializationError:
                if attempt + 1 == RETRIES or tx.is_in_transaction():
                    raise
                await self.pause(attempt)
        raise AssertionError

    async def pause(self, attempt: int) -> None:
        """Let another writer pass before a batch is repeated."""
        metrics.CONFLICTS.labels(self.service.name).inc()
        await asyncio.sleep(random() * 0.002 * (attempt + 1))  # noqa: S311  spreads the repetitions

    async def once(
        self,
        tx: Tx,
        batch: Sequence[Asked],
        *,
        key: Callable[[Outcome], Key] | None = None,
        guard: Callable[[Outcome], None] | None = None,
        keep_parked: bool = True,
    ) -> Outcome:
        """Apply a batch in one attempt; `key` makes the stored answer of a command from its outcome.

        Without `keep_parked` nothing is saved where an event had to be set aside: it already is.
        """
        began = perf_counter()
        outcome = await self.weigh(tx, batch)
        self._weighed.observe((weighed := perf_counter()) - began)
        if guard is not None:
            guard(outcome)
        if outcome.parked and not keep_parked:
            return outcome
        await self._put(outcome, outcome.rows.values())
        if outcome.page.written or outcome.parked or key:
            await self._save(tx, outcome, key(outcome) if key else None)
            self._saved.observe(perf_counter() - weighed)
        if not tx.is_in_transaction():
            self.tell(outcome)
        return outcome

    def tell(self, outcome: Outcome) -> None:
        """Hand on what was committed, and keep it in mind."""
        self._recent.keep(outcome.page.written, outcome.began)
        if outcome.new_keys:
            self.known.keyring.learn(outcome.new_keys)
        if outcome.messages:
            self._tell(outcome.messages)

    async def look(self, tx: Tx, asked: Asked) -> Row:
        """Return the stream that a `Look` asks for; raise `Missing` or `NotAllowed`."""
        outcome = Outcome(await read(tx, [asked.stream_id], self._decoder))
        await self._read_others(tx, [asked], {}, outcome)
        outcome.known = await self.known.horizon.known(tx)
        return self._weighing.may(asked, outcome)

    async def surely(self, tx: Tx, ids: Sequence[UUID]) -> set[UUID]:
        """Return those of the streams whose consents are known for sure."""
        known = await self.known.horizon.known(tx)
        rows = await read(tx, list(ids), self._decoder)
        return {stream_id for stream_id, row in rows.items() if known(row)}

    async def weigh(self, tx: Tx, batch: Sequence[Asked]) -> Outcome:
        """Read the streams and decide each input in order; nothing is saved.

        Of a large batch a few are decided at a time and written down at once: what they are made of is let
        go of while it is at hand. Where an input needs what is written down already, all are decided in one
        piece.
        """
        try:
            return await self._weigh(tx, batch, _AT_ONCE)
        except Entangled:
            return await self._weigh(tx, batch, len(batch))

    async def _weigh(self, tx: Tx, batch: Sequence[Asked], at_once: int) -> Outcome:
        outcome = Outcome({}, began=self._recent.began)
        stored = await self._read(tx, batch)
        opens = self.service.opens
        ids = [asked.stream_id for asked in batch if type(asked.body) in opens] if opens else []
        if ids:
            outcome.opened = await self.known.keyring.open_streams(tx, ids)
        if any(map(_decides, batch)):
            outcome.known = await self.known.horizon.known(tx)
        if len(batch) <= at_once:
            await self._decide(tx, batch, stored, outcome)
            return outcome
        often = _in_several(batch, at_once)
        for start in range(0, len(batch), at_once):
            turn = batch[start : start + at_once]
            await self._decide(tx, turn, stored, outcome)
            done = dict.fromkeys(asked.stream_id for asked in turn if asked.stream_id not in often)
            await self._put(outcome, [outcome.rows.pop(stream_id) for stream_id in done])
            outcome.done.update(done)
        return outcome

    async def _decide(
        self, tx: Tx, batch: Sequence[Asked], stored: dict[UUID, Written], outcome: Outcome
    ) -> None:
        rows, decoder = outcome.rows, self._decoder
        for asked in batch:
            one = stored.pop(asked.stream_id, None)
            if one is not None:
                rows[asked.stream_id] = row_of(one, decoder)
        await self._read_others(tx, batch, stored, outcome)
        hear, obey = self._weighing.hear, self._weighing.obey
        for asked in batch:
            if isinstance(asked, Heard):
                hear(asked, outcome)
            else:
                obey(asked, outcome)

    async def _put(self, outcome: Outcome, rows: Iterable[Row]) -> None:
        """Write down the streams that have changed."""
        changed = [row for row in rows if row.changed]
        outcome.page.put(changed)
        if changed and self.service.project is not None:
            outcome.planned.begin()
            await self.service.project(cast("Tx", outcome.planned), [_saved(row) for row in changed])

    async def _read(self, tx: Tx, batch: Sequence[Asked]) -> dict[UUID, Written]:
        ids = dict.fromkeys(asked.stream_id for asked in batch)
        if _decides(batch[0]):  # whoever asks is answered by what is so now
            self._recent.drop(ids)
            return {one.stream_id: one for one in await read_written(tx, list(ids))}
        stored = self._recent.take(ids)
        unknown = [stream_id for stream_id in ids if stream_id not in stored]
        if unknown:
            stored.update((one.stream_id, one) for one in await read_written(tx, unknown))
        return stored

    async def _read_others(
        self, tx: Tx, batch: Sequence[Asked], stored: dict[UUID, Written], outcome: Outcome
    ) -> None:
        rows, also = outcome.rows, self.service.also
        if also is nothing_else:
            return
        wanted: dict[UUID, None] = {}
        for asked in batch:
            row = rows.get(asked.stream_id)
            for other in also(None if row is None else row.state, asked.body):
                if other not in rows:
                    wanted[other] = None
        if not outcome.done.isdisjoint(wanted):
            raise Entangled
        for other in [other for other in wanted if other in stored]:
            del wanted[other]
            rows[other] = row_of(stored.pop(other), self._decoder)
        if wanted:
            rows.update(await read(tx, list(wanted), self._decoder))

    async def _seal(self, tx: Tx, outcome: Outcome) -> tuple[list[Box], list[NewKey]]:
        seals = outcome.page.seals
        if not seals:
            return [], []
        keyring = self.known.keyring
        tenants = {seal.subject: tenant for _, tenant, seal in seals}
        keys = await keyring.fetch(tx, tenants)
        made = []
        for subject, tenant in tenants.items():
            if subject not in keys:
                keys[subject], new_key = await keyring.make(tenant, subject)
                outcome.new_keys[subject] = keys[subject]
                made.append(new_key)
        return [keyring.seal(keys[seal.subject], tenant, key, seal) for key, tenant, seal in seals], made

    async def _save(self, tx: Tx, outcome: Outcome, key: Key | None) -> None:
        boxes, new_keys = await self._seal(tx, outcome)
        writes = outcome.planned.writes
        beside = writes[0] if len(writes) == 1 else None  # several may build on one another
        further = writes if beside is None else ()
        async with tx.transaction() if further else nullcontext():
            crash_point("save.before")
            outcome.messages = await save(
                tx,
                outcome.page,
                boxes=boxes,
                new_keys=new_keys,
                parked=outcome.parked,
                key=key,
                beside=beside,
            )
            crash_point("save.after")
            for statement, columns in further:
                await tx.execute(statement, *columns)
            crash_point("commit.before")
        crash_point("commit.after")


def _decides(asked: Asked) -> bool:
    """Return whether an input is decided by what is so now: a note changes nothing, events count in turn."""
    return type(asked) is Asked and type(asked.body) is not Note


def _in_several(batch: Sequence[Asked], at_once: int) -> set[UUID]:
    """Return the streams that occur in more than one turn of a batch: they are written down at its end."""
    first: dict[UUID, int] = {}
    often: set[UUID] = set()
    for n, asked in enumerate(batch):
        turn = n // at_once
        if first.setdefault(asked.stream_id, turn) != turn:
            often.add(asked.stream_id)
    return often


def _saved(row: Row) -> Saved:
    return Saved(row.stream_id, row.tenant, row.version + 1, row.before, row.state, row.told, row.heard)
