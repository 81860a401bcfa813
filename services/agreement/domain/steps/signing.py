"""Step of signing: the parties' names, the last of which brings a version into force; pure."""

from datetime import date, timedelta
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from contracts.agreement import AgreementInForce, AgreementSigned
from services.agreement.domain.commands import Sign
from services.agreement.domain.refusals import DurationMissing, PartyUnknown, SignInTooWeak, VersionPast
from services.agreement.domain.states import About, InForce, Proposal, Proposed, Signature, Terms, Update
from services.agreement.domain.steps.terms import latest_version
from services.agreement.domain.transition import Transition
from services.kernel.decider.access import at_least
from services.kernel.decider.decision import Actor, Decision

_LEVELS: Final = {
    "guardian": "high",
    "young_person": "high",
    "caseworker": "substantial",
    "coordinator": "substantial",
}
"""How surely a signatory is identified at least: regulation (EU) 910/2014 (eIDAS), article 8.

A family signs as surely as it consents; whoever signs for an authority or an organisation at `substantial`.
"""


def sign(transition: Transition, before: Proposed | InForce, command: Sign) -> Decision:
    """Put one party's name under the proposed version; the last name brings it into force.

    Where a missing name is needed no longer, any party that signs again brings it into force.
    """
    case, today = transition.case, transition.today
    proposal = _signable(transition, before, command)
    if proposal is None:
        return Decision(case)
    _require_level(transition.context.actor)
    signed = case.standing(proposal.signed)
    events: tuple[AgreementSigned, ...] = ()
    if all(one.party != command.party for one in signed):
        signed = (*signed, Signature(command.party, transition.context.actor.id, today))
        events = (
            AgreementSigned(agreement_id=command.agreement_id, version=command.version, party=command.party),
        )
    whole = {one.party for one in signed}.issuperset(case.parties)
    if not events and not whole:
        return Decision(case)
    if proposal.terms.ends_on <= today:
        raise DurationMissing
    proposal = replace(proposal, signed=signed)
    if not whole:
        return transition.moved(replace(before, proposal=proposal), *events)
    begun = _announced(command.agreement_id, before.about, proposal.terms)
    return transition.moved(_in_force(before, proposal, today), *events, begun)


def _require_level(actor: Actor) -> None:
    level = _LEVELS.get(actor.role, "high")
    if not at_least(actor.assurance, level):
        raise SignInTooWeak(level)


def _signable(transition: Transition, before: Proposed | InForce, command: Sign) -> Proposal | None:
    """Return the version to sign; None where it is in force already."""
    if command.party not in transition.case.parties:
        raise PartyUnknown(", ".join(transition.case.parties))
    if isinstance(before, InForce) and command.version == before.terms.version:
        return None
    if before.proposal is None or command.version != before.proposal.terms.version:
        raise VersionPast(f"version {latest_version(before)}")
    return before.proposal


def _in_force(before: Proposed | InForce, proposal: Proposal, today: date) -> InForce:
    terms = proposal.terms
    updates, since = (before.updates, before.in_force_on) if isinstance(before, InForce) else ((), today)
    first = max(terms.starts_on, today) + timedelta(days=terms.update_every_days)
    return InForce(
        about=before.about,
        held_on=before.held_on,
        in_force_on=since,
        terms=terms,
        signed=proposal.signed,
        expected=Update(len(updates) + 1, first),
        updates=updates,
    )


def _announced(agreement_id: UUID, about: About, terms: Terms) -> AgreementInForce:
    model, _, version = about.model.partition("/")
    return AgreementInForce(
        agreement_id=agreement_id,
        referral_id=about.referral_id,
        organisation_id=about.organisation_id,
        version=terms.version,
        goal_ids=tuple(goal.goal_id for goal in terms.goals),
        model=model,
        model_version=int(version),
        starts_on=terms.starts_on,
        ends_on=terms.ends_on,
        update_every_days=terms.update_every_days,
        evaluate_every_days=terms.evaluate_every_days,
    )
