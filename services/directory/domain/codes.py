"""Codes of invitations: ten characters that nobody mistakes for one another, the last as a check; pure."""

from collections.abc import Iterable
from typing import Final

from services.directory.domain.refusals import CodeMistyped

ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTVWXYZ"
"""Digits and letters without 0 and O, 1 and I, and U; their number is prime, which the check needs."""

DIGESTS: Final = "invitation-code-digests"
"""For what the key is under which codes are digested."""

_CHARACTERS: Final = 9
_HALF: Final = 5
_BASE: Final = len(ALPHABET)


def code_of(secret: bytes) -> str:
    """Return the code that is made from a secret of 32 random bytes, as a person types it."""
    number = int.from_bytes(secret)
    text = "".join(ALPHABET[number // _BASE**at % _BASE] for at in range(_CHARACTERS))
    whole = text + ALPHABET[_check(text)]
    return f"{whole[:_HALF]}-{whole[_HALF:]}"


def read_code(typed: str) -> str:
    """Return a code as it is compared; raise `CodeMistyped` where a character was left out or mistaken."""
    text = "".join(one for one in typed.upper() if one.isalnum())
    if len(text) != _CHARACTERS + 1 or not set(text) <= set(ALPHABET):
        raise CodeMistyped
    if ALPHABET[_check(text[:-1])] != text[-1]:
        raise CodeMistyped
    return text


def _check(text: Iterable[str]) -> int:
    """Return the check of a text: each single slip, and each swap of two characters, changes it."""
    return sum(weight * ALPHABET.index(one) for weight, one in enumerate(text, 2)) % _BASE
