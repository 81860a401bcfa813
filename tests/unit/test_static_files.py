"""Static files of the portal: vendored files are what their makers published, and few bytes."""

import hashlib
import re
from pathlib import Path
from typing import Final

import pytest

from services.kernel.colours import Colours, contrast
from services.portal.static_files import FOLDER, StaticFiles
from services.portal.theme import stylesheet, theme_url

VENDOR: Final = FOLDER / "vendor"
LIST: Final = VENDOR / "SHA256SUMS"
MOST_BYTES: Final = 500_000
URL: Final = re.compile(r'url\("([^"]+)"\)')


def test_vendored_files_are_unchanged() -> None:
    """Nobody edits a file of somebody else's: the list of digests names each, and no other."""
    lines = [line.split("  ") for line in LIST.read_text(encoding="ascii").splitlines()]
    listed = {name: digest for digest, name in lines}
    found = {
        str(path.relative_to(VENDOR)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path != LIST
    }

    assert found == listed


def test_licences_stand_beside_what_they_are_for() -> None:
    """The design system and its font are given on with their licences."""
    assert "MIT" in (VENDOR / "dkfds" / "LICENSE.txt").read_text(encoding="utf-8")
    assert "SIL OPEN FONT LICENSE" in (VENDOR / "dkfds" / "fonts" / "LICENSE.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["fonts.css", "portal.css"])
def test_stylesheets_name_files_that_are_there(name: str) -> None:
    """Our stylesheets ask for no file that is missing, and for none elsewhere."""
    wanted = URL.findall((FOLDER / name).read_text(encoding="utf-8"))

    assert wanted
    assert [url for url in wanted if not (FOLDER / url).is_file()] == []


def test_the_design_system_is_served_without_its_whole_fonts() -> None:
    """A letter outside of the parts makes no browser ask for fonts that are not here."""
    files = StaticFiles()
    served = files.content("vendor/dkfds/css/dkfds.min.css")

    assert b"@font-face" not in served
    assert b".button-primary" in served
    assert b"@font-face" in files.content("fonts.css")


def test_a_first_visit_costs_few_bytes() -> None:
    """Fonts, styles and script together stay small; most of them are loaded only when a letter needs them."""
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < MOST_BYTES


def test_the_folder_is_named_after_its_content(tmp_path: Path) -> None:
    """A changed file has another address, so that a browser may keep the old one for ever."""
    (tmp_path / "a.css").write_text("p { color: red }", encoding="utf-8")
    before = StaticFiles(tmp_path).url("a.css")
    (tmp_path / "a.css").write_text("p { color: blue }", encoding="utf-8")

    assert StaticFiles(tmp_path).url("a.css") != before


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [("#000000", "#ffffff", 21.0), ("#777777", "#ffffff", 4.48), ("#0b5c72", "#ffffff", 7.53)],
)
def test_contrast_is_that_of_wcag(one: str, other: str, ratio: float) -> None:
    """The ratio is the same as in the tables of WCAG, in either direction."""
    assert contrast(one, other) == pytest.approx(ratio, abs=0.05)
    assert contrast(other, one) == contrast(one, other)


@pytest.mark.parametrize("brand", ["#ffcc00", "#8899aa", "blue", "#FFF", "#000000; } * { display: none"])
def test_colours_that_nobody_can_read_are_refused(brand: str) -> None:
    """A municipality's colour with too little contrast, or what is no colour, stops the start."""
    with pytest.raises(ValueError, match="brand"):
        Colours(brand=brand, brand_dark="#000000")


def test_a_municipality_has_its_colours() -> None:
    """Its stylesheet names them, and its address changes with them."""
    own = Colours(brand="#7a0a1d", brand_dark="#4d0612")
    other = Colours(brand="#7a0a1e", brand_dark="#4d0612")

    assert "--brand: #7a0a1d; --brand-dark: #4d0612;" in stylesheet(own)
    assert theme_url("0440", {"0440": own}).startswith("/static/theme/0440.css?")
    assert theme_url("0440", {"0440": own}) != theme_url("0440", {"0440": other})
    assert theme_url("0101", {"0440": own}) == ""
