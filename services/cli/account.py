"""`samspil account`: let a municipality's first administrator in."""

import re
from secrets import token_bytes
from typing import Annotated, Any, Final

import typer

from contracts.event import municipality_stream
from services.cli.options import DataOption, JsonOption, require_code, run_recorded
from services.cli.terminal import show
from services.directory.domain.codes import DIGESTS, code_of, read_code
from services.directory.domain.commands import MakeInvitation
from services.directory.domain.states import Position
from services.kernel.decider.decision import Actor
from services.kernel.ids import new_id
from services.kernel.operations.operator_commands import execute_for, keyed_digest_for
from services.kernel.runtime.runtime import Runtime

_SECRET_BYTES: Final = 32

app = typer.Typer(help="Accounts of people who sign in.", no_args_is_help=True)


@app.callback()
def about() -> None:
    """Accounts of people who sign in."""


@app.command("open")
def open_(
    tenant: Annotated[str, typer.Option(help="The municipality: its four digits.")],
    name: Annotated[str, typer.Option(help="What the person is called; it is kept encrypted.")],
    role: Annotated[str, typer.Option(help="administrator; everybody else is invited by one.")] = (
        "administrator"
    ),
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Invite a municipality's first administrator, and print the code that is used once at sign-in."""
    require_code(tenant)
    if role != "administrator":
        raise typer.BadParameter("administrator: everybody else is invited by one", param_hint="--role")
    if not re.fullmatch(r"\S(.{0,198}\S)?", name):
        raise typer.BadParameter("1 to 200 characters", param_hint="--name")

    async def concerned(_runtime: Runtime) -> list[str]:
        return [tenant]

    async def work(runtime: Runtime, operator: Actor) -> dict[str, Any]:
        return await invite_administrator(runtime, operator, tenant, name)

    made = run_recorded("directory", data, "account_open", work, concerned)
    show(made, as_json, [f"code {made['code']}", f"it can be used once, until {made['expires_on']}"])


async def invite_administrator(runtime: Runtime, operator: Actor, tenant: str, name: str) -> dict[str, Any]:
    """Invite the administrator of a municipality as an operator; return the code and its last day."""
    code, invitation_id = code_of(token_bytes(_SECRET_BYTES)), new_id()
    digest = await keyed_digest_for(runtime, tenant, DIGESTS, read_code(code))
    command = MakeInvitation(
        municipality_id=municipality_stream(tenant),
        position=Position("administrator"),
        account_id=new_id(),
        code_digest=digest.hex(),
        name=name,
    )
    invitation = await execute_for(runtime, operator, tenant, invitation_id, command)
    return {
        "invitation_id": str(invitation_id),
        "code": code,
        "expires_on": invitation.expires_on.isoformat(),
    }
