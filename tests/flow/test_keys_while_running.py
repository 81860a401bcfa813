"""Keys are rotated and rewrapped again and again while a year is played, and every book agrees at the end."""

import asyncio
import signal
from collections import Counter

import asyncpg
from rich.console import Console

from contracts.event import SERVICES
from demo.play import play
from services.kernel.embedded.up import read_server_info
from services.kernel.operations.keys import add_root_key, rewrap_keys, rotate_keys
from services.kernel.operations.parked_events import open_service
from services.registry import SERVICES_BY_NAME
from tests.servers import scratch_folder
from tests.up import Server

CASES, SEED, DAYS = 4, 3, 150


async def test_a_year_holds_while_its_keys_are_rotated() -> None:
    """Finding 15: commands and consumers of every service go on; nothing is parked, refused or unreadable."""
    with scratch_folder() as folder:
        server = Server(folder / "data")
        server.start()
        try:
            await server.ready()
            console = Console(stderr=True, quiet=True)
            playing = asyncio.create_task(
                play(server.url, cases=CASES, seed=SEED, console=console, days=DAYS)
            )
            done = await _rotated_until(playing, server)
            report = await playing
            left = await _left(server)
        finally:
            server.end(signal.SIGTERM)

    assert [f"{check.name}: {check.said}" for check in report.checks if not check.holds] == []
    assert done["rounds"] > 1
    assert min(done["persons"], done["values"], done["rewrapped"]) > done["rounds"]
    assert left == {"parked": 0, "retired": 0, "under other keys": 0}


async def _rotated_until(playing: "asyncio.Task[object]", server: Server) -> Counter[str]:
    """Rotate and rewrap the keys of all services until the year is over; return what was done in all."""
    settings, done = read_server_info(server.folder), Counter[str]()
    while not playing.done():
        add_root_key(settings)
        for name in SERVICES:
            async with open_service(SERVICES_BY_NAME[name], settings) as runtime:
                done.update(await rewrap_keys(runtime))
                done.update(await rotate_keys(runtime))
        done["rounds"] += 1
    return done


async def _left(server: Server) -> Counter[str]:
    """Count what is parked, keys that are retired, and values that are not under a present key."""
    found: Counter[str] = Counter()
    connection = await asyncpg.connect(read_server_info(server.folder).database.get_secret_value())
    for service in SERVICES:
        for what, query in _LEFT.items():
            await connection.execute("select set_config('search_path', $1, false)", service)
            found[what] += await connection.fetchval(query)
    await connection.close()
    return found


_LEFT = {
    "parked": "select count(*) from parked_events",
    "retired": "select count(*) from data_keys where retired_at is not null",
    "under other keys": (
        "select count(*) from sealed s where not exists (select from data_keys k where k.tenant = s.tenant "
        "and k.subject_id = s.subject_id and k.number = s.key_number and k.retired_at is null)"
    ),
}
