"""What an operator does to an installation that has lived through a year, while it runs."""

import asyncio
import re
import signal
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import asyncpg
import pytest
import uvloop
from rich.console import Console

from contracts.event import SERVICES
from demo.play import play
from demo.report import Report
from services.kernel.embedded.up import read_server_info
from services.kernel.operations import parked_events as operating
from services.kernel.operations.operators import operator_of
from services.kernel.operations.rebuild_projections import rebuild
from services.registry import SERVICES_BY_NAME
from tests.command_line import samspil
from tests.servers import scratch_folder
from tests.tables import PASSING, in_order, tables_of
from tests.up import Server
from tests.waiting import until

CASES, SEED, DAYS = 8, 3, 230
REBUILT = ("directory", "referral", "consent", "agreement", "evaluation")
KEYED_BY_STREAM = {"organisations", "offers", "cases"}
"""Tables with one row a stream, where none can stray to another."""
_DAMAGED = """
delete from {table} where ctid in (select ctid from {table} order by {column} desc limit 2);
update {table} set {column} = gen_random_uuid()
where ctid = (select ctid from {table} order by {column} desc limit 1)
"""
_STRAYED = """
update {table} set {column} = (select max({column}::text)::uuid from {table})
where ctid = (select ctid from {table} order by {column} limit 1)
"""
Tables = dict[str, dict[str, list[str]]]


@dataclass
class Year:
    """A server after a year, its report, and how often its lists were written anew meanwhile."""

    server: Server
    report: Report
    rebuilt: int

    @property
    def dsn(self) -> str:
        """Where its database is."""
        return read_server_info(self.server.folder).database.get_secret_value()

    def tables(self) -> Tables:
        """Return every row of every service once nothing is on its way.

        What moves by itself is left out, and the record of the operator's own commands.
        """
        tables = self.all_tables()
        found = asyncio.run(operator_of(read_server_info(self.server.folder)))
        streams = {
            row.rpartition(",")[2].rstrip(")")
            for each in tables.values()
            for row in each["access_streams"]
            if str(found.id) in row
        }
        return {
            service: {
                name: [row for row in rows if not any(one in row for one in (str(found.id), *streams))]
                for name, rows in each.items()
            }
            for service, each in tables.items()
        }

    def all_tables(self) -> Tables:
        """Return every row of every service but what moves by itself, once nothing is on its way."""
        return asyncio.run(self._tables())

    async def _tables(self) -> Tables:
        await until(self._quiet)
        return {service: await tables_of(self.dsn, service) for service in SERVICES}

    async def _quiet(self) -> bool:
        pending = [await tables_of(self.dsn, name, without=PASSING - {"pending"}) for name in SERVICES]
        return not any(each["pending"] for each in pending)

    def sql(self, statement: str) -> None:
        """Change the database beside the services."""
        asyncio.run(self._sql(statement))

    async def _sql(self, statement: str) -> None:
        connection = await asyncpg.connect(self.dsn)
        await connection.execute(statement)
        await connection.close()

    def duplicates(self) -> dict[str, int]:
        """Return how many events each service has recognised as duplicates."""
        with urllib.request.urlopen(f"{self.server.url}/metrics", timeout=60) as answer:  # noqa: S310  our own address
            text = answer.read().decode()
        found = re.findall(
            r'samspil_events_consumed_total\{how="duplicate",service="(\w+)"\} ([0-9.e+]+)', text
        )
        return {service: int(float(count)) for service, count in found}

    def wait_for_duplicates(self, service: str, count: int) -> None:
        """Wait until a service has recognised so many events as duplicates."""

        async def so_many() -> bool:
            return (await asyncio.to_thread(self.duplicates)).get(service, 0) >= count

        asyncio.run(until(so_many))

    def recognising(self) -> set[str]:
        """Return the services that have recognised duplicates."""
        return {service for service, count in self.duplicates().items() if count}

    def wait_for_all(self) -> None:
        """Wait until every service has recognised duplicates."""

        async def all_have() -> bool:
            return await asyncio.to_thread(self.recognising) >= set(SERVICES)

        asyncio.run(until(all_have))

    def resend(self, *words: object) -> int:
        """Resend a part of the referral service's events, wait until it is consumed, and return how much."""
        before = self.duplicates().get("audit", 0)
        said = samspil("resend", "referral", *words, "--data", self.server.folder, "--json")
        queued = int(said.json["queued"])
        self.wait_for_duplicates("audit", before + queued)
        return queued


