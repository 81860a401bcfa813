"""What goes wrong on the wires: between the services and the database, and between them and the broker."""

from random import Random

from tests.fault.proxy import Proxy
from tests.fault.stage import Stage
from tests.fault.timing import pause


async def _spoil(wire: Proxy, random: Random) -> None:
    """Delay, cut, half-open or swallow for a while; what was swallowed never comes."""
    match random.choice(("slow", "cut", "upstream_lost", "downstream_lost", "black")):
        case "cut":
            wire.cut()
            return
        case "slow":
            wire.delay, wire.mood = random.uniform(0.05, 0.3), "slow"
        case "upstream_lost":
            wire.mood = "upstream_lost"
        case "downstream_lost":
            wire.mood = "downstream_lost"
        case _:
            wire.mood = "black"
    await pause(random.uniform(0.5, 4))
    wire.mood = "well"


async def database_wire(stage: Stage, random: Random) -> None:
    """Spoil the wire to the database."""
    await _spoil(stage.wire, random)


async def broker_wire(stage: Stage, random: Random) -> None:
    """Spoil the wire to the broker, or to one of three."""
    await _spoil(random.choice(stage.broker.wires), random)


async def inner_wire(stage: Stage, random: Random) -> None:
    """Spoil the wire by which the other brokers reach one of three: copies of what it leads fall behind."""
    await _spoil(random.choice(stage.broker.inner_wires), random)
