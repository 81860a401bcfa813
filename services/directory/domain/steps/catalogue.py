"""Steps of the directory: adopt, register, join, leave, publish, change; pure."""

from collections.abc import Iterable
from datetime import date

from msgspec.structs import replace

from contracts.directory import (
    AccessRestored,
    AccessRevoked,
    CapacityChanged,
    DepartmentRegistered,
    ModelAdopted,
    OfferPublished,
    OrganisationJoined,
    OrganisationLeft,
)
from contracts.event import AccessChanged
from contracts.model import CollaborationModel
from contracts.model_parts import Word
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
from services.directory.domain.refusals import (
    AgesOutside,
    CodeUnknown,
    DeclarationMissing,
    DepartmentUnknown,
    ModelUnknown,
    OrganisationMissing,
    OrganisationUnknown,
    TermsOutdated,
)
from services.directory.domain.states import (
    Access,
    Adoption,
    Department,
    Joined,
    Left,
    Membership,
    Offer,
    Organisation,
    Period,
    Restored,
    Revoked,
)
from services.directory.domain.transition import Transition
from services.kernel.decider.decision import Decision


def stay_as_it_is(transition: Transition, _before: object, _command: object) -> Decision:
    """Change nothing: it is already so."""
    return Decision(transition.document)


def adopt_model(transition: Transition, before: Adoption | None, command: AdoptModel) -> Decision:
    """Follow a version of a model from today; what was followed before stays on record."""
    context, municipality = transition.context, transition.municipality
    model = context.models.get(f"{command.model}/{command.version}")
    if model is None:
        raise ModelUnknown(", ".join(sorted(context.models)))
    adoption = Adoption(model.id, model.version, model.sha256, transition.today(model))
    if before is not None and replace(before, since=adoption.since) == adoption:
        return Decision(municipality)
    event = ModelAdopted(model=model.id, version=model.version, sha256=model.sha256)
    return Decision(replace(municipality, adoptions=(*municipality.adoptions, adoption)), (event,))


def revoke_access(transition: Transition, _before: Access | None, command: RevokeAccess) -> Decision:
    """Let a person or a token of this municipality in no more."""
    event = AccessRevoked(person_id=command.person_id, token_sha256=command.token_sha256)
    return _with_access(transition, command.subject, Revoked(transition.context.now), event)


def restore_access(transition: Transition, _before: Access, command: RestoreAccess) -> Decision:
    """Let a person or a token of this municipality in again."""
    event = AccessRestored(person_id=command.person_id, token_sha256=command.token_sha256)
    return _with_access(transition, command.subject, Restored(transition.context.now), event)


def _with_access(transition: Transition, subject: str, access: Access, event: AccessChanged) -> Decision:
    municipality = transition.municipality
    accesses = {**municipality.accesses, subject: access}
    return Decision(replace(municipality, accesses=accesses), (event,))


def register_department(
    transition: Transition, before: Department | None, command: RegisterDepartment
) -> Decision:
    """Name a department, or correct its name; its first day stays."""
    if before is None and command.again:
        raise DepartmentUnknown
    model, municipality = transition.model, transition.municipality
    _require_code("department", command.kind, model.departments)
    since = transition.today(model) if before is None else before.since
    department = Department(command.kind, command.name, since)
    if department == before:
        return Decision(municipality)
    event = DepartmentRegistered(department_id=command.department_id, kind=command.kind)
    departments = {**municipality.departments, command.department_id: department}
    return Decision(replace(municipality, departments=departments), (event,))


def join(transition: Transition, before: Membership | None, command: JoinOrganisation) -> Decision:
    """Let an organisation in, or let it renew what it accepted and declared; its first day stays."""
    if before is None and command.again:
        raise OrganisationUnknown
    model, organisation = transition.model, transition.document
    today = transition.today(model)
    if command.terms != terms_of(model):
        raise TermsOutdated(terms_of(model))
    if command.declaration_until < today:
        raise DeclarationMissing
    since = before.joined_on if isinstance(before, Joined) else today
    joined = Organisation(
        name=command.name,
        number=command.number,
        membership=Joined(command.terms, since, command.declaration_until),
        before=organisation.before if isinstance(organisation, Organisation) else (),
    )
    if joined == organisation:
        return Decision(organisation)
    event = OrganisationJoined(
        organisation_id=transition.context.stream_id,
        terms=command.terms,
        joined_on=since,
        declaration_until=command.declaration_until,
    )
    return Decision(joined, (event,))


def terms_of(model: CollaborationModel) -> str:
    """Return the code by which an organisation accepts a version of a model: `kerteminde_1`."""
    return f"{model.id}_{model.version}"


def leave(transition: Transition, before: Joined, command: LeaveOrganisation) -> Decision:
    """End the membership today, and keep its period on record."""
    today, organisation = transition.today(transition.model), transition.organisation
    period = Period(before.joined_on, today, command.reason)
    event = OrganisationLeft(
        organisation_id=transition.context.stream_id, reason=command.reason, left_on=today
    )
    left = replace(organisation, membership=Left(today), before=(*organisation.before, period))
    return Decision(left, (event,))


def publish(transition: Transition, _before: None, command: PublishOffer) -> Decision:
    """Put an offer of an organisation that takes part into the catalogue, in the model's own words."""
    model = transition.model
    today = transition.today(model)
    _require_member(transition, command, today)
    _require_code("theme", command.theme, model.themes)
    _require_code("format", command.format, model.formats)
    _require_code("price", command.price, model.prices)
    group = model.target_group
    if max(command.age_from, group.age_from) > min(command.age_to, group.age_to):
        raise AgesOutside(f"{group.age_from} to {group.age_to}")
    event = OfferPublished(
        offer_id=transition.context.stream_id,
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


def change_capacity(transition: Transition, before: Offer, command: ChangeCapacity) -> Decision:
    """Replace the number of places; the same number again confirms it as of today."""
    today = transition.today(transition.model)
    changed = replace(before, places=command.places, as_of=today)
    if changed == before:
        return Decision(before)
    event = CapacityChanged(offer_id=transition.context.stream_id, places=command.places, as_of=today)
    return Decision(changed, (event,))


def _require_member(transition: Transition, command: PublishOffer, today: date) -> None:
    """Refuse an organisation that does not take part, or whose declaration has run out."""
    organisation = transition.context.others.get(command.organisation_id)
    if not isinstance(organisation, Organisation) or not isinstance(organisation.membership, Joined):
        raise OrganisationMissing
    if organisation.membership.declaration_until < today:
        raise DeclarationMissing


def _require_code(what: str, code: str, words: Iterable[Word]) -> None:
    """Refuse a code that is not in the model, and name those that are."""
    codes = [word.code for word in words]
    if code not in codes:
        raise CodeUnknown(f"{what}: {', '.join(codes)}")