@pytest.fixture(scope="module")
def year() -> Iterator[Year]:
    """Play a year on a running server whose lists are written anew all the while."""
    with scratch_folder() as folder:
        server = Server(folder / "data")
        server.start()
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                yield runner.run(_played(server))
        finally:
            server.end(signal.SIGTERM)


async def _played(server: Server) -> Year:
    await server.ready()
    console = Console(stderr=True, quiet=True)
    playing = asyncio.create_task(play(server.url, cases=CASES, seed=SEED, console=console, days=DAYS))
    settings, rebuilt = read_server_info(server.folder), 0
    while not playing.done():
        for name in REBUILT:
            async with operating.open_service(SERVICES_BY_NAME[name], settings) as runtime:
                await rebuild(runtime)
                rebuilt += 1
    return Year(server, await playing, rebuilt)


def test_a_year_holds_while_its_lists_are_written_anew(year: Year) -> None:
    """The lists are rebuilt again and again under a running service, and every book agrees at the end."""
    assert [f"{check.name}: {check.said}" for check in year.report.checks if not check.holds] == []
    assert year.rebuilt > len(REBUILT)


@pytest.mark.parametrize("service", REBUILT)
def test_what_is_written_anew_is_what_was_there(service: str, year: Year) -> None:
    """Every table is the same as before, to the last column."""
    before = in_order(year.tables()[service])
    said = samspil("rebuild", service, "--data", year.server.folder, "--json")
    after = in_order(year.tables()[service])

    assert said.code == 0, said.err
    assert after == before
    own = SERVICES_BY_NAME[service].tables
    assert said.json["streams"] > 0
    assert {table: said.json[table] for table in own} == {table: len(before[table]) for table in own}


@pytest.mark.parametrize("service", REBUILT)
def test_damaged_lists_are_made_whole(service: str, year: Year) -> None:
    """Lost rows come back, rows without an owner go, and rows of another stream return to their own."""
    before = in_order(year.tables()[service])
    for table, column in SERVICES_BY_NAME[service].tables.items():
        name = f"{service}.{table}"
        year.sql(_DAMAGED.format(table=name, column=column))
        if table not in KEYED_BY_STREAM:
            year.sql(_STRAYED.format(table=name, column=column))
    damaged = in_order(year.tables()[service])
    samspil("rebuild", service, "--data", year.server.folder)

    assert damaged != before
    assert in_order(year.tables()[service]) == before


@pytest.mark.parametrize(
    ("service", "sentence"),
    [("notify", "effects outside the database"), ("audit", "the only copy of what it consumed")],
)
def test_a_service_that_cannot_be_rebuilt_refuses(service: str, sentence: str, year: Year) -> None:
    """The command says why, ends with 3, and has changed nothing."""
    before = year.tables()
    said = samspil("rebuild", service, "--data", year.server.folder)

    assert said.code == 3
    assert sentence in said.err
    assert year.tables() == before


def test_a_log_with_a_hole_is_not_rebuilt_from(year: Year) -> None:
    """Where an event is missing the times of its steps are too: nothing is written anew from the rest."""
    before = in_order(year.tables()["consent"])
    year.sql("create table consent.kept as select * from consent.event_log where seq = 1")
    year.sql("delete from consent.event_log where seq = 1")
    said = samspil("rebuild", "consent", "--data", year.server.folder)
    year.sql("insert into consent.event_log select * from consent.kept")
    year.sql("drop table consent.kept")

    assert said.code == 3
    assert "no longer holds" in said.err
    assert in_order(year.tables()["consent"]) == before


