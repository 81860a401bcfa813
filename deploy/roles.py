"""Lay the PostgreSQL roles of every service: `python -m deploy.roles`, before and after each migration."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from contracts.event import SERVICES
from services.kernel.postgres.roles import lay_roles, logins_of


def main(
    database: Annotated[Path, typer.Option(help="File with the connection string of a superuser.")],
    passwords: Annotated[Path, typer.Option(help="Folder with a file `password_<role>` for each login.")],
) -> None:
    """Give each service its roles, its schema and its rights."""
    logins = [role for service in SERVICES for role in logins_of(service)]
    read = {role: (passwords / f"password_{role}").read_text().strip() for role in logins}
    asyncio.run(lay_roles(database.read_text().strip(), read, SERVICES))
    typer.echo(f"{len(SERVICES)} services have their roles.")


if __name__ == "__main__":
    typer.run(main)
