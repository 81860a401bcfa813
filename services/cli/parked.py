"""`samspil parked`: list, show, replay and drop events that could not be read or applied."""

import re
from typing import Annotated, Any

import typer

from contracts.event import SERVICES, WhyDropped
from services.cli.options import (
    LARGEST,
    DataOption,
    JsonOption,
    OperatorOption,
    ParkedArgument,
    ServiceArgument,
    StreamOption,
    run_at,
)
from services.cli.terminal import age_of, show, show_rows
from services.kernel.operations.parked_events import (
    accept_source,
    discard_parked,
    list_parked,
    replay_parked,
    show_parked,
)
from services.kernel.runtime.runtime import Runtime

app = typer.Typer(help="Events that wait because they could not be read or applied.", no_args_is_help=True)


@app.command("list")
def list_(
    service: Annotated[str | None, typer.Argument(help="One service; all without.")] = None,
    stream: StreamOption = None,
    reason: Annotated[str | None, typer.Option(help="Only this reason.")] = None,
    older_than: Annotated[str | None, typer.Option(help="Only what waits for longer, as in 15m, 2h.")] = None,
    most: Annotated[int, typer.Option(min=1, max=LARGEST, help="Of each service at most so many.")] = 1000,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List parked events by age, oldest first; bodies are never shown."""
    age = age_of(older_than, "--older-than")

    async def listed(runtime: Runtime) -> list[dict[str, Any]]:
        return await list_parked(runtime, stream_id=stream, reason=reason, older_than=age, most=most)

    rows = [
        row for name in (SERVICES if service is None else (service,)) for row in run_at(name, data, listed)
    ]
    show_rows(sorted(rows, key=lambda row: row["parked_at"]), as_json, "nothing is parked")


@app.command("show")
def show_one(
    service: ServiceArgument, parked_id: ParkedArgument, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Show one parked event's offset and attempts, and what waits with it, never its body."""
    row = run_at(service, data, lambda runtime: show_parked(runtime, parked_id))
    show(row, as_json, [f"{name}: {value}" for name, value in row.items()])


@app.command("replay")
def replay(
    service: ServiceArgument,
    parked_id: Annotated[
        int | None, typer.Argument(min=1, max=LARGEST, help="Only this one, after those before it.")
    ] = None,
    stream: StreamOption = None,
    reason: Annotated[str | None, typer.Option(help="Only streams with this reason.")] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replay parked events: one, a stream, those with a reason, or all; each stream in order."""
    if parked_id is not None and (stream or reason):
        raise typer.BadParameter("one event, or --stream and --reason", param_hint="PARKED_ID")
    done = run_at(
        service,
        data,
        lambda at: replay_parked(at, parked_id=parked_id, stream_id=stream, reason=reason),
    )
    show(done, as_json, [f"{name}: {count}" for name, count in done.items()])
    if done["left"]:
        raise typer.Exit(1)


@app.command("drop")
def drop(
    service: ServiceArgument,
    parked_id: ParkedArgument,
    why: Annotated[WhyDropped, typer.Option("--because", help="The reason that the trail keeps.")],
    by: OperatorOption,
    tenant: Annotated[
        str | None,
        typer.Option(help="For a message without a stream here: the municipality whose trail records it."),
    ] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Discard one parked event and resume its stream; operator and reason are in the audit trail."""
    if tenant is not None and not re.fullmatch("[0-9]{4}", tenant):
        raise typer.BadParameter("a municipality's four digits", param_hint="--tenant")
    done = run_at(
        service,
        data,
        lambda at: discard_parked(at, parked_id, why=why, by=by, tenant=tenant),
    )
    show(done, as_json, [f"{name}: {value}" for name, value in done.items()])


@app.command("follow")
def follow(
    service: ServiceArgument,
    parked_id: ParkedArgument,
    by: OperatorOption,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Accept a diverged source and resume with the events that it sends now; recorded in the audit trail."""
    done = run_at(service, data, lambda at: accept_source(at, parked_id, by=by))
    show(done, as_json, [f"{name}: {value}" for name, value in done.items()])
