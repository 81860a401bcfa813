"""Rate limits: so many requests at once, refilled within a minute, in a bounded memory."""

from uuid import UUID

import pytest

from services.kernel.decider.decision import Actor
from services.kernel.http.rate_limits import RateLimit, RateLimits
from services.kernel.http.refusals import TooManyRequests
from services.kernel.settings import Settings


class Stopwatch:
    """A clock that a test moves."""

    def __init__(self) -> None:
        """Begin at some time."""
        self.now = 1_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def settings(**more: int) -> Settings:
    """Return settings of a test, whose limits are off unless they are given."""
    return Settings.model_validate({"mode": "test", **more})


def an_actor(number: int, tenant: str = "0440") -> Actor:
    """Return one of many persons."""
    return Actor(UUID(int=number), "caseworker", tenant)


def test_a_bucket_is_emptied_and_refilled() -> None:
    """Six requests a minute: six at once, then one each ten seconds."""
    clock = Stopwatch()
    limit = RateLimit(6, clock=clock)

    at_once = [limit.take("a") for _ in range(7)]
    clock.now += 9.0
    early = limit.take("a")
    clock.now += 1.0
    in_time = limit.take("a")

    assert at_once == [0, 0, 0, 0, 0, 0, pytest.approx(10)]
    assert early == pytest.approx(1)
    assert in_time == 0


def test_who_is_refused_waits_no_longer_for_it() -> None:
    """A refused request costs nothing, and another key has its own bucket."""
    clock = Stopwatch()
    limit = RateLimit(2, clock=clock)

    waits = [limit.take("a") for _ in range(100)]

    assert waits[-1] == pytest.approx(30)
    assert limit.wait("a") == pytest.approx(30)
    assert limit.take("b") == 0


def test_zero_is_no_limit() -> None:
    """Nothing is counted or stored then."""
    limit = RateLimit(0)

    assert {limit.take(str(n)) for n in range(1_000)} == {0}
    assert len(limit) == 0


def test_the_memory_is_bounded() -> None:
    """Whoever invents keys fills a table of a fixed size, and what an honest key has used is kept longest."""
    clock = Stopwatch()
    limit = RateLimit(100, buckets=1_000, clock=clock)
    for _ in range(100):
        limit.take("honest")

    for n in range(10_000):
        limit.take(f"invented {n}")

    assert len(limit) <= 1_000
    assert limit.wait("honest") > 0


def test_a_person_over_the_limit_takes_nothing_from_the_municipality() -> None:
    """One who floods is refused alone."""
    limits = RateLimits(settings(http_person_requests=3, http_tenant_requests=5))
    flooding, other = an_actor(1), an_actor(2)

    for _ in range(3):
        limits.take(flooding)
    for _ in range(50):
        with pytest.raises(TooManyRequests):
            limits.take(flooding)
    limits.take(other)
    limits.take(other)
    with pytest.raises(TooManyRequests) as refused:
        limits.take(other)

    assert refused.value.seconds == 12
    limits.take(an_actor(2, "0657"))  # another municipality is not concerned


def test_an_ipv6_subscriber_is_one_address() -> None:
    """All addresses of a /64 are one subscriber's."""
    limits = RateLimits(settings(http_address_requests=2))
    limits.take_address("2001:db8::1")
    limits.take_address("2001:db8::2")

    assert limits.address_wait("2001:db8::3") > 0
    assert limits.address_wait("2001:db8:0:1::3") == 0
    assert limits.address_wait("192.0.2.1") == 0


def test_limits_are_on_in_production_and_elsewhere_when_they_are_set() -> None:
    """A demo and a benchmark are not slowed down; a value that is set counts in every mode."""
    production = Settings(mode="production")

    assert production.requests_a_minute("person") == 600
    assert settings().requests_a_minute("person") == 0
    assert settings(http_person_requests=7).requests_a_minute("person") == 7
    assert Settings(mode="production", http_person_requests=0).requests_a_minute("person") == 0
