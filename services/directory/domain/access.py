"""Access: administrators admit, an organisation's own coordinators offer, the whole municipality reads."""

from typing import Any

from services.directory.domain.commands import (
    AdoptModel,
    ChangeCapacity,
    JoinOrganisation,
    LeaveOrganisation,
    PublishOffer,
    RegisterDepartment,
    RestoreAccess,
    RevokeAccess,
)
from services.directory.domain.states import Offer, State
from services.kernel.decider.decision import Context, ReadRequest


def authorize(state: State | None, trigger: Any, context: Context) -> bool:
    """Return whether the actor may take this step, or read; refused is the default."""
    actor = context.actor
    match trigger:
        case AdoptModel() | RegisterDepartment() | JoinOrganisation():
            return actor.role == "administrator"
        case RevokeAccess() | RestoreAccess():
            return actor.role in {"administrator", "operator"} and trigger.person_id != actor.id
        case LeaveOrganisation():
            own = actor.role == "coordinator" and actor.organisation_id == context.stream_id
            return own or actor.role == "administrator"
        case PublishOffer():
            return actor.role == "coordinator" and actor.organisation_id == trigger.organisation_id
        case ChangeCapacity():
            return (
                isinstance(state, Offer)
                and actor.role == "coordinator"
                and actor.organisation_id == state.organisation_id
            )
    return isinstance(trigger, ReadRequest) and actor.tenant == context.tenant
