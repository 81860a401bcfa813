"""A backup is brought back as the manual says: what came after its moment is found, and said again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from services.kernel.decider.service import Service
from services.kernel.embedded.child_process import free_port
from services.kernel.embedded.postgres_data import give, unprivileged
from services.kernel.embedded.servers import postgres
from services.kernel.operations import missing_events as losing
from services.kernel.operations import parked_events as operating
from services.kernel.outbox.republish import republish
from services.kernel.settings import Settings
from tests.fault.chain import CHAIN
from tests.fault.standby import copy, query_value
from tests.fault.test_failover import CASE, consumed, count, parked, sent
from tests.servers import remove_topics, scratch_folder
from tests.tally import TALLY, running, settings_for, tallies
from tests.waiting import until

SERVICES = (CHAIN["referral"], TALLY)


class Site:
    """Where one installation keeps its database, its archive of the write-ahead log, and its topics."""

    def __init__(self, folder: Path, bootstrap: str, broker_kind: str) -> None:
        self.folder = folder
        self.bootstrap = bootstrap
        self.broker_kind = broker_kind
        self.port = free_port()
        self.archive = folder / "archive"
        self.archive.mkdir()
        give(self.archive, unprivileged())

    @property
    def archiving(self) -> dict[str, str]:
        """Return the settings by which a server keeps all that it writes."""
        keep = f"test ! -f {self.archive}/%f && cp %p {self.archive}/%f"
        return {"archive_mode": "on", "archive_command": keep}

    def restoring(self, moment: str) -> dict[str, str]:
        """Return the settings by which a backup goes on from the archive to a moment."""
        return {
            "restore_command": f"cp {self.archive}/%f %p",
            "recovery_target_time": moment,
            "recovery_target_action": "promote",
        }

    def settings(self, dsn: str) -> Settings:
        """Return the settings of a command of an operator."""
        return settings_for(dsn, self.bootstrap, self.broker_kind, kek=self.folder / "kek")

    @asynccontextmanager
    async def working(self, dsn: str) -> AsyncIterator[tuple[Any, Any]]:
        """Run both services while the block runs."""
        async with (
            running(dsn, self.bootstrap, self.broker_kind, SERVICES[0]) as source,
            running(dsn, self.bootstrap, self.broker_kind, SERVICES[1]) as reader,
        ):
            yield source, reader

    async def lost(self, service: Service, dsn: str) -> list[dict[str, Any]]:
        """Ask what of a topic is not in its log, as `samspil lost` does."""
        async with operating.open_service(service, self.settings(dsn)) as runtime:
            return await losing.find_missing_events(runtime)


async def archived(dsn: str) -> None:
    """Let all that was written come into the archive."""
    last = await query_value(dsn, "select pg_walfile_name(pg_switch_wal())")

    async def there() -> bool:
        return bool(await query_value(dsn, "select last_archived_wal >= $1 from pg_stat_archiver", last))

    await until(there, what="the archive")


async def test_a_point_in_time_recovery_is_followed_by_a_resend(bootstrap: str, broker_kind: str) -> None:
    """The manual's steps, in order: nothing halts, nothing diverges, and what was lost is listed by name."""
    with scratch_folder() as folder:
        site = Site(folder, bootstrap, broker_kind)
        moment, before = await _live_on(site)
        restored = folder / "restored"
        (restored / "data" / "recovery.signal").touch()
        give(restored / "data" / "recovery.signal", unprivileged())
        server = postgres(restored, port=site.port, settings=site.restoring(moment))
        async with server as database:
            dsn = database.dsn
            await until(lambda: may_be_written(dsn), what="the end of the recovery")
            lost = {service.name: await site.lost(service, dsn) for service in SERVICES}
            await remove_topics(site.bootstrap)
            async with site.working(dsn) as (source, reader):
                for runtime in (source, reader):
                    async with runtime.pool.acquire() as tx:
                        await republish(tx)
                await until(lambda: sent(source))
                came_back = await tallies(reader)
                await count(source, 2)
                await until(lambda: consumed(reader, 5))
                nothing_waits = await parked(reader, 0)
                still_lost = await losing.find_missing_events(source)

    assert [(one["stream_id"], one["seq"], one["type"]) for one in lost["referral"]] == [
        (CASE, seq, "referral.seen.v1") for seq in (4, 5)
    ]
    assert [one["seq"] for one in lost["consent"]] == [4, 5]
    assert came_back[CASE] == before[CASE][:3]
    assert nothing_waits
    assert still_lost == []


async def may_be_written(dsn: str) -> bool:
    """Return whether a server has ended its recovery."""
    return not await query_value(dsn, "select pg_is_in_recovery()")


async def _live_on(site: Site) -> tuple[str, dict[Any, list[str]]]:
    """Work, back up, and work on; return the moment to go back to, and what the reader had in the end."""
    first = postgres(site.folder / "postgres", port=site.port, settings=site.archiving)
    async with first as database:
        dsn = database.dsn
        async with site.working(dsn) as (source, reader):
            await count(source, 2)
            await asyncio.to_thread(copy, dsn, site.folder / "restored")
            await count(source, 1)
            await until(lambda: consumed(reader, 3))
            await until(lambda: sent(reader))
            moment = str(await query_value(dsn, "select clock_timestamp()"))
            await count(source, 2)
            await until(lambda: consumed(reader, 5))
            await until(lambda: sent(reader))
            before = await tallies(reader)
        await archived(dsn)
    return moment, before
