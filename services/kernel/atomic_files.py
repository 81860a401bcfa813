"""Atomic files: write a small file completely or not at all, readable by its owner alone."""

import os
from pathlib import Path


def write_whole(file: Path, text: str) -> None:
    """Replace a file by a text, atomically and durably; concurrent readers read the old or the new text."""
    beside = file.with_name(f"{file.name}.new")
    beside.unlink(missing_ok=True)
    beside.touch(mode=0o600)
    with beside.open("w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(file)
