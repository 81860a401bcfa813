"""Ids are UUIDs of version 7: sorted by time, never twice, also in a process that forks."""

import os
import subprocess
import sys
import time
from uuid import UUID

import pytest
from asyncpg.pgproto import pgproto

from services.kernel.decider.derived_ids import derived_id
from services.kernel.ids import as_uuid, new_id, new_ids


def test_an_id_is_a_uuid_of_version_7() -> None:
    """Version, variant and time stand where RFC 9562 puts them."""
    before = time.time_ns() // 1_000_000
    found = new_id()
    after = time.time_ns() // 1_000_000

    assert isinstance(found, UUID)
    assert found.version == 7
    assert found.variant == "specified in RFC 4122"
    assert before <= found.int >> 80 <= after


def test_ids_of_one_call_are_in_order() -> None:
    """Many at once sort as they were made, beyond what one millisecond can number."""
    made = new_ids(10_000)

    assert made == sorted(made)
    assert len(set(made)) == 10_000
    assert {each.version for each in made} == {7}


def test_ids_made_one_by_one_sort_by_their_millisecond() -> None:
    """A later millisecond is a greater id; no two are the same."""
    made = [new_id() for _ in range(5_000)]
    stamps = [each.int >> 80 for each in made]

    assert stamps == sorted(stamps)
    assert len(set(made)) == len(made)


def test_ids_are_not_guessable_from_each_other() -> None:
    """The last 62 bits are noise."""
    tails = {each.int & ((1 << 62) - 1) for each in new_ids(1_000)}

    assert len(tails) == 1_000


FORK = """
import os, sys
from services.kernel.ids import new_id
new_id()
out = os.dup(1)
for _ in range(8):
    if not os.fork():
        os.write(out, "".join(f"{new_id()}\\n" for _ in range(24)).encode())
        os._exit(0)
for _ in range(8):
    os.wait()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_makes_ids_of_its_own() -> None:
    """Children do not use what their parent had in stock."""
    said = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, check=True).stdout
    made = said.split()

    assert len(made) == 8 * 24
    assert len(set(made)) == len(made)


def test_no_id_is_made_of_nothing() -> None:
    """Of none requested, none are made."""
    assert new_ids(0) == []


def test_a_spelt_id_is_read() -> None:
    """What is spelt is the same id, hashes alike, and what is no id is refused."""
    found = as_uuid("0199a000-0000-7000-8000-0000000000aa")

    assert isinstance(found, pgproto.UUID)
    assert found == UUID("0199a000-0000-7000-8000-0000000000aa")
    assert {found} == {UUID("0199a000-0000-7000-8000-0000000000aa")}
    with pytest.raises(ValueError, match="invalid UUID"):
        as_uuid("not-an-id")


def test_a_derived_id_is_a_uuid_of_version_7_too() -> None:
    """What follows from a referral has its time, is the same each time, and another for another name."""
    referral = new_id()

    found = {derived_id(referral, name) for name in ("agreement", "agreement", "evaluation")}

    assert len(found) == 2
    assert {(one.version, one.variant) for one in found} == {(7, "specified in RFC 4122")}
    assert {one.int >> 80 for one in found} == {referral.int >> 80}
    assert derived_id(new_id(), "agreement") not in found
