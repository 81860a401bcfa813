"""The embedded PostgreSQL keeps its promises: what was committed stays, and no other client gets in."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from services.kernel.embedded.child_process import Child, free_port
from services.kernel.embedded.servers import Postgres, postgres
from services.kernel.errors import FolderInUse, ServerFailed
from tests.open_ports import listening_addresses
from tests.servers import scratch_folder

OWNER = """
import asyncio, sys
from pathlib import Path
from services.kernel.embedded.servers import postgres

async def main() -> None:
    async with postgres(Path(sys.argv[1])) as server:
        print(server.pid, flush=True)
        await server.wait()

asyncio.run(main())
"""

DEAF_OWNER = """
import signal, sys, time
from pathlib import Path
from services.kernel.embedded.child_process import Child

Path(sys.argv[1]).mkdir()
child = Child("stuck", Path(sys.argv[1]), last_signal=signal.SIGCONT)  # a death signal that changes nothing
child.launch(["/bin/sleep", "600"], env={})
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Lend a data folder that does not exist yet."""
    with scratch_folder() as scratch:
        yield scratch / "postgres"


@pytest.fixture
async def server(folder: Path) -> AsyncIterator[Postgres]:
    """Run a server of the test's own."""
    async with postgres(folder) as started:
        yield started


async def test_a_committed_row_survives_a_kill(server: Postgres) -> None:
    """What was committed is there after the server was killed with -9 and started again."""
    await _execute(server, "create table kept (n int); insert into kept values (1)")

    await server.kill()
    await server.start()

    assert await _value(server, "select n from kept") == 1


async def test_a_committed_row_survives_a_power_cut(server: Postgres) -> None:
    """What was committed is there after an immediate stop, without a checkpoint."""
    await _execute(server, "create table kept (n int); insert into kept values (1)")

    await server.stop(immediate=True)
    await server.start()

    assert await _value(server, "select n from kept") == 1


async def test_data_and_password_survive_a_restart(folder: Path) -> None:
    """The same folder is the same database tomorrow, with the same connection string."""
    async with postgres(folder) as first:
        await _execute(first, "create table kept (n int); insert into kept values (1)")
        dsn = first.dsn
    async with postgres(folder) as second:
        assert second.dsn == dsn
        assert await _value(second, "select n from kept") == 1


async def test_the_server_writes_to_the_disk_for_real(server: Postgres) -> None:
    """The embedded server is no toy: fsync and checksums are on, and passwords are SCRAM."""
    assert await _value(server, "select current_setting('fsync')") == "on"
    assert await _value(server, "select current_setting('data_checksums')") == "on"
    assert await _value(server, "select rolpassword like 'SCRAM%' from pg_authid where rolname = 'postgres'")


async def test_danish_letters_fold(postgres_dsn: str) -> None:
    """Lower case and Danish text search know the letters outside ASCII."""
    connection = await asyncpg.connect(postgres_dsn)
    try:
        assert await connection.fetchval("select lower('ÆØÅ')") == "æøå"
        assert await connection.fetchval(
            "select to_tsvector('danish', 'ÆBLER') @@ to_tsquery('danish', 'æble')"
        )
    finally:
        await connection.close()


async def test_no_network_without_a_port(server: Postgres) -> None:
    """Without a port the server can be reached through its socket alone."""
    assert listening_addresses(server.pid) == set()


async def test_only_the_loopback_with_a_port(folder: Path) -> None:
    """With a port the server listens on 127.0.0.1 and nowhere else."""
    port = free_port()
    async with postgres(folder, port=port) as server:
        assert listening_addresses(server.pid) == {("127.0.0.1", port)}
        assert await _value(server, "select 1") == 1


async def test_a_wrong_password_is_refused(folder: Path) -> None:
    """Another user of the machine cannot log in over the port without the password."""
    port = free_port()
    async with postgres(folder, port=port):
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(f"postgresql://postgres:guess@127.0.0.1:{port}/postgres")


async def test_a_taken_port_is_said(folder: Path) -> None:
    """A port that another program has is named in the error."""
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", port := free_port())
    async with listener:
        with pytest.raises(ServerFailed, match=f"port {port} on 127.0.0.1 is taken"):
            async with postgres(folder, port=port):
                pass


async def test_one_owner_a_folder(folder: Path, server: Postgres) -> None:
    """A second program on the same folder is refused, and the first goes on."""
    with pytest.raises(FolderInUse):
        async with postgres(folder):
            pass

    assert await _value(server, "select 1") == 1


async def test_a_crash_is_noticed(server: Postgres) -> None:
    """Whoever waits for the server learns that it died."""
    waiting = asyncio.create_task(server.wait())
    os.kill(server.pid, signal.SIGKILL)

    assert await asyncio.wait_for(waiting, 10) == -signal.SIGKILL
    assert not server.alive()


async def test_a_killed_owner_takes_the_server_along(folder: Path) -> None:
    """After our own process was killed with -9 the next start works at once."""
    orphan = await _orphaned(OWNER, folder)

    async with postgres(folder) as server:
        assert server.pid != orphan
        assert await _value(server, "select 1") == 1


async def test_a_server_that_outlived_its_owner_is_ended(folder: Path) -> None:
    """Where the operating system did not end the server with its owner, the next start does."""
    orphan = psutil.Process(await _orphaned(DEAF_OWNER, folder))
    assert orphan.status() != psutil.STATUS_ZOMBIE

    await Child("stuck", folder, last_signal=signal.SIGCONT).end_orphan(signal.SIGTERM)

    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE


async def test_a_pid_file_of_another_program_is_no_obstacle(folder: Path) -> None:
    """A stale pid file whose number now belongs to somebody else does not keep the server down."""
    async with postgres(folder) as server:
        await server.kill()
        stale = folder / "data" / "postmaster.pid"
        lines = stale.read_text().splitlines()
        stale.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")

        await server.start()

        assert await _value(server, "select 1") == 1


async def test_an_interrupted_first_start_is_begun_again(folder: Path) -> None:
    """A data folder that was half made when the machine went down is made anew."""
    half = folder / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")

    async with postgres(folder) as server:
        assert await _value(server, "select 1") == 1
    assert not half.exists()


async def _orphaned(program: str, folder: Path) -> int:
    """Run an owner of a server, kill it with -9, and return the server's process id."""
    here = Path(__file__).parents[2]
    arguments = (sys.executable, "-c", program, str(folder))
    owner = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE, cwd=here)
    assert owner.stdout is not None
    orphan = int(await asyncio.wait_for(owner.stdout.readline(), 30))
    owner.kill()
    await owner.wait()
    return orphan


async def _execute(server: Postgres, statement: str) -> None:
    connection = await asyncpg.connect(server.dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _value(server: Postgres, query: str) -> object:
    connection = await asyncpg.connect(server.dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()
