"""Made-up evaluations and measurements, and the events around them."""

from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID

from contracts import evaluation as contract
from contracts.agreement import AgreementEnded, AgreementInForce
from contracts.consent import ConsentGranted, ConsentLost, CustodyRecorded
from contracts.event import Event
from contracts.model import CollaborationModel, load_model, model_folder
from contracts.referral import CaseOpened
from services.evaluation.domain.commands import Command, Conclude, HearVoice, TakeMeasurement
from services.evaluation.domain.deadlines import timers_of
from services.evaluation.domain.states import (
    NEEDED,
    About,
    Cancelled,
    Case,
    Collaboration,
    Concluded,
    Due,
    Evaluation,
    Measured,
    Missed,
    Moment,
    Over,
    Plan,
    Planned,
    Running,
    Spoken,
    Voice,
    evaluation_of,
)
from services.kernel.decider.decision import Actor, Context, Decision, TimerFired

TENANT: Final = "0440"
CASE: Final = UUID(int=0xCA5E)
DEPARTMENT: Final = UUID(int=0xDE9A)
ORGANISATION: Final = UUID(int=0x0F6A)
REFERRAL: Final = UUID(int=0x4EFE)
AGREEMENT: Final = UUID(int=0xA64E)
EVALUATION: Final = evaluation_of(AGREEMENT, 1)
NEXT: Final = evaluation_of(AGREEMENT, 2)
MEASUREMENT: Final = UUID(int=0x3EA5)
GOAL: Final = UUID(int=0x60A1)
MOTHER: Final = UUID(int=0x30F)
FATHER: Final = UUID(int=0xFA7)
YOUNG: Final = UUID(int=0x900)
CASEWORKER: Final = Actor(UUID(int=0xC4), "caseworker", TENANT, department_id=DEPARTMENT)
COORDINATOR: Final = Actor(UUID(int=0xC0), "coordinator", TENANT, organisation_id=ORGANISATION)
GUARDIAN: Final = Actor(MOTHER, "guardian", TENANT)
YOUNG_PERSON: Final = Actor(YOUNG, "young_person", TENANT)

NOW: Final = datetime(2026, 3, 9, 10, tzinfo=UTC)
TODAY: Final = date(2026, 3, 9)
ENDS: Final = date(2026, 9, 9)
DUE_ON: Final = date(2026, 6, 7)  # a Sunday, ninety days on
LAST_DAY: Final = date(2026, 8, 26)  # ten working days before the end
NEXT_YEAR: Final = datetime(2027, 3, 1, tzinfo=UTC)
KERTEMINDE: Final[CollaborationModel] = load_model(model_folder() / "kerteminde.toml")
DIMENSIONS: Final = tuple(dimension.code for dimension in KERTEMINDE.dimensions)
FIRST: Final = {"mental_wellbeing": 2.0, "social_skills": 3.0, "coping_skills": 4.0}
LAST: Final = {"mental_wellbeing": 2.5, "social_skills": 3.4, "coping_skills": 3.0, "self_perception": 5.0}
SECRETS: Final = ("I like the mentor", "sleeps better", "bring a friend along", "4.125")


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


def a_case(collaboration: Collaboration | None = None, **changes: Any) -> Case:
    """Return a case of two guardians whose consent is valid, perhaps with one collaboration."""
    usual: dict[str, Any] = {
        "department_id": DEPARTMENT,
        "guardians": (MOTHER, FATHER),
        "consents": {REFERRAL: NEXT_YEAR},
        "collaborations": {AGREEMENT: collaboration} if collaboration else {},
    }
    return Case(**{**usual, **changes})


def about() -> About:
    """Return what stays the same of the collaboration."""
    return About(REFERRAL, ORGANISATION, "kerteminde/1", DIMENSIONS)


def a_plan(**changes: Any) -> Plan:
    """Return half a year with one goal, evaluated every ninety days."""
    usual: dict[str, Any] = {
        "version": 1,
        "goal_ids": (GOAL,),
        "starts_on": TODAY,
        "ends_on": ENDS,
        "evaluate_every_days": 90,
    }
    return Plan(**{**usual, **changes})


def a_running(evaluation: Evaluation | None = None, **changes: Any) -> Running:
    """Return a collaboration under way, whose first evaluation is planned unless another is given."""
    usual: dict[str, Any] = {
        "about": about(),
        "plan": a_plan(),
        "evaluations": {EVALUATION: evaluation or a_planned()},
    }
    return Running(**{**usual, **changes})


def an_over(evaluation: Evaluation | None = None, **changes: Any) -> Over:
    """Return a collaboration that ended in September, six months before its last measurement."""
    usual: dict[str, Any] = {
        "about": about(),
        "plan": a_plan(),
        "evaluations": {EVALUATION: evaluation or a_cancelled()},
        "ended_on": ENDS,
        "after_on": date(2027, 3, 9),
        "reason": "completed",
    }
    return Over(**{**usual, **changes})


def spoken(*voices: Voice) -> tuple[Spoken, ...]:
    """Return voices that a caseworker put on record today."""
    return tuple(Spoken(voice, "heard", CASEWORKER.id, "caseworker", TODAY) for voice in voices)


def a_planned(*voices: Voice) -> Planned:
    """Return the first evaluation, its day set."""
    return Planned(number=1, due_on=DUE_ON, voices=spoken(*voices))


