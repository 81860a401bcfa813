"""Disks that can be full, where some may be mounted: under the tables of one service, and under the log."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg

from services.kernel.embedded.servers import Postgres


@contextmanager
def small_disk(folder: Path, owner: Path, *, megabytes: int = 48) -> Iterator[bool]:
    """Mount a small disk whose owner is that of another folder; say whether it could be."""
    folder.mkdir()
    at = str(folder)
    mounted = os.geteuid() == 0 and not _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", at)
    try:
        if mounted:
            status = owner.stat()
            os.chown(folder, status.st_uid, status.st_gid)
            folder.chmod(0o700)
        yield mounted
    finally:
        if mounted:
            _run("umount", "-l", at)


def _run(*argv: str) -> int:
    return subprocess.run(argv, check=False, capture_output=True).returncode


async def move_log_to(folder: Path, database: Postgres, data: Path) -> None:
    """Put the write-ahead log of a server onto a disk of its own; the server rests meanwhile."""
    await database.stop()
    _move(data / "pg_wal", folder, data.stat())  # noqa: ASYNC240  nothing else goes on yet
    await database.start()


def _move(log: Path, folder: Path, owner: os.stat_result) -> None:
    for entry in log.iterdir():
        shutil.move(entry, folder / entry.name)
    log.rmdir()
    log.symlink_to(folder, target_is_directory=True)
    for entry in folder.rglob("*"):
        os.chown(entry, owner.st_uid, owner.st_gid)


async def move_to(folder: Path, dsn: str, service: str) -> None:
    """Put the tables of a service onto the small disk."""
    session = await asyncpg.connect(dsn)
    try:
        await session.execute(f"create tablespace small location '{folder}'")
        tables = await session.fetch(
            "select oid::regclass::text as name from pg_class "
            "where relkind = 'r' and relnamespace = $1::regnamespace",
            service,
        )
        for table in tables:
            await session.execute(f"alter table {table['name']} set tablespace small")
    finally:
        await session.close()


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Keep the small disk full to the brim while the block runs."""
    filler = folder / "filler"
    try:
        with suppress(OSError), filler.open("wb", buffering=0) as out:
            while out.write(bytes(65_536)):
                pass
        yield
    finally:
        filler.unlink()
