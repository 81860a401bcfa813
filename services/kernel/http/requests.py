"""The frame of every HTTP request: who asks, under which key, having seen which version."""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Final, TypeVar
from uuid import NAMESPACE_URL, UUID, uuid5

import asyncpg
from asyncpg.pool import PoolAcquireContext
from fastapi import Header, Request, Response
from msgspec import Struct
from pydantic import BaseModel

from contracts.event import municipality_stream
from contracts.model import CollaborationModel
from contracts.model_parts import Language
from services.kernel.decider.decision import Actor, Look
from services.kernel.decider.service import Tx
from services.kernel.errors import (
    ConsentUnknown,
    KeyMissing,
    KeyReused,
    Missing,
    No,
    NotAllowed,
    VersionMissing,
)
from services.kernel.http.content_language import language_of
from services.kernel.ids import new_id
from services.kernel.privacy.request_digests import unkeyed
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.handler import Asked, Note, Outcome
from services.kernel.streams.processor import RETRIES
from services.kernel.streams.store import Key
from services.kernel.tracing import command_span

_LONGEST_KEY: Final = 200
_LONGEST_VERSION: Final = 18
_PATIENCE_SECONDS: Final = 5.0
_RECKONED: Final = 5
"""The version of those ids that are made from a name (RFC 9562)."""

T = TypeVar("T")


class Done(BaseModel):
    """A command was carried out, or had been before."""

    id: UUID
    version: int
    made: UUID | None = None


class Seen(Struct, frozen=True):
    """What a stream holds, for somebody who may see it."""

    state: Any
    version: int
    private: Mapping[str, Any]


