"""Options and arguments that several commands share, and what they name: services, settings, addresses."""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, TypeVar
from uuid import UUID

import typer

from contracts.event import SERVICES
from services.cli.terminal import err, run_to_end
from services.kernel.decider.decision import Actor
from services.kernel.decider.service import Service
from services.kernel.embedded.up import read_server_info
from services.kernel.errors import ProblemError
from services.kernel.operations.operators import operator_of, record_operation
from services.kernel.operations.parked_events import open_service
from services.kernel.production import require_complete
from services.kernel.runtime.runtime import Runtime
from services.kernel.settings import Settings, read_settings
from services.registry import SERVICES_BY_NAME

T = TypeVar("T")

DEFAULT_FOLDER: Final = Path(".samspil")
"""The data folder of `samspil up` unless another is named."""

LARGEST: Final = 2**63 - 1
"""The largest number that the database counts with."""

DataOption = Annotated[
    Path | None, typer.Option("--data", help="Data folder of an embedded server; else SAMSPIL_… settings.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
ServiceArgument = Annotated[str, typer.Argument(help=", ".join(SERVICES))]
ParkedArgument = Annotated[
    int, typer.Argument(min=1, max=LARGEST, help="Its id, as `samspil parked list` shows it.")
]
StreamOption = Annotated[UUID | None, typer.Option("--stream", help="Only this stream.")]
TenantOption = Annotated[
    str | None, typer.Option("--tenant", help="Only this municipality: its four digits.")
]


def require_address(url: str | None) -> None:
    """Refuse what is no address of a server."""
    if url is not None and not re.match(r"https?://[^/\s]", url):
        raise typer.BadParameter("an address as in http://127.0.0.1:8440", param_hint="--url")


def require_code(tenant: str | None) -> None:
    """Refuse what is no municipality's code."""
    if tenant is not None and not re.fullmatch("[0-9]{4}", tenant):
        raise typer.BadParameter("a municipality's four digits", param_hint="--tenant")


def service_named(name: str) -> Service:
    """Return a service by its name; refuse what is none."""
    if name not in SERVICES_BY_NAME:
        raise typer.BadParameter(f"one of: {', '.join(SERVICES)}", param_hint="SERVICE")
    return SERVICES_BY_NAME[name]


def settings_of(data: Path | None, service: str | None = None) -> Settings:
    """Return the settings of the server on a data folder, else of the environment; exit with 3.

    Those of a folder log in at the database as `service`, or without one as the superuser.
    """
    with _settings_faults():
        folder = folder_of(data)
        return read_settings() if folder is None else read_server_info(folder, service)


def folder_of(data: Path | None) -> Path | None:
    """Return the data folder that is named, or that of `samspil up` where no database is named either."""
    if data is not None:
        return data
    unnamed = not read_settings().database.get_secret_value()
    return DEFAULT_FOLDER if unnamed and (DEFAULT_FOLDER / "server.json").exists() else None


def settings_of_service() -> Settings:
    """Return the settings of the environment, with all that production needs; exit with 3."""
    with _settings_faults():
        return require_complete(read_settings())


@contextmanager
def _settings_faults() -> Iterator[None]:
    """Print what is wrong with the settings and what to do, and exit with 3."""
    try:
        yield
    except ProblemError as error:
        err.print(f"samspil: {error.title()} ({error.detail})", style="red", markup=False)
        raise typer.Exit(3) from None


def run_recorded(
    service: str,
    data: Path | None,
    what: str,
    work: Callable[[Runtime, Actor], Awaitable[T]],
    concerned: Callable[[Runtime], Awaitable[Iterable[str]]],
    *,
    stream: UUID | None = None,
) -> T:
    """Run some work on a service's opened database to its end, and return its result.

    Before it is run it is recorded, with the operator, for the municipalities that it concerns.
    """

    async def opened() -> T:
        chosen = service_named(service)
        settings = settings_of(data, service)
        async with open_service(chosen, settings) as runtime:
            operator = await operator_of(settings)
            await record_operation(runtime, operator, what, await concerned(runtime), stream)
            return await work(runtime, operator)

    return run_to_end(opened())


async def nobody(_runtime: Runtime) -> Iterable[str]:
    """Return no municipality: the work leaves an event of its own."""
    return ()


def only(
    tenant: str | None, whose: Callable[[Runtime], Awaitable[Iterable[str]]]
) -> Callable[[Runtime], Awaitable[Iterable[str]]]:
    """Return what finds the municipalities that a work concerns: the one that is named, else all."""

    async def found(runtime: Runtime) -> Iterable[str]:
        return [code for code in await whose(runtime) if tenant in {None, code}]

    return found
