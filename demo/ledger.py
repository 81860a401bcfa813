"""The clients' own book: what was acknowledged to them, and what was refused, case by case."""

import hashlib
from collections import Counter
from collections.abc import Callable
from datetime import date
from typing import Final
from uuid import UUID

from msgspec import Struct, field

READING: Final = "notify.looked.v1"


class Deed(Struct, frozen=True):
    """One acknowledged command: the event that it must have left in the trail, once."""

    step: str
    event: str
    actor: UUID
    on: date


class CaseBook(Struct):
    """What was acknowledged about one case; `perhaps` counts answers that were lost with the server."""

    number: int
    deeds: list[Deed] = []
    reads: Counter[tuple[str, UUID]] = field(default_factory=Counter)
    refused: Counter[tuple[str, UUID]] = field(default_factory=Counter)
    perhaps: Counter[tuple[str, UUID]] = field(default_factory=Counter)
    referrals: list["ReferralBook"] = []
    stage: str = "to come"
    eligible: bool | None = None
    closed: bool = False
    reached: dict[str, date] = {}

    def has(self, step: str) -> bool:
        """Return whether a step was acknowledged."""
        return any(deed.step == step for deed in self.deeds)

    def count(self, event: str) -> int:
        """Return how many commands were acknowledged that leave this event."""
        return sum(deed.event == event for deed in self.deeds)


class ReferralBook(Struct, eq=False):
    """What was acknowledged about one referral, and about the agreement that came of it."""

    referral_id: UUID
    number: int
    organisation_id: UUID
    offer_id: UUID
    given: int = 0
    refused: int = 0
    withdrawn: bool = False
    agreement_id: UUID | None = None
    reached: dict[str, date] = {}


class Ledger:
    """The books of all cases, and what was noticed on the way."""

    def __init__(self, watch: Callable[[int], None]) -> None:
        """Begin with nothing; `watch` is called after each command with their number."""
        self._watch = watch
        self.cases: dict[UUID, CaseBook] = {}
        self.books: list[CaseBook] = []
        self.commands = 0
        self.reads = 0
        self.refused_reads = 0
        self.twice = 0
        self.stale = 0
        self.read_again: Counter[str] = Counter()
        self.faults: list[str] = []

    def opens(self, number: int) -> CaseBook:
        """Return the book of a case that is still to come."""
        book = CaseBook(number)
        self.books.append(book)
        return book

    def acknowledged(self, book: CaseBook, deed: Deed) -> None:
        """Write down a command that was carried out."""
        book.deeds.append(deed)
        self.counted()

    def counted(self) -> None:
        """Count a command that was carried out."""
        self.commands += 1
        self._watch(self.commands)

    def fault(self, number: int, said: str) -> None:
        """Write down what should not have happened."""
        self.faults.append(f"case {number}: {said}")

    def digest(self) -> str:
        """Return a fingerprint of the year: which case took which step on which day, by number, not by id."""
        digest = hashlib.sha256()
        for book in sorted(self.books, key=lambda book: book.number):
            for deed in book.deeds:
                if deed.event != READING:
                    digest.update(f"{book.number} {deed.step} {deed.on}\n".encode())
        return digest.hexdigest()[:12]
