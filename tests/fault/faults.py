"""What goes wrong in a campaign: each does its harm, waits, and repairs what would not recover by itself."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Final

import asyncpg

from tests.fault.chain import CHAIN
from tests.fault.disk import filled
from tests.fault.members import Member
from tests.fault.spoiling import echoed, poisoned, resent, rewound
from tests.fault.stage import Stage
from tests.fault.timing import pause
from tests.fault.wires import broker_wire, database_wire, inner_wire
from tests.waiting import until

SAVING: Final = ("save.before", "save.after", "commit.before", "commit.after")
SENDING: Final = ("publish.before", "publish.between", "publish.after", "delete.before", "delete.after")
HEARING: Final = ("offsets.before", "offsets.after")
POINTS: Final = {
    "referral": (*SAVING, *SENDING, "fire.before", "fire.after"),
    "consent": (*SAVING, *SENDING, *HEARING),
    "agreement": (*SAVING, *HEARING),
    "notify": (*SAVING, *SENDING, *HEARING, "perform.before", "perform.after", "mark.before", "mark.after"),
}
"""The points at which a process of each service is made to die."""

_ARMED_SECONDS: Final = 5.0
_FROZEN_SECONDS: Final = (3.5, 5.0)
_SEGMENTS: Final = 12
_NEXT_SEGMENT: Final = "select pg_logical_emit_message(true, 'space', 'gone'), pg_switch_wal()"


@dataclass(frozen=True)
class Fault:
    """One kind of fault: how often it is chosen, and its targets, which no other fault has meanwhile."""

    strike: Callable[[Stage, Random], Awaitable[None]]
    weight: float
    holds: tuple[str, ...] = ()
    brokers: tuple[str, ...] = ("embedded", "kafka", "kafka3")


def _any(stage: Stage, random: Random) -> Member:
    return random.choice(stage.firsts())


async def kill(stage: Stage, random: Random) -> None:
    """Kill a process at whatever moment it is in."""
    await pause(random.uniform(0, 0.5))
    await _any(stage, random).kill()


async def stop(stage: Stage, random: Random) -> None:
    """Ask a process to end, as a deploy does."""
    await _any(stage, random).stop()


async def crash(stage: Stage, random: Random) -> None:
    """Let a process die at a named point."""
    member = _any(stage, random)
    point = random.choice(POINTS[member.service])
    member.kept = False
    await member.kill()
    member.start(f"{point}:{random.randint(1, 4)}")
    await member.ended(_ARMED_SECONDS)
    member.kept = True


async def freeze(stage: Stage, random: Random) -> None:
    """Let a process sleep for longer than its session lasts, and wake as a zombie."""
    member = _any(stage, random)
    member.signal(signal.SIGSTOP)
    await pause(random.uniform(*_FROZEN_SECONDS))
    member.signal(signal.SIGCONT)


async def join(stage: Stage, random: Random) -> None:
    """Let a second process of a service come, and go in order or by a kill."""
    second = stage.members[f"{random.choice(list(CHAIN))}-2"]
    second.start()
    await pause(random.uniform(1, 4))
    await (second.stop() if random.random() < 0.5 else second.kill())


async def broker_down(stage: Stage, random: Random) -> None:
    """Stop or kill the broker, all of it, and start it; one that forgets is filled again."""
    await (stage.broker.stop() if random.random() < 0.5 else stage.broker.kill())
    await pause(random.uniform(0, 1))
    await stage.broker.start()
    stage.emptied = stage.emptied or stage.broker.kind == "embedded"
    await stage.prepare_broker()


async def group_rewound(stage: Stage, random: Random) -> None:
    """Rewind a whole group; where the broker admits no member to it, restart the broker."""
    try:
        await rewound(stage, random)
    except TimeoutError:
        await broker_down(stage, random)


async def one_broker_down(stage: Stage, random: Random) -> None:
    """Kill one of three brokers: the others go on."""
    await stage.broker.kill(random.randint(1, 3))
    await pause(random.uniform(1, 4))
    await stage.broker.start()


async def two_brokers_down(stage: Stage, random: Random) -> None:
    """Kill two of three brokers: writes stop until one is back."""
    await stage.broker.kill(*random.sample((1, 2, 3), 2))
    await pause(random.uniform(1, 3))
    await stage.broker.start()


async def database_down(stage: Stage, random: Random) -> None:
    """Stop the database as a power cut would, and start it again."""
    await stage.database.stop(immediate=True)
    await pause(random.uniform(0, 1))
    await stage.database.start()


async def connections_ended(stage: Stage, random: Random) -> None:
    """End all connections of one service, or of all, from the database's side."""
    whose = random.choice(("samspil %", *(f"samspil {name}" for name in CHAIN)))
    await stage.query_value(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name like $1", whose
    )


