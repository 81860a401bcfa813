"""`samspil parked`: list, show, replay and drop events that could not be read or applied."""

from typing import Annotated, Any

import typer

from contracts.event import SERVICES, WhyDropped
from services.cli.options import (
    LARGEST,
    DataOption,
    JsonOption,
    ParkedArgument,
    ServiceArgument,
    StreamOption,
    TenantOption,
    nobody,
    only,
    require_code,
    run_recorded,
)
from services.cli.terminal import age_of, show, show_rows
from services.kernel.decider.decision import Actor
from services.kernel.operations.operators import tenants_with_parked
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
    tenant: TenantOption = None,
    reason: Annotated[str | None, typer.Option(help="Only this reason.")] = None,
    older_than: Annotated[str | None, typer.Option(help="Only what waits for longer, as in 15m, 2h.")] = None,
    most: Annotated[int, typer.Option(min=1, max=LARGEST, help="Of each service at most so many.")] = 1000,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List parked events by age, oldest first; bodies are never shown."""
    age = age_of(older_than, "--older-than")
    require_code(tenant)

    async def listed(runtime: Runtime, _operator: Actor) -> list[dict[str, Any]]:
        return await list_parked(
            runtime, stream_id=stream, tenant=tenant, reason=reason, older_than=age, most=most
        )

    rows = [
        row
        for name in (SERVICES if service is None else (service,))
        for row in run_recorded(
            name,
            data,
            "parked_list",
            listed,
            only(tenant, lambda at: tenants_with_parked(at, stream_id=stream)),
            stream=stream,
        )
    ]
    show_rows(sorted(rows, key=lambda row: row["parked_at"]), as_json, "nothing is parked")


@app.command("show")
def show_one(
    service: ServiceArgument, parked_id: ParkedArgument, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Show one parked event's offset and attempts, and what waits with it, never its body."""
    row = run_recorded(
        service,
        data,
        "parked_show",
        lambda at, _operator: show_parked(at, parked_id),
        lambda at: tenants_with_parked(at, parked_id=parked_id),
    )
    show(row, as_json, [f"{name}: {value}" for name, value in row.items()])


@app.command("replay")
def replay(
    service: ServiceArgument,
    parked_id: Annotated[
        int | None, typer.Argument(min=1, max=LARGEST, help="Only this one, after those before it.")
    ] = None,
    stream: StreamOption = None,
    tenant: TenantOption = None,
    reason: Annotated[str | None, typer.Option(help="Only streams with this reason.")] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replay parked events: one, a stream, a municipality's, those with a reason, or all; each in order."""
    require_code(tenant)
    if parked_id is not None and (stream or tenant or reason):
        raise typer.BadParameter("one event, or --stream, --tenant and --reason", param_hint="PARKED_ID")
    done = run_recorded(
        service,
        data,
        "parked_replay",
        lambda at, _operator: replay_parked(
            at, parked_id=parked_id, stream_id=stream, tenant=tenant, reason=reason
        ),
        only(tenant, lambda at: tenants_with_parked(at, stream_id=stream, parked_id=parked_id)),
        stream=stream,
    )
    show(done, as_json, [f"{name}: {count}" for name, count in done.items()])
    if done["left"]:
        raise typer.Exit(1)


@app.command("drop")
def drop(
    service: ServiceArgument,
    parked_id: ParkedArgument,
    why: Annotated[WhyDropped, typer.Option("--because", help="The reason that the trail keeps.")],
    tenant: Annotated[
        str | None,
        typer.Option(help="For a message without a stream here: the municipality whose trail records it."),
    ] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Discard one parked event and resume its stream; operator and reason are in the audit trail."""
    require_code(tenant)
    done = run_recorded(
        service,
        data,
        "parked_drop",
        lambda at, operator: discard_parked(at, parked_id, why=why, by=operator.id, tenant=tenant),
        nobody,
    )
    show(done, as_json, [f"{name}: {value}" for name, value in done.items()])


@app.command("follow")
def follow(
    service: ServiceArgument,
    parked_id: ParkedArgument,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Accept a diverged source and resume with the events that it sends now; recorded in the audit trail."""
    done = run_recorded(
        service,
        data,
        "parked_follow",
        lambda at, operator: accept_source(at, parked_id, by=operator.id),
        nobody,
    )
    show(done, as_json, [f"{name}: {value}" for name, value in done.items()])
