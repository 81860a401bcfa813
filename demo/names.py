"""Made-up people: names that stand in no dictionary, so that one found outside sealed columns has leaked."""

from random import Random
from typing import Final

_HEADS: Final = (
    "Zyx", "Qvo", "Xaf", "Vjy", "Kzu", "Wxo", "Jqi", "Yxe", "Zwå", "Xhø", "Qyæ", "Vzu", "Xqe", "Jzo",
)  # fmt: skip
_MIDDLES: Final = (
    "bra", "dro", "fle", "gni", "hju", "kvo", "mle", "pru", "sti", "vri", "cla", "dwe", "fry", "glo", "kni",
    "plø", "ska", "tve", "zmi", "bjy",
)  # fmt: skip
_TAILS: Final = ("lfyx", "nquaz", "rzow", "mvix", "tzyk", "gsax", "lqevo", "nxur", "vzoq", "rjyx")


def made_up(thrown: Random) -> str:
    """Return a name, or a word for a text, of ten letters or more."""
    return f"{thrown.choice(_HEADS)}{thrown.choice(_MIDDLES)}{thrown.choice(_MIDDLES)}{thrown.choice(_TAILS)}"


def address(thrown: Random) -> str:
    """Return a mail address that says nothing of whose it is."""
    letters = "".join(thrown.choices("abcdefghijkmnopqrstuvwxyz23456789", k=12))
    return f"{letters}@post.example"
