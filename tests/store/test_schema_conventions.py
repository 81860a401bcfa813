"""Conventions of the live schema, each as an exact list: a repaired exception must leave its list."""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec.inspect
import pytest

from services.kernel.decider.service import Service
from services.kernel.embedded.servers import Postgres
from services.kernel.postgres.migrations import DAYS_AHEAD, KERNEL_SCHEMA, migrate
from services.registry import SERVICES_BY_NAME
from tests.servers import drop_database, fresh_database, running

FOR_EVER: Final = "for ever: ids, dates and codes only"
PROJECTION: Final = "as long as its stream: written anew by `samspil rebuild`"
KEY: Final = "until the key of its person is destroyed"

KERNEL_RETENTION: Final[Mapping[str, str]] = {
    "streams": FOR_EVER,
    "event_log": "as many days as the settings keep the log",
    "pending": "until its events are acknowledged by Kafka",
    "idempotency_keys": "30 days",
    "parked_events": "until redelivered or discarded",
    "timers": "until fired",
    "effects": FOR_EVER,
    "data_keys": KEY,
    "internal_keys": FOR_EVER,
    "access_streams": FOR_EVER,
    "revocations": FOR_EVER,
    "sealed": KEY,
    "consent_watermarks": "one row a partition, overwritten",
    "timelines": FOR_EVER,
    "migrations": FOR_EVER,
}
OWN_RETENTION: Final[Mapping[str, Mapping[str, str]]] = {
    "directory": {
        "organisations": PROJECTION,
        "offers": PROJECTION,
        "accounts": PROJECTION,
        "memberships": PROJECTION,
        "identities": PROJECTION,
        "invitations": PROJECTION,
        "people": PROJECTION,
    },
    "referral": {"cases": PROJECTION, "referrals": PROJECTION},
    "consent": {"persons": PROJECTION},
    "agreement": {"agreements": PROJECTION, "goals": PROJECTION, "work_items": PROJECTION},
    "evaluation": {"outcomes": PROJECTION, "work_items": PROJECTION},
    "notify": {"notices": FOR_EVER, "contacts": PROJECTION},
    "audit": {"entries": "for ever: the audit trail", "families": FOR_EVER},
    "portal": {
        "lines": PROJECTION,
        "timeline": PROJECTION,
        "sessions": "until signed out, idle or ten hours old; the next sign-in deletes what is left",
        "sign_ins": "ten minutes; the next sign-in deletes what is left",
    },
}

OF_NO_MUNICIPALITY: Final[Mapping[str, str]] = {
    "migrations": "what was done to the schema",
    "timelines": "where the database itself was restored or promoted",
    "consent_watermarks": "how far a partition, of all municipalities, was read",
}
"""Tables of every service without rows of a municipality, and what they hold."""

OF_ALL_MUNICIPALITIES: Final = frozenset({
    "event_log_pk",
    "effects_waiting",
    "idempotency_keys_by_age",
    "parked_events_by_number",
    "pending_pk",
    "timers_by_time",
})  # fmt: skip
"""Indexes that serve all municipalities at once: relay, timers, deliveries, housekeeping, operations."""

_SETTING = "(tenant = ( SELECT current_setting('samspil.tenant'::text, true) AS current_setting))"
ONE_TENANT: Final = f"{_SETTING} / {_SETTING}"

DERIVED: Final[Mapping[tuple[str, str], frozenset[str]]] = {
    ("referral", "cases"): frozenset({"opened", "views_noted", "eligible", "not_eligible", "closed"}),
}
"""Statuses of a list that are no states: the projection derives them from what the one state holds."""


@dataclass(frozen=True)
class Schema:
    """The schemas of all services, as PostgreSQL has them after every migration."""

    connection: "asyncpg.Connection[Any]"

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query over the services' schemas ($1) in order."""
        return [tuple(row) for row in await self.connection.fetch(query, list(SERVICES_BY_NAME))]


@asynccontextmanager
async def migrated(server: Postgres) -> AsyncIterator[str]:
    """Migrate every service into one database."""
    dsn = await fresh_database(server)
    for service in SERVICES_BY_NAME.values():
        await migrate(dsn, service)
    yield dsn
    await drop_database(server, dsn)


@pytest.fixture(scope="module")
def migrated_dsn(postgres_server: Postgres) -> Iterator[str]:
    """Lend a database of every service, which the tests of this file only read."""
    with running(migrated(postgres_server)) as dsn:
        yield dsn


@pytest.fixture
async def schema(migrated_dsn: str) -> AsyncIterator[Schema]:
    """Connect to it."""
    connection = await asyncpg.connect(migrated_dsn)
    yield Schema(connection)
    await connection.close()


