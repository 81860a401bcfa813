"""One policy and one token a service in Vault or OpenBao: `python -m deploy.vault_policies`."""

import re
from pathlib import Path
from typing import Annotated, Final

import typer

from contracts.event import SERVICES
from services.kernel.privacy.token_signing import TRANSIT_KEY
from services.kernel.privacy.vault import transit_key

KEEPER: Final = "samspil-keys"
"""Policy of the operator who makes and rotates keys; it encrypts and decrypts nothing."""
_SIGNER: Final = "portal"
_CODE: Final = re.compile(r"[0-9]{4}")


def policy_of(service: str, codes: list[str], mount: str = "transit") -> str:
    """Return the policy of a service: it encrypts and decrypts by its own keys, each named, and no more.

    The portal signs its tokens besides, by a key that never leaves.
    """
    keys = [transit_key(service, code) for code in codes]
    paths = [f"{mount}/{what}/{key}" for key in keys for what in ("encrypt", "decrypt")]
    lines = [f'path "{path}" {{ capabilities = ["update"] }}\n' for path in paths]
    if service == _SIGNER:
        lines.append(f'path "{mount}/sign/{TRANSIT_KEY}" {{ capabilities = ["update"] }}\n')
        lines.append(f'path "{mount}/keys/{TRANSIT_KEY}" {{ capabilities = ["read"] }}\n')
    return "".join(lines)


def policy_of_keeper(codes: list[str], mount: str = "transit") -> str:
    """Return the policy of the operator who makes keys and rotates them."""
    keys = [*(transit_key(service, code) for service in SERVICES for code in codes), TRANSIT_KEY]
    lines = []
    for key in keys:
        lines.append(f'path "{mount}/keys/{key}" {{ capabilities = ["create", "read", "update"] }}\n')
        lines += [
            f'path "{mount}/keys/{key}/{what}" {{ capabilities = ["update"] }}\n'
            for what in ("rotate", "config")
        ]
    return "".join(lines)


def commands(codes: list[str], folder: Path, mount: str = "transit") -> list[str]:
    """Return the commands that lay keys, policies and tokens; `bao` takes the same as `vault`."""
    names = [f"samspil-{service}" for service in SERVICES]
    return [
        f"vault secrets enable -path={mount} transit",
        *(
            f"vault write -f {mount}/keys/{transit_key(service, code)} type=aes256-gcm96"
            for service in SERVICES
            for code in codes
        ),
        f"vault write -f {mount}/keys/{TRANSIT_KEY} type=ed25519",
        *(f"vault policy write {name} {folder / name}.hcl" for name in (*names, KEEPER)),
        *(
            f"vault token create -orphan -period=24h -policy=samspil-{service} -field=token"
            f" > {folder / f'vault_token_{service}'}"
            for service in SERVICES
        ),
    ]


def write_policies(folder: Path, codes: list[str], mount: str = "transit") -> None:
    """Write the policies as files."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for service in SERVICES:
        (folder / f"samspil-{service}.hcl").write_text(policy_of(service, codes, mount), encoding="utf-8")
    (folder / f"{KEEPER}.hcl").write_text(policy_of_keeper(codes, mount), encoding="utf-8")


def main(
    codes: Annotated[list[str], typer.Argument(help="Codes of the municipalities, four digits each.")],
    folder: Annotated[Path, typer.Option(help="Where the policies go.")] = Path(".samspil/vault"),
    mount: Annotated[str, typer.Option(help="Where the transit engine is mounted.")] = "transit",
) -> None:
    """Write a policy for each service, and print the commands that lay them with keys and tokens."""
    wrong = [code for code in codes if not _CODE.fullmatch(code)]
    if wrong:
        raise typer.BadParameter(f"{', '.join(wrong)}: a code has four digits")
    write_policies(folder, codes, mount)
    for line in commands(codes, folder, mount):
        typer.echo(line)


if __name__ == "__main__":
    typer.run(main)
