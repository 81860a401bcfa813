"""Consent as stories see it, and an example case for every state of a record and of a permission."""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from uuid import UUID

from contracts.referral import ReferralClosed
from services.consent.app import SERVICE
from services.consent.domain.commands import RecordCustody, RefuseConsent, WithdrawConsent
from services.consent.domain.deadlines import calendar_for, consent_waiting, permission_waiting, timers_of
from services.consent.domain.lifecycle import CONSENT, PERMISSION
from services.consent.domain.states import Case, Given, Invalidated, Minuted, Requested
from services.consent.views.cases import MineView, case_view, mine
from services.consent.views.confirmation import to_confirm
from services.consent.views.receipt import Receipt, receipt_of
from services.kernel.decider.deadlines import Waiting
from services.kernel.decider.decision import Actor, Timer
from services.kernel.decider.lifecycle import Lifecycle
from tests import examples_consent as examples
from tests.examples_consent import ASKED, CASE, GRANTED, MODELS, TENANT, father, mother, opened
from tests.invariants import Step, Subject
from tests.story import Story

CALENDAR: Final = calendar_for(examples.MODEL)


def _things(case: Case) -> dict[UUID, tuple[Lifecycle, Any]]:
    permissions = {at: (PERMISSION, permission) for at, permission in case.permissions.items()}
    return {**permissions, **{at: (CONSENT, consent) for at, consent in case.consents.items()}}


def _timers(case: Case) -> Iterator[Timer]:
    for at, thing in (*case.permissions.items(), *case.consents.items()):
        yield from timers_of(at, thing, examples.MODEL)


def _waiting(case: Case) -> dict[UUID, Waiting]:
    waits = {at: permission_waiting(at, case, CALENDAR) for at in case.permissions}
    waits |= {at: consent_waiting(one, case, CALENDAR) for at, one in case.consents.items()}
    return {at: wait for at, wait in waits.items() if wait is not None}


def _mine(case: Case, _private: Mapping[str, Any]) -> list[MineView]:
    return [
        view
        for person_id in (examples.MOTHER, examples.FATHER, examples.YOUNG_PERSON)
        for language in (None, "en")
        for view in mine(case, CASE, 1, person_id=person_id, models=MODELS, language=language)
    ]


def _receipts(case: Case, private: Mapping[str, Any]) -> list[Receipt]:
    return [
        receipt_of(case, CASE, at, tenant=TENANT, version=1, models=MODELS, private=private)
        for at in case.consents
    ]


def _exits(case: Case) -> Iterator[Step]:
    """Return every no to every record that counts, by the person and, without a form, by a caseworker."""
    for consent_id, consent in case.consents.items():
        if isinstance(consent, Requested | Minuted | Given):
            by = [Actor(consent.question.person_id, "guardian", TENANT)]
            by += [] if case.department_id is None else [examples.a_caseworker()]
            yield from (Step(no(consent_id), one) for one in by for no in (RefuseConsent, WithdrawConsent))


SUBJECT: Final[Subject[Case]] = Subject(
    service=SERVICE,
    stream_id=CASE,
    tenant=TENANT,
    begins=examples.OPENED_AT,
    models=MODELS,
    things=_things,
    timers=_timers,
    waiting=_waiting,
    day_of=CALENDAR.today,
    views={
        "caseworker": lambda case, private: case_view(case, CASE, 1, private),
        "colleague": lambda case, private: to_confirm(case, CASE, 1, private),
        "guardian": _mine,
        "guardian, to keep": _receipts,
    },
    exits=_exits,
    markers=(
        examples.MOTHERS_NAME,
        examples.FATHERS_NAME,
        examples.CHILDS_NAME,
        examples.FOUND_AT,
        *map(str, examples.BIRTHS),
    ),
    free_timers={"age": "it follows from the birth date, which the document does not hold"},
    repeats={RecordCustody: "custody that is confirmed is put on record anew"},
    patient={Invalidated: "the person is asked again only where custody comes back to them"},
)


def a_case(*steps: Step) -> Case:
    """Return the case after steps."""
    case = Story(SUBJECT, checked=False).given(*steps).state
    assert case is not None
    return case


STEPS: Final[Mapping[str, tuple[Step, ...]]] = {
    "opened": (opened(),),
    "without custody": (opened(), examples.awaited()),
    "requested": ASKED,
    "minuted": (*ASKED, mother.minuted_yes()),
    "given": (*ASKED, mother.yes()),
    "confirmed": (*ASKED, mother.minuted_yes(), examples.custody_confirmed(), mother.confirmed()),
    "granted": GRANTED,
    "refused": (*ASKED, mother.no()),
    "withdrawn": (*GRANTED, mother.withdrawal()),
    "expired": (*ASKED, Step(examples.a_lapse(), at=examples.LATER)),
    "invalidated": (*ASKED, father.no()),
    "over": (*GRANTED, examples.over(ReferralClosed(referral_id=examples.REFERRAL, reason="x"))),
    "closed": (*ASKED, examples.closed()),
}
"""How a case comes to the state of the mother's record, and to the states of the permission."""

CASES: Final[Mapping[str, Case]] = {name: a_case(*steps) for name, steps in STEPS.items()}
"""A case in each of those states."""
