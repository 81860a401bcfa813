"""The command `samspil` as an operator types it, and what it says."""

import json
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner

from services.cli.main import app


@dataclass(frozen=True)
class Said:
    """What a command ended with."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed for programs."""
        return json.loads(self.out)


def samspil(*words: object) -> Said:
    """Run a command to its end in this process."""
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    return Said(result.exit_code, result.stdout, result.stderr)
