"""Requests: one HTTP request at one service, with its actor, idempotency key and expected version."""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from datetime import datetime
from hmac import compare_digest
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

import asyncpg
from fastapi import Header, Request, Response
from msgspec import Struct
from pydantic import BaseModel

from contracts.event import municipality_of, municipality_stream
from contracts.model import CollaborationModel
from contracts.model_parts import Language
from services.kernel.decider.decision import Actor, ReadRequest
from services.kernel.decider.lifecycle import command_name
from services.kernel.errors import (
    ConsentUnknown,
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    NotAllowed,
    NotFound,
    PreconditionRequired,
    ProblemError,
    roles_named,
)
from services.kernel.http.content_language import language_of
from services.kernel.http.denials import Denial, Denials, slug_of
from services.kernel.http.request_trace import TRACEPARENT
from services.kernel.http.tenant_writes import POOL_WAIT_SECONDS, commit_for
from services.kernel.ids import new_id
from services.kernel.postgres.connections import Tx, tenant_transaction
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.envelopes import Envelope
from services.kernel.streams.handler import BatchResult
from services.kernel.streams.stream import IdempotencyRecord
from services.kernel.tracing import command_span

_MAX_KEY_LENGTH: Final = 200
_MAX_VERSION_DIGITS: Final = 18
_CALCULATED: Final = 5
"""The version of the UUIDs that anybody can calculate from a name (RFC 9562, 5.5); no id that is given."""

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


class CommandResult(BaseModel):
    """A command was carried out, or had been before."""

    id: UUID
    version: int
    made: UUID | None = None


class StreamView(Struct, frozen=True):
    """The state of a stream, for an actor who may see it."""

    state: Any
    version: int
    private: Mapping[str, Any]


