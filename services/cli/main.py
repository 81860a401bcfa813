"""The command line `samspil`."""

import logging
import re
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

import typer

from contracts.event import SERVICES, WhyDropped
from services.cli.terminal import age_of, err, show, show_rows, time_of
from services.cli.terminal import run as run_to_end
from services.kernel.clock import SystemClock
from services.kernel.decider.service import Service
from services.kernel.embedded.up import read_server_info
from services.kernel.embedded.up import up as up_services
from services.kernel.errors import ProblemError
from services.kernel.http.server import run_services
from services.kernel.kafka.topics import make_topics
from services.kernel.logging import set_up_logs
from services.kernel.operations import doctor as examining
from services.kernel.operations import missing_events as losing
from services.kernel.operations import parked_events as operating
from services.kernel.operations import rebuild_projections as rebuilding
from services.kernel.outbox import republish as resending
from services.kernel.postgres.migrations import migrate as migrate_service
from services.kernel.settings import Settings, read_settings
from services.kernel.tracing import set_up_tracing
from services.registry import ALL, SERVICES_BY_NAME

EXIT_CODES: Final = (
    "Exit codes: 0 done; 1 something was found wrong; 2 wrong use; 3 could not be done (says what to do)."
)

app = typer.Typer(
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
_HERE: Final = Path(".samspil")
"""Where `samspil up` keeps everything unless it is told otherwise."""

_MOST: Final = 2**63 - 1
"""The largest number that the database counts with."""

ParkedArgument = Annotated[
    int, typer.Argument(min=1, max=_MOST, help="Its id, as `samspil parked list` shows it.")
]
StreamOption = Annotated[UUID | None, typer.Option("--stream", help="Only this stream.")]


def _say_version(command: bool) -> None:  # noqa: FBT001  given by the option
    if command:
        show(version("samspil"), False, [f"samspil {version('samspil')}"])  # noqa: FBT003  as a person reads it
        raise typer.Exit


@app.callback()
def about(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Say which version this is."),
    ] = False,
) -> None:
    """Runs the collaboration between a municipality's services for children and voluntary organisations."""


@app.command()
def up(
    data: Annotated[Path, typer.Option(help="Folder that keeps everything.")] = _HERE,
    port: Annotated[int, typer.Option(help="Port on the loopback address.", min=1, max=65535)] = 8440,
    clock: Annotated[str, typer.Option(help="system, or virtual: time moves only when told to.")] = "system",
) -> None:
    """Run everything in one process, on the embedded database and broker."""
    if clock not in {"system", "virtual"}:
        raise typer.BadParameter("system or virtual", param_hint="--clock")
    try:
        data.mkdir(parents=True, exist_ok=True)
        set_up_logs("info", data / "samspil.log")
    except OSError as fault:
        raise typer.BadParameter(
            f"{data}: {fault.strerror}: name another folder", param_hint="--data"
        ) from None
    run_to_end(up_services(ALL, data, port=port, virtual=clock == "virtual"))


@app.command()
def run(service: ServiceArgument) -> None:
    """Run one service, with settings from SAMSPIL_… and SAMSPIL_…_FILE."""
    chosen = _service(service)
    settings = _settings(None)
    set_up_logs(settings.log_level)
    set_up_tracing(settings.otlp, settings.traced_share, f"samspil.{service}")
    run_to_end(run_services([chosen], settings, SystemClock()))


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

    done = run_to_end(work())
    show(done, as_json, [f"{name}: {', '.join(files) or 'up to date'}" for name, files in done.items()])


