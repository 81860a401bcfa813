"""Trace the way of one command and of one event through our files: `python -m bench.trace`.

Over real PostgreSQL and the embedded broker, the referral service consumes `consent.granted.v1` from its
topic, and a coordinator accepts the referral over HTTP. Every first entry into a function of ours is recorded
in order; a move is an entry into another file than the entry before. Leaf helpers, which are called from
everywhere and call nothing of ours, are left out. Prints both ways and writes `build/trace.json`.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

import msgspec
from aiokafka import AIOKafkaProducer
from pydantic import SecretStr

from bench.chain import PERSON, TENANT
from bench.opening import Opening, execute
from bench.servers import servers
from contracts.consent import ConsentGranted, ConsentTicked
from contracts.event import Event, topic_of
from contracts.model import load_models, model_folder
from services.kernel.clock import SystemClock
from services.kernel.decider.service import EventMetadata, Service
from services.kernel.embedded.development_api import TOKEN_DAYS, Bearer, Issuer
from services.kernel.http.application import mount
from services.kernel.http.authentication import TokenVerifier
from services.kernel.http.server import app_of
from services.kernel.ids import new_id
from services.kernel.kafka.cloudevents import message_of
from services.kernel.kafka.partitioner import key_in, partition_of
from services.kernel.kafka.topics import make_topics
from services.kernel.postgres.migrations import migrate
from services.kernel.privacy.key_store import FileKeyStore
from services.kernel.runtime.runtime import Runtime
from services.kernel.settings import Settings
from services.kernel.streams.store import load_streams
from services.referral.app import SERVICE
from services.referral.domain.commands import AwaitConsent, SendReferral
from services.registry import SERVICES_BY_NAME

ROOT: Final = Path(__file__).parents[1]
_RESULT: Final = ROOT / "build" / "trace.json"
_OURS: Final = tuple(f"{ROOT / folder}/" for folder in ("contracts", "services"))
LEAVES: Final = frozenset(
    {
        "contracts/envelope.py",  # names of sources and schemas
        "contracts/event.py",  # names of topics, ids of municipalities
        "services/kernel/clock.py",
        "services/kernel/consumer/circuit_breaker.py",  # counts what is parked
        "services/kernel/consumer/offsets.py",  # remembers the offsets to commit
        "services/kernel/crash_points.py",
        "services/kernel/decider/escalation.py",  # working days of a ladder
        "services/kernel/decider/lifecycle.py",  # finds a pair in a table
        "services/kernel/decider/working_days.py",
        "services/kernel/ids.py",
        "services/kernel/kafka/partitioner.py",
        "services/kernel/postgres/connections.py",  # lends a connection
        "services/kernel/streams/cache.py",  # a dictionary of streams
        "services/kernel/streams/statement.py",  # renders the placeholders of a statement
        "services/kernel/tracing.py",
    }
)
"""Helpers that enter no file of ours but another leaf, and hold no step of the way."""

_WAIT_SECONDS: Final = 20.0
_AUDIENCE: Final = "samspil"
_FAR: Final = datetime(2099, 1, 1, tzinfo=UTC)


class Entry(NamedTuple):
    """One first entry into a function of ours."""

    task: int
    file: str
    line: int
    function: str


class Way(NamedTuple):
    """The entries of one command or one event, in order."""

    entries: tuple[Entry, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """The files in the order of their first entry."""
        return tuple(dict.fromkeys(entry.file for entry in self.entries))

    @property
    def moves(self) -> int:
        """How many entries stand in another file than the entry before."""
        return sum(one.file != other.file for one, other in zip(self.entries, self.entries[1:], strict=False))

    def lines(self) -> Iterator[str]:
        """Return the way as text: each file, with the functions that are entered before the next file."""
        last = ""
        for entry in self.entries:
            if entry.file != last:
                yield f"  {entry.file}"
                last = entry.file
            yield f"    {entry.line:4} {entry.function}"

    def as_dict(self) -> dict[str, Any]:
        """Return the counts and the way for programs."""
        steps = [f"{entry.file}:{entry.line} {entry.function}" for entry in self.entries]
        return {"files": len(self.files), "moves": self.moves, "in": list(self.files), "way": steps}


@contextmanager
def recorded() -> Iterator[list[Entry]]:
    """Record first entries into functions of ours while the block runs, each with its task."""
    entries: list[Entry] = []
    frames: set[FrameType] = set()

    def profile(frame: FrameType, event: str, _argument: Any) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(_OURS) or frame in frames:
            return
        frames.add(frame)  # a coroutine is entered again after each wait; kept, so that no other gets its id
        file = code.co_filename.removeprefix(f"{ROOT}/")
        if file not in LEAVES:
            entries.append(Entry(id(asyncio.current_task()), file, code.co_firstlineno, code.co_qualname))

    sys.setprofile(profile)
    try:
        yield entries
    finally:
        sys.setprofile(None)


class Stage:
    """The referral service over real servers, with one referral that waits for consent."""

    def __init__(self, runtime: Runtime, issuer: Issuer, producer: AIOKafkaProducer) -> None:
        """Use a running service, an issuer of tokens and a producer of the broker."""
        self._runtime = runtime
        self._issuer = issuer
        self._producer = producer
        self._opening = Opening({"referral": runtime})
        self._case = new_id()

    @property
    def _referral(self) -> UUID:
        return uuid5(self._case, "referral")

    async def open_case(self) -> None:
        """Open a case, draft its referral and request consent."""
        self._case = new_id()
        await self._opening.draft([self._case])
        await execute(self._runtime, {self._case: AwaitConsent(self._referral, ())})

    async def prepare(self) -> None:
        """Publish the offer, open a case, and make consents fresh in every partition."""
        await self._opening.directory()
        await self.open_case()
        now, partitions = datetime.now(UTC), self._runtime.settings.partitions
        for partition in range(partitions):
            tick = ConsentTicked(partition=partition, at=now)
            await self._produce(tick, UUID(key_in(partition, partitions, "consent")), 0)
        async with asyncio.timeout(_WAIT_SECONDS), self._runtime.pool.acquire() as tx:
            while not await self._runtime.processor.with_fresh_consents(tx, [(TENANT, self._case)]):
                await asyncio.sleep(0.05)

    async def consent_granted(self) -> Way:
        """Produce the event, and return the way on which the service's consumer applies it."""
        scope = (await self._state()).scope
        event = ConsentGranted(
            referral_id=self._referral,
            organisation_id=self._opening.organisation,
            purpose=scope.purpose,
            facts=scope.facts,
            until=_FAR,
        )
        with recorded() as entries:
            await self._produce(event, self._case, 1)
            async with asyncio.timeout(_WAIT_SECONDS):
                while (await self._state()).__struct_config__.tag != "ready":
                    await asyncio.sleep(0.05)
        return _way_of_event(entries)

    async def accept(self) -> Way:
        """Send the referral, let its coordinator accept it over HTTP, and return the way of that request."""
        await execute(self._runtime, {self._case: SendReferral(self._referral)})
        bearer = Bearer(
            sub=new_id(), role="coordinator", tenant=TENANT, organisation_id=self._opening.organisation
        )
        version = await self._runtime.pool.fetchval(_VERSION, self._case)
        headers = {
            "authorization": f"Bearer {self._issuer.token(bearer)}",
            "idempotency-key": str(new_id()),
            "if-match": f'"{version}"',
        }
        app = app_of([SERVICE])
        verifier = TokenVerifier(
            [await self._issuer.trusted()], _AUDIENCE, longest_seconds=TOKEN_DAYS * 86_400
        )
        mount(app, {"referral": self._runtime}, verifier)
        path = f"/referral/cases/{self._case}/referrals/{self._referral}/accept"
        with recorded() as entries:
            request = asyncio.create_task(_post(app, path, headers))
            status, body = await request
        if status != 200:  # noqa: PLR2004  HTTP's own
            raise SystemExit(f"the request was answered {status}: {body.decode()}")
        return Way(tuple(entry for entry in entries if entry.task == id(request)))

    async def _state(self) -> Any:
        decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(SERVICE.state)
        async with self._runtime.pool.acquire() as tx:
            streams = await load_streams(tx, [(TENANT, self._case)], decoder)
        return streams[TENANT, self._case].state.referrals[self._referral]

    async def _produce(self, event: Event, stream_id: UUID, seq: int) -> None:
        now, cause = datetime.now(UTC), str(new_id())
        metadata = EventMetadata(now, str(PERSON.id), "system", cause, cause)
        data = event.model_dump_json().encode()
        made = message_of(str(new_id()), str(stream_id), seq, TENANT, event.type, metadata, data)
        partition = partition_of(str(stream_id).encode(), self._runtime.settings.partitions)
        await self._producer.send_and_wait(
            topic_of("consent"), made.value, key=made.key, partition=partition, headers=made.headers
        )


