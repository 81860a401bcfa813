"""The JavaScript side of the tests: installed once from the lock file, left out where Node is missing."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

FOLDER: Final = Path(__file__).parent / "node"

_PATIENCE: Final = 300
_MARK: Final = "installed.sha256"


def node_tools_folder() -> Path:
    """Return the folder of the scripts, with the packages of its lock file.

    Without Node the test is left out with one line; in CI, which promises Node, it fails.
    """
    if missing := [program for program in ("node", "npm") if shutil.which(program) is None]:
        said = f"needs Node.js: no {' and no '.join(missing)} on this machine"
        if os.environ.get("CI"):
            pytest.fail(said)
        pytest.skip(said)
    _install()
    return FOLDER


def run_node(
    script: str, *arguments: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one of the scripts to its end, with its output."""
    return subprocess.run(
        ["node", FOLDER / script, *arguments],
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE,
    )


def run_program(
    program: str, *arguments: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program of one of the packages to its end, with its output."""
    return run_node(f"node_modules/{program}", *arguments, env=env)


def _install() -> None:
    """Install once per lock file, however many test processes start at the same time."""
    wanted = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()
    mark = FOLDER / "node_modules" / _MARK
    with (FOLDER / "package.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if mark.exists() and mark.read_text(encoding="ascii") == wanted:
            return
        subprocess.run(
            ["npm", "ci", "--no-fund", "--no-audit", "--ignore-scripts"],
            cwd=FOLDER,
            capture_output=True,
            check=True,
            timeout=_PATIENCE,
        )
        mark.write_text(wanted, encoding="ascii")
