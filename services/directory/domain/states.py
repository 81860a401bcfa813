"""States of a municipality, of an organisation's membership, and of an offer."""

from datetime import date, datetime
from uuid import UUID

from msgspec import Struct


class Department(Struct, frozen=True):
    """A unit of the municipality that takes part, and since when."""

    kind: str
    name: str
    since: date


class Adoption(Struct, frozen=True):
    """One version of a model that was followed from a day on; `sha256` is the digest of its content."""

    model: str
    version: int
    sha256: str
    since: date


class Revoked(Struct, frozen=True, tag="revoked", tag_field="status"):
    """A person or a token is let in no more, since a time."""

    since: datetime


class Restored(Struct, frozen=True, tag="restored", tag_field="status"):
    """A person or a token is let in again, since a time."""

    since: datetime


Access = Revoked | Restored


class Municipality(Struct, frozen=True, tag="municipality", tag_field="kind"):
    """The public party: the models it has followed, the latest last, its departments, and whom it lets in.

    `accesses` are by the person's id, or by the SHA-256 of a token's.
    """

    adoptions: tuple[Adoption, ...] = ()
    departments: dict[UUID, Department] = {}
    accesses: dict[str, Access] = {}

    @property
    def adoption(self) -> Adoption | None:
        """Return what the municipality follows now."""
        return self.adoptions[-1] if self.adoptions else None


class Period(Struct, frozen=True):
    """A time in which an organisation took part, and why it ended."""

    joined_on: date
    left_on: date
    reason: str


class Joined(Struct, frozen=True, tag="joined", tag_field="status"):
    """The organisation takes part: it accepted these terms, and its child-protection declaration runs."""

    terms: str
    joined_on: date
    declaration_until: date


class Left(Struct, frozen=True, tag="left", tag_field="status"):
    """The organisation takes part no longer."""

    left_on: date


Membership = Joined | Left


class Organisation(Struct, frozen=True, tag="organisation", tag_field="kind"):
    """A voluntary association: its public name, whether it takes part, and when it did before."""

    name: str
    number: str
    membership: Membership
    before: tuple[Period, ...] = ()


class Offer(Struct, frozen=True, tag="offer", tag_field="kind"):
    """What an organisation can do, for whom, for how many at a time; the places were confirmed `as_of`."""

    organisation_id: UUID
    title: str
    theme: str
    format: str
    age_from: int
    age_to: int
    areas: tuple[str, ...]
    price: str
    places: int
    as_of: date


State = Municipality | Organisation | Offer
