"""Pin each image to its digest: `python -m deploy.images` writes deploy/images.lock; `--check` reads it."""

import json
import re
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode

import typer

HERE: Final = Path(__file__).parent
NAMES: Final = HERE / "images.in"
LOCK: Final = HERE / "images.lock"
DOCKER_HUB: Final = "https://registry-1.docker.io"
_SECONDS: Final = 30.0
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_KINDS: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
"""The list of an image's platforms: one digest for all of them."""


class NoDigest(Exception):
    """The registry names no digest of this image."""


def images_in(text: str) -> dict[str, str]:
    """Return the images of a file by their variable."""
    return dict(re.findall(r"^([A-Z_]+)=(\S+)$", text, re.MULTILINE))


def faults(names: Mapping[str, str], locked: Mapping[str, str]) -> list[str]:
    """Return what is wrong with a lock: an image that is missing, another tag, a tag without a digest."""
    found = [f"{name} is not locked: run `make images`" for name in names.keys() - locked.keys()]
    for name, image in locked.items():
        tag, _, digest = image.partition("@")
        if tag != names.get(name):
            found.append(f"{name} is locked as {tag} and named as {names.get(name)}: run `make images`")
        if not _DIGEST.fullmatch(digest):
            found.append(f"{name} has no digest: run `make images`")
    return sorted(found)


def digest_of(image: str, registry: str = DOCKER_HUB) -> str:
    """Return the digest of an image of Docker Hub (OCI distribution specification); raise `NoDigest`."""
    name, _, tag = image.partition(":")
    repository = name if "/" in name else f"library/{name}"
    address = f"{registry}/v2/{repository}/manifests/{tag}"
    try:
        try:
            digest = _head(address, "")
        except HTTPError as refused:
            if refused.code != 401:  # noqa: PLR2004  the status by which a registry names where tokens are made
                raise
            digest = _head(address, _token(refused.headers["WWW-Authenticate"] or "", registry))
    except (URLError, KeyError, ValueError, OSError) as fault:
        raise NoDigest(f"{image}: no answer of {registry} ({fault})") from None
    if not _DIGEST.fullmatch(digest):
        raise NoDigest(f"{image}: {registry} names no digest")
    return digest


def _head(address: str, token: str) -> str:
    headers = {"Accept": ", ".join(_KINDS), **({"Authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(address, headers=headers, method="HEAD")  # noqa: S310  our own address
    with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
        return str(answer.headers["Docker-Content-Digest"] or "")


def _token(challenge: str, registry: str) -> str:
    """Return an anonymous token, as the registry's challenge says where to get it."""
    asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm = asked.pop("realm")
    if realm.partition("://")[0] != registry.partition("://")[0]:
        raise ValueError("tokens are made without TLS")
    with urllib.request.urlopen(f"{realm}?{urlencode(asked)}", timeout=_SECONDS) as answer:  # noqa: S310
        return str(json.load(answer)["token"])


def lock_text(names: Mapping[str, str], registry: str = DOCKER_HUB) -> str:
    """Return the lock of images, each with its digest; raise `NoDigest`."""
    lines = [f"{name}={image}@{digest_of(image, registry)}\n" for name, image in names.items()]
    return "# Written by `make images` from deploy/images.in.\n" + "".join(lines)


def main(
    *, check: Annotated[bool, typer.Option(help="Say whether every image has its digest.")] = False
) -> None:
    """Write the digests of all images, or check them."""
    names = images_in(NAMES.read_text(encoding="utf-8"))
    if not check:
        try:
            LOCK.write_text(lock_text(names), encoding="utf-8")
        except NoDigest as fault:
            typer.echo(fault, err=True)
            sys.exit(1)
    locked = images_in(LOCK.read_text(encoding="utf-8")) if LOCK.exists() else {}
    complaints = faults(names, locked)
    for line in complaints:
        typer.echo(line, err=True)
    sys.exit(bool(complaints))


if __name__ == "__main__":
    typer.run(main)
