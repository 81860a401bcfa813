"""Say whether the lock file fits pyproject.toml and names no registry: `python -m deploy.lock_check`."""

import re
import sys
import tomllib
from pathlib import Path

TOP = Path(__file__).parent.parent
_NAME = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)


def faults(pyproject: str, lock: str) -> list[str]:
    """Return what is wrong: a dependency that is not locked, a line without hash, an address."""
    locked = {_plain(name) for name in _NAME.findall(lock)}
    found = [f"{name} is not locked: run `make lock`" for name in sorted(_wanted(pyproject) - locked)]
    if "://" in lock:
        found.append("the lock names an address: run `make lock`")
    if lock.count("--hash=sha256:") < len(locked):
        found.append("a package has no hash: run `make lock`")
    return found


def _wanted(pyproject: str) -> set[str]:
    project = tomllib.loads(pyproject)["project"]
    required = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    return {_plain(re.split(r"[\[<>=!~; ]", name, maxsplit=1)[0]) for name in required}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    complaints = faults((TOP / "pyproject.toml").read_text(), (TOP / "requirements.lock").read_text())
    sys.stderr.writelines(f"{line}\n" for line in complaints)
    sys.exit(bool(complaints))
