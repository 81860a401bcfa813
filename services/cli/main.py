"""The command line `samspil`."""

import logging
import os
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import Annotated, Final

import typer

from contracts.event import SERVICES
from services.cli import account, keys, log, parked
from services.cli.options import (
    DEFAULT_FOLDER,
    DataOption,
    JsonOption,
    ServiceArgument,
    folder_of,
    require_address,
    service_named,
    settings_of,
    settings_of_service,
)
from services.cli.terminal import err, out, run_to_end, show
from services.kernel.clock import SystemClock
from services.kernel.embedded.postgres_data import private_folder
from services.kernel.embedded.up import ServerInfo, migrate_folder
from services.kernel.embedded.up import up as run_everything
from services.kernel.http.server import run_services
from services.kernel.kafka.topics import make_topics
from services.kernel.logging import set_up_logs
from services.kernel.operations import doctor as doctor_checks
from services.kernel.operations.parked_events import NoDatabase
from services.kernel.postgres.migrations import migrate as migrate_service
from services.kernel.settings import Settings
from services.kernel.tracing import set_up_tracing
from services.registry import ALL

EXIT_CODES: Final = (
    "Exit codes: 0 done; 1 something was found wrong; 2 wrong use; 3 could not be done (says what to do)."
)

_NOTHING_NAMED: Final = (
    "samspil: only what is installed here was examined, for no server is named: give --data with the folder "
    "of `samspil up`, --url with the address of a running server, or set SAMSPIL_DATABASE"
)

app = typer.Typer(
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(account.app, name="account")
app.add_typer(keys.app, name="keys")
app.add_typer(parked.app, name="parked")


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
    data: Annotated[Path, typer.Option(help="Folder that keeps everything.")] = DEFAULT_FOLDER,
    port: Annotated[int, typer.Option(help="Port on the loopback address.", min=1, max=65535)] = 8440,
    clock: Annotated[str, typer.Option(help="system, or virtual: time moves only by a call.")] = "system",
    broker_port: Annotated[
        int | None,
        typer.Option(help="Port of the broker; else one that is kept for the folder.", min=1, max=65535),
    ] = None,
) -> None:
    """Run everything in one process, on the embedded database and broker."""
    if clock not in {"system", "virtual"}:
        raise typer.BadParameter("system or virtual", param_hint="--clock")
    try:
        os.umask(0o077)
        private_folder(data)
        set_up_logs("info", data / "samspil.log")
    except OSError as fault:
        raise typer.BadParameter(
            f"{data}: {fault.strerror}: name another folder", param_hint="--data"
        ) from None
    out.print(f"Starting PostgreSQL, a broker and {len(ALL)} services on {data} ...", soft_wrap=True)
    began = monotonic()

    def on_ready(info: ServerInfo) -> None:
        out.print(f"Ready in {monotonic() - began:.1f} s, stop with Ctrl-C.")
        for line in ready_lines(info):
            out.print(line, soft_wrap=True, markup=False, highlight=False)

    virtual = clock == "virtual"
    run_to_end(
        run_everything(ALL, data, port=port, virtual=virtual, broker_port=broker_port, on_ready=on_ready)
    )
    out.print("Stopped.")


def ready_lines(info: ServerInfo) -> list[str]:
    """Return where a server is and, with a virtual clock, the calls that move it."""
    lines = [
        f"  address  {info.url} (API: {info.url}/docs)",
        f"  data     {info.folder.absolute()} (log: samspil.log)",
        f"  broker   {info.bootstrap} (Kafka protocol)",
    ]
    if info.virtual_now is None:
        return [*lines, "  clock    the machine's"]
    json = "-H 'Content-Type: application/json'"
    bearer = '{"sub": "00000000-0000-4000-8000-000000000001", "role": "operator", "tenant": "0440"}'
    move = f'{{"to": "{(info.virtual_now + timedelta(days=1)).isoformat()}"}}'
    return [
        *lines,
        f"  clock    virtual: it stands at {info.virtual_now.isoformat()}; to move it by a day:",
        f"    token=$(curl -s {info.url}/development/tokens {json} -d '{bearer}' | cut -d'\"' -f4)",
        f"    curl -s {info.url}/development/clock {json} -H \"Authorization: Bearer $token\" -d '{move}'",
    ]


@app.command()
def run(service: ServiceArgument) -> None:
    """Run one service, with settings from SAMSPIL_… and SAMSPIL_…_FILE."""
    chosen = service_named(service)
    settings = settings_of_service()
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
    folder, settings = folder_of(data), settings_of(data)
    chosen = ALL if service is None else (service_named(service),)

    async def work() -> dict[str, list[str]]:
        dsn = settings.database.get_secret_value()
        if not dsn:
            raise NoDatabase
        if folder is not None:
            return await migrate_folder(folder, settings, chosen)
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
    made = run_to_end(make_topics(SERVICES, settings_of(data), replication=replication))
    show(made, as_json, [f"made {name}" for name in made] or ["all there"])


@app.command()
def doctor(
    url: Annotated[str | None, typer.Option(help="Examine a running server instead.")] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong with an installation, and what to do about it."""
    require_address(url)
    settings = None if url else _settings_to_examine(data)
    if url:
        found = run_to_end(doctor_checks.read_readiness(url))
    elif settings:
        found = run_to_end(doctor_checks.diagnose(ALL, settings, lambda name: settings_of(data, name)))
    else:
        found = run_to_end(doctor_checks.diagnose_installation())
    lines = [
        f"[{'red' if why else 'green'}]{'✗' if why else '✓'}[/] {part}{': ' + why if why else ''}"
        for part, why in found
    ]
    show({part: why or "well" for part, why in found}, as_json, lines)
    if not url and not settings:
        err.print(_NOTHING_NAMED, style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(2)
    if any(why for _, why in found):
        raise typer.Exit(1)


def _settings_to_examine(data: Path | None) -> Settings | None:
    """Return the settings that are named, or those of `samspil up` in this folder; None where neither is."""
    settings = settings_of(data)
    return settings if settings.database.get_secret_value() else None


for command in (log.rebuild, log.resend, log.lost):
    app.command()(command)


@app.command()
def demo(
    url: Annotated[str, typer.Option(help="Where `samspil up --clock virtual` answers.")],
    cases: Annotated[int, typer.Option(min=1, max=100_000, help="How many children.")] = 300,
    seed: Annotated[int, typer.Option(help="The same seed plays the same year.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Play a year of Kerteminde through the HTTP API, and check that every step is accounted for."""
    from demo.play import play  # noqa: PLC0415  the clients of the demo, not part of any service
    from demo.report_lines import where_next  # noqa: PLC0415  the same
    from demo.wire import ServerAway, Unexpected  # noqa: PLC0415  the same

    require_address(url)
    try:
        report = run_to_end(play(url, cases=cases, seed=seed, console=err))
    except (ServerAway, Unexpected) as fault:
        err.print(f"samspil: {fault}", style="red", markup=False, highlight=False)
        raise typer.Exit(3) from None
    show(report.as_dict(), as_json, [*report.lines(), *where_next(url, cases, seed)])
    if not report.holds:
        raise typer.Exit(1)


def main() -> None:
    """Run the command line."""
    # A command prints one sentence about an error; a server sets up its own logs.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    app()


if __name__ == "__main__":
    main()