async def test_every_table_says_how_its_rows_end(schema: Schema) -> None:
    """A table is kept for ever, for so many days, or goes with a person's key; none is forgotten."""
    tables = await schema.rows(_TABLES)

    expected = [
        (name, table) for name in SERVICES_BY_NAME for table in {**KERNEL_RETENTION, **OWN_RETENTION[name]}
    ]
    assert sorted(tables) == sorted(expected)


async def test_every_table_has_a_primary_key(schema: Schema) -> None:
    """Each row can be named."""
    assert await schema.rows(_WITHOUT_PRIMARY_KEY) == []


async def test_every_row_is_a_municipality_s_and_named_by_it(schema: Schema) -> None:
    """The tenant is part of every primary key, and the same id in two municipalities is two rows."""
    expected = [(name, table) for name in SERVICES_BY_NAME for table in OF_NO_MUNICIPALITY]

    assert sorted(await schema.rows(_WITHOUT_TENANT_IN_KEY)) == sorted(expected)


async def test_every_table_of_a_municipality_forces_row_level_security(schema: Schema) -> None:
    """Partitions too, for the owner too, with the one policy for everybody and those of who sees all."""
    tables = await schema.rows(_ROW_LEVEL_SECURITY)

    without = [(service, table) for service, table, forced, _ in tables if not forced]
    expected = [(name, table) for name in SERVICES_BY_NAME for table in OF_NO_MUNICIPALITY]
    assert sorted(without) == sorted(expected)
    assert len(tables) > len(SERVICES_BY_NAME) * DAYS_AHEAD
    assert {policies for _, _, forced, policies in tables if forced} == {ONE_TENANT}


async def test_the_municipality_comes_first_in_an_index(schema: Schema) -> None:
    """An index of one municipality's rows begins with it; those of all are read by no request."""
    found = await schema.rows(_INDEXES_WITHOUT_TENANT_FIRST)

    assert {index for _, index in found} == OF_ALL_MUNICIPALITIES


async def test_times_have_a_zone(schema: Schema) -> None:
    """A moment is a `timestamptz`, a day is a `date`; nothing else holds a time."""
    assert await schema.rows(_TIMES_WITHOUT_ZONE) == []


async def test_constraints_have_names_of_ours(schema: Schema) -> None:
    """A violated constraint says what was wrong; PostgreSQL's own names say only where."""
    assert await schema.rows(_UNNAMED_CONSTRAINTS) == []


async def test_there_are_no_foreign_keys(schema: Schema) -> None:
    """Projections follow their streams, and each write locks streams alone; a key would lock further rows."""
    assert await schema.rows(_FOREIGN_KEYS) == []


@pytest.mark.parametrize(
    "folder", [KERNEL_SCHEMA, *(service.schema for service in SERVICES_BY_NAME.values())]
)
def test_every_index_says_what_it_serves(folder: Path) -> None:
    """A comment stands above each index, or above the index before it."""
    text = "\n".join(file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.sql")))
    blocks = [block.strip().splitlines() for block in text.split("\n\n")]

    assert [
        block[0]
        for block in blocks
        if any(re.match("create (unique )?index", line) for line in block) and not block[0].startswith("--")
    ] == []


@pytest.mark.parametrize("name", SERVICES_BY_NAME)
async def test_stream_kinds_are_those_of_the_state(schema: Schema, name: str) -> None:
    """A state that is added without its migration fails here by name."""
    checks = [
        set(codes)
        for service, table, codes in await code_checks(schema, "kind")
        if (service, table) == (name, "streams")
    ]

    assert checks == [tags_of(SERVICES_BY_NAME[name])]


async def test_statuses_are_those_of_a_union(schema: Schema) -> None:
    """Each `status` column allows exactly the tags of one union of states of its service."""
    found = await code_checks(schema, "status")

    assert [(service, table) for service, table, _ in found] == [
        ("agreement", "agreements"),
        ("directory", "invitations"),
        ("directory", "memberships"),
        ("directory", "organisations"),
        ("referral", "cases"),
        ("referral", "referrals"),
    ]
    assert {
        (service, table): frozenset(codes)
        for service, table, codes in found
        if frozenset(codes) not in unions_of(SERVICES_BY_NAME[service])
    } == DERIVED


def tags_of(service: Service) -> set[str]:
    """Return the tags of the documents that a service's streams hold."""
    return {str(struct.tag) for struct in _structs(msgspec.inspect.type_info(service.state))}


def unions_of(service: Service) -> set[frozenset[str]]:
    """Return the tags of each union of structs anywhere in a service's state."""
    found: set[frozenset[str]] = set()
    seen: set[Any] = set()

    def visit(info: Any) -> None:
        structs = _structs(info)
        if len(structs) > 1:
            found.add(frozenset(str(struct.tag) for struct in structs))
        for struct in structs:
            if struct.cls not in seen:
                seen.add(struct.cls)
                for field in struct.fields:
                    visit(field.type)
        for inner in _inner(info):
            visit(inner)

    visit(msgspec.inspect.type_info(service.state))
    return found


def _structs(info: Any) -> list[msgspec.inspect.StructType]:
    kinds = info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)
    return [kind for kind in kinds if isinstance(kind, msgspec.inspect.StructType)]


