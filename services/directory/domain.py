"""The rules of the directory: which model is followed, who takes part since when, what is offered to whom."""

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from msgspec.structs import replace

from contracts.directory import (
    CapacityChanged,
    DepartmentRegistered,
    ModelAdopted,
    OfferPublished,
    OrganisationJoined,
    OrganisationLeft,
)
from contracts.model import CollaborationModel
from contracts.model_parts import Word
from services.directory.domain_commands import (
    AdoptModel,
    AgesOutside,
    ChangeCapacity,
    CodeUnknown,
    DeclarationMissing,
    JoinOrganisation,
    LeaveOrganisation,
    ModelMissing,
    ModelUnknown,
    OrganisationMissing,
    PublishOffer,
    RegisterDepartment,
    TermsOutdated,
)
from services.directory.domain_states import (
    Adoption,
    Department,
    Joined,
    Left,
    Municipality,
    Offer,
    Organisation,
    Period,
    State,
    adopted,
)
from services.kernel.decider.decision import Decision, Given, Look
from services.kernel.decider.working_days import Calendar
from services.kernel.errors import Missing, WrongMoment

# Only the local day is asked of it; Oslo keeps the same clock as Copenhagen.
_LOCAL: Final = Calendar(country="DK", closed=(), timezone="Europe/Copenhagen")


def also(_state: State | None, asked: Any) -> tuple[UUID, ...]:
    """Name the municipality and the organisation where a step depends on them."""
    match asked:
        case JoinOrganisation():
            return (asked.municipality_id,)
        case PublishOffer():
            return (asked.municipality_id, asked.organisation_id)
    return ()


def allows(state: State | None, asked: Any, given: Given) -> bool:
    """Return whether the actor may: administrators admit, coordinators offer, everybody reads."""
    actor = given.actor
    match asked:
        case AdoptModel() | RegisterDepartment() | JoinOrganisation():
            return actor.role == "administrator"
        case LeaveOrganisation():
            own = actor.role == "coordinator" and actor.organisation_id == given.stream_id
            return own or actor.role == "administrator"
        case PublishOffer():
            return actor.role == "coordinator" and actor.organisation_id == asked.organisation_id
        case ChangeCapacity():
            return (
                isinstance(state, Offer)
                and actor.role == "coordinator"
                and actor.organisation_id == state.organisation_id
            )
    return isinstance(asked, Look) and actor.tenant == given.tenant


def decide(state: State | None, asked: Any, given: Given) -> Decision:
    """Return the stream after a command, and what others must hear."""
    match state, asked:
        case ((None | Municipality()), AdoptModel()):
            return _adopt(state or Municipality(), asked, given)
        case ((None | Municipality()), RegisterDepartment()):
            return _register(state or Municipality(), asked, given)
        case ((None | Organisation()), JoinOrganisation()):
            return _join(state, asked, given)
        case Organisation(), LeaveOrganisation():
            return _leave(state, asked, given)
        case ((None | Offer()), PublishOffer()):
            return _publish(state, asked, given)
        case Offer(), ChangeCapacity():
            return _change(state, asked, given)
    if state is None:
        raise Missing
    raise WrongMoment(type(asked).__name__)


def _adopt(municipality: Municipality, asked: AdoptModel, given: Given) -> Decision:
    model = given.models.get(f"{asked.model}/{asked.version}")
    if model is None:
        raise ModelUnknown(", ".join(sorted(given.models)))
    now = adopted(municipality)
    if now is not None and (now.model, now.version, now.sha256) == (model.id, model.version, model.sha256):
        return Decision(municipality)
    adoption = Adoption(model.id, model.version, model.sha256, _LOCAL.today(given.now))
    event = ModelAdopted(model=model.id, version=model.version, sha256=model.sha256)
    return Decision(replace(municipality, adoptions=(*municipality.adoptions, adoption)), (event,))


def _model(municipality: object, given: Given) -> CollaborationModel:
    adoption = adopted(municipality) if isinstance(municipality, Municipality) else None
    model = given.models.get(f"{adoption.model}/{adoption.version}") if adoption else None
    if model is None:
        raise ModelMissing
    return model


