"""State diagrams: every row of a lifecycle is an arrow, and the committed documents are current."""

from typing import Any

from services.kernel.decider.decision import Decision
from services.kernel.decider.lifecycle import ABSENT, Lifecycle, row, timer_row
from services.publish.lifecycles import FOLDER, diagram, document_of, documents


class Lent:
    """A book that is lent."""


class Overdue:
    """A book that should be back."""


class Returned:
    """A book that is back."""


class Lend:
    """Lend a book."""


class GiveBack:
    """Give a book back."""


def keep(_transition: Any, before: Any, _trigger: Any) -> Decision:
    """Change nothing."""
    return Decision(before)


LOAN = Lifecycle(
    "loan of a book",
    (Lent, Overdue, Returned),
    on_command=(
        row(ABSENT, Lend, keep, Lent),
        row(Lent, GiveBack, keep, Returned),
        row(Overdue, GiveBack, keep, Returned),
        row(Returned, GiveBack, keep),
    ),
    on_timer=(timer_row(Lent, "reminder", keep, Lent, Overdue),),
)


def test_a_diagram_has_an_arrow_for_every_row() -> None:
    """Commands by their class, timers by their kind; a state that nothing leaves is an end."""
    assert (
        diagram(LOAN)
        == """\
## Loan of a book

```mermaid
stateDiagram-v2
    state Lent
    state Overdue
    state Returned
    [*] --> Lent: Lend
    Lent --> Returned: GiveBack
    Overdue --> Returned: GiveBack
    Returned --> Returned: GiveBack
    Lent --> Lent: timer reminder
    Lent --> Overdue: timer reminder
    Returned --> [*]
```
"""
    )


def test_two_triggers_between_the_same_states_share_an_arrow() -> None:
    """Mermaid would lay two arrows over each other."""
    commands = (row(Lent, GiveBack, keep, Returned), row(Lent, Lend, keep, Returned))
    both = Lifecycle("loan", (Lent, Returned), on_command=commands)

    assert "    Lent --> Returned: GiveBack, Lend\n" in diagram(both)


def test_what_stays_absent_has_no_arrow_and_a_single_state_has_no_end() -> None:
    """A diagram shows changes; a thing of one state goes on for ever."""
    commands = (row(ABSENT, Lend, keep, Lent), row(ABSENT, GiveBack, keep, ABSENT))
    single = Lifecycle("shelf", (Lent,), on_command=commands)

    lines = diagram(single).splitlines()

    assert [line.strip() for line in lines if "-->" in line] == ["[*] --> Lent: Lend"]


def test_a_document_names_its_source() -> None:
    """A reader who finds a mistake knows which table to change."""
    assert "`services/library/domain/lifecycle.py`" in document_of("library", (LOAN,))


def test_the_committed_documents_are_current() -> None:
    """Every service with a lifecycle has its document, and no document is left of one that has none."""
    expected = documents()

    assert {file: file.read_text(encoding="utf-8") for file in expected} == expected
    assert set(FOLDER.glob("*.md")) <= expected.keys()
