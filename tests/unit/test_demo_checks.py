"""The demo's own checks: what each of them names when something was lost, doubled or left out."""

from datetime import date
from typing import Any
from uuid import UUID, uuid4

from demo.ledger import CaseBook, Deed, ReferralBook
from demo.report import Report
from demo.verify import Findings
from demo.verify_case import CaseViews, differences, missing_in_trail

DAY = date(2026, 3, 2)
CASEWORKER = uuid4()
REFERRAL = uuid4()


def a_book() -> CaseBook:
    """Return the book of a case whose referral was sent, and looked at once."""
    book = CaseBook(4, eligible=True)
    book.deeds = [
        Deed("open", "referral.case_opened.v1", CASEWORKER, DAY),
        Deed("send:0", "referral.sent.v1", CASEWORKER, DAY),
    ]
    book.reads["referral.looked.v1", CASEWORKER] += 1
    book.referrals = [ReferralBook(REFERRAL, 0, uuid4(), uuid4(), given=1)]
    book.referrals[0].reached = dict.fromkeys(("drafted", "awaited", "consented", "sent"), DAY)
    return book


def an_entry(event: str, actor: UUID = CASEWORKER, role: str = "caseworker") -> dict[str, str]:
    """Return an entry of the trail."""
    return {"type": event, "actor": str(actor), "role": role}


def a_trail() -> list[dict[str, str]]:
    """Return the trail that the book must have left."""
    return [
        an_entry("referral.case_opened.v1"),
        an_entry("referral.looked.v1"),
        an_entry("referral.sent.v1"),
        an_entry("notify.notice_sent.v1", UUID(int=0), "system"),
    ]


def views(status: str = "sent", permission: str = "granted", given: int = 1) -> CaseViews:
    """Return what the services say of the case."""
    line = {"status": "eligible", "referrals": [{"referral_id": str(REFERRAL), "status": status}]}
    records = [{"referral_id": str(REFERRAL), "given_at": "2026-02-27", "status": "given"}] * given
    consent: dict[str, Any] = {
        "permissions": [{"referral_id": str(REFERRAL), "status": permission, "reason": "withdrawn"}],
        "consents": records,
    }
    return CaseViews(line, consent, {"agreements": []}, {"collaborations": []})


def test_views_that_agree_with_the_book_are_no_difference() -> None:
    """A case that stands where its commands were answered is in order."""
    assert differences(a_book(), views()) == []


def test_a_lost_step_is_named() -> None:
    """A referral that is not where it was acknowledged to be is named."""
    assert differences(a_book(), views(status="ready")) == ["referral: referral 1 is ready, not sent"]


def test_a_step_that_another_service_has_not_consumed_is_named() -> None:
    """A consent that is lost must have stopped the referral."""
    found = differences(a_book(), views(permission="lost"))

    assert "referral: referral 1 is sent, not withdrawn" in found


def test_a_lost_answer_is_named() -> None:
    """A yes that was acknowledged must be on record."""
    assert any("consent: 0 given" in fault for fault in differences(a_book(), views(given=0)))


def test_a_complete_trail_has_nothing_missing() -> None:
    """The system's own entries stand in the trail beside those of people."""
    assert missing_in_trail(a_book(), a_trail()) == []


def test_a_command_that_was_done_twice_is_named() -> None:
    """One acknowledged command leaves one entry."""
    found = missing_in_trail(a_book(), [*a_trail(), an_entry("referral.sent.v1")])

    assert found == ["audit: 2 entries of referral.sent.v1 by one person, not 1"]


def test_a_command_that_left_no_entry_is_named() -> None:
    """An acknowledged command must be in the trail."""
    found = missing_in_trail(a_book(), a_trail()[:2])

    assert found == ["audit: 0 entries of referral.sent.v1 by one person, not 1"]


def test_a_read_that_left_no_entry_is_named() -> None:
    """Nobody sees a case without a trace."""
    found = missing_in_trail(a_book(), [a_trail()[0], *a_trail()[2:]])

    assert found == ["audit: 0 entries of referral.looked.v1 by one person, not 1 to 1"]


def test_a_recorded_read_that_was_not_made_is_named() -> None:
    """The trail must not hold reads that were not made."""
    found = missing_in_trail(a_book(), [*a_trail(), an_entry("consent.looked.v1", uuid4())])

    assert found == ["audit: consent.looked.v1 by a person who did not read"]


def test_a_read_whose_response_was_lost_may_be_recorded_twice() -> None:
    """A read that was sent again because the server went away is in the trail once or twice."""
    book = a_book()
    book.perhaps["referral.looked.v1", CASEWORKER] += 1

    assert missing_in_trail(book, a_trail()) == []
    assert missing_in_trail(book, [*a_trail(), an_entry("referral.looked.v1")]) == []


def test_a_failed_check_fails_the_report_by_name() -> None:
    """A report with one failed check does not hold, and says what was found."""
    findings = Findings()
    findings.record("what holds", [], "3 things")
    findings.record("what does not", ["one [thing]"] * 7, "")
    report = a_report(findings)

    assert not report.holds
    assert report.as_dict()["holds"] is False
    assert any("✗" in line and "what does not" in line and "and 2 more" in line for line in report.lines())
    assert any("1 checks do not hold" in line for line in report.lines())


def a_report(findings: Findings) -> Report:
    """Return a report of a year in which nothing happened."""
    names = ("asked", "answered", "answered_in_time", "updates", "updates_on_time", "updates_missed")
    return Report(
        url="http://127.0.0.1:1",
        seed=1,
        digest="",
        cases=0,
        days=0,
        seconds=0.0,
        seconds_checking=0.0,
        commands=0,
        requests=0,
        away={},
        twice=0,
        stale=0,
        read_again={},
        reads=0,
        refused_reads=0,
        funnel={},
        median_days={},
        answers=dict.fromkeys(names, 0),
        outcomes={},
        notices={},
        mails={},
        routes=(),
        checks=tuple(findings.checks),
    )
