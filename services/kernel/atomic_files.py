"""Files of one owner: a small one written completely or not at all, and every one readable by nobody else."""

import os
from pathlib import Path


def private_opener(path: str, flags: int) -> int:
    """Open a file for `open(opener=...)`; a new one is readable by its owner alone."""
    return os.open(path, flags, 0o600)


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
