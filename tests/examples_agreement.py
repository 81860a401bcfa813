"""Made-up cooperation agreements and the events around them."""

from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID

from contracts import agreement as contract
from contracts.consent import ConsentGranted, ConsentLost, CustodyRecorded
from contracts.evaluation import EvaluationConcluded, GoalAttained
from contracts.event import Event
from contracts.model import CollaborationModel, load_model, model_folder
from contracts.referral import CaseOpened, ReferralAccepted, ReferralRecalled, ReferralWithdrawn
from services.agreement.domain.commands import (
    ActionInput,
    Command,
    EndAgreement,
    GoalInput,
    HoldMeeting,
    Propose,
    ReportProgress,
    Sign,
)
from services.agreement.domain.deadlines import timers_of
from services.agreement.domain.states import (
    About,
    Agreement,
    Case,
    Cause,
    Ended,
    Goal,
    InForce,
    Invited,
    Met,
    Party,
    Proposal,
    Proposed,
    Signature,
    Terms,
    Update,
    agreement_of,
)
from services.kernel.decider.decision import Actor, Context, Decision, TimerFired

TENANT: Final = "0440"
CASE: Final = UUID(int=0xCA5E)
DEPARTMENT: Final = UUID(int=0xDE9A)
ORGANISATION: Final = UUID(int=0x0F6A)
OFFER: Final = UUID(int=0x0FFE)
REFERRAL: Final = UUID(int=0x4EFE)
AGREEMENT: Final = agreement_of(REFERRAL)
GOAL: Final = UUID(int=0x60A1)
MOTHER: Final = UUID(int=0x30F)
FATHER: Final = UUID(int=0xFA7)
YOUNG: Final = UUID(int=0x900)
CASEWORKER: Final = Actor(
    UUID(int=0xC4), "caseworker", TENANT, department_id=DEPARTMENT, assurance="substantial"
)
COORDINATOR: Final = Actor(
    UUID(int=0xC0), "coordinator", TENANT, organisation_id=ORGANISATION, assurance="substantial"
)
GUARDIAN: Final = Actor(MOTHER, "guardian", TENANT, assurance="high")
YOUNG_PERSON: Final = Actor(YOUNG, "young_person", TENANT, assurance="high")

# A Monday; no holiday follows in the weeks that the examples count.
NOW: Final = datetime(2026, 3, 2, 10, tzinfo=UTC)
TODAY: Final = date(2026, 3, 2)
MEETING_BY: Final = date(2026, 3, 16)
STARTS: Final = date(2026, 3, 9)
ENDS: Final = date(2026, 9, 9)
UPDATE_DUE: Final = date(2026, 4, 8)
NEXT_YEAR: Final = datetime(2027, 3, 1, tzinfo=UTC)
KERTEMINDE: Final[CollaborationModel] = load_model(model_folder() / "kerteminde.toml")
SECRETS: Final = ("playing football", "fetches her on Tuesdays", "steady adult", "bus fares", "laughed a lot")


def context(actor: Actor = CASEWORKER, **changes: Any) -> Context:
    """Return the context of a decision on the case."""
    usual: dict[str, Any] = {
        "now": NOW,
        "stream_id": CASE,
        "tenant": TENANT,
        "actor": actor,
        "models": {KERTEMINDE.ref: KERTEMINDE},
    }
    return Context(**{**usual, **changes})


def a_case(agreement: Agreement | None = None, **changes: Any) -> Case:
    """Return a case of two guardians whose consent is valid, perhaps with one agreement."""
    usual: dict[str, Any] = {
        "department_id": DEPARTMENT,
        "guardians": (MOTHER, FATHER),
        "quorum": "all_holders",
        "consents": {REFERRAL: NEXT_YEAR},
        "causes": {AGREEMENT: Cause(NOW, agreement.reason)} if isinstance(agreement, Ended) else {},
        "agreements": {AGREEMENT: agreement} if agreement else {},
    }
    return Case(**{**usual, **changes})


def about() -> About:
    """Return what stays the same of the agreement."""
    return About(REFERRAL, ORGANISATION, "kerteminde/1", TODAY)


