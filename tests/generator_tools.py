"""A generator of Python clients in a virtual environment of its own, installed once from its lock file."""

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "generator"
_INSTALLED: Final = Path(__file__).parents[1] / ".generator"
PYTHON: Final = _INSTALLED / "bin" / "python"
OPEN_CASE: Final = FOLDER / "open_case.py"

_LOCK: Final = FOLDER / "requirements.lock"
_MARK: Final = _INSTALLED / "installed.sha256"
_PATIENCE: Final = 300


def generator() -> Path:
    """Return the program `openapi-python-client`."""
    wanted = hashlib.sha256(_LOCK.read_bytes()).hexdigest()
    with _LOCK.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _MARK.exists() or _MARK.read_text(encoding="ascii") != wanted:
            _run("venv", "--quiet", "--clear", "--python", sys.executable, str(_INSTALLED))
            _run("pip", "install", "--quiet", "--python", str(PYTHON), "--require-hashes", "-r", str(_LOCK))
            _MARK.write_text(wanted, encoding="ascii")
    return PYTHON.with_name("openapi-python-client")


def _run(*words: str) -> None:
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, *words], check=True, capture_output=True, timeout=_PATIENCE)
