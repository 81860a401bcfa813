"""Manners: the ways in which a journey is made, so that each is told once and made in all."""

from dataclasses import dataclass
from typing import Final

WIDE: Final = 1280
PHONE: Final = 320
"""The narrowest width of WCAG 1.4.10, in CSS pixels."""


@dataclass(frozen=True)
class Manner:
    """How somebody uses the portal: width of the window, script, keyboard, colours, language."""

    name: str
    width: int = WIDE
    height: int = 900
    script: bool = True
    keyboard: bool = False
    forced_colors: bool = False
    language: str = "da"


MOUSE: Final = Manner("mouse")
NARROW: Final = Manner("narrow", width=PHONE, height=640)
WITHOUT_SCRIPT: Final = Manner("without_script", script=False)
BY_KEYBOARD: Final = Manner("by_keyboard", keyboard=True)
ALL: Final = (MOUSE, NARROW, WITHOUT_SCRIPT, BY_KEYBOARD)
