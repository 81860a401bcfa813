"""Revoked persons, memberships and tokens, read from the tables of the services that run in this process."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final
from uuid import UUID

from services.kernel.decider.decision import Actor
from services.kernel.logging import log
from services.kernel.postgres.connections import CONNECTION_FAULTS, Pool
from services.kernel.runtime.runtime import Runtime


class Revocations:
    """Revoked persons, memberships and tokens by municipality, as they were a few seconds ago."""

    def __init__(self, runtimes: Iterable[Runtime]) -> None:
        """Read the tables of these services; nothing is read before `refresh`."""
        pools = [runtime.pool for runtime in runtimes]
        self._revoked: dict[Pool, frozenset[tuple[str, str]] | None] = dict.fromkeys(pools)

    @property
    def known(self) -> bool:
        """Whether every table was read once: before that nobody can be let in."""
        return None not in self._revoked.values()

    def covers(self, actor: Actor, token_id: str | None, membership_id: UUID | None = None) -> bool:
        """Return whether an actor, their membership or their token is revoked, in any of the services."""
        keys = {(actor.tenant, str(one)) for one in (actor.id, membership_id) if one is not None}
        if token_id is not None:
            keys.add((actor.tenant, digest_of(token_id)))
        return any(revoked and not keys.isdisjoint(revoked) for revoked in self._revoked.values())

    async def refresh(self) -> None:
        """Read the tables again; one that cannot be read stays as it was."""
        for pool in self._revoked:
            try:
                rows = await pool.fetch(_READ)
            except CONNECTION_FAULTS as fault:
                log.warning("revocations_unread", kind=type(fault).__name__)
            else:
                self._revoked[pool] = frozenset((row["tenant"], row["subject"]) for row in rows)


def digest_of(token_id: str) -> str:
    """Return the SHA-256 of a token's id (`jti`), by which it is revoked."""
    return sha256(token_id.encode()).hexdigest()


_READ: Final = "select tenant, subject from revocations where revoked"
