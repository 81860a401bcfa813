"""Separator columns: the values of one column of many rows, sent to PostgreSQL as a single text.

The driver reads each element of an array twice, a text once. The separator is a character that JSON
escapes and that no code contains; `split_column()` in the schema is the other half.
"""

from typing import Final

SEPARATOR: Final = "\x1e"

NULL_MARK: Final = "\x1d"
"""The value that `split_column()` turns into null."""

join_column = SEPARATOR.join


def bytes_text(value: bytes) -> str:
    """Return bytes as the value of a separator column: PostgreSQL's hex format of bytea."""
    return "\\x" + value.hex()
