"""Access to a case: by assignment, and for an organisation only through the consent gate."""

from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from services.kernel.decider.decision import Actor, ReadRequest
from services.kernel.errors import ConsentUnknown
from services.referral.domain.access import FULL, SHARED, STATUS, authorize, visible
from services.referral.domain.commands import (
    AcceptReferral,
    CloseCase,
    Command,
    ConfirmDeletion,
    DeclineReferral,
    SeeReferral,
)
from services.referral.domain.states import Custody, Lost, Referral
from services.referral.views import case_view
from tests.examples_referral import (
    CASEWORKER,
    COORDINATOR,
    DEPARTMENT,
    FATHER,
    GUARDIAN,
    MOTHER,
    NOW,
    PRIVATE,
    REFERRAL,
    TENANT,
    a_case,
    a_closed,
    a_consent,
    a_context,
    a_declined,
    a_draft,
    a_ready,
    a_recalled,
    a_sent,
    a_withdrawn,
    an_accepted,
    an_awaiting,
    an_expired,
    an_offer,
    consent_of,
    referral_commands,
    referrals,
    to_assess,
    to_draft,
    to_note_views,
    to_open_case,
)

STRANGER = UUID(int=0x57)


READ = ReadRequest((STATUS,))


TEXTS: dict[str, Any] = {
    **PRIVATE,
    "first_name": "Frida",
    "family_name": "Vestergaard",
    "contact": "mother, 12345678",
    "practical": "nuts",
    "child_view": {"view": "I like football", "proposals": "", "why": ""},
    "family_view": {"view": "she misses her father", "proposals": "", "why": ""},
    "judgement": "she is shy",
    f"need:{REFERRAL}": "a steady adult",
    f"aim:{REFERRAL}": "a friend to play with",
}


OTHERS = [
    Actor(STRANGER, "caseworker", TENANT, department_id=STRANGER),
    Actor(STRANGER, "caseworker", TENANT),
    Actor(STRANGER, "coordinator", TENANT, organisation_id=STRANGER),
    Actor(STRANGER, "coordinator", TENANT),
    Actor(STRANGER, "guardian", TENANT),
    Actor(STRANGER, "young_person", TENANT),
    Actor(MOTHER, "leader", TENANT, department_id=DEPARTMENT),
    Actor(MOTHER, "auditor", TENANT),
    Actor(MOTHER, "operator", TENANT),
    Actor(MOTHER, "administrator", TENANT),
    Actor(MOTHER, "bridge_builder", TENANT, department_id=DEPARTMENT),
]


@pytest.mark.parametrize("actor", OTHERS, ids=lambda actor: f"{actor.role}")
def test_an_actor_without_a_part_in_the_case_is_refused(actor: Actor) -> None:
    """A role alone opens nothing: neither reading nor a command."""
    triggers: list[Command | ReadRequest] = [
        READ, to_open_case(), to_note_views(), to_assess(), to_draft(), CloseCase("family_moved"),
        *referral_commands(),
    ]  # fmt: skip

    for referral in referrals():
        case = a_case(referral, consent_of(referral))
        assert [one for one in triggers if authorize(case, one, a_context(actor=actor))] == []


def test_a_caseworker_works_on_the_cases_of_the_department() -> None:
    """What is the municipality's to do, its caseworker may do; the organisation's answer not."""
    case = a_case(a_sent(), a_consent())
    triggers = [to_note_views(), to_assess(), to_draft(), CloseCase("family_moved"), *referral_commands()]

    may = [type(one).__name__ for one in triggers if authorize(case, one, a_context())]

    assert may == [
        "NoteViews", "AssessEligibility", "DraftReferral", "CloseCase", "AwaitConsent", "SendReferral",
        "RecallReferral",
    ]  # fmt: skip
    assert authorize(None, to_open_case(), a_context())
    assert authorize(case, ReadRequest(tuple(FULL)), a_context())


def test_only_a_case_can_be_read_or_changed() -> None:
    """An offer, or nothing at all, is no case."""
    assert not authorize(None, READ, a_context())
    assert not authorize(an_offer(), READ, a_context())
    assert not authorize(None, to_note_views(), a_context())


@pytest.mark.req("K3")
@pytest.mark.parametrize("referral", referrals(), ids=lambda referral: str(referral.__struct_config__.tag))
def test_a_coordinator_sees_a_referral_only_while_it_is_shared(referral: Referral) -> None:
    """Never before it is sent, never after it is over, never without a valid consent."""
    here = a_context(actor=COORDINATOR)
    shared = str(referral.__struct_config__.tag) in SHARED

    assert authorize(a_case(referral, a_consent()), READ, here) == shared
    assert authorize(a_case(referral, a_consent()), SeeReferral(REFERRAL), here) == shared
    assert authorize(a_case(referral, a_consent()), AcceptReferral(REFERRAL), here) == shared
    for consent in (None, Lost("withdrawn"), a_consent(until=NOW)):
        assert not authorize(a_case(referral, consent), READ, here)
        assert not authorize(a_case(referral, consent), AcceptReferral(REFERRAL), here)


