"""Chromium for the tests: the machine's, else Debian's package, installed once."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import pytest

_PACKAGES: Final = ("chromium", "fonts-liberation2", "fonts-dejavu-core")
_PATIENCE: Final = 600


def chromium_program() -> str:
    """Return Chromium's path, installed by apt where it is missing and this process may.

    Without it the test is left out with one line; in CI, which promises a browser, it fails.
    """
    with (Path(tempfile.gettempdir()) / "samspil-chromium.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may start at once
        said = "" if shutil.which("chromium") else _install()
    found = shutil.which("chromium")
    if found is None:
        said = f"needs Chromium: {said}"
        if os.environ.get("CI"):
            pytest.fail(said)
        pytest.skip(said)
    return found


def to_be_installed() -> bool:
    """Return whether the first test in a browser will install Chromium."""
    return shutil.which("chromium") is None and _hindrance() == ""


def _hindrance() -> str:
    if shutil.which("apt-get") is None:
        return "it is not on this machine, and there is no apt to install it"
    if os.geteuid() != 0:
        return f"it is not on this machine; as root: apt-get install {' '.join(_PACKAGES)}"
    return ""


def _install() -> str:
    """Install the packages, and return what went wrong."""
    if hindrance := _hindrance():
        return hindrance
    install = ("apt-get", "-q", "-y", "install", "--no-install-recommends", *_PACKAGES)
    if _run(*install).returncode:
        _run("apt-get", "-q", "update")  # a new machine has no lists yet
        done = _run(*install)
        if done.returncode:
            return f"apt could not install it: {done.stderr.strip().splitlines()[-1:]}"
    return ""


def _run(*argv: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=_PATIENCE)
