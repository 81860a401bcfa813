"""The project's documents and the names in them: commands, options, tables, anchors, paths, problem codes."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

from typer.main import get_command

from services.cli.main import app
from services.kernel.clock import ClockBackwards
from services.kernel.errors import ProblemError, Refused
from services.kernel.http import problems

ROOT: Final = Path(__file__).parents[1]
FILES: Final = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
DECISIONS: Final = sorted(set(ROOT.glob("docs/decisions/*.md")) - {ROOT / "docs/decisions/README.md"})

Command = tuple[str, ...]


def text_of(name: str) -> str:
    """Return a file of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


@cache
def commands() -> dict[Command, frozenset[str]]:
    """Return every command of `samspil` by its words, with its options."""
    return dict(_walk(get_command(app), ()))


def _walk(command: Any, words: Command) -> Iterator[tuple[Command, frozenset[str]]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield words, frozenset(option for each in command.params for option in each.opts)
        return
    for name, one in inner.items():
        yield from _walk(one, (*words, name))


def called(line: str) -> list[tuple[Command, frozenset[str]]]:
    """Return the commands in a line of a document, each with the options beside it.

    In a row of a table all options of the row belong to its first command.
    """
    found = []
    for span in re.findall(r"\bsamspil ((?:[a-z]+)(?: [^`|;]*)?)", line):
        words = span.split()
        fitting = [command for command in commands() if list(command) == words[: len(command)]]
        beside = line if line.startswith("| `samspil") else span
        found.append((fitting[0] if fitting else (words[0],), frozenset(re.findall(r"--[a-z-]+", beside))))
        if line.startswith("| `samspil"):
            break
    return found


def table(text: str, *head: str) -> list[tuple[str, ...]]:
    """Return the rows of a table, found by its head."""
    _, _, rest = text.partition(f"| {' | '.join(head)} |\n")
    rows = rest.partition("\n\n")[0].splitlines()[1:]
    return [tuple(cell.strip() for cell in re.split(r" \|(?= )", row.strip().strip("|"))) for row in rows]


def section(text: str, title: str) -> str:
    """Return the text under a heading of the second rank."""
    return text.partition(f"## {title}\n")[2].partition("\n## ")[0]


@cache
def names_in(file: str) -> frozenset[str]:
    """Return the names of the functions of a file below `tests/`; none where there is no such file."""
    path = ROOT / "tests" / file
    if not path.exists():
        return frozenset()
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def anchors_of(file: Path) -> set[str]:
    """Return the anchors of a file's headings."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def paths_in(text: str) -> list[str]:
    """Return the paths of the repository that a text names in code quotes; `<name>` becomes a wildcard."""
    spans = re.findall(r"`((?:services|contracts|deploy|demo|bench|models|tests|docs)/[^`\s]+)`", text)
    return [re.sub(r"<\w+>", "*", span).partition("::")[0].rstrip("/") for span in spans]


def exists(path: str) -> bool:
    """Return whether a path or a pattern of paths is in the repository."""
    return any(ROOT.glob(path.replace("…", "*")))


def kinds_of(kind: type[ProblemError]) -> Iterator[type[ProblemError]]:
    """Return every class of the product below a problem type."""
    for one in kind.__subclasses__():
        if one.__module__.startswith("services."):
            yield one
        yield from kinds_of(one)


def status_of(kind: type[ProblemError]) -> int:
    """Return the HTTP status of a problem type."""
    return next(problems._STATUS[base] for base in kind.__mro__ if base in problems._STATUS)


def everywhere() -> set[tuple[int, str]]:
    """Return status and code of every problem type with a line of its own in the table of statuses."""
    general = problems._STATUS.keys() - {ProblemError, Refused, ClockBackwards}
    return {(status_of(kind), kind.code()) for kind in general}


def answers() -> set[tuple[int, str]]:
    """Return status and code of every problem, from the table of statuses or the handler that answers it."""
    found = {(status_of(kind), kind.code()) for kind in kinds_of(ProblemError)}
    names = {kind.__name__: kind.code() for kind in kinds_of(ProblemError)}
    handled = re.findall(r"\b_problem\(request, (\d{3}), (\w+)", text_of("services/kernel/http/problems.py"))
    return (
        found
        | {(int(status), names[kind]) for status, kind in handled}
        | {(status, f"http-{status}") for status in problems.TITLES}
    )
