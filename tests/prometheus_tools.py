"""Prometheus and Alertmanager with their tools for the tests: of the machine, else Debian's, fetched once."""

import fcntl
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PACKAGES: Final = ("prometheus", "prometheus-alertmanager")
_FOLDER: Final = Path(__file__).parents[1] / ".prometheus"
_PROGRAMS: Final = ("prometheus", "promtool", "amtool")
_PATIENCE: Final = 300


def missing_for_prometheus() -> list[str]:
    """Return the programs that this machine lacks and has no way to fetch."""
    if _are_fetched() or (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return []
    return [program for program in _PROGRAMS if shutil.which(program) is None]


def to_be_fetched() -> bool:
    """Return whether the first test that needs Prometheus will fetch it."""
    there = all(map(shutil.which, _PROGRAMS)) or _are_fetched()
    return not there and not missing_for_prometheus()


def prometheus_program(name: str) -> str:
    """Return the path of a program of Prometheus; one that is fetched lies beside the tests."""
    found = shutil.which(name)
    return found or str(_fetched() / "usr" / "bin" / name)


def promtool(*arguments: str | Path, text: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run promtool to its end with a text as its input, and return its output."""
    return _ended("promtool", arguments, text)


def amtool(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    """Run the tool of Alertmanager to its end, and return its output."""
    return _ended("amtool", arguments, b"")


def _ended(name: str, arguments: Sequence[str | Path], text: bytes) -> subprocess.CompletedProcess[bytes]:
    argv = [prometheus_program(name), *map(str, arguments)]
    return subprocess.run(argv, input=text, capture_output=True, check=False, timeout=_PATIENCE)


def _are_fetched() -> bool:
    return all((_FOLDER / "usr" / "bin" / name).exists() for name in _PROGRAMS)


def _fetched() -> Path:
    _FOLDER.mkdir(exist_ok=True)
    with (_FOLDER / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may start at once
        if not _are_fetched():
            _fetch()
    return _FOLDER


def _fetch() -> None:
    download = ("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *PACKAGES)
    if _run(*download).returncode:
        _run("apt-get", "-q", "update")  # a new machine has no lists yet
        done = _run(*download)
        assert done.returncode == 0, f"apt could not fetch {PACKAGES}:\n{done.stdout}{done.stderr}"
    half = _FOLDER / "half"
    shutil.rmtree(half, ignore_errors=True)
    for package in _FOLDER.glob("*.deb"):
        unpacked = _run("dpkg-deb", "--extract", str(package), str(half))
        assert unpacked.returncode == 0, unpacked.stderr
        package.unlink()
    shutil.rmtree(_FOLDER / "usr", ignore_errors=True)
    (half / "usr").rename(_FOLDER / "usr")
    shutil.rmtree(half)


def _run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, cwd=_FOLDER, capture_output=True, text=True, check=False, timeout=_PATIENCE)