def test_the_whole_log_sent_twice_changes_nothing_anywhere(year: Year) -> None:
    """Each event reaches everybody again under its own id and number, and no row of any service moves."""
    before = year.tables()
    logged = sum(len(each["event_log"]) for each in year.all_tables().values())
    counted = year.duplicates().get("audit", 0)
    queued, with_log = 0, [service for service in SERVICES if service != "portal"]  # nobody has signed in
    for _ in range(2):
        for service in with_log:
            said = samspil("resend", service, "--data", year.server.folder, "--json")
            assert said.code == 0, said.err
            queued += said.json["queued"]
        year.wait_for_duplicates("audit", counted + queued)
    year.wait_for_all()
    after = year.tables()

    # each command is on record before it sends: once in the first turn, twice in the second
    assert queued == 2 * logged + 3 * len(with_log)
    assert year.duplicates()["audit"] == counted + queued
    assert year.recognising() == set(SERVICES)
    assert after == before


def test_a_part_of_the_log_is_sent_again(year: Year) -> None:
    """One stream, a range of it, or a span of time: exactly so many events go out, and nothing changes."""
    before = year.tables()
    stream, first, last = asyncio.run(_a_long_stream(year.dsn))
    whole = year.resend("--stream", stream)
    of_range = year.resend("--stream", stream, "--first", 2, "--last", 4)
    of_span = year.resend("--stream", stream, "--since", first, "--until", last)
    of_nothing = year.resend("--until", "2020-01-01")

    assert whole >= 5
    assert of_range == 3
    assert 0 < of_span < whole
    assert of_nothing == 0
    assert year.tables() == before


async def _a_long_stream(dsn: str) -> tuple[str, str, str]:
    """Return the stream of the referral service that has said most, and when it said its first and last."""
    connection = await asyncpg.connect(dsn)
    row = await connection.fetchrow(
        "select stream_id::text, min(meta ->> 0) as first, max(meta ->> 0) as last from referral.event_log "
        "group by stream_id order by count(*) desc limit 1"
    )
    await connection.close()
    assert row is not None
    return row["stream_id"], row["first"], row["last"]


def test_a_sound_installation_is_said_to_be_one(year: Year) -> None:
    """Doctor finds nothing, and nothing is parked anywhere."""
    doctor = samspil("doctor", "--data", year.server.folder, "--json")
    parked = samspil("parked", "list", "--data", year.server.folder, "--json")

    assert doctor.code == 0
    assert set(doctor.json.values()) == {"well"}
    assert "server" in doctor.json
    assert (parked.code, parked.json) == (0, [])


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("parked", "show", "referral", 7), 3, "nothing is parked under 7"),
        (("parked", "replay", "referral", 7), 3, "nothing is parked under 7"),
        (("parked", "replay", "referral", 7, "--reason", "bug"), 2, "PARKED_ID"),
        (("parked", "list", "referral", "--older-than", "long"), 2, "90s, 15m, 2h or 3d"),
        (("parked", "list", "school"), 2, "one of: directory"),
        (("parked", "drop", "referral", 7), 2, "--because"),
        (("parked", "drop", "referral", 7, "--because", "tired"), 2, "sent_again"),
        (("parked", "drop", "referral", 7, "--because", "untrue"), 3, "under 7"),
        (("resend", "referral", "--since", "soon"), 2, "2026-11-22"),
        (("resend", "referral", "--first", 4, "--last", 3), 2, "--first"),
        (("rebuild", "school"), 2, "one of: directory"),
    ],
)
def test_what_cannot_be_done_says_why(
    words: tuple[object, ...], code: int, sentence: str, year: Year
) -> None:
    """Wrong use ends with 2, what cannot be done with 3, each with a sentence."""
    said = samspil(*words, "--data", year.server.folder)

    assert said.code == code
    assert sentence in " ".join((said.out + said.err).split())
