"""A service with a side effect: every count sends a letter, and the answer is counted too."""

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
from services.kernel.limits import Limits
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.envelopes import Envelope
from tests.tally import ACTOR, START, TALLY, TENANT, Count, Tally, case_id, decide, running


class Sent(Struct, frozen=True):
    """A letter was sent."""

    key: UUID


@dataclass
class PostOffice:
    """Where letters are sent: what was sent, and how it goes."""

    sent: list[UUID] = field(default_factory=list)
    failing: bool = False
    answers: bool = True
    meanwhile: Callable[[], Any] | None = None
    seen: list[Any] = field(default_factory=list)

    async def send(self, effect: Effect, context: EffectContext) -> Sent | None:
        """Send a letter, or fail as the world does."""
        self.sent.append(effect.key)
        self.seen.append((dict(effect.about), await context.read(UUID(effect.about["stream"]))))
        if self.meanwhile is not None:
            await self.meanwhile()
        if self.failing:
            raise ConnectionRefusedError
        return Sent(effect.key) if self.answers else None


def rule(tally: Tally | None, trigger: Any, context: Any) -> Decision:
    """Send a letter with every count, under the count's id; count every letter that was sent."""
    if isinstance(trigger, Sent):
        return decide(tally, Count(trigger.key), context)
    counted = decide(tally, trigger, context)
    effect = Effect(trigger.referral_id, "letter", {"stream": str(context.stream_id)})
    seals = (PrivateValue(ACTOR, "word", "private"),)
    return Decision(counted.state, counted.events, private_values=seals, effects=(effect,))


@asynccontextmanager
async def performing(
    dsn: str, post: PostOffice, *, limits: Limits | None = None, **more: Any
) -> AsyncIterator[Runtime]:
    """Run a tally that sends letters; no effect is performed by itself."""
    service = replace(TALLY, **{"decide": rule, "effect_handlers": {"letter": post.send}, **more})
    async with running(dsn, "", "none", service, limits=limits or Limits()) as runtime:
        runtime.effects._leases._healthy_since = 0.0  # it has run for long
        yield runtime


async def count(runtime: Runtime, n: int = 1) -> UUID:
    """Count once in the n-th stream, and return the key of the letter that follows."""
    cause, key = str(new_id()), new_id()
    actor = Actor(ACTOR, "caseworker", TENANT)
    async with runtime.pool.acquire() as tx:
        envelope = Envelope(case_id(n), TENANT, Count(key), actor, START, cause, cause)
        await runtime.processor.process(tx, [envelope])
    return key


async def rows(runtime: Runtime) -> list[asyncpg.Record]:
    """Return all effects, with the pause until each is due."""
    found: list[asyncpg.Record] = await runtime.pool.fetch(
        "select *, due_at - now() as pause from effects order by key"
    )
    return found


async def lease_ends(runtime: Runtime) -> None:
    """Let every lease expire."""
    await runtime.pool.execute("update effects set due_at = now() where done_at is null")


async def seen(runtime: Runtime, n: int = 1) -> list[str]:
    """Return what the n-th stream has counted."""
    found: list[str] = await runtime.pool.fetchval(
        "select array(select jsonb_array_elements_text(state::jsonb -> 'seen')) "
        "from streams where stream_id = $1",
        case_id(n),
    )
    return found


async def begun(post: PostOffice) -> bool:
    """Return whether a letter was begun."""
    return bool(post.sent)