@pytest.mark.req("K3")
def test_a_coordinator_waits_while_consents_are_not_fresh() -> None:
    """The gate fails closed, and says that it may open again."""
    blind = a_context(actor=COORDINATOR, consents_fresh=False)
    case = a_case(a_sent(), a_consent())

    for trigger in (READ, SeeReferral(REFERRAL), AcceptReferral(REFERRAL)):
        with pytest.raises(ConsentUnknown):
            authorize(case, trigger, blind)
    assert not authorize(a_case(a_draft()), READ, blind)


def test_an_organisation_can_always_decline_and_confirm_a_deletion() -> None:
    """Exits show nothing, so no consent is required."""
    blind = a_context(actor=COORDINATOR, consents_fresh=False)

    assert authorize(a_case(a_sent()), DeclineReferral(REFERRAL, "no_places"), blind)
    assert authorize(a_case(a_withdrawn()), ConfirmDeletion(REFERRAL), blind)
    assert authorize(a_case(a_recalled()), ConfirmDeletion(REFERRAL), blind)


BEFORE_IT_WAS_SENT = [
    a_draft(),
    an_awaiting(),
    a_ready(),
    a_recalled(delete_by=None),
    replace(a_withdrawn(), delete_by=None),
    an_expired("awaiting_consent"),
]


@pytest.mark.parametrize("referral", BEFORE_IT_WAS_SENT, ids=lambda one: str(one.__struct_config__.tag))
def test_finding_13_what_was_never_sent_does_not_exist_for_its_organisation(referral: Referral) -> None:
    """Before the consent an organisation learns nothing, not even by declining or confirming a deletion."""
    here = a_context(actor=COORDINATOR)

    for trigger in (DeclineReferral(REFERRAL, "no_places"), ConfirmDeletion(REFERRAL)):
        assert not authorize(a_case(referral, a_consent()), trigger, here)


@pytest.mark.parametrize(
    "referral", [a_closed(), a_declined(), an_expired("sent")], ids=lambda one: type(one).__name__
)
def test_an_organisation_knows_what_it_was_once_sent(referral: Referral) -> None:
    """A repeated no to what is over is answered by the rules."""
    assert authorize(a_case(referral), DeclineReferral(REFERRAL, "no_places"), a_context(actor=COORDINATOR))


@pytest.mark.req("K3")
def test_a_coordinator_sees_what_was_consented_to_and_no_more() -> None:
    """Name, age band, need and goals when it is sent; how the parents are reached once it is accepted."""
    here = a_context(actor=COORDINATOR)

    sent = case_view(a_case(a_sent(), a_consent()), here, 7, TEXTS)
    accepted = case_view(a_case(an_accepted(), a_consent()), here, 8, TEXTS)

    assert sent.facts.model_dump(exclude_none=True) == {"first_name": "Frida", "age_band": "6-9"}
    assert [(one.need, one.goals) for one in sent.referrals] == [("a steady adult", "a friend to play with")]
    assert (sent.views, sent.eligibility) == (None, None)
    assert accepted.facts.contact == "mother, 12345678"
    assert [(one.public_help, one.purposes) for one in accepted.referrals] == [((), ("networks",))]
    assert visible(a_case(a_sent(), a_consent()), here) == {
        STATUS, "first_name", "age_band", "need", "goals",
    }  # fmt: skip


@pytest.mark.req("K3")
def test_an_organisation_does_not_see_the_referrals_of_others() -> None:
    """Of a case with several referrals each organisation sees its own."""
    other = UUID(int=0x0DD)
    case = a_case(a_sent(), a_consent(), referrals={REFERRAL: a_sent(), other: an_awaiting()})

    seen = case_view(case, a_context(actor=COORDINATOR), 7, TEXTS)

    assert [referral.referral_id for referral in seen.referrals] == [REFERRAL]


def test_a_guardian_sees_the_own_child_but_not_what_it_said_alone() -> None:
    """Parents read what is written about the child; the child's own words stay with the caseworker."""
    case = a_case(a_sent(), a_consent())

    seen = case_view(case, a_context(actor=GUARDIAN), 7, TEXTS)

    assert authorize(case, READ, a_context(actor=GUARDIAN))
    assert seen.facts.judgement == "she is shy"
    assert seen.facts.child_view is None
    assert not authorize(case, ReadRequest(("child_view",)), a_context(actor=GUARDIAN))
    assert not authorize(a_case(custody=Custody((FATHER,), None)), READ, a_context(actor=GUARDIAN))
    assert not authorize(a_case(custody=None), READ, a_context(actor=GUARDIAN))


def test_a_young_person_sees_the_own_case_but_not_what_the_family_said() -> None:
    """A young person who decides may also read."""
    young = Actor(UUID(int=0x15), "young_person", TENANT)
    case = a_case(custody=Custody((MOTHER,), young.id))

    seen = case_view(case, a_context(actor=young), 7, TEXTS)

    assert authorize(case, READ, a_context(actor=young))
    assert seen.facts.child_view is not None
    assert (seen.facts.family_view, seen.facts.contact) == (None, None)


def test_a_caseworker_sees_the_whole_case() -> None:
    """Names, views, judgement, reasons and every referral with its need."""
    seen = case_view(a_case(a_sent(), a_consent()), a_context(actor=CASEWORKER), 7, TEXTS)

    assert seen.facts.family_name == "Vestergaard"
    assert seen.facts.child_view is not None
    assert seen.eligibility is not None
    assert [(one.status, one.due_on, one.need) for one in seen.referrals] == [
        ("sent", a_sent().answer_by, "a steady adult")
    ]
