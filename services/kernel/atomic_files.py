"""Write a small file whole or not at all, for its owner's eyes alone."""

import os
from pathlib import Path


def write_whole(file: Path, text: str) -> None:
    """Put a text in a file's place, durably; whoever reads meanwhile reads what was there before."""
    beside = file.with_name(f"{file.name}.new")
    beside.unlink(missing_ok=True)
    beside.touch(mode=0o600)
    with beside.open("w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(file)
