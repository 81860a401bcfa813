"""Files of one owner: a small one written completely or not at all, and every one readable by nobody else."""

import os
from pathlib import Path


def private_opener(path: str, flags: int) -> int:
    """Open a file for `open(opener=...)`; a new one is readable by its owner alone."""
    return os.open(path, flags, 0o600)


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
