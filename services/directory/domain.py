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
from services.kernel.decider.decision import Context, Decision, ReadRequest
from services.kernel.decider.working_days import Calendar
from services.kernel.errors import InvalidTransition, NotFound

# Only the local day is asked of it; Oslo keeps the same clock as Copenhagen.
_LOCAL: Final = Calendar(country="DK", closed=(), timezone="Europe/Copenhagen")


def also(_state: State | None, trigger: Any) -> tuple[UUID, ...]:
    """Name the municipality and the organisation where a step depends on them."""
    match trigger:
        case JoinOrganisation():
            return (trigger.municipality_id,)
        case PublishOffer():
            return (trigger.municipality_id, trigger.organisation_id)
    return ()


def allows(state: State | None, trigger: Any, context: Context) -> bool:
    """Return whether the actor may: administrators admit, coordinators offer, everybody reads."""
    actor = context.actor
    match trigger:
        case AdoptModel() | RegisterDepartment() | JoinOrganisation():
            return actor.role == "administrator"
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


def decide(state: State | None, trigger: Any, context: Context) -> Decision:
    """Return the stream after a command, and what others must hear."""
    match state, trigger:
        case ((None | Municipality()), AdoptModel()):
            return _adopt(state or Municipality(), trigger, context)
        case ((None | Municipality()), RegisterDepartment()):
            return _register(state or Municipality(), trigger, context)
        case ((None | Organisation()), JoinOrganisation()):
            return _join(state, trigger, context)
        case Organisation(), LeaveOrganisation():
            return _leave(state, trigger, context)
        case ((None | Offer()), PublishOffer()):
            return _publish(state, trigger, context)
        case Offer(), ChangeCapacity():
            return _change(state, trigger, context)
    if state is None:
        raise NotFound
    raise InvalidTransition(type(trigger).__name__)


def _adopt(municipality: Municipality, command: AdoptModel, context: Context) -> Decision:
    model = context.models.get(f"{command.model}/{command.version}")
    if model is None:
        raise ModelUnknown(", ".join(sorted(context.models)))
    now = adopted(municipality)
    if now is not None and (now.model, now.version, now.sha256) == (model.id, model.version, model.sha256):
        return Decision(municipality)
    adoption = Adoption(model.id, model.version, model.sha256, _LOCAL.today(context.now))
    event = ModelAdopted(model=model.id, version=model.version, sha256=model.sha256)
    return Decision(replace(municipality, adoptions=(*municipality.adoptions, adoption)), (event,))


def _model(municipality: object, context: Context) -> CollaborationModel:
    adoption = adopted(municipality) if isinstance(municipality, Municipality) else None
    model = context.models.get(f"{adoption.model}/{adoption.version}") if adoption else None
    if model is None:
        raise ModelMissing
    return model


def _register(municipality: Municipality, command: RegisterDepartment, context: Context) -> Decision:
    model = _model(municipality, context)
    _known("department", command.kind, model.departments)
    before = municipality.departments.get(command.department_id)
    since = _LOCAL.today(context.now) if before is None else before.since
    department = Department(command.kind, command.name, since)
    if department == before:
        return Decision(municipality)
    event = DepartmentRegistered(department_id=command.department_id, kind=command.kind)
    departments = {**municipality.departments, command.department_id: department}
    return Decision(replace(municipality, departments=departments), (event,))


def _known(what: str, code: str, words: Iterable[Word]) -> None:
    """Refuse a code that the model does not know, and name those that it does."""
    codes = [word.code for word in words]
    if code not in codes:
        raise CodeUnknown(f"{what}: {', '.join(codes)}")


def _join(organisation: Organisation | None, command: JoinOrganisation, context: Context) -> Decision:
    """Let an organisation in, or let it renew what it accepted and declared; its first day stays."""
    model = _model(context.others.get(command.municipality_id), context)
    today = _LOCAL.today(context.now)
    if command.terms != terms_of(model):
        raise TermsOutdated(terms_of(model))
    if command.declaration_until < today:
        raise DeclarationMissing
    before = organisation.before if organisation else ()
    since = today
    if organisation and isinstance(organisation.membership, Joined):
        since = organisation.membership.joined_on
    joined = Organisation(
        name=command.name,
        number=command.number,
        membership=Joined(command.terms, since, command.declaration_until),
        before=before,
    )
    if joined == organisation:
        return Decision(organisation)
    event = OrganisationJoined(
        organisation_id=context.stream_id,
        terms=command.terms,
        joined_on=since,
        declaration_until=command.declaration_until,
    )
    return Decision(joined, (event,))


def terms_of(model: CollaborationModel) -> str:
    """Return the code by which an organisation accepts a version of a model: `kerteminde_1`."""
    return f"{model.id}_{model.version}"


def _leave(organisation: Organisation, command: LeaveOrganisation, context: Context) -> Decision:
    membership = organisation.membership
    if isinstance(membership, Left):
        return Decision(organisation)
    today = _LOCAL.today(context.now)
    period = Period(membership.joined_on, today, command.reason)
    event = OrganisationLeft(organisation_id=context.stream_id, reason=command.reason, left_on=today)
    left = replace(organisation, membership=Left(today), before=(*organisation.before, period))
    return Decision(left, (event,))


def _publish(offer: Offer | None, command: PublishOffer, context: Context) -> Decision:
    """Put an offer of an organisation that takes part into the catalogue, in the model's own words."""
    model = _model(context.others.get(command.municipality_id), context)
    today = _LOCAL.today(context.now)
    organisation = context.others.get(command.organisation_id)
    if not isinstance(organisation, Organisation) or not isinstance(organisation.membership, Joined):
        raise OrganisationMissing
    if organisation.membership.declaration_until < today:
        raise DeclarationMissing
    _known("theme", command.theme, model.themes)
    _known("format", command.format, model.formats)
    _known("price", command.price, model.prices)
    group = model.target_group
    if max(command.age_from, group.age_from) > min(command.age_to, group.age_to):
        raise AgesOutside(f"{group.age_from} to {group.age_to}")
    if offer is not None:
        return Decision(offer)
    event = OfferPublished(
        offer_id=context.stream_id,
        organisation_id=command.organisation_id,
        theme=command.theme,
        format=command.format,
        age_from=command.age_from,
        age_to=command.age_to,
        areas=command.areas,
        price=command.price,
        places=command.places,
    )
    published = Offer(
        organisation_id=command.organisation_id,
        title=command.title,
        theme=command.theme,
        format=command.format,
        age_from=command.age_from,
        age_to=command.age_to,
        areas=command.areas,
        price=command.price,
        places=command.places,
        as_of=today,
    )
    return Decision(published, (event,))


def _change(offer: Offer, command: ChangeCapacity, context: Context) -> Decision:
    """Take over a corrected number of places; saying the same again confirms it as of today."""
    today = _LOCAL.today(context.now)
    changed = replace(offer, places=command.places, as_of=today)
    if changed == offer:
        return Decision(offer)
    event = CapacityChanged(offer_id=context.stream_id, places=command.places, as_of=today)
    return Decision(changed, (event,))