def _register(municipality: Municipality, asked: RegisterDepartment, given: Given) -> Decision:
    model = _model(municipality, given)
    _known("department", asked.kind, model.departments)
    before = municipality.departments.get(asked.department_id)
    since = _LOCAL.today(given.now) if before is None else before.since
    department = Department(asked.kind, asked.name, since)
    if department == before:
        return Decision(municipality)
    event = DepartmentRegistered(department_id=asked.department_id, kind=asked.kind)
    departments = {**municipality.departments, asked.department_id: department}
    return Decision(replace(municipality, departments=departments), (event,))


def _known(what: str, code: str, words: Iterable[Word]) -> None:
    """Refuse a code that the model does not know, and name those that it does."""
    codes = [word.code for word in words]
    if code not in codes:
        raise CodeUnknown(f"{what}: {', '.join(codes)}")


def _join(organisation: Organisation | None, asked: JoinOrganisation, given: Given) -> Decision:
    """Let an organisation in, or let it renew what it accepted and declared; its first day stays."""
    model = _model(given.others.get(asked.municipality_id), given)
    today = _LOCAL.today(given.now)
    if asked.terms != terms_of(model):
        raise TermsOutdated(terms_of(model))
    if asked.declaration_until < today:
        raise DeclarationMissing
    before = organisation.before if organisation else ()
    since = today
    if organisation and isinstance(organisation.membership, Joined):
        since = organisation.membership.joined_on
    joined = Organisation(
        name=asked.name,
        number=asked.number,
        membership=Joined(asked.terms, since, asked.declaration_until),
        before=before,
    )
    if joined == organisation:
        return Decision(organisation)
    event = OrganisationJoined(
        organisation_id=given.stream_id,
        terms=asked.terms,
        joined_on=since,
        declaration_until=asked.declaration_until,
    )
    return Decision(joined, (event,))


def terms_of(model: CollaborationModel) -> str:
    """Return the code by which an organisation accepts a version of a model: `kerteminde_1`."""
    return f"{model.id}_{model.version}"


def _leave(organisation: Organisation, asked: LeaveOrganisation, given: Given) -> Decision:
    membership = organisation.membership
    if isinstance(membership, Left):
        return Decision(organisation)
    today = _LOCAL.today(given.now)
    period = Period(membership.joined_on, today, asked.reason)
    event = OrganisationLeft(organisation_id=given.stream_id, reason=asked.reason, left_on=today)
    left = replace(organisation, membership=Left(today), before=(*organisation.before, period))
    return Decision(left, (event,))


def _publish(offer: Offer | None, asked: PublishOffer, given: Given) -> Decision:
    """Put an offer of an organisation that takes part into the catalogue, in the model's own words."""
    model = _model(given.others.get(asked.municipality_id), given)
    today = _LOCAL.today(given.now)
    organisation = given.others.get(asked.organisation_id)
    if not isinstance(organisation, Organisation) or not isinstance(organisation.membership, Joined):
        raise OrganisationMissing
    if organisation.membership.declaration_until < today:
        raise DeclarationMissing
    _known("theme", asked.theme, model.themes)
    _known("format", asked.format, model.formats)
    _known("price", asked.price, model.prices)
    group = model.target_group
    if max(asked.age_from, group.age_from) > min(asked.age_to, group.age_to):
        raise AgesOutside(f"{group.age_from} to {group.age_to}")
    if offer is not None:
        return Decision(offer)
    event = OfferPublished(
        offer_id=given.stream_id,
        organisation_id=asked.organisation_id,
        theme=asked.theme,
        format=asked.format,
        age_from=asked.age_from,
        age_to=asked.age_to,
        areas=asked.areas,
        price=asked.price,
        places=asked.places,
    )
    published = Offer(
        organisation_id=asked.organisation_id,
        title=asked.title,
        theme=asked.theme,
        format=asked.format,
        age_from=asked.age_from,
        age_to=asked.age_to,
        areas=asked.areas,
        price=asked.price,
        places=asked.places,
        as_of=today,
    )
    return Decision(published, (event,))


def _change(offer: Offer, asked: ChangeCapacity, given: Given) -> Decision:
    """Take over a corrected number of places; saying the same again confirms it as of today."""
    today = _LOCAL.today(given.now)
    changed = replace(offer, places=asked.places, as_of=today)
    if changed == offer:
        return Decision(offer)
    event = CapacityChanged(offer_id=given.stream_id, places=asked.places, as_of=today)
    return Decision(changed, (event,))