def _inner(info: Any) -> list[Any]:
    match info:
        case msgspec.inspect.UnionType(types=types):
            return [kind for kind in types if not isinstance(kind, msgspec.inspect.StructType)]
        case msgspec.inspect.DictType(value_type=value):
            return [value]
        case msgspec.inspect.TupleType(item_types=items):
            return list(items)
        case (
            msgspec.inspect.VarTupleType(item_type=item)
            | msgspec.inspect.ListType(item_type=item)
            | msgspec.inspect.SetType(item_type=item)
            | msgspec.inspect.FrozenSetType(item_type=item)
        ):
            return [item]
    return []


async def code_checks(schema: Schema, column: str) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return service, table and allowed codes of every check that lists the codes of one column."""
    found = []
    for service, table, definition in await schema.rows(_CHECKS):
        listed = re.fullmatch(
            rf"CHECK \(\(?{column} = (ANY \(ARRAY\[)?(?P<codes>['a-z_:, ]+)[\]\)]*", definition
        )
        if listed is not None:
            found.append((service, table, tuple(re.findall(r"'([a-z_]+)'", listed["codes"]))))
    return found


_TABLES = """
select relnamespace::regnamespace::text, relname from pg_class
where relnamespace::regnamespace::text = any($1) and relkind in ('r', 'p') and not relispartition
order by 1, 2
"""

_WITHOUT_PRIMARY_KEY = """
select relnamespace::regnamespace::text, relname from pg_class c
where relnamespace::regnamespace::text = any($1) and relkind in ('r', 'p')
  and not exists (select from pg_constraint where conrelid = c.oid and contype = 'p') order by 1, 2
"""

_WITHOUT_TENANT_IN_KEY = """
select relnamespace::regnamespace::text, relname from pg_class c
where relnamespace::regnamespace::text = any($1) and relkind in ('r', 'p') and not relispartition
  and not exists (
    select from pg_constraint n join pg_attribute a on a.attrelid = n.conrelid and a.attnum = any (n.conkey)
    where n.conrelid = c.oid and n.contype = 'p' and a.attname = 'tenant'
  ) order by 1, 2
"""

_ROW_LEVEL_SECURITY = """
select relnamespace::regnamespace::text, relname, relrowsecurity and relforcerowsecurity,
       pg_get_expr(polqual, polrelid) || ' / ' || pg_get_expr(polwithcheck, polrelid)
from pg_class c
left join pg_policy on polrelid = c.oid and polname = 'one_tenant' and polroles = '{0}' and polcmd = '*'
where relnamespace::regnamespace::text = any($1) and relkind in ('r', 'p') order by 1, 2
"""

_INDEXES_WITHOUT_TENANT_FIRST = """
select c.relnamespace::regnamespace::text, n.relname
from pg_index i join pg_class n on n.oid = i.indexrelid join pg_class c on c.oid = i.indrelid
join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
where c.relnamespace::regnamespace::text = any($1) and not c.relispartition and a.attname <> 'tenant'
  and exists (select from pg_attribute t where t.attrelid = c.oid and t.attname = 'tenant') order by 1, 2
"""

_TIMES_WITHOUT_ZONE = """
select table_schema, table_name, column_name from information_schema.columns
where table_schema = any($1) and data_type in ('timestamp without time zone', 'time without time zone',
                                               'time with time zone', 'interval')
order by 1, 2, 3
"""

_UNNAMED_CONSTRAINTS = """
select n.conrelid::regclass::text, n.conname from pg_constraint n join pg_class c on c.oid = n.conrelid
where n.connamespace::regnamespace::text = any($1) and n.contype <> 't' and not c.relispartition
  and n.contype <> 'n' and n.conname ~ '_(pkey|key|check|fkey|excl)[0-9]*$' order by 1, 2
"""

_FOREIGN_KEYS = """
select conrelid::regclass::text, conname from pg_constraint
where connamespace::regnamespace::text = any($1) and contype = 'f' order by 1, 2
"""

_CHECKS = """
select connamespace::regnamespace::text, c.relname, pg_get_constraintdef(n.oid)
from pg_constraint n join pg_class c on c.oid = n.conrelid
where connamespace::regnamespace::text = any($1) and contype = 'c' and not c.relispartition
order by 1, 2, n.conname
"""
