"""The save statement: parts with named placeholders become one statement with numbered parameters."""

import re

import pytest

from services.kernel.streams import statement as sql
from services.kernel.streams.columns import NULL_MARK, SEPARATOR, bytes_text, join_column
from services.kernel.streams.statement import render

ALL = (
    sql.UPSERT_STREAMS,
    sql.APPEND_EVENTS,
    sql.UPSERT_TIMERS,
    sql.INSERT_EFFECTS,
    sql.INSERT_DATA_KEYS,
    sql.UPSERT_SEALED,
    sql.INSERT_PARKED,
    sql.INSERT_IDEMPOTENCY_KEY,
)
PROJECTION = "insert into lengths select * from unnest($1::uuid[], $2::integer[])"


@pytest.mark.parametrize("projection", ["", PROJECTION])
@pytest.mark.parametrize("parts", [ALL[:count] for count in range(1, len(ALL) + 1)])
def test_each_placeholder_gets_a_number_of_its_own(parts: tuple[str, ...], projection: str) -> None:
    """Whatever the parts are, the numbers run from one without a gap, a projection's own ones first."""
    own = 2 if projection else 0
    text, names = render(parts, projection, own)

    numbers = {int(number) for number in re.findall(r"\$([0-9]+)", text)}
    assert numbers == set(range(1, own + len(names) + 1))
    assert len(set(names)) == len(names)
    assert set(re.findall(r"\{(\w+)\}", "".join(parts))) == set(names)


def test_a_placeholder_that_occurs_twice_is_one_parameter() -> None:
    """The ids of the streams are written, and counted at the end."""
    text, names = render((sql.UPSERT_STREAMS,), "", 0)

    assert names[1] == "stream_ids"
    assert text.count("split_column($2)") == 2


def test_ids_of_events_are_returned_where_there_are_events() -> None:
    """Without events there is nothing to send."""
    with_events, _ = render((sql.UPSERT_STREAMS, sql.APPEND_EVENTS), "", 0)
    without, _ = render((sql.UPSERT_STREAMS,), "", 0)

    assert "array_agg(id order by id) from appended_events)" in with_events
    assert "appended_events" not in without


def test_new_data_keys_must_all_be_written() -> None:
    """A key that another process stored first undoes the batch: its own key would open nothing."""
    with_keys, _ = render((sql.UPSERT_STREAMS, sql.INSERT_DATA_KEYS), "", 0)
    without, _ = render((sql.UPSERT_STREAMS,), "", 0)

    assert "from inserted_data_keys)" in with_keys
    assert "inserted_data_keys" not in without


def test_a_projection_with_braces_goes_in_as_it_is() -> None:
    """Its text is the service's own, and no placeholder is looked for in it."""
    text, names = render((sql.UPSERT_STREAMS,), "update t set tags = '{}' where id = $1", 1)

    assert "projection as (\nupdate t set tags = '{}' where id = $1\n)" in text
    assert len(names) == 9
    assert "split_column($2)" in text


def test_a_column_is_one_text() -> None:
    """Values are apart by a character that JSON escapes; bytes are in PostgreSQL's hex format."""
    assert join_column(["a", NULL_MARK, "b"]) == f"a{SEPARATOR}{NULL_MARK}{SEPARATOR}b"
    assert bytes_text(b"\x00\xff") == "\\x00ff"
