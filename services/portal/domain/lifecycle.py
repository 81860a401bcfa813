"""Lifecycles of the portal: events change a case in the read model, an account signs in and out."""

from typing import Final

from contracts import agreement, consent, evaluation, referral
from contracts.event import AccessRefused, Event, EventDropped, Looked, Ticked
from services.kernel.decider.decision import Context, Decision
from services.kernel.decider.lifecycle import ABSENT, Lifecycle, row
from services.kernel.errors import InvalidTransition
from services.portal.domain.commands import SignIn, SignOut
from services.portal.domain.states import Account, Case, State
from services.portal.domain.steps import note, sign_in, sign_out
from services.portal.domain.transition import Transition

_SOURCES: Final = (referral, consent, agreement, evaluation)
_NO_STEPS: Final = (
    Looked,
    AccessRefused,
    EventDropped,
    Ticked,
    referral.PlaceTaken,  # places are an offer's, and no step of a case
    referral.PlaceReleased,
)

NOTED: Final[tuple[type[Event], ...]] = tuple(
    kind
    for module in _SOURCES
    for kind in vars(module).values()
    if isinstance(kind, type)
    and issubclass(kind, Event)
    and "type" in vars(kind)
    and not issubclass(kind, _NO_STEPS)
)
"""The events by which something happens in a case."""

CASE: Final = Lifecycle(
    "case in the read model",
    (Case,),
    on_event=(
        *(row(ABSENT, event, note, Case) for event in NOTED),
        *(row(Case, event, note) for event in NOTED),
    ),
)

ACCOUNT: Final = Lifecycle(
    "account in the portal",
    (Account,),
    on_command=(
        row(ABSENT, SignIn, sign_in, Account),
        row(Account, SignIn, sign_in),
        row(Account, SignOut, sign_out),
    ),
)

LIFECYCLES: Final = (CASE, ACCOUNT)


def decide(state: State | None, trigger: object, context: Context) -> Decision:
    """Return the stream after a trigger; raises `InvalidTransition` for what does not fit it."""
    match state, trigger:
        case ((None | Account()), SignIn() | SignOut()):
            step = ACCOUNT.step(state, trigger)
        case ((None | Case()), _):
            step = CASE.step(state, trigger)
        case _:
            step = None
    if step is not None:
        return step(Transition(state, context), state, trigger)
    if isinstance(trigger, Event):
        return Decision(state)
    raise InvalidTransition
