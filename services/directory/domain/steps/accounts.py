"""Steps of accounts: opened for an identity, their details recorded, a program registered; pure."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from contracts.directory import AccountOpened, DetailsRecorded, IdentityBound, MachineRegistered
from services.directory.domain.commands import AddIdentity, RecordDetails, RegisterMachine
from services.directory.domain.refusals import AccountMissing, IdentityTaken
from services.directory.domain.states import Account, Entry, Identity, Machine, Running
from services.directory.domain.steps.guards import require_days, require_for_machines, require_place
from services.directory.domain.steps.memberships import membership_in, with_administrators, with_membership
from services.directory.domain.transition import Transition
from services.kernel.decider.decision import Decision, PrivateValue

IDENTITY_KINDS: Final = ("sign_in", "national_number")
"""What the identities of a command are, in their order."""

NAME, MAIL, PHONE, HOURS = DETAILS = ("name", "mail", "phone", "hours")
"""The names of the private values of an account."""


def account_with(
    transition: Transition,
    account_id: UUID,
    municipality_id: UUID,
    identities: Iterable[tuple[str, UUID]],
    membership_id: UUID,
    running: Running,
    *,
    name: str = "",
) -> tuple[dict[UUID, Decision], UUID]:
    """Return the streams of an account with identities and a role, and the membership; a new one is opened.

    Raises `IdentityTaken` where an identity is that of another account. A role that the account has already
    stays as it is.
    """
    by = running.history[0].by
    found = transition.account(account_id)
    identities = tuple(identities)
    if found is not None and found.identities.isdisjoint(one for _, one in identities):
        raise IdentityTaken  # an account is added to by its own holder only
    account = found or Account(municipality_id, transition.context.now, by)
    events = [] if found else [AccountOpened()]
    others = _identities(transition, account_id, identities)
    bound = [IdentityBound(kind=kind) for kind, one in identities if one not in account.identities]
    account = replace(account, identities=account.identities | {one for _, one in identities})
    there = membership_in(account, running.position)
    decision = Decision(account) if there else with_membership(transition, account, membership_id, running)
    private = (PrivateValue(account_id, NAME, name),) if name and found is None else ()
    decision = replace(
        decision, events=(*events, *bound, *decision.events), private_values=private, others=others
    )
    if there is None:
        decision = with_administrators(transition, decision, added={membership_id: running})
    return {**decision.others, account_id: replace(decision, others={})}, there or membership_id


def _identities(
    transition: Transition, account_id: UUID, identities: tuple[tuple[str, UUID], ...]
) -> dict[UUID, Decision]:
    others: dict[UUID, Decision] = {}
    for _, identity_id in identities:
        identity = transition.context.others.get(identity_id)
        if identity is None:
            others[identity_id] = Decision(Identity(account_id))
        elif identity != Identity(account_id):
            raise IdentityTaken
    return others


def add_identity(transition: Transition, before: Account, command: AddIdentity) -> Decision:
    """Let the holder of an account sign in by a further identity; one that is theirs changes nothing."""
    identities = tuple(zip(IDENTITY_KINDS, command.identity_ids, strict=False))
    others = _identities(transition, transition.context.stream_id, identities)
    new = [(kind, one) for kind, one in identities if one not in before.identities]
    after = replace(before, identities=before.identities | set(command.identity_ids))
    return Decision(after, tuple(IdentityBound(kind=kind) for kind, _ in new), others=others)


def record_details(transition: Transition, before: Account, command: RecordDetails) -> Decision:
    """Replace what an account's holder is called, how they are reached, and who stands in for them."""
    context = transition.context
    if command.deputy_id is not None and transition.account(command.deputy_id) is None:
        raise AccountMissing
    values = dict(zip(DETAILS, (command.name, command.mail, command.phone, command.hours), strict=True))
    changed = tuple(
        PrivateValue(context.stream_id, name, value)
        for name, value in values.items()
        if context.private.get(name, "") != value
    )
    if not changed and before.deputy_id == command.deputy_id:
        return Decision(before)
    event = DetailsRecorded(deputy_id=command.deputy_id)
    return Decision(replace(before, deputy_id=command.deputy_id), (event,), private_values=changed)


def register_machine(transition: Transition, _before: None, command: RegisterMachine) -> Decision:
    """Open an account for a program with one role, and keep its public key."""
    context, today = transition.context, transition.local_day
    require_for_machines(command.position)
    require_place(transition, command.position)
    require_days(today, command.until, today)
    machine = Machine(command.municipality_id, context.now, context.actor.id, command.name, command.key)
    entry = Entry("given", context.now, context.actor.id, command.until)
    running = Running(command.position, today, command.until, (entry,))
    decision = with_membership(transition, machine, command.membership_id, running)
    return replace(decision, events=(MachineRegistered(key_sha256=command.key_sha256), *decision.events))
