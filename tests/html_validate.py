"""html-validate on pages: what a browser forgives and a screen reader stumbles over."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.node_tools import run_node


def html_findings(pages: Mapping[str, str], folder: Path) -> list[str]:
    """Return what is wrong with pages by their names, one line a finding; the folder is scratch space."""
    names = {str(folder / f"{number}.html"): name for number, name in enumerate(pages)}
    for file, name in names.items():
        Path(file).write_text(pages[name], encoding="utf-8")
    done: subprocess.CompletedProcess[str] = run_node("html_validate.mjs", *names)
    assert done.returncode == 0, done.stderr
    return [f"{names[found['file']]}: {found['said']}" for found in json.loads(done.stdout)]
