"""Colours of a municipality, refused at start where people could not read what is written in them."""

from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Colour = Annotated[str, Field(pattern="^#[0-9a-f]{6}$")]

_TEXT_CONTRAST: Final = 4.5
"""WCAG 1.4.3 asks for it between a text and what lies behind it."""
_WHITE: Final = "#ffffff"
_GROUND: Final = "#f4f6f7"
"""Behind the pages; a link stands on it."""


class Colours(BaseModel):
    """The colour of buttons and links, and the darker one under the pointer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    brand: Colour
    brand_dark: Colour

    @model_validator(mode="after")
    def _readable(self) -> Self:
        for name, colour in (("brand", self.brand), ("brand_dark", self.brand_dark)):
            found = min(contrast(colour, _WHITE), contrast(colour, _GROUND))
            if found < _TEXT_CONTRAST:
                raise ValueError(f"{name} {colour}: contrast to white is {found:.1f}, at least 4.5 is needed")
        return self


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours as WCAG 2 defines it, from 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]  # noqa: PLR2004  of sRGB
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
