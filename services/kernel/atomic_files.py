"""Atomic files: write a small file completely or not at all, readable by its owner alone."""

import os
from pathlib import Path


def write_whole(file: Path, content: str | bytes) -> None:
    """Replace the content of a file, atomically and durably; concurrent readers read the old or the new."""
    beside = file.with_name(f"{file.name}.new")
    beside.unlink(missing_ok=True)
    beside.touch(mode=0o600)
    with beside.open("wb") as out:
        out.write(content.encode() if isinstance(content, str) else content)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(file)
