"""Refusals name what would be right, and repeat nothing that was sent (finding 14)."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec import Struct
from msgspec.structs import replace
from pydantic import ValidationError

import services
from services.agreement.domain.lifecycle import decide as decide_agreement
from services.directory.domain.lifecycle import decide as decide_directory
from services.evaluation.domain.lifecycle import decide as decide_evaluation
from services.evaluation.domain.states import NEEDED
from services.kernel.errors import ProblemError
from services.referral.domain.lifecycle import decide as decide_referral
from tests import examples_agreement, examples_directory, examples_evaluation, examples_referral

PLANTED: Final = "zyxflegni"
FOLDER: Final = Path(services.__path__[0])
RULES: Final = sorted(file for part in ("domain", "api.py", "views") for file in FOLDER.glob(f"*/{part}"))


def planted(value: Any) -> Iterator[Any]:
    """Yield a command with one of its texts after the other replaced by the planted word."""
    match value:
        case str():
            yield PLANTED
        case Struct():
            for name in value.__struct_fields__:
                yield from (replace(value, **{name: one}) for one in planted(getattr(value, name)))
        case tuple() if value:
            yield from ((one, *value[1:]) for one in planted(value[0]))
        case dict() if value:
            key, part = next(iter(value.items()))
            rest = {name: of for name, of in value.items() if name != key}
            yield from ({**value, PLANTED: part}, {**rest, PLANTED: part})
            yield from ({**value, key: one} for one in planted(part))


def of_agreement() -> Iterator[tuple[Any, Any, Any]]:
    """Yield each state with each command."""
    ex = examples_agreement
    cases = (ex.a_case(), *map(ex.a_case, ex.agreements()))
    return ((case, command, ex.context()) for case in cases for command in ex.commands())


def of_evaluation() -> Iterator[tuple[Any, Any, Any]]:
    """Yield each state with each command."""
    ex = examples_evaluation
    cases = (ex.a_case(), *map(ex.a_case, ex.collaborations()))
    running = ex.a_case(ex.a_running(ex.a_due(*NEEDED)))
    return ((case, command, ex.context()) for case in (*cases, running) for command in ex.commands())


def of_referral() -> Iterator[tuple[Any, Any, Any]]:
    """Yield each state with each command."""
    ex = examples_referral
    cases = (*ex.documents(), *map(ex.a_case, ex.referrals()))
    commands = (*ex.referral_commands(), *ex.document_triggers())
    return ((case, one, ex.a_context()) for case in cases for one in commands if isinstance(one, Struct))


def of_directory() -> Iterator[tuple[Any, Any, Any]]:
    """Yield each state with each command."""
    ex = examples_directory
    states = (None, *ex.states())
    return ((state, one, ex.context(ex.ORGANISATION)) for state in states for one in ex.commands())


@pytest.mark.parametrize(
    ("decide", "examples", "at_least"),
    [
        (decide_agreement, of_agreement, 50),
        (decide_evaluation, of_evaluation, 50),
        (decide_referral, of_referral, 100),
        (decide_directory, of_directory, 20),
    ],
)
def test_finding_14_no_refusal_repeats_a_planted_word(
    decide: Callable[..., Any], examples: Callable[[], Iterator[tuple[Any, Any, Any]]], at_least: int
) -> None:
    """Finding 14: a word in any text of any command, in any state, comes back in no hint."""
    hints = [
        hint
        for state, command, context in examples()
        for variant in planted(command)
        for hint in hints_of(decide, state, variant, context)
    ]

    assert [hint for hint in hints if PLANTED in hint] == []
    assert len(hints) >= at_least


def hints_of(decide: Callable[..., Any], state: Any, command: Any, context: Any) -> Iterator[str]:
    """Yield the hint with which a command is refused, if it is."""
    try:
        decide(state, command, context)
    except ProblemError as problem:
        yield problem.detail
    except ValidationError:
        return  # of an event, by a text that the pattern of its body would not have let in


@pytest.mark.parametrize(
    "file",
    [file for part in RULES for file in ([part] if part.is_file() else sorted(part.rglob("*.py")))],
    ids=lambda file: str(file.relative_to(FOLDER)),
)
def test_no_refusal_is_made_from_a_command(file: Path) -> None:
    """A hint is made from the model or the state; what a command or a body holds is what was sent."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and _is_class(node.exc.func):
            names = {one.id for part in node.exc.args for one in ast.walk(part) if isinstance(one, ast.Name)}
            assert names & {"command", "body", "view", "code", "answered"} == set(), ast.unparse(node)


def _is_class(called: ast.expr) -> bool:
    return ast.unparse(called).rpartition(".")[2][0].isupper()