def a_due(*voices: Voice) -> Due:
    """Return the first evaluation on its day."""
    return Due(number=1, due_on=DUE_ON, voices=spoken(*voices))


def a_missed(*voices: Voice) -> Missed:
    """Return the first evaluation, not held in time."""
    return Missed(number=1, due_on=DUE_ON, voices=spoken(*voices))


def a_concluded(**changes: Any) -> Concluded:
    """Return the first evaluation as it was concluded today."""
    usual: dict[str, Any] = {
        "number": 1,
        "due_on": DUE_ON,
        "voices": spoken(*NEEDED),
        "concluded_on": TODAY,
        "decision": "continue",
        "reason": "it_works",
        "attained": {GOAL: "partly"},
    }
    return Concluded(**{**usual, **changes})


def a_cancelled() -> Cancelled:
    """Return the first evaluation, which the end came before."""
    return Cancelled(number=1, due_on=DUE_ON)


def measured(*moments: Moment) -> dict[Moment, Measured]:
    """Return measurements of today."""
    return {moment: Measured(MEASUREMENT, TODAY, tuple(sorted(FIRST))) for moment in moments}


def collaborations() -> tuple[Collaboration, ...]:
    """Return one collaboration for each state of its first evaluation, and one that is over."""
    return (
        a_running(a_planned(*NEEDED)),
        a_running(a_due(*NEEDED)),
        a_running(a_missed(*NEEDED)),
        a_running(a_concluded()),
        an_over(),
    )


def to_hear(voice: Voice = "child", **changes: Any) -> HearVoice:
    """Put the child's voice on record."""
    usual: dict[str, Any] = {
        "evaluation_id": EVALUATION,
        "voice": voice,
        "answer": "heard",
        "text": "I like the mentor",
    }
    return HearVoice(**{**usual, **changes})


def to_conclude(**changes: Any) -> Conclude:
    """Go on as it is."""
    usual: dict[str, Any] = {
        "evaluation_id": EVALUATION,
        "decision": "continue",
        "reason": "it_works",
        "attained": {GOAL: "partly"},
        "note": "bring a friend along",
    }
    return Conclude(**{**usual, **changes})


def to_measure(moment: Moment = "start", **changes: Any) -> TakeMeasurement:
    """Put the child's scores on record."""
    usual: dict[str, Any] = {
        "agreement_id": AGREEMENT,
        "measurement_id": MEASUREMENT,
        "moment": moment,
        "scores": FIRST if moment == "start" else LAST,
    }
    return TakeMeasurement(**{**usual, **changes})


def commands() -> tuple[Command, ...]:
    """Return one of each command."""
    return (to_hear(), to_conclude(), to_measure())


def case_opened() -> CaseOpened:
    """The department follows the case."""
    return CaseOpened(
        department_id=DEPARTMENT, caseworker_id=CASEWORKER.id, model="kerteminde", model_version=1
    )


def custody_recorded(young_person_id: UUID | None = None) -> CustodyRecorded:
    """Both parents hold parental responsibility."""
    return CustodyRecorded(
        holder_ids=(MOTHER, FATHER), young_person_id=young_person_id, quorum="all_holders", rule="dk_2024"
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


def in_force(**changes: Any) -> AgreementInForce:
    """All have signed; the volunteers begin."""
    usual: dict[str, Any] = {
        "agreement_id": AGREEMENT,
        "referral_id": REFERRAL,
        "organisation_id": ORGANISATION,
        "version": 1,
        "goal_ids": (GOAL,),
        "model": "kerteminde",
        "model_version": 1,
        "starts_on": TODAY,
        "ends_on": ENDS,
        "update_every_days": 30,
        "evaluate_every_days": 90,
    }
    return AgreementInForce(**{**usual, **changes})


def ended(reason: str = "completed") -> AgreementEnded:
    """The agreement has ended on its last day."""
    return AgreementEnded(
        agreement_id=AGREEMENT,
        referral_id=REFERRAL,
        organisation_id=ORGANISATION,
        reason=reason,
        ended_on=ENDS,
    )


def consumed() -> tuple[Event, ...]:
    """Return one of each event that is consumed."""
    return (case_opened(), custody_recorded(), granted(), lost(), in_force(), ended())


def fired(kind: str, at: datetime, ref: UUID = EVALUATION) -> TimerFired:
    """Return a timer of an evaluation that has come due."""
    return TimerFired(kind, ref, at)


def after(decision: Decision, evaluation_id: Any = EVALUATION) -> Evaluation:
    """Return an evaluation as a decision leaves it."""
    case: Case = decision.state
    return case.collaborations[AGREEMENT].evaluations[evaluation_id]


def due(collaboration: Collaboration) -> dict[str, datetime]:
    """Return when the first evaluation is to be woken, by kind of timer."""
    timers = timers_of(a_case(), collaboration, KERTEMINDE)
    return {timer.kind: timer.due_at for timer in timers if timer.due_at and timer.ref == EVALUATION}


def planned_event(due_on: date = DUE_ON, evaluation_id: Any = EVALUATION) -> contract.EvaluationPlanned:
    """Return the event for other services of an evaluation's day."""
    return contract.EvaluationPlanned(
        evaluation_id=evaluation_id, agreement_id=AGREEMENT, organisation_id=ORGANISATION, due_on=due_on
    )
