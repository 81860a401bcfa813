"""Every row of every table of a service, so that before can be held against after."""

import asyncpg

PASSING = frozenset({"consent_watermarks", "pending"})
"""What moves by itself: watermarks, and what is on its way out."""


async def tables_of(dsn: str, schema: str, *, without: frozenset[str] = PASSING) -> dict[str, list[str]]:
    """Return the rows of each table as text, in an order of their own."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("select set_config('search_path', $1, false)", schema)
        names = [row["relname"] for row in await connection.fetch(_TABLES, schema)]
        return {
            name: [row["row"] for row in await connection.fetch(f"select t::text as row from {name} t")]  # noqa: S608  a name that the database gave
            for name in names
            if name not in without
        }
    finally:
        await connection.close()


def in_order(tables: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the same rows sorted, for rows that were written anew lie in another order."""
    return {name: sorted(rows) for name, rows in tables.items()}


_TABLES = """
select relname from pg_class
where relnamespace = $1::regnamespace and relkind in ('r', 'p') and not relispartition order by relname
"""
