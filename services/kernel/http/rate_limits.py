"""Rate limits: token buckets in memory, by person, by municipality, and by address before sign-in.

A bucket is one number, the time at which it will be full again (the generic cell rate algorithm), so that a
request costs one look-up, and the memory is bounded by forgetting the buckets that are full.
"""

from collections.abc import Callable, Hashable
from ipaddress import IPv6Address, ip_address
from operator import itemgetter
from time import monotonic
from typing import Final

from services.kernel.decider.decision import Actor
from services.kernel.http.refusals import TooManyRequests
from services.kernel.settings import Settings

_MINUTE: Final = 60.0
_BUCKETS: Final = 20_000
_IPV6_NETWORK: Final = 64
"""A subscriber has a whole network of this length, and may send from each of its addresses."""


class RateLimit:
    """Token buckets of so many requests, refilled within a minute; 0 requests is no limit."""

    def __init__(
        self, requests: int, *, buckets: int = _BUCKETS, clock: Callable[[], float] = monotonic
    ) -> None:
        """Begin with full buckets."""
        self._cost = _MINUTE / requests if requests else 0.0
        self._buckets = buckets
        self._clock = clock
        self._full_at: dict[Hashable, float] = {}

    def __len__(self) -> int:
        return len(self._full_at)

    def wait(self, key: Hashable) -> float:
        """Return in how many seconds a bucket has a request left; 0 where it has one now."""
        if not self._cost:
            return 0.0
        return max(0.0, self._full_at.get(key, 0.0) + self._cost - _MINUTE - self._clock())

    def take(self, key: Hashable) -> float:
        """Take a request out of a bucket; return 0, or the seconds to wait where it is empty."""
        if not self._cost:
            return 0.0
        now = self._clock()
        full_at = max(self._full_at.get(key, 0.0), now) + self._cost
        if (wait := full_at - _MINUTE - now) > 0:
            return wait
        if len(self._full_at) >= self._buckets and key not in self._full_at:
            self._forget(now)
        self._full_at[key] = full_at
        return 0.0

    def _forget(self, now: float) -> None:
        """Forget full buckets, and where these are few the half that is nearest to being full."""
        by_time = sorted((item for item in self._full_at.items() if item[1] > now), key=itemgetter(1))
        self._full_at = dict(by_time[-(self._buckets // 2) :])


class RateLimits:
    """The limits of one process."""

    def __init__(self, settings: Settings) -> None:
        """Take the limits that the settings name."""
        self._person = RateLimit(settings.requests_a_minute("person"))
        self._tenant = RateLimit(settings.requests_a_minute("tenant"))
        self._address = RateLimit(settings.requests_a_minute("address"))

    def take(self, actor: Actor) -> None:
        """Count a request of a verified person; raise `TooManyRequests`.

        The person's own limit goes first: who is over it takes nothing from the municipality.
        """
        if wait := self._person.take((actor.tenant, actor.id.int)) or self._tenant.take(actor.tenant):
            raise TooManyRequests(wait)

    def address_wait(self, address: str) -> float:
        """Return how long an address must wait before it may send without a valid token; 0 for not at all."""
        return self._address.wait(_subscriber(address))

    def take_address(self, address: str) -> None:
        """Count a request that came without a valid token."""
        self._address.take(_subscriber(address))


def _subscriber(address: str) -> str:
    """Return the address, or of IPv6 the network that one subscriber has."""
    if ":" not in address:
        return address
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return f"{int(found) >> (128 - _IPV6_NETWORK):x}/{_IPV6_NETWORK}"