def terms(version: int = 1, **changes: Any) -> Terms:
    """Return half a year with a mentor, free of charge."""
    usual: dict[str, Any] = {
        "version": version,
        "goals": (Goal(GOAL, "networks", "organisation"),),
        "starts_on": STARTS,
        "ends_on": ENDS,
        "update_every_days": 30,
        "evaluate_every_days": 90,
        "cost": "free",
        "payer": "nobody",
    }
    return Terms(**{**usual, **changes})


def signed(*parties: Party) -> tuple[Signature, ...]:
    """Return names put under a version today."""
    by = {"municipality": CASEWORKER.id, "organisation": COORDINATOR.id, "family": MOTHER}
    return tuple(Signature(party, by.get(party, YOUNG), TODAY) for party in parties)


def all_signed() -> tuple[Signature, ...]:
    """Return the names of all three parties."""
    return signed("municipality", "organisation", "family")


def an_invited() -> Invited:
    """Return an agreement whose meeting is still to be held."""
    return Invited(about=about(), meeting_by=MEETING_BY)


def a_met() -> Met:
    """Return an agreement that is to be written."""
    return Met(about=about(), held_on=TODAY)


def a_proposed(*parties: Party) -> Proposed:
    """Return a proposed agreement, perhaps with names under it."""
    return Proposed(about=about(), held_on=TODAY, proposal=Proposal(terms(), signed(*parties)))


def an_in_force(**changes: Any) -> InForce:
    """Return an agreement that all have signed today."""
    usual: dict[str, Any] = {
        "about": about(),
        "held_on": TODAY,
        "in_force_on": TODAY,
        "terms": terms(),
        "signed": all_signed(),
        "expected": Update(1, UPDATE_DUE),
    }
    return InForce(**{**usual, **changes})


def an_adjustable(*parties: Party) -> InForce:
    """Return an agreement in force whose second version is proposed."""
    return an_in_force(adjustable=True, proposal=Proposal(terms(2), signed(*parties)))


def an_ended(reason: str = "goals_reached", **changes: Any) -> Ended:
    """Return an agreement that ended today after it was in force."""
    usual: dict[str, Any] = {
        "about": about(),
        "reason": reason,
        "ended_on": TODAY,
        "held_on": TODAY,
        "in_force_on": TODAY,
        "terms": terms(),
        "signed": all_signed(),
    }
    return Ended(**{**usual, **changes})


def agreements() -> tuple[Agreement, ...]:
    """Return one agreement of each status."""
    return (an_invited(), a_met(), a_proposed(), an_in_force(), an_ended())


def to_hold(**changes: Any) -> HoldMeeting:
    """Put today's meeting on record."""
    usual: dict[str, Any] = {
        "agreement_id": AGREEMENT,
        "held_on": TODAY,
        "attended": ("family", "caseworker", "organisation", "child"),
    }
    return HoldMeeting(**{**usual, **changes})


def a_goal(**changes: Any) -> GoalInput:
    """Return one clear goal, with what is done for it and who answers."""
    usual: dict[str, Any] = {
        "goal_id": GOAL,
        "purpose": "networks",
        "responsible": "organisation",
        "text": "two friends from playing football",
        "actions": (ActionInput("the mentor fetches her on Tuesdays", "organisation"),),
    }
    return GoalInput(**{**usual, **changes})


def to_propose(**changes: Any) -> Propose:
    """Lay half a year with a mentor ready to be signed."""
    usual: dict[str, Any] = {
        "agreement_id": AGREEMENT,
        "goals": (a_goal(),),
        "starts_on": STARTS,
        "ends_on": ENDS,
        "cost": "free",
        "payer": "nobody",
        "wants": {
            "municipality": "she needs a steady adult",
            "organisation": "we know football",
            "family": "we hope for friends",
        },
    }
    return Propose(**{**usual, **changes})


def to_sign(party: Party = "municipality", version: int = 1) -> Sign:
    """Sign for one party."""
    return Sign(AGREEMENT, version, party)


def to_report() -> ReportProgress:
    """Say that it goes well."""
    return ReportProgress(AGREEMENT, "forward", "she laughed a lot")


def to_end(reason: str = "goals_reached") -> EndAgreement:
    """End it for a reason of the model."""
    return EndAgreement(AGREEMENT, reason)


def commands() -> tuple[Command, ...]:
    """Return one of each command on an agreement."""
    return (to_hold(), to_propose(), to_sign(), to_report(), to_end())


