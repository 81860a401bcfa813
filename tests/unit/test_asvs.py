"""The table of security requirements (OWASP ASVS 5.0) against its list of ids, the tests and the code."""

import re
import tomllib
from collections import Counter
from typing import Final

import pytest

from tests.documents import exists, names_in, table, text_of

LEVEL_3: Final = ("V8", "V11", "V14", "V16")
"""Authorization, cryptography, data protection and logging: here level 3 is asked for, elsewhere level 2."""
HEAD: Final = ("id", "level", "asks, in short", "where", "shown by")
TEST: Final = re.compile(r"`([a-z]+/test_\w+\.py)::(test_\w+)`")
PATH: Final = re.compile(
    r"`((?:services|contracts|deploy|demo|bench|models|tests|docs)/[^`\s]+|[\w.-]+\.\w+)`"
)
REASON: Final = re.compile(r"(?:^|; )(not yet|operator|not applicable): (?=\S.{4})")

Row = tuple[str, ...]


def required() -> dict[str, int]:
    """Return the level of each id that the table must have."""
    chapters = tomllib.loads(text_of("tests/asvs_5_0.toml"))
    return {
        f"V{number}": level
        for chapter, content in chapters.items()
        if isinstance(content, dict)
        for level in (1, 2, 3)
        if level < 3 or chapter in LEVEL_3
        for number in content[f"level_{level}"]
    }


def rows_of(text: str) -> list[Row]:
    """Return the rows of all chapters."""
    return [row for chapter in text.split("\n### ")[1:] for row in table(chapter, *HEAD)]


def status_of(row: Row) -> str:
    """Return what a row claims: `tests`, or the word of its reason; "" where it claims nothing."""
    reasons = REASON.findall(row[4])
    if "not yet" in reasons:
        return "not yet"
    if TEST.search(row[4]):
        return "tests"
    return reasons[0] if reasons else ""


def faults_of(row: Row) -> list[str]:
    """Return what is wrong with a row: an unknown id, no reason and no test, a name that does not exist."""
    number, level, asks, where, shown = row
    wanted = required().get(number)
    found = [] if str(wanted) == level else [f"{number} is not an id of level {level} that is asked for"]
    if not asks or not status_of(row):
        found.append(f"{number} has neither a test nor a reason")
    found += [
        f"{number}: no test {file}::{name}"
        for file, name in TEST.findall(shown)
        if name not in names_in(file)
    ]
    if TEST.search(shown) and not PATH.search(where):
        found.append(f"{number} names a test and no place in the code")
    found += [f"{number}: nothing at {path}" for path in PATH.findall(where) if not exists(path)]
    return found


def test_every_requirement_has_one_row() -> None:
    """No requirement of these levels is left out, repeated or invented, and they stand in their order."""
    assert [row[0] for row in rows_of(text_of("docs/asvs.md"))] == list(in_order(required()))


def in_order(numbers: dict[str, int]) -> list[str]:
    """Return ids in the order of the standard."""
    return sorted(numbers, key=lambda number: [int(part) for part in number[1:].split(".")])


def test_every_requirement_has_a_test_or_a_reason() -> None:
    """Each row names tests and code that exist, or says why it does not."""
    assert [fault for row in rows_of(text_of("docs/asvs.md")) for fault in faults_of(row)] == []


def test_the_totals_are_those_of_the_rows() -> None:
    """The summary says how much of it is done."""
    text = text_of("docs/asvs.md")
    counted = Counter(status_of(row) for row in rows_of(text))
    heads = ("tests", "not yet", "operator", "not applicable")

    assert table(text, *heads, "all") == [(*(str(counted[head]) for head in heads), str(len(rows_of(text))))]


def test_the_ids_are_whole() -> None:
    """The standard has 345 requirements; 274 of them are of the levels that are asked for."""
    chapters = tomllib.loads(text_of("tests/asvs_5_0.toml"))
    levels = [
        len(content[f"level_{level}"])
        for content in chapters.values()
        if isinstance(content, dict)
        for level in (1, 2, 3)
    ]

    assert sum(levels) == 345
    assert len(required()) == 274


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (("V8.9.9", "2", "x", "-", "not yet: a reason that is long enough"), "not an id"),
        (("V8.2.1", "3", "x", "-", "not yet: a reason that is long enough"), "not an id"),
        (("V8.2.1", "1", "x", "-", ""), "neither a test nor a reason"),
        (("V8.2.1", "1", "x", "-", "not yet:"), "neither a test nor a reason"),
        (("V8.2.1", "1", "x", "-", "done, of course"), "neither a test nor a reason"),
        (("V8.2.1", "1", "x", "`README.md`", "`unit/test_asvs.py::test_nothing`"), "no test"),
        (("V8.2.1", "1", "x", "-", "`unit/test_asvs.py::test_the_ids_are_whole`"), "no place"),
        (("V8.2.1", "1", "x", "`services/none.py`", "not yet: a reason that is long"), "nothing at"),
    ],
)  # fmt: skip
def test_a_row_that_shows_nothing_is_a_fault(row: Row, fault: str) -> None:
    """An unknown id, an empty reason, a test or a path that does not exist: each fails the build."""
    assert [found for found in faults_of(row) if fault in found]
