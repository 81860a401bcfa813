"""Work lists and inboxes of an organisation while consents are unknown."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from msgspec.structs import replace

from services.agreement.app import SERVICE as AGREEMENT
from services.evaluation.app import SERVICE as EVALUATION
from services.kernel.clock import VirtualClock
from services.kernel.decider.service import Service, StreamChange
from services.referral.app import SERVICE as REFERRAL
from services.referral.domain.states import Case
from tests import examples_agreement as agreement
from tests import examples_evaluation as evaluation
from tests import examples_referral as referral
from tests.examples_referral import CASE, DEPARTMENT, NEXT_YEAR, NOW, OFFER, ORGANISATION, TENANT
from tests.http_site import Site, a_token, advance_watermark, open_site
from tests.store.test_notify_api import A_STREAM

SOON: Final = datetime(2026, 3, 20, 10, tzinfo=UTC)
SENT: Final = referral.a_case(referral.a_sent(), referral.a_consent())
RECALLED: Final = referral.a_case(referral.a_recalled())
REPORTING: Final = agreement.a_case(agreement.an_in_force())
EVALUATED: Final = evaluation.a_case(evaluation.a_running(replace(evaluation.a_due(), due_on=SOON.date())))

COORDINATOR: Final[dict[str, Any]] = {"role": "coordinator", "organisation_id": str(ORGANISATION)}
CASEWORKER: Final[dict[str, Any]] = {"role": "caseworker", "department_id": str(DEPARTMENT)}

A_REFERRAL: Final = """
insert into referrals (referral_id, tenant, case_id, organisation_id, offer_id, status, reason, sent_at,
                       consent_until)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""


async def keep(site: Site, case: Any) -> None:
    """Store a case, with its rows in the lists."""
    async with site.runtime.pool.acquire() as tx, tx.transaction():
        await tx.execute(A_STREAM, CASE, TENANT, msgspec.json.encode(case).decode())
        if isinstance(case, Case):
            stopped = case is RECALLED
            status, reason = ("recalled", "family_moved") if stopped else ("sent", "")
            ids = referral.REFERRAL, TENANT, CASE, ORGANISATION, OFFER
            await tx.execute(A_REFERRAL, *ids, status, reason, NOW, None if stopped else NEXT_YEAR)
        else:
            project = site.runtime.service.projection
            assert project is not None
            await project(tx, [StreamChange(CASE, TENANT, 1, None, case, (), ())])


async def listed(site: Site, path: str, claims: dict[str, Any]) -> tuple[int, str | int]:
    """Return how a list answers: the status, and how long it is or the problem's name."""
    answer = await site.request("GET", path, token=a_token(**claims))
    return answer.status, len(answer.body) if answer.status == 200 else answer.slug


@pytest.mark.req("K3")
@pytest.mark.parametrize(
    ("service", "path", "case"),
    [
        (REFERRAL, "/referral/inbox", SENT),
        (AGREEMENT, "/agreement/mine", REPORTING),
        (EVALUATION, "/evaluation/mine", EVALUATED),
    ],
)
async def test_an_organisations_lists_wait_for_fresh_consents(
    postgres_dsn: str, tmp_path: Path, service: Service, path: str, case: Any
) -> None:
    """An organisation may not learn of a case once a withdrawal is on its way."""
    clock = VirtualClock(tmp_path / "clock", SOON)
    async with open_site(postgres_dsn, service, consent_max_age_seconds=60, clock=clock) as site:
        await keep(site, case)
        never = await listed(site, path, COORDINATOR)
        await advance_watermark(site.runtime, 90.0)
        old = await listed(site, path, COORDINATOR)
        await advance_watermark(site.runtime, 1.0)
        fresh = await listed(site, path, COORDINATOR)
        await site.runtime.pool.execute("update streams set halted = true")
        halted = await listed(site, path, COORDINATOR)

    assert never == old == halted == (503, "consent-unknown")
    assert fresh == (200, 1)


@pytest.mark.parametrize(
    ("service", "path", "case", "claims"),
    [
        (REFERRAL, "/referral/inbox", RECALLED, COORDINATOR),
        (AGREEMENT, "/agreement/mine", agreement.a_case(agreement.a_met()), CASEWORKER),
        (EVALUATION, "/evaluation/mine", EVALUATED, CASEWORKER),
    ],
)
async def test_lists_that_need_no_consent_are_not_held_up(
    postgres_dsn: str, tmp_path: Path, service: Service, path: str, case: Any, claims: dict[str, Any]
) -> None:
    """The department's work, and an organisation's duty to delete, need no fresh consents."""
    clock = VirtualClock(tmp_path / "clock", SOON)
    async with open_site(postgres_dsn, service, consent_max_age_seconds=60, clock=clock) as site:
        await keep(site, case)
        status, _ = await listed(site, path, claims)

    assert status == 200