def case_opened() -> CaseOpened:
    """The department follows the case."""
    return CaseOpened(
        department_id=DEPARTMENT, caseworker_id=CASEWORKER.id, model="kerteminde", model_version=1
    )


def accepted(referral_id: UUID = REFERRAL) -> ReferralAccepted:
    """The organisation takes the case."""
    return ReferralAccepted(
        referral_id=referral_id,
        organisation_id=ORGANISATION,
        offer_id=OFFER,
        purposes=("networks",),
        model="kerteminde",
        model_version=1,
        accepted_at=NOW,
        meeting_by=MEETING_BY,
    )


def recalled() -> ReferralRecalled:
    """The municipality takes the referral back."""
    return ReferralRecalled(
        referral_id=REFERRAL, organisation_id=ORGANISATION, reason="family_moved", delete_by=MEETING_BY
    )


def withdrawn() -> ReferralWithdrawn:
    """The referral has ended, as its consent is gone."""
    return ReferralWithdrawn(
        referral_id=REFERRAL, organisation_id=ORGANISATION, reason="withdrawn", delete_by=MEETING_BY
    )


def custody_recorded(young_person_id: UUID | None = None, quorum: str = "all_holders") -> CustodyRecorded:
    """Both parents hold parental responsibility."""
    return CustodyRecorded(
        holder_ids=(MOTHER, FATHER), young_person_id=young_person_id, quorum=quorum, rule="dk_2024"
    )


def granted(until: datetime = NEXT_YEAR) -> ConsentGranted:
    """All have consented."""
    return ConsentGranted(
        referral_id=REFERRAL, organisation_id=ORGANISATION, purpose="networks", facts=("need",), until=until
    )


def lost() -> ConsentLost:
    """Somebody has taken their consent back."""
    return ConsentLost(
        referral_id=REFERRAL, organisation_id=ORGANISATION, purpose="networks", reason="withdrawn"
    )


def concluded(decision: str = "continue", reason: str = "it_works") -> EvaluationConcluded:
    """An evaluation has judged the goal and decided."""
    return EvaluationConcluded(
        evaluation_id=UUID(int=0xE7A1),
        agreement_id=AGREEMENT,
        organisation_id=ORGANISATION,
        decision=decision,
        reason=reason,
        attained=(GoalAttained(goal_id=GOAL, attainment="partly"),),
    )


def consumed() -> tuple[Event, ...]:
    """Return one of each event that is consumed."""
    return (
        case_opened(), accepted(), recalled(), withdrawn(), custody_recorded(), granted(), lost(),
        concluded(), concluded("adjust", "works_in_part"), concluded("stop", "no_effect"),
    )  # fmt: skip


def fired(kind: str, at: datetime) -> TimerFired:
    """Return a timer of the agreement that has come due."""
    return TimerFired(kind, AGREEMENT, at)


def after(decision: Decision) -> Agreement:
    """Return the agreement as a decision leaves it."""
    case: Case = decision.state
    return case.agreements[AGREEMENT]


def due(agreement: Agreement) -> dict[str, datetime | None]:
    """Return when an agreement is to be woken, by kind of timer."""
    return {timer.kind: timer.due_at for timer in timers_of(a_case(), AGREEMENT, agreement, KERTEMINDE)}


def in_force_event(**changes: Any) -> contract.AgreementInForce:
    """Return the event for other services when all have signed."""
    usual: dict[str, Any] = {
        "agreement_id": AGREEMENT,
        "referral_id": REFERRAL,
        "organisation_id": ORGANISATION,
        "version": 1,
        "goal_ids": (GOAL,),
        "model": "kerteminde",
        "model_version": 1,
        "starts_on": STARTS,
        "ends_on": ENDS,
        "update_every_days": 30,
        "evaluate_every_days": 90,
    }
    return contract.AgreementInForce(**{**usual, **changes})


def ended_event(reason: str, ended_on: date = TODAY) -> contract.AgreementEnded:
    """Return the event for other services of an end."""
    return contract.AgreementEnded(
        agreement_id=AGREEMENT,
        referral_id=REFERRAL,
        organisation_id=ORGANISATION,
        reason=reason,
        ended_on=ended_on,
    )
