"""Everything in one process: what it takes from its surroundings, and what it does not."""

from pathlib import Path

import asyncpg
import pytest

from services.kernel.embedded import child_process as embedded_process
from services.kernel.embedded import up
from services.kernel.embedded.child_process import free_port
from services.kernel.embedded.up import read_server_info, run_embedded
from tests.servers import scratch_folder
from tests.tally import TALLY
from tests.waiting import until


@pytest.mark.embedded
async def test_the_embedded_server_answers_on_the_loopback_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives tokens to whoever asks, so the setting of an installation does not open it to others."""
    monkeypatch.setenv("SAMSPIL_HOST", "0.0.0.0")  # noqa: S104  what a container is told

    with scratch_folder() as folder:
        async with run_embedded((), folder / "data", port=free_port(), virtual=False) as (_, settings, _):
            host = settings.host

    assert host == "127.0.0.1"


@pytest.mark.embedded
async def test_a_folder_has_one_key_from_wherever_it_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A folder may be named from where the server was started: commands from elsewhere use the same key."""
    with scratch_folder() as folder:
        monkeypatch.chdir(folder)
        async with run_embedded((), Path("data"), port=free_port(), virtual=False) as (_, settings, _):
            monkeypatch.chdir(tmp_path)
            found = read_server_info(folder / "data")
        key = (folder / "data" / "keys" / "kek").read_bytes()

        assert found.kek == settings.kek == folder / "data" / "keys" / "kek"
        assert found.kek.read_bytes() == key


@pytest.mark.embedded
async def test_the_log_of_a_server_that_runs_for_long_stays_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL notes every conflict of two writers; what is long is set aside, and only once."""
    monkeypatch.setattr(embedded_process, "LOG_LIMIT_BYTES", 20_000)
    monkeypatch.setattr(up, "_WATCH_SECONDS", 0.02)
    with scratch_folder() as folder:
        log, aside = (folder / "postgres" / f"postgres.{end}" for end in ("log", "log.1"))
        async with run_embedded((TALLY,), folder, port=free_port(), virtual=False) as (them, _, _):

            async def conflict_until_aside(before: bytes) -> None:
                async def happens() -> bool:
                    with pytest.raises(asyncpg.SerializationError):
                        await them["consent"].pool.execute("select conflict()")
                    return aside.exists() and aside.read_bytes() != before

                await until(happens)

            await conflict_until_aside(b"")
            await conflict_until_aside(aside.read_bytes())

            assert log.stat().st_size < 20_000
            assert b"moved on" in aside.read_bytes()
            assert b"\0" not in log.read_bytes()
