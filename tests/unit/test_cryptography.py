"""Cryptography is used where the inventory says, and nowhere else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.documents import ROOT, table, text_of

LIBRARIES: Final = frozenset({"cryptography", "hashlib", "hmac", "joserfc", "secrets", "ssl"})
PRODUCT: Final = ("contracts", "deploy", "models", "services")


def imported_by(file: Path) -> set[str]:
    """Return the first part of the name of each module that a file imports."""
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    found = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    found |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in found}


def packages_with_cryptography() -> Iterator[tuple[str, str]]:
    """Yield each package of the product and each library of cryptography that it imports."""
    for folder in PRODUCT:
        for file in (ROOT / folder).rglob("*.py"):
            for library in imported_by(file) & LIBRARIES:
                yield str(file.parent.relative_to(ROOT)), library


def test_every_use_of_cryptography_is_in_the_inventory() -> None:
    """A package that begins to encrypt, sign, hash or make secrets fails the build until it is listed."""
    rows = table(text_of("docs/decisions/privacy.md"), "package", "libraries", "for")
    listed = {
        (package, library)
        for packages, libraries, _ in rows
        for package in re.findall(r"`([^`]+)`", packages)
        for library in re.findall(r"`([^`]+)`", libraries)
    }

    assert all(purpose for _, _, purpose in rows)
    assert set(packages_with_cryptography()) - listed == set()
