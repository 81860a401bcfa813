"""Terminal output: at any width an id is printed whole."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from services.cli import terminal

LONGEST = 2**63 - 1
STREAM = UUID("0199a000-0000-7000-8000-000000000010")


def a_row(parked_id: int) -> dict[str, Any]:
    """Return a parked event as an operator is shown it."""
    return {
        "service": "evaluation",
        "id": parked_id,
        "stream_id": STREAM,
        "source": "agreement",
        "seq": 12,
        "type": "agreement.progress_reported.v1",
        "reason": "divergence",
        "attempts": 3,
        "parked_at": datetime(2026, 3, 2, 9, 0, tzinfo=UTC),
        "age_seconds": 86400,
    }


@pytest.mark.parametrize("width", [20, 40, 80, 120])
def test_no_id_is_cut_on_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    """Each id is printed whole on a line; a line holds as many values as fit."""
    monkeypatch.setattr(terminal.out, "width", width)

    terminal.show_rows([a_row(17), a_row(LONGEST)], as_json=False, nothing="nothing is parked")

    lines = capsys.readouterr().out.splitlines()
    words = [word for line in lines for word in line.split()]
    assert [word for word in words if word.startswith("id=")] == ["id=17", f"id={LONGEST}"]
    assert words.count(f"stream_id={STREAM}") == 2
    assert all(len(line) <= width or line.count("=") == 1 for line in lines)


def test_on_a_wide_terminal_a_list_is_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It stays one as long as every column is whole, and no further."""
    found = {}
    for width in (192, 191):
        monkeypatch.setattr(terminal.out, "width", width)
        terminal.show_rows([a_row(17), a_row(LONGEST)], as_json=False, nothing="nothing is parked")
        found[width] = capsys.readouterr().out.splitlines()

    assert {len(line) for line in found[192]} == {192}
    assert f" {LONGEST} │ {STREAM} │ agreement " in "\n".join(found[192])
    assert found[191][0].startswith("service=evaluation id=17 ")


def test_what_is_shown_is_no_markup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Brackets in a value are printed literally."""
    for width in (10, 200):
        monkeypatch.setattr(terminal.out, "width", width)
        terminal.show_rows([{"id": 1, "word": "[red]said[/]"}], as_json=False, nothing="")

        assert "[red]said[/]" in capsys.readouterr().out