class Desk:
    """One request at one service."""

    def __init__(
        self, runtime: Runtime, actor: Actor, request: Request, response: Response, seen_version: str | None
    ) -> None:
        """Serve one actor."""
        self.actor = actor
        self.models: Mapping[str, CollaborationModel] = runtime.models
        self._runtime = runtime
        self._request = request
        self._response = response
        self._seen_version = seen_version
        self._traceparent = ""

    @property
    def now(self) -> datetime:
        """The time by which deadlines run."""
        return self._runtime.clock.now()

    @property
    def language(self) -> Language:
        """The language in which the actor is answered; reading it says so in the answer."""
        language = language_of(self._request)
        self._response.headers["Content-Language"] = language
        self._response.headers["Vary"] = "Accept-Language"
        return language

    def need(self, *roles: str) -> None:
        """Raise `NotAllowed` unless the actor has one of the roles."""
        if self.actor.role not in roles:
            raise NotAllowed(f"this is for: {', '.join(roles)}")

    async def do(
        self, stream_id: UUID, command: Any, *, made: UUID | None = None, fresh: bool = False
    ) -> Done:
        """Carry out a command once, however often it is sent under its key.

        `made` is the id of what the command makes within its stream. With `fresh` no version is needed.
        Raises the command's refusal, `NotAllowed` (which is noted in the trail), `Stale`, `VersionMissing`,
        `KeyMissing`, `KeyReused`, and `Missing` where the stream is another municipality's own.
        """
        if self._is_anothers(stream_id):
            raise Missing
        key = self._key()
        request = await self._said()
        with self._span(command):
            asked = self._asked(stream_id, command, fresh=fresh)
            async with self._connection() as tx:
                fingerprint = await self._runtime.fingerprints.of(tx, self.actor.tenant, request)
                try:
                    done = await self._attempt(tx, asked, key, fingerprint, made)
                except (No, asyncpg.UniqueViolationError) as fault:
                    before = await self._had_been_done(tx, key, (fingerprint, unkeyed(request)))
                    if before is None and isinstance(fault, NotAllowed):
                        await self._note_refusal(tx, stream_id, type(command).__name__)
                    if before is None:
                        raise
                    done = before
        self._response.headers["ETag"] = f'"{done.version}"'
        return done

    async def look(self, stream_id: UUID, what: tuple[str, ...], purpose: str) -> Seen:
        """Return a stream with its private values; the look is in the trail before anything is returned.

        Raises `Missing` and `NotAllowed`.
        """
        with self._span(Look(what)):
            return await self._look(stream_id, what, purpose)

    async def _look(self, stream_id: UUID, what: tuple[str, ...], purpose: str) -> Seen:
        async with self._connection() as tx:
            seen = await self._see(tx, stream_id, what)
            opened = await self._runtime.step.known.keyring.open_streams(tx, [stream_id])
            looked = self._runtime.service.looked(case_id=stream_id, what=what, purpose=purpose)
            await self._note(tx, looked)
        return Seen(seen.state, seen.version, opened.get(stream_id, {}))

    async def state(self, stream_id: UUID, what: tuple[str, ...] = ("status",)) -> Seen:
        """Return a stream without its private values; raise `Missing` and `NotAllowed`."""
        async with self._connection() as tx:
            return await self._see(tx, stream_id, what)

    async def ask(self, query: Callable[..., Awaitable[T]], **given: Any) -> T:
        """Run a query of the service's store for the actor's municipality."""
        async with self._connection() as tx, tx.transaction(readonly=True):
            return await query(tx, tenant=self.actor.tenant, **given)

    async def need_consents_known(self, stream_ids: Collection[UUID]) -> None:
        """Raise `ConsentUnknown` unless the consents of all these streams are known for sure."""
        if not stream_ids:
            return
        async with self._connection() as tx:
            if set(stream_ids) - await self._runtime.step.surely(tx, list(set(stream_ids))):
                raise ConsentUnknown

    def _is_anothers(self, stream_id: UUID) -> bool:
        """Return whether a stream is that of another municipality, which whoever came first could take."""
        own = stream_id == municipality_stream(self.actor.tenant)
        return stream_id.version == _RECKONED and not own and stream_id in _municipalities()

    def _connection(self) -> "PoolAcquireContext[Any]":
        """Return a connection; whoever gets none within a while is told to come again."""
        return self._runtime.pool.acquire(timeout=_PATIENCE_SECONDS)

    async def _see(self, tx: Tx, stream_id: UUID, what: tuple[str, ...]) -> Seen:
        try:
            row = await self._runtime.step.look(tx, self._asked(stream_id, Look(what)))
        except NotAllowed:
            await self._note_refusal(tx, stream_id, "look")
            raise
        self._response.headers["ETag"] = f'"{row.version}"'
        return Seen(row.state, row.version, {})

    async def _attempt(self, tx: Tx, asked: Asked, key: str, fingerprint: bytes, made: UUID | None) -> Done:
        """Apply a command and store its answer in one transaction, again where another writer was faster."""
        step = self._runtime.step
        done: list[Done] = []

        def answer(outcome: Outcome) -> Key:
            row = outcome.rows[asked.stream_id]
            done[:] = [Done(id=row.stream_id, version=row.version + row.changed, made=made)]
            return Key(self.actor.tenant, self.actor.id, key, fingerprint, done[0].model_dump_json())

        for attempt in range(RETRIES):
            try:
                await step.once(tx, [asked], key=answer)
                return done[0]
            except asyncpg.SerializationError:
                if attempt + 1 == RETRIES:
                    raise
                await step.pause(attempt)
        raise AssertionError

    async def _had_been_done(self, tx: Tx, key: str, fingerprints: tuple[bytes, ...]) -> Done | None:
        row = await tx.fetchrow(_ANSWERED, self.actor.tenant, self.actor.id, key)
        if row is None:
            return None
        if row["fingerprint"] not in fingerprints:
            raise KeyReused
        return Done.model_validate_json(row["answer"])

    async def _note_refusal(self, tx: Tx, stream_id: UUID, wanted: str) -> None:
        refused = self._runtime.service.refused(
            case_id=stream_id, wanted=_snake(wanted), slug=NotAllowed.slug().replace("-", "_")
        )
        await self._note(tx, refused)

    async def _note(self, tx: Tx, event: Any) -> None:
        asked = self._asked(looks_of(self.actor), Note(event))
        await self._runtime.step.apply(tx, [asked])

    @contextmanager
    def _span(self, asked: object) -> Iterator[None]:
        """Record what is asked; whatever is told while the block runs carries its trace on."""
        with command_span(self._runtime.service.name, asked, self._request.headers) as self._traceparent:
            yield

    def _asked(self, stream_id: UUID, body: Any, *, fresh: bool = True) -> Asked:
        cause = str(new_id())
        return Asked(
            stream_id,
            self.actor.tenant,
            body,
            self.actor,
            self.now,
            cause,
            cause,
            self._traceparent,
            self._expects(),
            fresh,
        )

    def _expects(self) -> int | None:
        if self._seen_version is None:
            return None
        text = self._seen_version.strip().removeprefix("W/").strip('"')
        if not text.isascii() or not text.isdigit() or len(text) > _LONGEST_VERSION:
            raise VersionMissing('If-Match holds a version as in "7"')
        return int(text)

    def _key(self) -> str:
        key = self._request.headers.get("idempotency-key", "")
        if not 0 < len(key) <= _LONGEST_KEY:
            raise KeyMissing(f"1 to {_LONGEST_KEY} characters")
        return key

    async def _said(self) -> bytes:
        """Return what the request asks, by which a repetition is told from another request."""
        return f"{self._request.method} {self._request.url.path}\n".encode() + await self._request.body()


def looks_of(actor: Actor) -> UUID:
    """Return the stream of an actor's looks in one municipality."""
    return uuid5(NAMESPACE_URL, f"urn:samspil:looks:{actor.tenant}:{actor.id}")


@lru_cache(maxsize=1)
def _municipalities() -> frozenset[UUID]:
    """Return the streams of all municipalities: anybody can reckon them from the codes."""
    return frozenset(municipality_stream(f"{code:04}") for code in range(10_000))


def at(service: str) -> Callable[..., Awaitable[Desk]]:
    """Return the dependency that serves a request at a service."""

    async def desk(
        request: Request,
        response: Response,
        authorization: Annotated[str | None, Header(include_in_schema=False)] = None,
        if_match: Annotated[str | None, Header(description="The version that you saw.")] = None,
        idempotency_key: Annotated[  # noqa: ARG001  read from the request; named here for the document
            str | None, Header(description="Repeat a request under its key, and it is done once.")
        ] = None,
        accept_language: Annotated[  # noqa: ARG001  the same
            str | None, Header(description="da, nb or en; else it is the municipality's own language.")
        ] = None,
    ) -> Desk:
        actor = request.app.state.principals.actor(authorization)
        request.state.tenant = actor.tenant
        return Desk(request.app.state.runtimes[service], actor, request, response, if_match)

    desk.__name__ = f"desk_of_{service}"
    return desk


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


_ANSWERED: Final = """
select fingerprint, answer from command_keys where tenant = $1 and actor = $2 and key = $3
"""
