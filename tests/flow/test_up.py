"""Everything in one process: what it takes from its surroundings, and what it does not."""

from pathlib import Path

import asyncpg
import pytest

from services.kernel.embedded.child_process import free_port
from services.kernel.embedded.up import VIRTUAL_START, OtherClock, read_server_info, run_embedded
from services.kernel.limits import Limits
from tests.servers import scratch_folder
from tests.tally import TALLY
from tests.waiting import until


@pytest.mark.embedded
async def test_the_embedded_server_answers_on_the_loopback_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It issues tokens to any caller, so the setting of an installation does not open it to others."""
    monkeypatch.setenv("SAMSPIL_HOST", "0.0.0.0")  # noqa: S104  the setting of a container

    with scratch_folder() as folder:
        async with run_embedded((), folder / "data", port=free_port(), virtual=False) as there:
            host = there.settings.host

    assert host == "127.0.0.1"


@pytest.mark.embedded
async def test_a_folder_has_one_key_in_every_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A folder may be named from where the server was started: commands from elsewhere use the same key."""
    with scratch_folder() as folder:
        monkeypatch.chdir(folder)
        async with run_embedded((), Path("data"), port=free_port(), virtual=False) as there:
            monkeypatch.chdir(tmp_path)
            found = read_server_info(folder / "data")
        key = (folder / "data" / "keys" / "kek").read_bytes()

        assert found.kek == there.settings.kek == folder / "data" / "keys" / "kek"
        assert found.kek.read_bytes() == key


@pytest.mark.embedded
async def test_a_folder_keeps_its_clock() -> None:
    """Time never goes back for what a folder holds: the other clock is refused, before anything starts."""
    with scratch_folder() as folder:
        for data, virtual in ((folder / "real", False), (folder / "virtual", True)):
            for _again in range(2):
                async with run_embedded((), data, port=free_port(), virtual=virtual) as there:
                    began = there.clock.now()

            assert not virtual or began == VIRTUAL_START
            with pytest.raises(OtherClock, match="--clock system" if not virtual else "--clock virtual"):
                async with run_embedded((), data, port=free_port(), virtual=not virtual):
                    pass


@pytest.mark.embedded
async def test_the_log_of_a_server_that_runs_for_long_stays_short() -> None:
    """PostgreSQL logs every conflict of two writers; a long log is set aside, and only once."""
    limits = Limits(server_log_bytes=20_000, embedded_watch_seconds=0.02)
    with scratch_folder() as folder:
        log, aside = (folder / "postgres" / f"postgres.{end}" for end in ("log", "log.1"))
        async with run_embedded((TALLY,), folder, port=free_port(), virtual=False, limits=limits) as there:

            async def conflict_until_aside(before: bytes) -> None:
                async def happens() -> bool:
                    with pytest.raises(asyncpg.SerializationError):
                        await there.runtimes["consent"].pool.execute("select conflict()")
                    return aside.exists() and aside.read_bytes() != before

                await until(happens)

            await conflict_until_aside(b"")
            await conflict_until_aside(aside.read_bytes())

            assert log.stat().st_size < 20_000
            assert b"has changed since it was read" in aside.read_bytes()
            assert b"\0" not in log.read_bytes()
