"""Line numbers of the keys of a TOML text, which the standard library's parser does not return."""

import re
from typing import Final

KeyPath = tuple[str | int, ...]

_BARE: Final = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_DOTTED: Final = rf"{_BARE}(?:\s*\.\s*{_BARE})*"
_HEADER: Final = re.compile(rf"^\s*(\[\[?)\s*({_DOTTED})\s*\]")
_KEY: Final = re.compile(rf"^\s*({_DOTTED})\s*=")
_NAME: Final = re.compile(_BARE)
_QUOTES: Final = ('"""', "'''")


class Lines:
    """The line on which each key of a TOML text begins; a path inside a value has the value's line."""

    def __init__(self, text: str) -> None:
        self._lines: dict[KeyPath, int] = {}
        self._last: dict[KeyPath, int] = {}
        table: KeyPath = ()
        inside = ""
        for number, line in enumerate(text.split("\n"), start=1):
            if inside:
                inside = "" if inside in line else inside
                continue
            if header := _HEADER.match(line):
                table = self._table(_names(header[2]), another=header[1] == "[[")
                self._record(table, number)
            elif key := _KEY.match(line):
                self._record((*table, *_names(key[1])), number)
                inside = next((quote for quote in _QUOTES if line.count(quote) % 2), "")

    def of(self, key_path: KeyPath) -> int:
        """Return the line of a key path, or of the nearest one around it; 1 where there is none."""
        for length in range(len(key_path), 0, -1):
            if key_path[:length] in self._lines:
                return self._lines[key_path[:length]]
        return 1

    def _record(self, key_path: KeyPath, number: int) -> None:
        for length in range(1, len(key_path) + 1):
            self._lines.setdefault(key_path[:length], number)

    def _table(self, names: tuple[str, ...], *, another: bool) -> KeyPath:
        key_path: KeyPath = ()
        for position, name in enumerate(names, start=1):
            key_path = (*key_path, name)
            if another and position == len(names):
                self._last[key_path] = self._last.get(key_path, -1) + 1
            if key_path in self._last:
                key_path = (*key_path, self._last[key_path])
        return key_path


def _names(dotted: str) -> tuple[str, ...]:
    return tuple(name.strip("\"'") for name in _NAME.findall(dotted))
