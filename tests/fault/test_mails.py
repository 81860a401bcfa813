"""How often a mail can come: once, and once more for each process that died between sending and noting it."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from services.kernel.embedded.child_process import free_port
from services.kernel.embedded.development_api import Issuer
from services.kernel.embedded.mail_server import mail_server
from services.kernel.ids import new_id
from services.kernel.postgres.migrations import migrate
from tests.fault.chain import CHAIN
from tests.fault.ledger import read_mails
from tests.fault.members import Member
from tests.issuers import development_issuer
from tests.tally import TENANT
from tests.waiting import until

A_MAIL = """
insert into notify.effects (key, stream_id, tenant, kind, about)
select key, key, $2, 'mail', json_build_object('ref', key) from (select $1::uuid as key) as new
"""

LEASE_IS_OVER = "update notify.effects set due_at = now(), worker = null where done_at is null"


@pytest.fixture
async def member(postgres_dsn: str, tmp_path: Path) -> AsyncIterator[Member]:
    """Lend a process of the service that mails, with a mail server and a database, and no broker."""
    issuer = Issuer(tmp_path / "issuer.json", "samspil")
    (tmp_path / "clock").write_text("0")
    await migrate(postgres_dsn, CHAIN["notify"])
    async with mail_server(tmp_path / "mail") as port:
        settings = {
            "SAMSPIL_MODE": "test",
            "SAMSPIL_DATABASE": postgres_dsn,
            "SAMSPIL_BOOTSTRAP": "127.0.0.1:9",
            "SAMSPIL_ISSUERS": development_issuer(issuer, tmp_path, TENANT),
            "SAMSPIL_KEK": str(tmp_path / "kek"),
            "SAMSPIL_SMTP_PORT": str(port),
            "SAMSPIL_SMTP_TLS": "false",
            "SAMSPIL_PORT": str(free_port()),
            "CHAIN_CLOCK": str(tmp_path / "clock"),
        }
        made = Member("notify", 1, tmp_path, settings)
        try:
            yield made
        finally:
            made.end()


@pytest.mark.parametrize("point", ["perform.after", "mark.before"])
@pytest.mark.parametrize("deaths", [0, 1, 3])
async def test_a_mail_comes_once_more_for_each_death(
    point: str, deaths: int, member: Member, postgres_dsn: str, tmp_path: Path
) -> None:
    """It is the same mail each time, by its Message-ID, and its stream counts it once."""
    key = new_id()
    stranger = await asyncpg.connect(postgres_dsn)
    await stranger.execute(A_MAIL, key, TENANT)
    for _ in range(deaths):
        member.start(f"{point}:1")
        await until(lambda: gone(member))
        await stranger.execute(LEASE_IS_OVER)
    member.start()
    await until(lambda: stranger.fetchval("select bool_and(done_at is not null) from notify.effects"))
    await member.stop()
    attempts = await stranger.fetchval("select attempts from notify.effects")
    logged = await stranger.fetch("select stream_id from notify.event_log")
    await stranger.close()

    assert Counter(read_mails(tmp_path / "mail")) == {key: deaths + 1}
    assert attempts == deaths + 1
    assert [UUID(str(row["stream_id"])) for row in logged] == [key]


async def gone(member: Member) -> bool:
    """Return whether a process has ended."""
    return not member.alive()


@pytest.mark.parametrize("point", ["perform.before", "mark.after"])
async def test_a_death_before_sending_or_after_completion_sends_once(
    point: str, member: Member, postgres_dsn: str, tmp_path: Path
) -> None:
    """Only between the two can a death double a mail."""
    key = new_id()
    stranger = await asyncpg.connect(postgres_dsn)
    await stranger.execute(A_MAIL, key, TENANT)
    member.start(f"{point}:1")
    await until(lambda: gone(member))
    await stranger.execute(LEASE_IS_OVER)
    member.start()
    await until(lambda: stranger.fetchval("select bool_and(done_at is not null) from notify.effects"))
    await member.stop()
    await stranger.close()

    assert read_mails(tmp_path / "mail") == [key]
