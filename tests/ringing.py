"""A service that asks for a bell with every count: what it needs to be performed, and how it went."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import asyncpg
from msgspec import Struct

from services.kernel.decider.decision import Actor, Decision, Effect, PrivateValue
from services.kernel.decider.service import EffectContext
from services.kernel.ids import new_id
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.envelopes import Envelope
from tests.tally import ACTOR, START, TALLY, TENANT, Count, Tally, case_id, decide, running


class Rung(Struct, frozen=True):
    """The bell was rung."""

    key: UUID


@dataclass
class Bell:
    """What rings in the world, and how it goes."""

    rung: list[UUID] = field(default_factory=list)
    failing: bool = False
    answers: bool = True
    meanwhile: Callable[[], Any] | None = None
    seen: list[Any] = field(default_factory=list)

    async def ring(self, effect: Effect, context: EffectContext) -> Rung | None:
        """Ring, or fail as the world does."""
        self.rung.append(effect.key)
        self.seen.append((dict(effect.about), await context.read(UUID(effect.about["stream"]))))
        if self.meanwhile is not None:
            await self.meanwhile()
        if self.failing:
            raise ConnectionRefusedError
        return Rung(effect.key) if self.answers else None


def rule(tally: Tally | None, trigger: Any, given: Any) -> Decision:
    """Ask for a bell with every count, under the count's id; note every bell that was rung."""
    if isinstance(trigger, Rung):
        return decide(tally, Count(trigger.key), given)
    counted = decide(tally, trigger, given)
    effect = Effect(trigger.referral_id, "bell", {"stream": str(given.stream_id)})
    seals = (PrivateValue(ACTOR, "word", "private"),)
    return Decision(counted.state, counted.events, private_values=seals, effects=(effect,))


@asynccontextmanager
async def ringing(dsn: str, bell: Bell, **more: Any) -> AsyncIterator[Runtime]:
    """Run a tally that rings; nothing is performed by itself."""
    service = replace(TALLY, **{"decide": rule, "effect_handlers": {"bell": bell.ring}, **more})
    async with running(dsn, "", "none", service) as runtime:
        runtime.effects._leases._healthy_since = 0.0  # it has run for long
        yield runtime


async def count(runtime: Runtime, n: int = 1) -> UUID:
    """Count once in the n-th stream, and return the key of the bell that it asks for."""
    cause, key = str(new_id()), new_id()
    actor = Actor(ACTOR, "caseworker", TENANT)
    async with runtime.pool.acquire() as tx:
        asked = Envelope(case_id(n), TENANT, Count(key), actor, START, cause, cause)
        await runtime.processor.process(tx, [asked])
    return key


async def rows(runtime: Runtime) -> list[asyncpg.Record]:
    """Return what there is to do, and what became of it."""
    found: list[asyncpg.Record] = await runtime.pool.fetch(
        "select *, due_at - now() as pause from effects order by key"
    )
    return found


async def lease_ends(runtime: Runtime) -> None:
    """Let the time of a worker that has vanished run out."""
    await runtime.pool.execute("update effects set due_at = now() where done_at is null")


async def seen(runtime: Runtime, n: int = 1) -> list[str]:
    """Return what the n-th stream has counted."""
    found: list[str] = await runtime.pool.fetchval(
        "select array(select jsonb_array_elements_text(state::jsonb -> 'seen')) "
        "from streams where stream_id = $1",
        case_id(n),
    )
    return found


async def begun(bell: Bell) -> bool:
    """Return whether somebody has begun to ring."""
    return bool(bell.rung)
