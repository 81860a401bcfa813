"""The command line `samspil`: the one file that knows all services."""

import asyncio
import json
import logging
import sys
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

import asyncpg
import typer
import uvloop
from rich.console import Console
from rich.table import Table

from contracts.event import SERVICES
from services.agreement.app import SERVICE as AGREEMENT
from services.audit.app import SERVICE as AUDIT
from services.consent.app import SERVICE as CONSENT
from services.directory.app import SERVICE as DIRECTORY
from services.evaluation.app import SERVICE as EVALUATION
from services.kernel import operating, resending
from services.kernel.clock import SystemClock
from services.kernel.embedded import FolderInUse, ServerFailed
from services.kernel.errors import No
from services.kernel.logs import set_up_logs
from services.kernel.migrations import migrate as migrate_service
from services.kernel.service import Service
from services.kernel.serving import run_services
from services.kernel.settings import Settings, read_settings
from services.kernel.topics import make_topics
from services.kernel.tracing import set_up_tracing
from services.kernel.up import read_whereabouts
from services.kernel.up import up as up_services
from services.notify.app import SERVICE as NOTIFY
from services.referral.app import SERVICE as REFERRAL

SERVICES_BY_NAME: Final[dict[str, Service]] = {
    service.name: service for service in (DIRECTORY, REFERRAL, CONSENT, AGREEMENT, EVALUATION, NOTIFY, AUDIT)
}
ALL: Final = tuple(SERVICES_BY_NAME[name] for name in SERVICES)

EXIT_CODES: Final = (
    "Exit codes: 0 done; 1 something was found wrong; 2 wrong use; 3 could not be done (says what to do)."
)

