"""Write `docs/settings.md` from the settings class: `python -m services.publish.settings [--check]`."""

import sys
from pathlib import Path
from types import UnionType
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from services.kernel.settings import NEEDED_IN_PRODUCTION, Settings
from services.publish.files import publish

FILE: Final = Path(__file__).parents[2] / "docs" / "settings.md"
_HEAD: Final = """\
# Settings

A process reads its settings from environment variables.
Each may also stand in a file that `<NAME>_FILE` names: `SAMSPIL_DATABASE_FILE=/run/secrets/database`.
The file goes before the variable; secrets belong into files.
A setting that is missing or cannot be used ends the process with a sentence that says what to do.
That sentence repeats no secret.
A variable whose name is nearly that of a setting is refused as misspelt.
`samspil up` needs none of them.

This page is generated from `services/kernel/settings.py` by `make publish`.

| Name | Type | Default | Needed in | Meaning |
| --- | --- | --- | --- | --- |
"""


def document() -> str:
    """Return the document as it is committed."""
    return _HEAD + "".join(_row(name, field) for name, field in Settings.model_fields.items())


def _row(name: str, field: FieldInfo) -> str:
    needed = "production" if name in NEEDED_IN_PRODUCTION else ""
    meaning = " ".join((field.description or "").split())
    return f"| `SAMSPIL_{name.upper()}` | {type_of(field)} | {_default(field)} | {needed} | {meaning} |\n"


def type_of(field: FieldInfo) -> str:
    """Return the type of a setting in words, with its bounds."""
    kind: Any = field.annotation
    if get_origin(kind) is UnionType:
        kind = get_args(kind)[0]
    if get_origin(kind) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(kind))
    if get_origin(kind) in {tuple, dict} or (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return "JSON"
    if get_origin(kind) is frozenset:
        return "words"
    bounds = [
        f"{sign} {getattr(one, name):g}"
        for one in field.metadata
        for name, sign in _BOUNDS
        if hasattr(one, name)
    ]
    return ", ".join([_TYPES[kind], *bounds])


def _default(field: FieldInfo) -> str:
    value = field.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value in (None, "", (), {}, frozenset(), PydanticUndefined) or isinstance(value, BaseModel):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


_TYPES: Final[dict[Any, str]] = {
    str: "text",
    SecretStr: "secret",
    Path: "path",
    int: "integer",
    float: "number",
    bool: "`true` or `false`",
}
_BOUNDS: Final = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))

if __name__ == "__main__":
    sys.exit(publish({FILE: document()}, sys.argv[1:]))