class RequestContext:
    """One request at one service."""

    def __init__(
        self, runtime: Runtime, actor: Actor, request: Request, response: Response, seen_version: str | None
    ) -> None:
        """Bind a request to the runtime of its service."""
        self.actor = actor
        self.models: Mapping[str, CollaborationModel] = runtime.models
        self._runtime = runtime
        self._request = request
        self._response = response
        self._seen_version = seen_version
        self._traceparent = ""
        self._asked_for: tuple[UUID, str] | None = None
        self._operation = runtime.service.operations[request.scope["route"].name]

    @property
    def now(self) -> datetime:
        """The time by which deadlines run."""
        return self._runtime.clock.now()

    @property
    def allowed_roles(self) -> tuple[str, ...]:
        """The roles that may make this call at all."""
        return self._operation.roles

    @property
    def language(self) -> Language:
        """The language of the response; reading it sets the response headers that say so."""
        language = language_of(self._request)
        self._response.headers["Content-Language"] = language
        self._response.headers["Vary"] = "Accept-Language"
        return language

    def require_role(self, *roles: str) -> None:
        """Raise `NotAllowed` unless the actor has one of the roles."""
        if self.actor.role not in roles:
            raise NotAllowed(roles_named(roles))

    async def execute(
        self,
        stream_id: UUID,
        command: Any,
        *,
        created: UUID | None = None,
        any_version: bool = False,
        named: UUID | None = None,
    ) -> CommandResult:
        """Execute a command once, however often it is sent under its idempotency key.

        `created` is the id of what the command creates within its stream. With `any_version` the request
        needs no If-Match. `named` is the id that the request names, where it is not the stream's, for the
        record of a denial. Raises the command's refusal, `NotFound`, `VersionConflict`,
        `PreconditionRequired`, `IdempotencyKeyMissing` and `IdempotencyKeyReused`.
        """
        self._asked_for = named or stream_id, command_name(type(command))
        self._require_nameable(stream_id)
        key = self._idempotency_key()
        request = await self._request_bytes()
        with self._span(command):
            envelope = self._envelope(stream_id, command, any_version=any_version)
            hidden_key = await self._digest(b"key\0" + key)
            digest = await self._digest(request)
            try:
                result = await self._execute(envelope, hidden_key, digest, created)
            except (ProblemError, asyncpg.UniqueViolationError) as error:
                stored = await self._stored_result(hidden_key, digest, error)
                if stored is None:
                    raise
                result = stored
        self._response.headers["ETag"] = f'"{result.version}"'
        if location := self._operation.location:
            ids = {**self._request.path_params, "id": result.id, "made": result.made}
            self._response.headers["Location"] = location.format(**ids)
        return result

    async def read_private(
        self, stream_id: UUID, what: tuple[str, ...], purpose: str, *, named: UUID | None = None
    ) -> StreamView:
        """Return a stream with its private values, after the access is recorded in the audit trail.

        `named` is the id that the request names, where it is not the stream's, for the record of a denial.
        Raises `NotFound`, and `AccessNotRecorded` where the record would not be read by an auditor.
        """

        async def look(tx: Tx) -> tuple[BatchResult, StreamView]:
            view = await self._authorized_view(tx, stream_id, what, named=named)
            key = self.actor.tenant, stream_id
            opened = await self._runtime.processor.dependencies.keyring.open_streams(tx, [key])
            seen = StreamView(view.state, view.version, opened.get(key, {}))
            return await self._record_access(tx, [stream_id], what, purpose), seen

        with self._span(ReadRequest(what)):
            return await commit_for(self._runtime, self.actor.tenant, look)

    async def read(self, stream_id: UUID, what: tuple[str, ...] = ("status",)) -> StreamView:
        """Return a stream without its private values; raise `NotFound`."""
        async with self._transaction() as tx:
            return await self._authorized_view(tx, stream_id, what)

    async def record_access(self, case_id: UUID, what: tuple[str, ...], purpose: str) -> None:
        """Record an access to rows that a query then returns, whether or not there is a stream of this id.

        Raises what `read_private` raises, but not for a stream that is not there.
        """

        async def look(tx: Tx) -> tuple[BatchResult, None]:
            await self._authorized_view(tx, case_id, what, absent=True)
            return await self._record_access(tx, [case_id], what, purpose), None

        with self._span(ReadRequest(what)):
            await commit_for(self._runtime, self.actor.tenant, look)

    async def read_private_of(
        self,
        stream_ids: Collection[UUID],
        what: tuple[str, ...],
        purpose: str,
        *,
        each: bool = False,
        fits: Callable[[StreamView], bool] = lambda _view: True,
    ) -> dict[UUID, StreamView]:
        """Return those of some streams that the actor may read and that fit, after the access is recorded.

        It is one entry, whose case is the municipality; with `each`, it is one for each stream that is shown.
        What is not there and what is somebody else's is left out.
        """

        async def look(tx: Tx) -> tuple[BatchResult, dict[UUID, StreamView]]:
            envelopes = [self._envelope(one, ReadRequest(what)) for one in dict.fromkeys(stream_ids)]
            streams = await self._runtime.processor.read_all_authorized(tx, envelopes)
            keys = [(stream.tenant, stream.stream_id) for stream in streams]
            opened = await self._runtime.processor.dependencies.keyring.open_streams(tx, keys) if keys else {}
            views = {
                stream.stream_id: StreamView(stream.state, stream.version, opened.get(key, {}))
                for key, stream in zip(keys, streams, strict=True)
            }
            seen = {stream_id: view for stream_id, view in views.items() if fits(view)}
            shown = list(seen) if each and seen else [municipality_stream(self.actor.tenant)]
            return await self._record_access(tx, shown, what, purpose), seen

        with self._span(ReadRequest(what)):
            return await commit_for(self._runtime, self.actor.tenant, look)

    async def note(self, stream_id: UUID, command: Any) -> None:
        """Execute a command of the service's own, such as a count, whatever key the request came under.

        Raises the command's refusal.
        """

        async def decide_and_save(tx: Tx) -> tuple[BatchResult, None]:
            envelope = self._envelope(stream_id, command)
            batch = await self._runtime.processor.decide_batch(tx, [envelope])
            await self._runtime.processor.save_result(tx, batch)
            return batch, None

        with self._span(command):
            await commit_for(self._runtime, self.actor.tenant, decide_and_save)

    async def once(self, shape: type[M], work: Callable[[], Awaitable[M]]) -> M:
        """Return what some work outside the streams leads to, done once under the request's idempotency key.

        The answer is kept after the work: a repetition that comes in between does the work again, which must
        find it done. Raises `IdempotencyKeyMissing` and `IdempotencyKeyReused`.
        """
        key = await self._digest(b"key\0" + self._idempotency_key())
        digest = await self._digest(await self._request_bytes())
        async with self._transaction(readonly=True) as tx:
            row = await tx.fetchrow(_READ_STORED_RESULT, self.actor.tenant, self.actor.id, key)
        if row is not None:
            if not compare_digest(row["request_digest"], digest):
                raise IdempotencyKeyReused
            return shape.model_validate_json(row["answer"])
        result = await work()
        async with self._transaction() as tx:
            answer = result.model_dump_json()
            await tx.execute(_STORE_RESULT, self.actor.tenant, self.actor.id, key, digest, answer)
        return result

    async def keyed_digest(self, purpose: str, text: str) -> bytes:
        """Return the HMAC-SHA256 of a text under the municipality's key for a purpose.

        It recognises what was seen before; nobody can find the text by it who has not the key.
        """
        digests = self._runtime.keyed_digests
        return await digests.digest(self._transaction, self.actor.tenant, text.encode(), purpose)

    async def secret_for(self, purpose: str) -> bytes:
        """Return 32 bytes that nobody can guess, and that are the same when this request is repeated."""
        return await self.keyed_digest(purpose, f"{self.actor.id} {self._idempotency_key().hex()}")

    def denial(self, problem: ProblemError) -> Denial:
        """Return what this request was denied, for the audit trail.

        Its case is the id that the request names, or the municipality where it names none.
        """
        case_id, wanted = self._asked_for or (self._named_id(), self._request.scope["route"].name)
        return Denial(self.actor, case_id, wanted, slug_of(problem), self._traceparent)

    async def query(self, query: Callable[..., Awaitable[T]], **parameters: Any) -> T:
        """Run a query of the service's projections for the actor's municipality, read-only."""
        async with self._transaction(readonly=True) as tx:
            return await query(tx, tenant=self.actor.tenant, **parameters)

    async def require_fresh_consents(self, stream_ids: Collection[UUID]) -> None:
        """Raise `ConsentUnknown` unless the consents of all these streams are fresh."""
        if not stream_ids:
            return
        wanted = {(self.actor.tenant, stream_id) for stream_id in stream_ids}
        async with self._transaction() as tx:
            if wanted - await self._runtime.processor.with_fresh_consents(tx, list(wanted)):
                raise ConsentUnknown

    def _transaction(self, *, readonly: bool = False) -> AbstractAsyncContextManager[Tx]:
        """Begin a transaction that sees the actor's municipality only.

        Raises `TimeoutError`, answered by 503, when no connection is free in time.
        """
        return tenant_transaction(
            self._runtime.api_pool, self.actor.tenant, readonly=readonly, wait_seconds=POOL_WAIT_SECONDS
        )

    def _require_nameable(self, stream_id: UUID) -> None:
        """Raise `NotFound` for a calculated id (UUIDv5), and for that of another municipality."""
        foreign = municipality_of(stream_id) not in {None, self.actor.tenant}
        if foreign or stream_id.version == _CALCULATED:
            raise NotFound

    async def _authorized_view(
        self,
        tx: Tx,
        stream_id: UUID,
        what: tuple[str, ...],
        *,
        absent: bool = False,
        named: UUID | None = None,
    ) -> StreamView:
        self._asked_for = named or stream_id, "look"
        self._require_nameable(stream_id)
        envelope = self._envelope(stream_id, ReadRequest(what))
        stream = await self._runtime.processor.read_authorized(tx, envelope, absent=absent)
        self._response.headers["ETag"] = f'"{stream.version}"'
        return StreamView(stream.state, stream.version, {})

    async def _execute(
        self, envelope: Envelope, key: bytes, digest: bytes, created: UUID | None
    ) -> CommandResult:
        """Execute a command and store its result under its key."""
        processor = self._runtime.processor

        async def decide_and_save(tx: Tx) -> tuple[BatchResult, CommandResult]:
            batch = await processor.decide_batch(tx, [envelope])
            stream = batch.streams[envelope.stream_key]
            result = CommandResult(id=stream.stream_id, version=stream.version + stream.changed, made=created)
            answer = result.model_dump_json()
            record = IdempotencyRecord(self.actor.tenant, self.actor.id, key, digest, answer)
            await processor.save_result(tx, batch, record)
            return batch, result

        return await commit_for(self._runtime, self.actor.tenant, decide_and_save)

    async def _stored_result(self, key: bytes, digest: bytes, error: Exception) -> CommandResult | None:
        """Return the stored result of an executed request; raise `IdempotencyKeyReused`.

        A denial stays a denial, whatever the key was used for before.
        """
        async with self._transaction(readonly=True) as tx:
            row = await tx.fetchrow(_READ_STORED_RESULT, self.actor.tenant, self.actor.id, key)
        if row is None:
            return None
        if not compare_digest(row["request_digest"], digest):
            if isinstance(error, NotFound):
                return None
            raise IdempotencyKeyReused
        return CommandResult.model_validate_json(row["answer"])

    async def _digest(self, content: bytes) -> bytes:
        return await self._runtime.keyed_digests.digest(self._transaction, self.actor.tenant, content)

    async def _record_access(
        self, tx: Tx, case_ids: Collection[UUID], what: tuple[str, ...], purpose: str
    ) -> BatchResult:
        access_event = self._runtime.service.access_event
        accesses = [access_event(case_id=case_id, what=what, purpose=purpose) for case_id in case_ids]
        return await self._runtime.access_log.append(tx, self.actor, *accesses, traceparent=self._traceparent)

    def _named_id(self) -> UUID:
        """Return the first id in the path, or the municipality's."""
        for value in self._request.path_params.values():
            with suppress(ValueError):
                return UUID(value)
        return municipality_stream(self.actor.tenant)

    @contextmanager
    def _span(self, command: object) -> Iterator[None]:
        """Record a span around the block; the events of its envelopes carry the trace on."""
        traceparent = self._request.scope.get(TRACEPARENT, "")
        with command_span(self._runtime.service.name, command, traceparent) as self._traceparent:
            yield

    def _envelope(self, stream_id: UUID, body: Any, *, any_version: bool = True) -> Envelope:
        causation_id = str(new_id())
        return Envelope(
            stream_id,
            self.actor.tenant,
            body,
            self.actor,
            self.now,
            causation_id,
            causation_id,
            self._traceparent,
            self._expected_version(),
            any_version,
        )

    def _expected_version(self) -> int | None:
        if self._seen_version is None:
            return None
        text = self._seen_version.strip().removeprefix("W/").strip('"')
        if not text.isascii() or not text.isdigit() or len(text) > _MAX_VERSION_DIGITS:
            raise PreconditionRequired('If-Match holds a version as in "7"')
        return int(text)

    def _idempotency_key(self) -> bytes:
        key = self._request.headers.get("idempotency-key", "")
        if not 0 < len(key) <= _MAX_KEY_LENGTH:
            raise IdempotencyKeyMissing(f"1 to {_MAX_KEY_LENGTH} characters")
        return key.encode()

    async def _request_bytes(self) -> bytes:
        """Return method, path and body, whose digest distinguishes a repetition from another request."""
        return f"{self._request.method} {self._request.url.path}\n".encode() + await self._request.body()