app = typer.Typer(
    help="Runs the collaboration between a municipality's services for children and voluntary organisations.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
parked = typer.Typer(help="Events that wait because they could not be read or applied.", no_args_is_help=True)
app.add_typer(parked, name="parked")

DataOption = Annotated[
    Path | None, typer.Option("--data", help="Data folder of an embedded server; else SAMSPIL_… settings.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
ServiceArgument = Annotated[str, typer.Argument(help=", ".join(SERVICES))]
T = TypeVar("T")


@app.command()
def up(
    data: Annotated[Path, typer.Option(help="Folder that keeps everything.")] = Path(".samspil"),
    port: Annotated[int, typer.Option(help="Port on the loopback address.", min=1, max=65535)] = 8440,
    clock: Annotated[str, typer.Option(help="system, or virtual: time moves only when told to.")] = "system",
) -> None:
    """Run everything in one process, on the embedded database and broker."""
    if clock not in {"system", "virtual"}:
        raise typer.BadParameter("system or virtual", param_hint="--clock")
    data.mkdir(parents=True, exist_ok=True)
    set_up_logs("info", data / "samspil.log")
    _run(up_services(ALL, data, port=port, virtual=clock == "virtual"))


@app.command()
def run(service: ServiceArgument) -> None:
    """Run one service, with settings from SAMSPIL_… and SAMSPIL_…_FILE."""
    chosen = _service(service)
    settings = _settings(None)
    set_up_logs(settings.log_level)
    set_up_tracing(settings.otlp, settings.traced_share)
    _run(run_services([chosen], settings, SystemClock()))


@app.command()
def migrate(
    service: Annotated[str | None, typer.Argument(help="One service; all without.")] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring database schemas up to date."""
    settings = _settings(data)
    chosen = ALL if service is None else (_service(service),)

    async def work() -> dict[str, list[str]]:
        dsn = settings.database.get_secret_value()
        if not dsn:
            raise operating.NoDatabase
        return {one.name: await migrate_service(dsn, one) for one in chosen}

    done = _run(work())
    _show(done, as_json, [f"{name}: {', '.join(files) or 'up to date'}" for name, files in done.items()])


@app.command()
def topics(
    replication: Annotated[int, typer.Option(min=1, help="Copies of each partition.")] = 1,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the topics that are missing; a changed number of partitions is refused."""
    made = _run(make_topics(SERVICES, _settings(data), replication=replication))
    _show(made, as_json, [f"made {name}" for name in made] or ["all there"])


@app.command()
def doctor(
    url: Annotated[str | None, typer.Option(help="Ask a running server instead.")] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong with an installation, and what to do about it."""
    folder = data or (Path(".samspil") if Path(".samspil/server.json").exists() else None)
    found = _run(_examination(url, folder))
    lines = [
        f"[{'red' if why else 'green'}]{'✗' if why else '✓'}[/] {part}{': ' + why if why else ''}"
        for part, why in found
    ]
    _show({part: why or "well" for part, why in found}, as_json, lines)
    if any(why for _, why in found):
        raise typer.Exit(1)


@parked.command("list")
def parked_list(
    service: ServiceArgument,
    reason: Annotated[str | None, typer.Option(help="Only this reason.")] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List parked events by age; bodies are never shown."""
    rows = _at(service, data, lambda runtime: operating.list_parked(runtime, reason=reason))
    _show_rows(rows, as_json)


@parked.command("show")
def parked_show(
    service: ServiceArgument, parked_id: int, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Show one parked event's place and history, never its body."""
    row = _at(service, data, lambda runtime: operating.show_parked(runtime, parked_id))
    _show(row, as_json, [f"{name}: {value}" for name, value in row.items()])


@parked.command("replay")
def parked_replay(
    service: ServiceArgument,
    stream: Annotated[UUID | None, typer.Option(help="Only this stream.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only streams with this reason.")] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take parked events up again, each stream in order."""
    done = _at(service, data, lambda at: operating.replay_parked(at, stream_id=stream, reason=reason))
    _show(done, as_json, [f"{name}: {count}" for name, count in done.items()])
    if done["left"]:
        raise typer.Exit(1)


@parked.command("drop")
def parked_drop(service: ServiceArgument, parked_id: int, data: DataOption = None) -> None:
    """Give one parked event up for good, and let its stream go on."""
    _at(service, data, lambda runtime: operating.drop_parked(runtime, parked_id))


@app.command()
def resend(
    service: ServiceArgument,
    stream: Annotated[UUID | None, typer.Option(help="Only this stream.")] = None,
    first: Annotated[int, typer.Option(min=1, help="From this sequence number on.")] = 1,
    last: Annotated[int | None, typer.Option(min=1, help="Up to this sequence number.")] = None,
    since: Annotated[str | None, typer.Option(help="From this time on, ISO 8601.")] = None,
    until: Annotated[str | None, typer.Option(help="Before this time, ISO 8601.")] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send events from the log again; whoever has them passes them by."""
    span = {"since": _time(since, "--since"), "until": _time(until, "--until")}

    async def work(runtime: Any) -> int:
        async with runtime.pool.acquire() as tx:
            return await resending.resend(tx, stream_id=stream, first_seq=first, last_seq=last, **span)

    count = _at(service, data, work)
    _show({"queued": count}, as_json, [f"{count} events queued"])


@app.command()
def demo(
    url: Annotated[str, typer.Option(help="Where `samspil up --clock virtual` answers.")],
    cases: Annotated[int, typer.Option(min=1, max=100_000, help="How many children.")] = 300,
    seed: Annotated[int, typer.Option(help="The same seed plays the same year.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Play a year of Kerteminde through the HTTP API, and check that every step is accounted for."""
    from services.demo.play import play  # noqa: PLC0415  the clients of the demo, not part of any service
    from services.demo.wire import ServerAway, Unexpected  # noqa: PLC0415  the same

    try:
        report = _run(play(url, cases=cases, seed=seed, console=err))
    except (ServerAway, Unexpected) as fault:
        err.print(f"samspil: {fault}", style="red", markup=False, highlight=False)
        raise typer.Exit(3) from None
    _show(report.as_dict(), as_json, report.lines())
    if not report.holds:
        raise typer.Exit(1)


out: Final = Console()
err: Final = Console(stderr=True)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; what cannot be done ends with a sentence that says what to do."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work)
    except (No, ServerFailed, FolderInUse) as fault:
        sentence = fault.sentence() if isinstance(fault, No) else str(fault)
        hint = f" ({fault.hint})" if isinstance(fault, No) and fault.hint else ""
        err.print(f"samspil: {sentence}{hint}", style="red", markup=False, highlight=False)
        raise typer.Exit(3) from None
    except (asyncpg.PostgresError, OSError) as fault:
        err.print(
            f"samspil: {type(fault).__name__}: is the server there? `samspil doctor` tells more", style="red"
        )
        raise typer.Exit(3) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


async def _examination(url: str | None, folder: Path | None) -> list[tuple[str, str]]:
    """Ask a server, look at its servers, or, where none is named, at what is installed."""
    if url:
        return await operating.ask_ready(url)
    settings = _settings(folder)
    if not settings.database.get_secret_value():
        return await operating.examine_installation()
    return await operating.examine(ALL, settings)


def _service(name: str) -> Service:
    if name not in SERVICES_BY_NAME:
        raise typer.BadParameter(f"one of: {', '.join(SERVICES)}", param_hint="SERVICE")
    return SERVICES_BY_NAME[name]


def _settings(data: Path | None) -> Settings:
    try:
        return read_whereabouts(data) if data else read_settings()
    except No as fault:
        err.print(f"samspil: {fault.sentence()} ({fault.hint})", style="red", markup=False)
        raise typer.Exit(3) from None


def _at(service: str, data: Path | None, work: Any) -> Any:
    async def inside() -> Any:
        async with operating.at_hand(_service(service), _settings(data)) as runtime:
            return await work(runtime)

    return _run(inside())


def _time(text: str | None, option: str) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("a time as in 2026-11-22T10:00:00+01:00", param_hint=option) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _show(value: Any, as_json: bool, lines: list[str]) -> None:  # noqa: FBT001  passed on from the option
    if as_json:
        sys.stdout.write(json.dumps(value, default=str, ensure_ascii=False) + "\n")
    else:
        for line in lines:
            out.print(line, soft_wrap=True)


def _show_rows(rows: list[dict[str, Any]], as_json: bool) -> None:  # noqa: FBT001  passed on from the option
    if as_json or not rows:
        _show(rows, as_json, ["nothing is parked"])
        return
    table = Table(*rows[0].keys())
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    out.print(table)


def main() -> None:
    """Run the command line."""
    # A command says in one sentence what is wrong; a server sets its logs up itself.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    app()


if __name__ == "__main__":
    main()
