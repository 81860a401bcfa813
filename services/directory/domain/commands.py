"""Commands of the directory; each names the municipality where the step follows its model."""

from datetime import date
from uuid import UUID

from msgspec import Struct

from services.directory.domain.states import Position


class MakeInvitation(Struct, frozen=True):
    """Invite somebody to a role by a code; `account_id` is opened where they have no account.

    `named_in` are the cases of which one is to name a person of a family; none for other roles.
    """

    municipality_id: UUID
    position: Position
    account_id: UUID
    code_digest: str
    until: date | None = None
    name: str = ""
    named_in: tuple[UUID, ...] = ()


class RevokeInvitation(Struct, frozen=True):
    """Take back an invitation whose code was not used; `named_in` as where it is made."""

    named_in: tuple[UUID, ...] = ()


class UseInvitation(Struct, frozen=True):
    """Take the role of an invitation, for whom its code was given by; `account_id` is theirs, or is opened.

    The first of the identities is that of the sign-in service.
    """

    municipality_id: UUID
    identity_ids: tuple[UUID, ...]
    account_id: UUID
    membership_id: UUID


class AddIdentity(Struct, frozen=True):
    """Let the holder of an account, who is signed in, sign in by a further identity too."""

    identity_ids: tuple[UUID, ...]


class NoteWrongCode(Struct, frozen=True):
    """Count a code that no invitation has."""

    identity_id: UUID


class BindPerson(Struct, frozen=True):
    """Let somebody of a family sign in by an identity; `account_id` is theirs already, or is opened."""

    municipality_id: UUID
    identity_id: UUID
    account_id: UUID
    membership_id: UUID
    named_in: tuple[UUID, ...] = ()


class GiveMembership(Struct, frozen=True):
    """Give an account a role more."""

    municipality_id: UUID
    membership_id: UUID
    position: Position
    since: date | None = None
    until: date | None = None


class RenewMembership(Struct, frozen=True):
    """Let a role go on until another day, or without one."""

    municipality_id: UUID
    membership_id: UUID
    until: date | None = None


class EndMembership(Struct, frozen=True):
    """End a role today; `named_in` are cases of which one is to name the person, for a caseworker."""

    municipality_id: UUID
    membership_id: UUID
    named_in: tuple[UUID, ...] = ()


class HandOver(Struct, frozen=True):
    """Let another account take a role over from today; `new_id` is the membership that it then has."""

    municipality_id: UUID
    membership_id: UUID
    to_account_id: UUID
    new_id: UUID


class RecordDetails(Struct, frozen=True):
    """Keep what the holder of an account is called and how they are reached, and who stands in for them."""

    name: str
    mail: str = ""
    phone: str = ""
    hours: str = ""
    deputy_id: UUID | None = None


class RegisterMachine(Struct, frozen=True):
    """Give a program an account with one role; `key` is its public JWK, as JSON."""

    municipality_id: UUID
    name: str
    key: str
    key_sha256: str
    membership_id: UUID
    position: Position
    until: date | None = None


class RevokeAccess(Struct, frozen=True):
    """Let a person in no more, or the bearer of one token by the SHA-256 of its id."""

    person_id: UUID | None = None
    token_sha256: str | None = None

    @property
    def subject(self) -> str:
        """The person or the token, as one text."""
        return str(self.person_id or self.token_sha256)


class RestoreAccess(RevokeAccess, frozen=True):
    """Let a person in again, or the bearer of one token."""


class AdoptModel(Struct, frozen=True):
    """Follow one version of a collaboration model from today."""

    model: str
    version: int


class RegisterDepartment(Struct, frozen=True):
    """Name a department that takes part; `again` where it is to be one that did before."""

    department_id: UUID
    kind: str
    name: str
    again: bool = False


class JoinOrganisation(Struct, frozen=True):
    """Let an organisation take part; `again` where it is to be one that did before, which may renew.

    `terms` is the model's ref.
    """

    municipality_id: UUID
    name: str
    number: str
    terms: str
    declaration_until: date
    again: bool = False


class LeaveOrganisation(Struct, frozen=True):
    """Take part no longer."""

    municipality_id: UUID
    reason: str


class PublishOffer(Struct, frozen=True):
    """Put an offer into the catalogue; `age_to` is the last full year."""

    municipality_id: UUID
    organisation_id: UUID
    title: str
    theme: str
    format: str
    age_from: int
    age_to: int
    areas: tuple[str, ...]
    price: str
    places: int


class ChangeCapacity(Struct, frozen=True):
    """Correct how many places an offer has."""

    municipality_id: UUID
    places: int
