"""Steps on events of the directory: the offers, organisations and adopted models that a referral needs."""

from msgspec.structs import replace

from contracts.directory import (
    CapacityChanged,
    DepartmentRegistered,
    ModelAdopted,
    OfferPublished,
    OrganisationJoined,
    OrganisationLeft,
)
from services.kernel.decider.decision import Decision
from services.referral.domain.states import Municipality, Offer, Organisation
from services.referral.domain.transition import DocumentTransition


def adopt_model(
    _transition: DocumentTransition, before: Municipality | None, event: ModelAdopted
) -> Decision:
    """Record which version of which model the municipality follows from now on."""
    departments = before.departments if before else ()
    return Decision(Municipality(model=event.model, model_version=event.version, departments=departments))


def register_department(
    _transition: DocumentTransition, before: Municipality, event: DepartmentRegistered
) -> Decision:
    """Record a department that takes part; it may be named anew under the same id."""
    if event.department_id in before.departments:
        return Decision(before)
    return Decision(replace(before, departments=(*before.departments, event.department_id)))


def join(
    _transition: DocumentTransition, _before: Organisation | None, event: OrganisationJoined
) -> Decision:
    """Record that an organisation takes part, and how long its declaration is current."""
    return Decision(Organisation(joined=True, declaration_until=event.declaration_until))


def leave(_transition: DocumentTransition, before: Organisation, _event: OrganisationLeft) -> Decision:
    """Record that an organisation takes part no longer."""
    return Decision(replace(before, joined=False))


def publish_offer(_transition: DocumentTransition, before: Offer | None, event: OfferPublished) -> Decision:
    """Record an offer or its new edition; the places that are taken stay taken."""
    return Decision(
        Offer(
            organisation_id=event.organisation_id,
            theme=event.theme,
            age_from=event.age_from,
            age_to=event.age_to,
            areas=event.areas,
            places=event.places,
            taken=before.taken if before else 0,
        )
    )


def change_capacity(_transition: DocumentTransition, before: Offer, event: CapacityChanged) -> Decision:
    """Record how many places an offer has."""
    return Decision(replace(before, places=event.places))
