"""The commands that a person could give now, read from the lifecycle tables and the rules of access."""

from typing import Final
from uuid import UUID

from services.kernel.decider.decision import Context
from services.kernel.decider.lifecycle import Lifecycle, command_name
from services.kernel.errors import ConsentUnknown
from services.referral.domain.access import may_give
from services.referral.domain.commands import CloseCase, DraftReferral
from services.referral.domain.deadlines import waiting
from services.referral.domain.lifecycle import CASE, REFERRAL
from services.referral.domain.states import Case, Open
from services.referral.domain.steps.case import open_again
from services.referral.domain.steps.consent import await_again
from services.referral.domain.steps.referral import unchanged

_REPEATED: Final = frozenset({unchanged, open_again, await_again})
"""Steps that answer a command given once more; they change nothing."""


def allowed_actions(case: Case, context: Context, referral_id: UUID | None = None) -> tuple[str, ...]:
    """Name the commands that the actor could give now on a case, or on one of its referrals.

    Their bodies may still be refused. Where consents are not known to be fresh, what needs one is left out.
    """
    if referral_id is None:
        kinds = tuple(kind for kind in _moving(CASE, case) if _is_time(case, kind))
    else:
        referral = case.referrals.get(referral_id)
        kinds = () if referral is None or waiting(referral) is None else _moving(REFERRAL, referral)
    return tuple(command_name(kind) for kind in kinds if _may(case, kind, referral_id, context))


def _is_time(case: Case, kind: type) -> bool:
    """Return whether the case itself has come so far: what its referrals and its assessment say."""
    if case.ending:
        return False
    if kind is CloseCase:
        return not any(isinstance(referral, Open) for referral in case.referrals.values())
    if kind is DraftReferral:
        return case.views is not None and case.eligibility is not None and case.eligibility.eligible
    return True


def _moving(machine: Lifecycle, part: object) -> tuple[type, ...]:
    """Return the kinds of command that fit a state and may change it."""
    return tuple(
        row.trigger
        for row in machine.on_command
        if row.state is type(part) and row.step not in _REPEATED and isinstance(row.trigger, type)
    )


def _may(case: Case, kind: type, referral_id: UUID | None, context: Context) -> bool:
    try:
        return may_give(case, kind, referral_id, context)
    except ConsentUnknown:
        return False
