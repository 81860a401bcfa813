"""Kerteminde's model, and copies of it in which one passage is exchanged."""

from pathlib import Path
from typing import Final

from contracts.model import model_folder

KERTEMINDE: Final = model_folder() / "kerteminde.toml"


def edited_model(folder: Path, passage: str, other: str) -> Path:
    """Write a copy of the model in which the first such passage is exchanged, and return where it lies."""
    text = KERTEMINDE.read_text(encoding="utf-8")
    assert passage in text, f"the model no longer says {passage!r}"
    path = folder / "edited.toml"
    path.write_text(text.replace(passage, other, 1), encoding="utf-8")
    return path
