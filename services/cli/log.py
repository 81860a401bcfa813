"""Commands on a service's event log: rebuild projections from it, resend it, find what it has lost."""

from typing import Annotated

import typer

from services.cli.options import (
    LARGEST,
    DataOption,
    JsonOption,
    ServiceArgument,
    StreamOption,
    TenantOption,
    only,
    require_code,
    run_recorded,
)
from services.cli.terminal import show, show_rows, time_of
from services.kernel.decider.decision import Actor
from services.kernel.operations import rebuild_projections
from services.kernel.operations.missing_events import find_missing_events
from services.kernel.operations.operators import tenants_here
from services.kernel.outbox.republish import republish
from services.kernel.runtime.runtime import Runtime


def rebuild(service: ServiceArgument, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Rebuild a service's lists and figures from its streams and its log, also while it runs."""
    done = run_recorded(
        service, data, "rebuild", lambda at, _operator: rebuild_projections.rebuild(at), tenants_here
    )
    show(done, as_json, [f"{name}: {count}" for name, count in done.items()])


def resend(  # noqa: PLR0913  each is an option of the command
    service: ServiceArgument,
    stream: StreamOption = None,
    tenant: TenantOption = None,
    first: Annotated[int, typer.Option(min=1, max=LARGEST, help="From this sequence number on.")] = 1,
    last: Annotated[int | None, typer.Option(min=1, max=LARGEST, help="Up to this sequence number.")] = None,
    since: Annotated[str | None, typer.Option(help="From this time on, ISO 8601.")] = None,
    until: Annotated[str | None, typer.Option(help="Before this time, ISO 8601.")] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send events from the log again; consumers that have them skip them."""
    require_code(tenant)
    begins, ends = time_of(since, "--since"), time_of(until, "--until")
    if last is not None and last < first:
        raise typer.BadParameter("not below --first", param_hint="--last")

    async def work(runtime: Runtime, _operator: Actor) -> int:
        async with runtime.pool.acquire() as tx:
            return await republish(
                tx, stream_id=stream, tenant=tenant, since=begins, until=ends, first_seq=first, last_seq=last
            )

    count = run_recorded(service, data, "resend", work, only(tenant, tenants_here), stream=stream)
    show({"queued": count}, as_json, [f"{count} events queued"])


def lost(service: ServiceArgument, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List what a service's topic holds and its log does not, as after a restore; if any, exits with 1."""
    rows = run_recorded(service, data, "lost", lambda at, _operator: find_missing_events(at), tenants_here)
    show_rows(rows, as_json, "nothing is lost")
    if rows:
        raise typer.Exit(1)
