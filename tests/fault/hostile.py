"""A hostile municipality beside the others: it sends what is wrong in every way, as fast as it is let."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

import aiohttp
import asyncpg
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from contracts.event import municipality_stream, topic_of
from contracts.referral import ReferralReady, ReferralSeen
from services.kernel.kafka.cloudevents import Message
from services.kernel.streams.consent_watermark import ConsentWatermark
from services.kernel.streams.parked import park
from tests.examples_poison import QUARANTINED
from tests.fault.chain import CHAIN, ORGANISATION
from tests.fault.stage import HOSTILE, PARTITIONS, Stage
from tests.fault.timing import pause
from tests.tally import START, TENANT, a_message, a_record

_EACH: Final = 40
_FLOOD: Final = 200
_REST_SECONDS: Final = 0.5
_PATIENCE: Final = aiohttp.ClientTimeout(total=4)
_FRESH_SECONDS: Final = 60.0
_REUSED: Final = uuid5(NAMESPACE_URL, "an id of an event, used again and again")


class Hostile:
    """Sends wrong things under one municipality's code, until the block ends."""

    def __init__(self, stage: Stage, seed: int, cases: Sequence[UUID]) -> None:
        """Aim at the streams of the others."""
        self.sent: Counter[str] = Counter()
        self._stage = stage
        self.cases = cases
        self._random = Random(f"hostile {seed}")
        self._numbers = itertools.count()
        self._prefix = f"hostile {seed}"

    async def run(self) -> None:
        """Send until cancelled, whatever becomes of it."""
        await asyncio.gather(self._send_events(), self._send_commands())

    async def _send_events(self) -> None:
        while True:
            with suppress(KafkaError, OSError, TimeoutError):
                async with AIOKafkaProducer(bootstrap_servers=self._stage.broker.bootstrap) as producer:
                    while True:
                        await self._send_batch(producer)
                        await pause(_REST_SECONDS)
            await pause(_REST_SECONDS)

    async def _send_batch(self, producer: AIOKafkaProducer) -> None:
        topic = topic_of(self._random.choice(("referral", "referral", "referral", "consent")))
        for kind, message in self._batch():
            await producer.send(topic, message.value, message.key, headers=message.headers)
            self.sent[kind] += 1
        await producer.flush()

    def _batch(self) -> list[tuple[str, Message]]:
        """Return poison, reserved ids, the others' ids, ids used again, and now and then a flood."""
        found: list[tuple[str, Message]] = []
        for _ in range(_EACH):
            own, others = self._id(), self._random.choice(self.cases)
            found += [
                ("poison", _event(own, 1, ReferralReady(referral_id=own, send_by="2026-03-02"))),
                ("unreadable", self._unreadable(own)),
                ("reserved id", _event(municipality_stream(TENANT), 1, self._seen())),
                ("others' stream", _event(others, self._random.randint(1, 3), self._seen())),
                ("id used again", _event(own, 2, self._seen(), event_id=_REUSED)),
            ]
        if self._random.random() < 0.25:
            case = self._id()
            found += [("flood", _event(case, n, self._seen())) for n in range(2, _FLOOD)]
        return found

    async def _send_commands(self) -> None:
        """Command in its own name under the ids of the others' streams."""
        headers = {"Authorization": f"Bearer {self._stage.hostile_token}"}
        port = self._stage.members["referral-1"].port
        async with aiohttp.ClientSession(headers=headers, timeout=_PATIENCE) as http:
            while True:
                case, ref = self._random.choice(self.cases), str(self._id())
                url = f"http://127.0.0.1:{port}/referral/cases/{case}/count"
                with suppress(aiohttp.ClientError, TimeoutError, OSError):
                    async with http.post(url, json={"ref": ref}, headers={"Idempotency-Key": ref}) as answer:
                        self.sent["command" if answer.status == 200 else "command refused"] += 1
                await pause(_REST_SECONDS / 4)

    def _id(self) -> UUID:
        return uuid5(NAMESPACE_URL, f"{self._prefix} {next(self._numbers)}")

    def _seen(self) -> ReferralSeen:
        return ReferralSeen(referral_id=self._id(), organisation_id=ORGANISATION, seen_at=START)

    def _unreadable(self, stream: UUID) -> Message:
        spoil = QUARANTINED[self._random.choice(_SPOILT)]
        return spoil(_event(stream, 1, self._seen()))

    task: "asyncio.Task[None]"


def _event(stream: UUID, seq: int, body: ReferralSeen | ReferralReady, **more: UUID) -> Message:
    return a_message(stream, seq, body, tenant=HOSTILE, **more)  # type: ignore[arg-type]  # only an id


def _names_itself(kind: str) -> bool:
    """Return whether a spoilt record still names its municipality; else nobody could be held for it."""
    good = a_message(_REUSED, 1, ReferralReady(referral_id=_REUSED, send_by="2026-03-02"), tenant=HOSTILE)
    return park(a_record(QUARANTINED[kind](good)), "header").tenant == HOSTILE


_SPOILT: Final = [kind for kind in QUARANTINED if _names_itself(kind)]


async def closed_gates(stage: Stage, cases: Sequence[UUID]) -> int:
    """Return for how many of the others' streams the consents are not fresh now, where they are needed."""
    keys = [(TENANT, case) for case in cases]
    watermark = ConsentWatermark(needed=True, partitions=PARTITIONS, seconds=_FRESH_SECONDS)
    session = await asyncpg.connect(stage.dsn, server_settings={"search_path": "agreement"})
    try:
        fresh = await watermark.fresh_streams(session, keys) or set()
    finally:
        await session.close()
    return len(keys) - len(fresh)


async def parked_of(stage: Stage) -> dict[str, int]:
    """Return how much of the hostile municipality is parked in the chain, by reason."""
    found: Counter[str] = Counter()
    session = await asyncpg.connect(stage.dsn)
    try:
        for name in CHAIN:
            statement = f"select reason, count(*) from {name}.parked_events where tenant = $1 group by 1"  # noqa: S608  names of ours
            found.update({row["reason"]: row["count"] for row in await session.fetch(statement, HOSTILE)})
    finally:
        await session.close()
    return dict(sorted(found.items()))


def stopped(stage: Stage) -> list[str]:
    """Return the processes whose consumer has stopped, by their logs."""
    return [
        member.name for member in stage.members.values()
        if member.log.exists() and "consumer_stopped" in member.log.read_text(errors="replace")
    ]  # fmt: skip