async def locked(stage: Stage, random: Random) -> None:
    """Let a stranger hold a lock on a service's table for a while."""
    table = random.choice(("streams", "pending", "event_log", "parked_events"))
    session = await asyncpg.connect(stage.dsn)
    try:
        async with session.transaction():
            await session.execute(f"lock table {random.choice(list(CHAIN))}.{table} in access exclusive mode")
            await pause(random.uniform(0.5, 3))
    finally:
        await session.close()


async def crowded(stage: Stage, random: Random) -> None:
    """Let strangers take every connection that the database has, and cut those that were there."""
    strangers: list[asyncpg.Connection] = []
    dsn = stage.service_dsn(stage.wire.target)
    try:
        await connections_ended(stage, random)
        while True:
            strangers.append(await asyncpg.connect(dsn))
    except asyncpg.TooManyConnectionsError:
        await pause(random.uniform(0.5, 2))
    finally:
        await asyncio.gather(*(one.close() for one in strangers))


async def full_disk(stage: Stage, random: Random) -> None:
    """Fill the disk under the tables of one service for a while."""
    with filled(stage.folder / "small"):
        await pause(random.uniform(0.5, 2))


async def full_log(stage: Stage, random: Random) -> None:
    """Fill the disk under the database's log until the server ends itself; then free it, and start it."""
    with filled(stage.log_disk):
        for _ in range(_SEGMENTS):
            try:
                await stage.query_value(_NEXT_SEGMENT)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                break
        await pause(random.uniform(0.5, 2))
    if stage.database.alive():
        await stage.database.stop(immediate=True)
    await stage.database.start()


async def clock(stage: Stage, random: Random) -> None:
    """Let the clock of all services jump, back or forth."""
    stage.clock.write_text(str(random.uniform(-7200, 7200)))
    await pause(random.uniform(0, 1))


FAULTS: Final = {
    "kill": Fault(kill, 5),
    "crash point": Fault(crash, 8, ("members",)),
    "stop": Fault(stop, 1),
    "freeze": Fault(freeze, 1),
    "second member": Fault(join, 2, ("members",)),
    "broker down": Fault(broker_down, 1, ("broker",)),
    "one of three brokers": Fault(one_broker_down, 1.5, ("broker",), ("kafka3",)),
    "two of three brokers": Fault(two_brokers_down, 1, ("broker",), ("kafka3",)),
    "database down": Fault(database_down, 1, ("database",)),
    "connections ended": Fault(connections_ended, 1, ("database",)),
    "lock of a stranger": Fault(locked, 1, ("database",)),
    "no connection free": Fault(crowded, 1, ("database",)),
    "disk full": Fault(full_disk, 1, ("database",)),
    "log disk full": Fault(full_log, 1, ("database",)),
    "wire to the database": Fault(database_wire, 2, ("database",)),
    "wire to the broker": Fault(broker_wire, 2, ("broker",)),
    "wire between brokers": Fault(inner_wire, 2, ("broker",), ("kafka3",)),
    "sent again": Fault(resent, 1, ("database",)),
    "echo": Fault(echoed, 1, ("broker",)),
    "group rewound": Fault(group_rewound, 1, ("broker", "members")),
    "poison": Fault(poisoned, 3, ("broker",)),
    "clock": Fault(clock, 2),
}


async def repaired(stage: Stage) -> None:
    """Undo what would outlast the faults, such as second members and moved clocks, and wait until all run."""
    for member in stage.members.values():
        if member.slot > 1:
            await member.stop()
    stage.clock.write_text("60")

    async def all_run() -> bool:
        return all(member.alive() for member in stage.firsts())

    await until(all_run)
