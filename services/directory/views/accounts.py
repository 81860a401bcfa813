"""Answers about accounts, invitations and sign-in: models for JSON, and functions that make them."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, assert_never
from uuid import UUID

from pydantic import BaseModel

from services.directory.domain.access import account_actions, membership_actions
from services.directory.domain.states import (
    Account,
    AccountMembership,
    Ended,
    Entry,
    Holder,
    Machine,
    Running,
)
from services.directory.domain.steps.accounts import HOURS, MAIL, NAME, PHONE
from services.directory.domain.transition import holder_of
from services.kernel.decider.decision import Actor
from services.kernel.errors import NotFound
from services.kernel.http.requests import StreamView


class EntryView(BaseModel):
    """What was done to a role, when and by whom; `until` is the last day that it had from then on."""

    what: str
    at: datetime
    by: UUID
    until: date | None


class MembershipRow(BaseModel):
    """A role of an account, and where; both days are whole ones."""

    membership_id: UUID
    role: str
    department_id: UUID | None
    organisation_id: UUID | None
    since: date
    until: date | None
    status: str


class MembershipView(MembershipRow):
    """A role of an account with its history."""

    successor_id: UUID | None
    history: list[EntryView]
    allowed_actions: tuple[str, ...]


class AccountRow(BaseModel):
    """An account as the list shows it; a program has its name in plain, a person may have none on record."""

    account_id: UUID
    kind: str
    name: str | None
    opened_at: datetime
    opened_by: UUID
    memberships: list[MembershipRow]
    version: int


class AccountsView(BaseModel):
    """A page of accounts; `next` leads to those that were opened later."""

    accounts: list[AccountRow]
    next: str | None


class ContactView(BaseModel):
    """Whom to turn to: what they are called, how and when they are reached, and who stands in for them."""

    account_id: UUID
    name: str | None
    mail: str | None
    phone: str | None
    hours: str | None
    deputy_id: UUID | None
    version: int


class AccountView(ContactView):
    """An account: its holder, since when, by whom, and every role that it has or had."""

    kind: str
    opened_at: datetime
    opened_by: UUID
    can_sign_in: bool
    memberships: list[MembershipView]
    allowed_actions: tuple[str, ...]


class InvitationRow(BaseModel):
    """An invitation: to which role, by whom, until when its code can be used, and what became of it."""

    invitation_id: UUID
    role: str
    department_id: UUID | None
    organisation_id: UUID | None
    person_id: UUID | None
    made_at: datetime
    made_by: UUID
    expires_on: date
    until: date | None
    status: str
    version: int
    allowed_actions: tuple[str, ...] = ()


class InvitationsView(BaseModel):
    """A page of invitations, newest first; `next` leads to the older ones."""

    invitations: list[InvitationRow]
    next: str | None


class InvitationMadeView(BaseModel):
    """An invitation with its code, which is shown this once."""

    id: UUID
    version: int
    made: UUID
    code: str
    expires_on: date


class SignInMembership(BaseModel):
    """A role in which a person may act now; `sub` is the id by which the services know them in it."""

    membership_id: UUID
    role: str
    sub: UUID
    department_id: UUID | None = None
    organisation_id: UUID | None = None
    label: str | None = None
    until: date | None = None


class SignInView(BaseModel):
    """Whose account somebody signed in to, and the roles of which they choose one."""

    account_id: UUID
    name: str | None = None
    memberships: list[SignInMembership]


class MachineView(BaseModel):
    """A program: the public key by which it proves itself, and the roles in which it may act now."""

    account_id: UUID
    name: str
    key: dict[str, Any]
    memberships: list[SignInMembership]


class NameView(BaseModel):
    """What the holder of an account is called; None where nothing is on record."""

    account_id: UUID
    name: str | None


def account_view(
    account_id: UUID, seen: StreamView, actor: Actor, administrators: Collection[UUID]
) -> AccountView:
    """Return an account with all its roles, and what its reader may do.

    `administrators` are the memberships of those whom the municipality has. Raises `NotFound` for any other
    state.
    """
    holder = holder_of(seen.state)
    kind, can_sign_in = _kind(holder)
    return AccountView(
        **contact_view(account_id, seen.version, holder, seen.private).model_dump(),
        kind=kind,
        opened_at=holder.opened_at,
        opened_by=holder.opened_by,
        can_sign_in=can_sign_in,
        memberships=[
            membership_view(
                at,
                one,
                membership_actions(one, account_id, actor, is_needed=set(administrators) == {at}),
            )
            for at, one in holder.memberships.items()
        ],
        allowed_actions=account_actions(holder, account_id, actor),
    )


def _kind(holder: Holder) -> tuple[str, bool]:
    """Return what kind of account it is, and whether its holder can sign in."""
    match holder:
        case Account(identities=identities):
            return "account", bool(identities)
        case Machine():
            return "machine", True
        case _:
            assert_never(holder)


def contact_view(account_id: UUID, version: int, holder: Holder, private: Mapping[str, Any]) -> ContactView:
    """Return whom to turn to, and how."""
    match holder:
        case Machine(name=name):
            known: dict[str, str | None] = {NAME: name}
            deputy_id = None
        case Account():
            known, deputy_id = (
                {part: private.get(part) for part in (NAME, MAIL, PHONE, HOURS)},
                holder.deputy_id,
            )
        case _:
            assert_never(holder)
    return ContactView(
        account_id=account_id,
        name=known.get(NAME) or None,
        mail=known.get(MAIL) or None,
        phone=known.get(PHONE) or None,
        hours=known.get(HOURS) or None,
        deputy_id=deputy_id,
        version=version,
    )


def membership_view(
    membership_id: UUID, membership: AccountMembership, actions: tuple[str, ...]
) -> MembershipView:
    """Return one role of an account with its history."""
    position = membership.position
    status, until, successor_id = _end_of(membership)
    return MembershipView(
        membership_id=membership_id,
        role=position.role,
        department_id=position.department_id,
        organisation_id=position.organisation_id,
        since=membership.since,
        until=until,
        status=status,
        successor_id=successor_id,
        history=[_entry_view(entry) for entry in membership.history],
        allowed_actions=actions,
    )


def _end_of(membership: AccountMembership) -> tuple[str, date | None, UUID | None]:
    match membership:
        case Running(until=until):
            return "running", until, None
        case Ended(last_day=last_day, successor_id=successor_id):
            return "ended", last_day, successor_id
        case _:
            assert_never(membership)


def _entry_view(entry: Entry) -> EntryView:
    return EntryView(what=entry.what, at=entry.at, by=entry.by, until=entry.until)


def accounts_view(
    rows: Sequence[Mapping[str, Any]],
    memberships: Iterable[Mapping[str, Any]],
    names: Mapping[UUID, str | None],
    *,
    limit: int,
) -> AccountsView:
    """Return a page of accounts with their roles and names."""
    by_account: dict[UUID, list[MembershipRow]] = {}
    for one in memberships:
        by_account.setdefault(one["account_id"], []).append(MembershipRow.model_validate(dict(one)))
    accounts = [
        AccountRow(**row, name=names.get(row["account_id"]), memberships=by_account[row["account_id"]])
        for row in rows
    ]
    return AccountsView(
        accounts=accounts, next=accounts[-1].account_id.hex if len(accounts) == limit else None
    )


def invitations_view(rows: Sequence[Mapping[str, Any]], *, limit: int) -> InvitationsView:
    """Return a page of invitations."""
    revocable = {"open": ("revoke_invitation",)}
    found = [InvitationRow(**row, allowed_actions=revocable.get(row["status"], ())) for row in rows]
    return InvitationsView(
        invitations=found, next=found[-1].invitation_id.hex if len(found) == limit else None
    )


def sign_in_memberships(
    holder: Holder, account_id: UUID, today: date, labels: Mapping[UUID, str]
) -> list[SignInMembership]:
    """Return the roles in which the holder of an account may act today."""
    found = []
    for membership_id, one in holder.memberships.items():
        match one:
            case Running():
                if one.since <= today and (one.until is None or today <= one.until):
                    found.append(_sign_in_membership(membership_id, one, account_id, labels))
            case Ended():
                pass
            case _:
                assert_never(one)
    return found


def _sign_in_membership(
    membership_id: UUID, running: Running, account_id: UUID, labels: Mapping[UUID, str]
) -> SignInMembership:
    position = running.position
    place = position.department_id or position.organisation_id
    return SignInMembership(
        membership_id=membership_id,
        role=position.role,
        sub=position.person_id or account_id,
        department_id=position.department_id,
        organisation_id=position.organisation_id,
        label=labels.get(place) if place else None,
        until=running.until,
    )


def machine_view(account_id: UUID, machine: Machine, today: date, labels: Mapping[UUID, str]) -> MachineView:
    """Return a program that may act today; raises `NotFound` for one that may not."""
    memberships = sign_in_memberships(machine, account_id, today, labels)
    if not memberships:
        raise NotFound
    key = json.loads(machine.key)
    return MachineView(account_id=account_id, name=machine.name, key=key, memberships=memberships)
