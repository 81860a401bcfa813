"""Finding a name as people type it: without regard to case, accents and the ways to write å; pure."""

import unicodedata
from typing import Final

_LETTERS: Final = str.maketrans({
    "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ß": "ss", "ŋ": "n", "œ": "oe", "æ": "ae", "ä": "ae",
    "ø": "oe", "ö": "oe", "å": "aa",
})  # fmt: skip
"""Letters that do not decompose, or that stand for two: æ, ø and å may be typed as ae, oe and aa."""


def folded(text: str) -> list[str]:
    """Return the words of a name as they are compared."""
    composed = unicodedata.normalize("NFC", text).casefold().translate(_LETTERS)
    plain = "".join(
        char for char in unicodedata.normalize("NFD", composed) if not unicodedata.combining(char)
    )
    return "".join(char if char.isalnum() else " " for char in plain).split()


def fits(name: str, wanted: str) -> bool:
    """Return whether each word that is looked for begins a word of the name."""
    words = folded(name)
    looked_for = folded(wanted)
    return bool(looked_for) and all(any(word.startswith(one) for word in words) for one in looked_for)
