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
from services.kernel.decider.decision import Actor, ReadRequest
from services.kernel.errors import (
    ConsentUnknown,
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    NotAllowed,
    NotFound,
    PreconditionRequired,
    ProblemError,
)
from services.kernel.http.content_language import language_of
from services.kernel.ids import new_id
from services.kernel.postgres.connections import Tx
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.envelopes import AppendEvent, Envelope
from services.kernel.streams.processor import RETRIES
from services.kernel.streams.stream import IdempotencyRecord
from services.kernel.tracing import command_span

_LONGEST_KEY: Final = 200
_LONGEST_VERSION: Final = 18
_POOL_WAIT_SECONDS: Final = 5.0
_RECKONED: Final = 5
"""The version of those ids that are made from a name (RFC 9562)."""

T = TypeVar("T")


class CommandResult(BaseModel):
    """A command was carried out, or had been before."""

    id: UUID
    version: int
    made: UUID | None = None


class StreamView(Struct, frozen=True):
    """What a stream holds, for somebody who may see it."""

    state: Any
    version: int
    private: Mapping[str, Any]


class RequestContext:
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

    def require_role(self, *roles: str) -> None:
        """Raise `NotAllowed` unless the actor has one of the roles."""
        if self.actor.role not in roles:
            raise NotAllowed(f"this is for: {', '.join(roles)}")

    async def execute(
        self, stream_id: UUID, command: Any, *, created: UUID | None = None, any_version: bool = False
    ) -> CommandResult:
        """Carry out a command once, however often it is sent under its key.

        `made` is the id of what the command makes within its stream. With `fresh` no version is needed.
        Raises the command's refusal, `NotAllowed` (which is noted in the trail), `Stale`, `VersionMissing`,
        `KeyMissing`, `KeyReused`, and `Missing` where the stream is another municipality's own.
        """
        if self._belongs_to_another_tenant(stream_id):
            raise NotFound
        key = self._idempotency_key()
        request = await self._request_text()
        with self._span(command):
            asked = self._envelope(stream_id, command, any_version=any_version)
            async with self._connection() as tx:
                request_digest = await self._runtime.request_digests.digest(tx, self.actor.tenant, request)
                try:
                    done = await self._attempt(tx, asked, key, request_digest, created)
                except (ProblemError, asyncpg.UniqueViolationError) as fault:
                    before = await self._stored_answer(tx, key, request_digest)
                    if before is None and isinstance(fault, NotAllowed):
                        await self._record_denial(tx, stream_id, type(command).__name__)
                    if before is None:
                        raise
                    done = before
        self._response.headers["ETag"] = f'"{done.version}"'
        return done

    async def read_private(self, stream_id: UUID, what: tuple[str, ...], purpose: str) -> StreamView:
        """Return a stream with its private values; the look is in the trail before anything is returned.

        Raises `Missing` and `NotAllowed`.
        """
        with self._span(ReadRequest(what)):
            return await self._read_private(stream_id, what, purpose)

    async def _read_private(self, stream_id: UUID, what: tuple[str, ...], purpose: str) -> StreamView:
        async with self._connection() as tx:
            seen = await self._authorized_view(tx, stream_id, what)
            opened = await self._runtime.processor.dependencies.keyring.open_streams(tx, [stream_id])
            looked = self._runtime.service.access_event(case_id=stream_id, what=what, purpose=purpose)
            await self._append(tx, looked)
        return StreamView(seen.state, seen.version, opened.get(stream_id, {}))

    async def read(self, stream_id: UUID, what: tuple[str, ...] = ("status",)) -> StreamView:
        """Return a stream without its private values; raise `Missing` and `NotAllowed`."""
        async with self._connection() as tx:
            return await self._authorized_view(tx, stream_id, what)

    async def query(self, query: Callable[..., Awaitable[T]], **given: Any) -> T:
        """Run a query of the service's store for the actor's municipality."""
        async with self._connection() as tx, tx.transaction(readonly=True):
            return await query(tx, tenant=self.actor.tenant, **given)

    async def require_fresh_consents(self, stream_ids: Collection[UUID]) -> None:
        """Raise `ConsentUnknown` unless the consents of all these streams are known for sure."""
        if not stream_ids:
            return
        async with self._connection() as tx:
            if set(stream_ids) - await self._runtime.processor.with_fresh_consents(tx, list(set(stream_ids))):
                raise ConsentUnknown

    def _belongs_to_another_tenant(self, stream_id: UUID) -> bool:
        """Return whether a stream is that of another municipality, which whoever came first could take."""
        own = stream_id == municipality_stream(self.actor.tenant)
        return stream_id.version == _RECKONED and not own and stream_id in _municipalities()

    def _connection(self) -> "PoolAcquireContext[Any]":
        """Return a connection; whoever gets none within a while is told to come again."""
        return self._runtime.pool.acquire(timeout=_POOL_WAIT_SECONDS)

    async def _authorized_view(self, tx: Tx, stream_id: UUID, what: tuple[str, ...]) -> StreamView:
        try:
            row = await self._runtime.processor.read_authorized(
                tx, self._envelope(stream_id, ReadRequest(what))
            )
        except NotAllowed:
            await self._record_denial(tx, stream_id, "look")
            raise
        self._response.headers["ETag"] = f'"{row.version}"'
        return StreamView(row.state, row.version, {})

    async def _attempt(
        self, tx: Tx, envelope: Envelope, key: str, request_digest: bytes, created: UUID | None
    ) -> CommandResult:
        """Apply a command and store its answer in one transaction, again where another writer was faster."""
        processor = self._runtime.processor
        for attempt in range(RETRIES):
            try:
                result = await processor.decide_batch(tx, [envelope])
                stream = result.streams[envelope.stream_id]
                answer = CommandResult(
                    id=stream.stream_id, version=stream.version + stream.changed, made=created
                )
                record = IdempotencyRecord(
                    self.actor.tenant, self.actor.id, key, request_digest, answer.model_dump_json()
                )
                await processor.save_result(tx, result, record)
            except asyncpg.SerializationError:
                if attempt + 1 == RETRIES:
                    raise
                await processor.pause_before_retry(attempt)
            else:
                return answer
        raise AssertionError

    async def _stored_answer(self, tx: Tx, key: str, request_digest: bytes) -> CommandResult | None:
        row = await tx.fetchrow(_READ_STORED_ANSWER, self.actor.tenant, self.actor.id, key)
        if row is None:
            return None
        if row["request_digest"] != request_digest:
            raise IdempotencyKeyReused
        return CommandResult.model_validate_json(row["answer"])

    async def _record_denial(self, tx: Tx, stream_id: UUID, wanted: str) -> None:
        refused = self._runtime.service.denied_event(
            case_id=stream_id, wanted=_snake(wanted), slug=NotAllowed.code().replace("-", "_")
        )
        await self._append(tx, refused)

    async def _append(self, tx: Tx, event: Any) -> None:
        asked = self._envelope(access_stream(self.actor), AppendEvent(event))
        await self._runtime.processor.process(tx, [asked])

    @contextmanager
    def _span(self, envelope: object) -> Iterator[None]:
        """Record what is asked; whatever is told while the block runs carries its trace on."""
        with command_span(self._runtime.service.name, envelope, self._request.headers) as self._traceparent:
            yield

    def _envelope(self, stream_id: UUID, body: Any, *, any_version: bool = True) -> Envelope:
        cause = str(new_id())
        return Envelope(
            stream_id,
            self.actor.tenant,
            body,
            self.actor,
            self.now,
            cause,
            cause,
            self._traceparent,
            self._expected_version(),
            any_version,
        )

    def _expected_version(self) -> int | None:
        if self._seen_version is None:
            return None
        text = self._seen_version.strip().removeprefix("W/").strip('"')
        if not text.isascii() or not text.isdigit() or len(text) > _LONGEST_VERSION:
            raise PreconditionRequired('If-Match holds a version as in "7"')
        return int(text)

    def _idempotency_key(self) -> str:
        key = self._request.headers.get("idempotency-key", "")
        if not 0 < len(key) <= _LONGEST_KEY:
            raise IdempotencyKeyMissing(f"1 to {_LONGEST_KEY} characters")
        return key

    async def _request_text(self) -> bytes:
        """Return what the request asks, by which a repetition is told from another request."""
        return f"{self._request.method} {self._request.url.path}\n".encode() + await self._request.body()


def access_stream(actor: Actor) -> UUID:
    """Return the stream of an actor's looks in one municipality."""
    return uuid5(NAMESPACE_URL, f"urn:samspil:looks:{actor.tenant}:{actor.id}")


@lru_cache(maxsize=1)
def _municipalities() -> frozenset[UUID]:
    """Return the streams of all municipalities: anybody can reckon them from the codes."""
    return frozenset(municipality_stream(f"{code:04}") for code in range(10_000))


def request_context(service: str) -> Callable[..., Awaitable[RequestContext]]:
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
    ) -> RequestContext:
        actor = request.app.state.token_verifier.authenticate(authorization)
        request.state.tenant = actor.tenant
        return RequestContext(request.app.state.runtimes[service], actor, request, response, if_match)

    desk.__name__ = f"desk_of_{service}"
    return desk


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


_READ_STORED_ANSWER: Final = """
select request_digest, answer from idempotency_keys where tenant = $1 and actor = $2 and key = $3
"""