def request_context(service: str) -> Callable[..., Awaitable[RequestContext]]:
    """Return the FastAPI dependency that authenticates a request and makes its context."""

    async def context(
        request: Request,
        response: Response,
        authorization: Annotated[str | None, Header(include_in_schema=False)] = None,
        if_match: Annotated[str | None, Header(description="The version that you saw.")] = None,
        idempotency_key: Annotated[  # noqa: ARG001  read from the request; named here for the document
            str | None, Header(description="Repeat a request under its key, and it is done once.")
        ] = None,
        accept_language: Annotated[  # noqa: ARG001  read from the request too
            str | None, Header(description="da, nb or en; else it is the municipality's own language.")
        ] = None,
    ) -> RequestContext:
        actor = await request.app.state.token_verifier.authenticate(authorization)
        request.state.tenant = actor.tenant
        request.state.role = actor.role
        request.app.state.admission.rates.take(actor)
        made = RequestContext(request.app.state.runtimes[service], actor, request, response, if_match)
        denials: Denials = request.app.state.denials[service]
        request.state.record_denial = lambda problem: denials.record(made.denial(problem))
        request.state.allowed_roles = made.allowed_roles
        made.require_role(*made.allowed_roles)
        return made

    context.__name__ = f"request_context_of_{service}"
    return context


_READ_STORED_RESULT: Final = """
select request_digest, answer from idempotency_keys where tenant = $1 and actor = $2 and key = $3
"""

_STORE_RESULT: Final = """
insert into idempotency_keys (tenant, actor, key, request_digest, answer) values ($1, $2, $3, $4, $5)
on conflict on constraint idempotency_keys_pk do nothing
"""
