"""Signatures under an agreement: which names are needed, and which counts last."""

from datetime import date, timedelta

import pytest
from msgspec.structs import replace

from contracts import agreement as contract
from services.agreement.domain import refusals
from services.agreement.domain.deadlines import work_items_of
from services.agreement.domain.lifecycle import decide
from services.agreement.domain.states import (
    InForce,
    Party,
    Proposed,
)
from services.kernel.decider.decision import Actor, Decision
from tests.examples_agreement import (
    AGREEMENT,
    CASEWORKER,
    COORDINATOR,
    DEPARTMENT,
    ENDS,
    GUARDIAN,
    NOW,
    YOUNG,
    YOUNG_PERSON,
    a_case,
    a_proposed,
    after,
    all_signed,
    an_in_force,
    context,
    due,
    in_force_event,
    to_propose,
    to_sign,
)


@pytest.mark.req("N7")
def test_the_last_signature_brings_the_agreement_into_force() -> None:
    """Municipality and organisation have signed; as a guardian does, the volunteers begin."""
    case = a_case(a_proposed("municipality", "organisation"))

    decision = decide(case, to_sign("family"), context(GUARDIAN))

    assert after(decision) == an_in_force()
    assert decision.events == (
        contract.AgreementSigned(agreement_id=AGREEMENT, version=1, party="family"),
        in_force_event(),
    )
    assert {timer.kind: timer.due_at for timer in decision.timers} == due(an_in_force())


@pytest.mark.parametrize(
    ("party", "actor", "needed", "too_weak"),
    [
        ("family", GUARDIAN, "high", ("none", "low", "substantial", "a word that nobody knows")),
        ("young_person", YOUNG_PERSON, "high", ("none", "low", "substantial")),
        ("municipality", CASEWORKER, "substantial", ("none", "low")),
        ("organisation", COORDINATOR, "substantial", ("none", "low")),
    ],
)
def test_finding_14_a_signature_needs_a_sign_in_that_is_sure_enough(
    party: Party, actor: Actor, needed: str, too_weak: tuple[str, ...]
) -> None:
    """A family signs at the level at which it consents; the refusal says which level that is."""
    case = a_case(a_proposed(), young_person_id=YOUNG, quorum="young_person_and_holders")

    for level in too_weak:
        with pytest.raises(refusals.SignInTooWeak) as said:
            decide(case, to_sign(party), context(replace(actor, assurance=level)))
        assert said.value.detail == needed
    for level in (needed, "high"):
        decision = decide(case, to_sign(party), context(replace(actor, assurance=level)))
        assert [type(event) for event in decision.events] == [contract.AgreementSigned]


def test_who_speaks_for_the_family_no_longer_has_not_signed_for_it() -> None:
    """As the young person comes of age a guardian's name falls away, and theirs is waited for and counts."""
    proposed = a_proposed("municipality", "organisation", "family")
    of_age = a_case(proposed, guardians=(), young_person_id=YOUNG, quorum="young_person")

    begun = after(decide(of_age, to_sign("family"), context(YOUNG_PERSON)))

    assert [(wait.what, wait.owner_id) for wait in work_items_of(of_age)] == [("signature", YOUNG)]
    assert isinstance(begun, InForce)
    assert [one.by for one in begun.signed if one.party == "family"] == [YOUNG]


def test_an_agreement_is_not_held_up_by_a_name_that_is_needed_no_longer() -> None:
    """Where the young person need not sign any more, a party that signs again brings it into force."""
    signed = a_case(a_proposed("municipality", "organisation", "family"), young_person_id=YOUNG)

    decision = decide(signed, to_sign("municipality"), context())

    assert [wait.owner_id for wait in work_items_of(signed)] == [DEPARTMENT]
    assert after(decision) == an_in_force()
    assert decision.events == (in_force_event(),)


@pytest.mark.req("N3")
def test_what_is_over_before_the_last_name_does_not_come_into_force() -> None:
    """A version whose last day has come is proposed anew, with days in the future."""
    case, late = a_case(a_proposed("municipality", "organisation")), NOW.replace(month=9, day=9)

    with pytest.raises(refusals.DurationMissing):
        decide(case, to_sign("family"), context(GUARDIAN, now=late))
    further = to_propose(starts_on=ENDS, ends_on=ENDS + timedelta(days=90))
    assert isinstance(after(decide(case, further, context(now=late))), Proposed)


def test_a_signature_counts_once() -> None:
    """A party that signs again, before or after it came into force, changes nothing."""
    waiting, running = a_case(a_proposed("family")), a_case(an_in_force())

    assert decide(waiting, to_sign("family"), context(GUARDIAN)) == Decision(waiting)
    assert decide(running, to_sign("family"), context(GUARDIAN)) == Decision(running)


@pytest.mark.req("H1")
def test_a_young_person_signs_where_their_own_consent_is_needed() -> None:
    """At fifteen the agreement is not in force before the young person has signed as well."""
    case = a_case(
        a_proposed("municipality", "organisation"), young_person_id=YOUNG, quorum="young_person_and_holders"
    )

    waiting = decide(case, to_sign("family"), context(GUARDIAN))
    decision = decide(waiting.state, to_sign("young_person"), context(YOUNG_PERSON))

    assert isinstance(after(waiting), Proposed)
    assert isinstance(after(decision), InForce)
    with pytest.raises(refusals.PartyUnknown):
        decide(a_case(a_proposed()), to_sign("young_person"), context(YOUNG_PERSON))


def test_the_first_update_counts_from_the_later_of_start_and_signature() -> None:
    """Who signs late is not late with the first update at once."""
    late = NOW + timedelta(days=30)

    decision = decide(
        a_case(a_proposed("municipality", "organisation")), to_sign("family"), context(GUARDIAN, now=late)
    )
    agreement = after(decision)

    assert isinstance(agreement, InForce)
    assert agreement.expected.due_on == date(2026, 5, 1)
    assert agreement.signed[:2] == all_signed()[:2]