def _way_of_event(entries: list[Entry]) -> Way:
    """Return what the consumer's task did with the batch: from the poll that found it to the next poll."""
    handled = next(n for n, entry in enumerate(entries) if entry.function.endswith("._handle"))
    task = entries[handled].task
    polls = [
        n for n, entry in enumerate(entries) if entry.task == task and entry.function.endswith(".get_msg")
    ]
    start = max(n for n in polls if n < handled)
    end = min((n for n in polls if n > handled), default=len(entries))
    return Way(tuple(entry for entry in entries[start:end] if entry.task == task))


async def _post(app: Any, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """Send one request to the application in this process, as its server would."""
    answer: list[Any] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 1),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        answer.append(message)

    await app(scope, receive, send)
    return answer[0]["status"], b"".join(part.get("body", b"") for part in answer[1:])


async def trace() -> dict[str, Way]:
    """Run the referral service over servers of its own, and return both ways."""
    async with servers("trace", kafka=False) as on:
        folder = Path(tempfile.mkdtemp())
        settings = Settings(
            mode="embedded", database=SecretStr(on.dsn_of["trace"]), bootstrap=on.bootstrap, broker="embedded"
        )
        service: Service = SERVICES_BY_NAME["referral"]
        await migrate(on.dsn_of["trace"], service)
        await make_topics(SERVICES_BY_NAME, settings)
        runtime = Runtime(
            service,
            settings,
            clock=SystemClock(),
            models=load_models(model_folder()),
            key_store=FileKeyStore(folder / "kek", mode="test"),
        )
        producer = AIOKafkaProducer(bootstrap_servers=on.bootstrap, enable_idempotence=False)
        await producer.start()
        await runtime.start()
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                while await runtime.unready_reasons():
                    await asyncio.sleep(0.05)
            stage = Stage(runtime, Issuer(folder / "issuer.json", _AUDIENCE), producer)
            await stage.prepare()
            await stage.consent_granted()  # keys, days and event bindings are looked up once
            await stage.accept()
            await stage.open_case()
            return {"consent_granted": await stage.consent_granted(), "accept": await stage.accept()}
        finally:
            await runtime.stop()
            await producer.stop()


def main() -> None:
    """Print both ways and write them for programs."""
    ways = asyncio.run(trace())
    for name, way in ways.items():
        print(f"{name}: {len(way.files)} files, {way.moves} moves, {len(way.entries)} functions")
        print("\n".join(way.lines()))
    for name, way in ways.items():
        print(f"{name}: {len(way.files)} files, {way.moves} moves")
    _RESULT.parent.mkdir(exist_ok=True)
    text = json.dumps({name: way.as_dict() for name, way in ways.items()}, indent=2)
    _RESULT.write_text(f"{text}\n", encoding="utf-8")


_VERSION: Final = "select version from streams where stream_id = $1"

if __name__ == "__main__":
    main()
