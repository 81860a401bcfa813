"""Where each key of a TOML text stands: the standard library's reader does not tell."""

import re
from typing import Final

Place = tuple[str | int, ...]

_BARE: Final = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_DOTTED: Final = rf"{_BARE}(?:\s*\.\s*{_BARE})*"
_HEADER: Final = re.compile(rf"^\s*(\[\[?)\s*({_DOTTED})\s*\]")
_KEY: Final = re.compile(rf"^\s*({_DOTTED})\s*=")
_NAME: Final = re.compile(_BARE)
_QUOTES: Final = ('"""', "'''")


class Lines:
    """The line on which each place of a TOML text begins; a place inside a value has the value's line."""

    def __init__(self, text: str) -> None:
        self._lines: dict[Place, int] = {}
        self._last: dict[Place, int] = {}
        table: Place = ()
        inside = ""
        for number, line in enumerate(text.split("\n"), start=1):
            if inside:
                inside = "" if inside in line else inside
                continue
            if header := _HEADER.match(line):
                table = self._table(_names(header[2]), another=header[1] == "[[")
                self._note(table, number)
            elif key := _KEY.match(line):
                self._note((*table, *_names(key[1])), number)
                inside = next((quote for quote in _QUOTES if line.count(quote) % 2), "")

    def of(self, place: Place) -> int:
        """Return the line of a place, or of the nearest place around it; 1 where nothing is known."""
        for length in range(len(place), 0, -1):
            if place[:length] in self._lines:
                return self._lines[place[:length]]
        return 1

    def _note(self, place: Place, number: int) -> None:
        for length in range(1, len(place) + 1):
            self._lines.setdefault(place[:length], number)

    def _table(self, names: tuple[str, ...], *, another: bool) -> Place:
        place: Place = ()
        for position, name in enumerate(names, start=1):
            place = (*place, name)
            if another and position == len(names):
                self._last[place] = self._last.get(place, -1) + 1
            if place in self._last:
                place = (*place, self._last[place])
        return place


def _names(dotted: str) -> tuple[str, ...]:
    return tuple(name.strip("\"'") for name in _NAME.findall(dotted))
