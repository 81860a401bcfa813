"""`samspil keys`: rotate data keys and the keys that wrap them, while the services run."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

import typer

from services.cli.options import DataOption, JsonOption, ServiceArgument, run_recorded, settings_of
from services.cli.terminal import age_of, run_to_end, show
from services.kernel.operations.keys import add_root_key, rewrap_keys, rotate_keys
from services.kernel.operations.operators import tenants_here
from services.kernel.runtime.runtime import Runtime

app = typer.Typer(help="Rotate the keys of personal data, while the services run.", no_args_is_help=True)


@app.command("rewrap")
def rewrap(service: ServiceArgument, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Wrap a service's data keys under the newest version of the key store's keys."""
    done = run_recorded(service, data, "keys_rewrap", lambda at, _operator: rewrap_keys(at), tenants_here)
    show(done, as_json, [f"{name}: {count}" for name, count in done.items()])


@app.command("rotate")
def rotate(
    service: ServiceArgument,
    person: Annotated[UUID | None, typer.Option(help="Only this person, with --tenant.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Code of the person's municipality.")] = None,
    older_than: Annotated[str | None, typer.Option(help="All whose key is older, as in 365d.")] = None,
    everyone: Annotated[bool, typer.Option("--all", help="All persons.")] = False,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give persons new data keys, encrypt everything anew under them, and delete the old ones."""
    if (person is None) != (tenant is None):
        raise typer.BadParameter("--person and --tenant belong together", param_hint="--person")
    if [person is not None, older_than is not None, everyone].count(True) != 1:
        raise typer.BadParameter("name one person, --older-than or --all", param_hint="--person")
    age = age_of(older_than, "--older-than") or timedelta(0)
    whose = None if person is None or tenant is None else (tenant, person)

    async def concerned(at: Runtime) -> list[str]:
        return await tenants_here(at) if tenant is None else [tenant]

    done = run_recorded(
        service,
        data,
        "keys_rotate",
        lambda at, _operator: rotate_keys(at, person=whose, older_than=age),
        concerned,
    )
    show(done, as_json, [f"{name}: {count}" for name, count in done.items()])


@app.command("new-root")
def new_root(data: DataOption = None) -> None:
    """Add a root key to the key file of an embedded server; rewrap every service afterwards."""

    async def add() -> None:
        add_root_key(settings_of(data))

    run_to_end(add())
    show({"added": 1}, False, ["a root key was added: rewrap every service"])  # noqa: FBT003  as a person reads it
