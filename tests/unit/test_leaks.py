"""A word that must lie nowhere is found however it was written down."""

from pathlib import Path

import pytest

from services.kernel.embedded.leak_scan import _in_files, _Search

WORDS = ("Qyæbradro", "Zyxflegni Vzukvomle")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("said Qyæbradro.", 0),
        ("QYÆBRADRO", 0),
        (r'{"name": "qy\u00e6bradro"}', 0),
        (r'{"name": "QY\u00C6BRADRO"}', 0),
        (r'{"text": "a line\nzyxflegni"}', 1),
        ("vzukvomle,zyxflegni", 1),
    ],
)
def test_a_word_is_found_in_any_case_and_as_json_escapes_it(text: str, word: int) -> None:
    """Small, large, or behind a code: it is the same name."""
    found = _Search(WORDS).in_text("here", text)

    assert [(leak.location, leak.phrase) for leak in found] == [("here", word)]


@pytest.mark.parametrize("text", ["", "Qyæbradros", "xzyxflegni", r"qy\u00e7bradro", "only codes: 0440"])
def test_only_whole_words_count(text: str) -> None:
    """A longer word that holds it is another word."""
    assert _Search(WORDS).in_text("here", text) == []


TEXT = b'Content-Type: text/plain; charset="utf-8"\r\nContent-Transfer-Encoding: '


@pytest.mark.parametrize(
    "mail",
    [
        b"Subject: =?utf-8?q?til_Qy=C3=A6bradro?=\r\n\r\nHej\r\n",
        TEXT + b"quoted-printable\r\n\r\nDer ligger en besked om Qy=C3=A6bra=\r\ndro\r\n",
        TEXT + b"base64\r\n\r\nSGVqIFF5w6ZicmFkcm8K\r\n",
    ],
    ids=["subject", "quoted printable", "base64"],
)
def test_a_mail_is_searched_as_its_reader_sees_it(tmp_path: Path, mail: bytes) -> None:
    """What the way of mail encodes and folds hides nothing."""
    (tmp_path / "one.eml").write_bytes(mail)
    (tmp_path / "two.eml").write_bytes(b"Subject: Hej\r\n\r\nHej\r\n")

    found = _in_files(_Search(WORDS), tmp_path)

    assert [(leak.location, leak.phrase) for leak in found] == [("one.eml", 0)]
