"""A child is found by its name, however it is typed."""

import pytest

from services.referral.domain.names import fits


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Åse Ødegård", "aase"),
        ("Åse Ødegård", "åse øde"),
        ("Aase Oedegaard", "Åse Øde"),
        ("Łucja Wójcik", "lucja wojcik"),
        ("Zoë O'Brien-Sørensen", "zoe brien soerensen"),
        ("Nguyễn Thị Hà", "nguyen thi ha"),
        ("Frida Vestergaard", "VESTER fri"),
        ("Frida Vestergaard", "Vestergård"),
    ],
)
def test_a_name_is_found_as_people_type_it(name: str, wanted: str) -> None:
    """Case, accents, the order of the words and the ways to write å, ø and æ make no difference."""
    assert fits(name, wanted)


@pytest.mark.parametrize("wanted", ["", "  ", "-", "ida", "Frida Madsen"])
def test_what_is_not_the_name_is_not_found(wanted: str) -> None:
    """Words are compared from their beginning, and all of them must be there."""
    assert not fits("Frida Vestergaard", wanted)
