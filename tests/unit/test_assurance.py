"""Assurance levels: how surely an actor is identified, and whether that suffices."""

import pytest

from services.kernel.decider.access import ASSURANCE_LEVELS, at_least


def test_a_level_reaches_itself_and_those_below() -> None:
    """The levels are in the order of the regulation."""
    reached = [[at_least(one, other) for other in ASSURANCE_LEVELS] for one in ASSURANCE_LEVELS]

    assert reached == [[row >= column for column in range(4)] for row in range(4)]


@pytest.mark.parametrize("unknown", ["", "High", "urn:example:loa:4", "very high"])
def test_a_level_that_is_unknown_counts_as_none(unknown: str) -> None:
    """A word that we do not know never opens anything."""
    assert at_least(unknown, "none")
    assert not at_least(unknown, "low")


def test_an_unknown_level_cannot_be_asked_for() -> None:
    """A rule that names a level wrongly fails, and does not let everybody through."""
    with pytest.raises(ValueError, match="not in tuple"):
        at_least("high", "highest")
