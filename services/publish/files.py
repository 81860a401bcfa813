"""Generated files: write them, or check that they are current."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def publish(files: Mapping[Path, str], arguments: Sequence[str]) -> int:
    """Write the files, or with `--check` return 1 and name on standard error those that are not current."""
    if "--check" not in arguments:
        for file, text in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return 0
    stale = [
        file for file, text in files.items() if not file.exists() or file.read_text(encoding="utf-8") != text
    ]
    sys.stderr.writelines(f"{file.name} is not current: run `make publish`\n" for file in stale)
    return 1 if stale else 0