@app.command()
def topics(
    replication: Annotated[int, typer.Option(min=1, help="Copies of each partition.")] = 1,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the topics that are missing; a changed number of partitions is refused."""
    made = run_to_end(make_topics(SERVICES, _settings(data), replication=replication))
    show(made, as_json, [f"made {name}" for name in made] or ["all there"])


@app.command()
def doctor(
    url: Annotated[str | None, typer.Option(help="Ask a running server instead.")] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong with an installation, and what to do about it."""
    _must_be_address(url)
    found = run_to_end(_examination(url, data))
    lines = [
        f"[{'red' if why else 'green'}]{'✗' if why else '✓'}[/] {part}{': ' + why if why else ''}"
        for part, why in found
    ]
    show({part: why or "well" for part, why in found}, as_json, lines)
    if any(why for _, why in found):
        raise typer.Exit(1)


@parked.command("list")
def parked_list(
    service: Annotated[str | None, typer.Argument(help="One service; all without.")] = None,
    stream: StreamOption = None,
    reason: Annotated[str | None, typer.Option(help="Only this reason.")] = None,
    older_than: Annotated[str | None, typer.Option(help="Only what waits for longer, as in 15m, 2h.")] = None,
    most: Annotated[int, typer.Option(min=1, max=_MOST, help="Of each service at most so many.")] = 1000,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List parked events by age, oldest first; bodies are never shown."""
    age = age_of(older_than, "--older-than")

    async def look(runtime: Any) -> list[dict[str, Any]]:
        return await operating.list_parked(
            runtime, stream_id=stream, reason=reason, older_than=age, most=most
        )

    rows = [row for name in (SERVICES if service is None else (service,)) for row in _at(name, data, look)]
    show_rows(sorted(rows, key=lambda row: row["parked_at"]), as_json, "nothing is parked")


@parked.command("show")
def parked_show(
    service: ServiceArgument, parked_id: ParkedArgument, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Show one parked event's place and history, and what waits with it, never its body."""
    row = _at(service, data, lambda runtime: operating.show_parked(runtime, parked_id))
    show(row, as_json, [f"{name}: {value}" for name, value in row.items()])


@parked.command("replay")
def parked_replay(
    service: ServiceArgument,
    parked_id: Annotated[
        int | None, typer.Argument(min=1, max=_MOST, help="Only this one, after those before it.")
    ] = None,
    stream: StreamOption = None,
    reason: Annotated[str | None, typer.Option(help="Only streams with this reason.")] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take parked events up again: one, a stream, those with a reason, or all; each stream in order."""
    if parked_id is not None and (stream or reason):
        raise typer.BadParameter("one event, or --stream and --reason", param_hint="PARKED_ID")
    done = _at(
        service,
        data,
        lambda at: operating.replay_parked(at, parked_id=parked_id, stream_id=stream, reason=reason),
    )
    show(done, as_json, [f"{name}: {count}" for name, count in done.items()])
    if done["left"]:
        raise typer.Exit(1)


@parked.command("drop")
def parked_drop(
    service: ServiceArgument,
    parked_id: ParkedArgument,
    why: Annotated[WhyDropped, typer.Option("--because", help="The reason that the trail keeps.")],
    by: Annotated[UUID, typer.Option(help="Who decides: the random id that your sign-in gives the person.")],
    tenant: Annotated[
        str | None, typer.Option(help="For a message without a known stream: whose trail it enters.")
    ] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give one parked event up for good, and let its stream go on; who and why lands in the trail."""
    if tenant is not None and not re.fullmatch("[0-9]{4}", tenant):
        raise typer.BadParameter("a municipality's four digits", param_hint="--tenant")
    done = _at(
        service,
        data,
        lambda at: operating.discard_parked(at, parked_id, why=why, by=by, tenant=tenant),
    )
    show(done, as_json, [f"{name}: {value}" for name, value in done.items()])


@parked.command("follow")
def parked_follow(
    service: ServiceArgument,
    parked_id: ParkedArgument,
    by: Annotated[UUID, typer.Option(help="Who decides: the random id that your sign-in gives the person.")],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Where histories diverge hold the source's for true, and go on with what it says now; on the record."""
    done = _at(service, data, lambda at: operating.accept_source(at, parked_id, by=by))
    show(done, as_json, [f"{name}: {value}" for name, value in done.items()])


@app.command()
def rebuild(service: ServiceArgument, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Write a service's lists and figures anew from its streams and its log, also while it runs."""
    done = _at(service, data, rebuilding.rebuild)
    show(done, as_json, [f"{name}: {count}" for name, count in done.items()])


@app.command()
def resend(
    service: ServiceArgument,
    stream: StreamOption = None,
    first: Annotated[int, typer.Option(min=1, max=_MOST, help="From this sequence number on.")] = 1,
    last: Annotated[int | None, typer.Option(min=1, max=_MOST, help="Up to this sequence number.")] = None,
    since: Annotated[str | None, typer.Option(help="From this time on, ISO 8601.")] = None,
    until: Annotated[str | None, typer.Option(help="Before this time, ISO 8601.")] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send events from the log again; whoever has them passes them by."""
    begins, ends = time_of(since, "--since"), time_of(until, "--until")
    if last is not None and last < first:
        raise typer.BadParameter("not below --first", param_hint="--last")

    async def work(runtime: Any) -> int:
        async with runtime.pool.acquire() as tx:
            return await resending.republish(
                tx, stream_id=stream, since=begins, until=ends, first_seq=first, last_seq=last
            )

    count = _at(service, data, work)
    show({"queued": count}, as_json, [f"{count} events queued"])


@app.command()
def lost(service: ServiceArgument, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List what a service's topic holds and its log does not, as after a restore; if any, exits with 1."""
    rows = _at(service, data, losing.find_missing_events)
    show_rows(rows, as_json, "nothing is lost")
    if rows:
        raise typer.Exit(1)


@app.command()
def demo(
    url: Annotated[str, typer.Option(help="Where `samspil up --clock virtual` answers.")],
    cases: Annotated[int, typer.Option(min=1, max=100_000, help="How many children.")] = 300,
    seed: Annotated[int, typer.Option(help="The same seed plays the same year.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Play a year of Kerteminde through the HTTP API, and check that every step is accounted for."""
    from demo.play import play  # noqa: PLC0415  the clients of the demo, not part of any service
    from demo.wire import ServerAway, Unexpected  # noqa: PLC0415  the same

    _must_be_address(url)
    try:
        report = run_to_end(play(url, cases=cases, seed=seed, console=err))
    except (ServerAway, Unexpected) as fault:
        err.print(f"samspil: {fault}", style="red", markup=False, highlight=False)
        raise typer.Exit(3) from None
    show(report.as_dict(), as_json, report.lines())
    if not report.holds:
        raise typer.Exit(1)


async def _examination(url: str | None, folder: Path | None) -> list[tuple[str, str]]:
    """Ask a server, look at its servers, or, where none is named, at what is installed."""
    if url:
        return await examining.read_readiness(url)
    settings = _settings(folder)
    if not settings.database.get_secret_value() and (_HERE / "server.json").exists():
        settings = _settings(_HERE)
    if not settings.database.get_secret_value():
        return await examining.diagnose_installation()
    return await examining.diagnose(ALL, settings)


def _must_be_address(url: str | None) -> None:
    if url is not None and not re.match(r"https?://[^/\s]", url):
        raise typer.BadParameter("an address as in http://127.0.0.1:8440", param_hint="--url")


def _service(name: str) -> Service:
    if name not in SERVICES_BY_NAME:
        raise typer.BadParameter(f"one of: {', '.join(SERVICES)}", param_hint="SERVICE")
    return SERVICES_BY_NAME[name]


def _settings(data: Path | None) -> Settings:
    try:
        return read_server_info(data) if data else read_settings()
    except ProblemError as fault:
        err.print(f"samspil: {fault.title()} ({fault.detail})", style="red", markup=False)
        raise typer.Exit(3) from None


def _at(service: str, data: Path | None, work: Any) -> Any:
    async def inside() -> Any:
        async with operating.open_service(_service(service), _settings(data)) as runtime:
            return await work(runtime)

    return run_to_end(inside())


def main() -> None:
    """Run the command line."""
    # A command says in one sentence what is wrong; a server sets its logs up itself.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    app()


if __name__ == "__main__":
    main()
