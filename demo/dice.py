"""Seeded dice: what they show depends on their name alone, not on what was thrown before or by whom."""

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


def dice(*parts: object) -> Random:
    """Return the dice of this name."""
    return Random(":".join(map(str, parts)))  # noqa: S311  a seeded play, nothing secret


def one_of(thrown: Random, choices: Sequence[T], weights: Sequence[float]) -> T:
    """Return one choice, by weight."""
    return thrown.choices(choices, weights)[0]


def happens(thrown: Random, share: float) -> bool:
    """Return whether something happens that happens to a share of all."""
    return thrown.random() < share
