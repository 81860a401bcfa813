"""Hold one case's book against what each service says of it; pure."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from msgspec import Struct

from demo.casefile import EVENT_OF
from demo.ledger import READING, CaseBook, ReferralBook

_STEPS: Final = frozenset({*EVENT_OF.values(), READING})
_SYSTEM: Final = "system"


class CaseViews(Struct, frozen=True):
    """What the services say of a case: the department's line, and each service's view."""

    line: Any
    consent: Any
    agreement: Any
    evaluation: Any


def differences(book: CaseBook, views: CaseViews) -> list[str]:
    """Return in which ways the services' views are not what was acknowledged."""
    found = list(_in_referral(book, views))
    for referral in book.referrals:
        found += _in_consent(referral, views.consent)
        found += _in_agreement(book, referral, views)
        found += _in_evaluation(book, referral, views)
    return found


def _in_referral(book: CaseBook, views: CaseViews) -> Iterator[str]:
    expected = _case_status(book)
    if views.line["status"] != expected:
        yield f"referral: the case is {views.line['status']}, not {expected}"
    stands = {line["referral_id"]: line["status"] for line in views.line["referrals"]}
    if len(stands) != len(book.referrals):
        yield f"referral: {len(stands)} referrals, not {len(book.referrals)}"
    for referral in book.referrals:
        status, wanted = stands.get(str(referral.referral_id)), _referral_status(referral, views)
        if status != wanted:
            yield f"referral: referral {referral.number + 1} is {status}, not {wanted}"


def _case_status(book: CaseBook) -> str:
    if book.closed:
        return "closed"
    if book.eligible is not None:
        return "eligible" if book.eligible else "not_eligible"
    return "views_noted" if book.has("views") else "opened"


def _referral_status(referral: ReferralBook, views: CaseViews) -> str:  # noqa: PLR0911  the table of steps
    """Return where a referral must stand by the clients' book and the other services' views."""
    reached = referral.reached
    permission, agreement = _permission(referral, views.consent), _agreement(referral, views.agreement)
    if "declined" in reached or "recalled" in reached:
        return "declined" if "declined" in reached else "recalled"
    if permission is None:
        return "drafted"
    if permission["status"] == "lost":
        return "expired" if permission["reason"] == "lapsed" else "withdrawn"
    if agreement is not None and agreement["status"] in {"ended", "in_force"}:
        return "closed" if agreement["status"] == "ended" else "under_way"
    if "accepted" in reached or permission["status"] == "over":
        return "accepted" if "accepted" in reached else "expired"
    if "sent" in reached:
        return "seen" if "seen" in reached else "sent"
    return "ready" if permission["status"] == "granted" else "awaiting_consent"


def _permission(referral: ReferralBook, consent: Any) -> Any:
    return _first(consent["permissions"], referral)


def _agreement(referral: ReferralBook, agreement: Any) -> Any:
    return _first(agreement["agreements"], referral)


def _first(rows: Iterable[Any], referral: ReferralBook) -> Any:
    return next((row for row in rows if row["referral_id"] == str(referral.referral_id)), None)


def _in_consent(referral: ReferralBook, consent: Any) -> Iterator[str]:
    records = [one for one in consent["consents"] if one["referral_id"] == str(referral.referral_id)]
    given = sum(one["given_at"] is not None for one in records)
    refused = sum(one["status"] == "refused" for one in records)
    withdrawn = any(one["status"] == "withdrawn" for one in records)
    if (given, refused, withdrawn) != (referral.given, referral.refused, referral.withdrawn):
        yield (
            f"consent: {given} given, {refused} refused, withdrawn {withdrawn};"
            f" not {referral.given}, {referral.refused}, {referral.withdrawn}"
        )
    permission = _permission(referral, consent)
    if ("awaited" in referral.reached) != (permission is not None):
        yield "consent: a permission without a question, or a question without a permission"


def _in_agreement(book: CaseBook, referral: ReferralBook, views: CaseViews) -> Iterator[str]:
    agreement, reached = _agreement(referral, views.agreement), referral.reached
    if ("accepted" in reached) != (agreement is not None):
        yield f"agreement: accepted {'accepted' in reached}, and yet {agreement and agreement['status']}"
    if agreement is None:
        return
    for step, field in (("met", "held_on"), ("in_force", "in_force_on")):
        if (step in reached) != (agreement[field] is not None):
            yield f"agreement: {step} is {agreement[field]}"
    came = sum(update["reported_on"] is not None for update in agreement["updates"])
    if came != book.count(EVENT_OF["report"]):
        yield f"agreement: {came} updates, not {book.count(EVENT_OF['report'])}"
    if "ended" in reached and agreement["status"] != "ended":
        yield f"agreement: it is {agreement['status']}, not ended"


def _in_evaluation(book: CaseBook, referral: ReferralBook, views: CaseViews) -> Iterator[str]:
    collaboration = _first(views.evaluation["collaborations"], referral)
    if ("in_force" in referral.reached) != (collaboration is not None):
        yield "evaluation: a collaboration without an agreement in force, or the other way round"
    if collaboration is None:
        return
    evaluations = collaboration["evaluations"]
    counted = {
        "voice": sum(len(one["voices"]) for one in evaluations),
        "conclude": sum(one["status"] == "concluded" for one in evaluations),
        "measure": len(collaboration["measurements"]),
    }
    for step, number in counted.items():
        if number != book.count(EVENT_OF[step]):
            yield f"evaluation: {number} times {step}, not {book.count(EVENT_OF[step])}"


def missing_in_trail(book: CaseBook, entries: Iterable[Any]) -> list[str]:
    """Return in which ways a case's trail is not what its people did: each command once, each read."""
    recorded = Counter((entry["type"], entry["actor"]) for entry in entries if entry["role"] != _SYSTEM)
    done = Counter((deed.event, str(deed.actor)) for deed in book.deeds)
    found = [
        f"audit: {recorded[about]} entries of {about[0]} by one person, not {done[about]}"
        for about in done.keys() | recorded.keys()
        if about[0] in _STEPS and recorded[about] != done[about]
    ]
    reads = book.reads
    perhaps = book.perhaps + book.refused  # many of one person are one entry, filed with the municipality
    for event, actor in reads.keys() | perhaps.keys():
        number, least = recorded[event, str(actor)], reads[event, actor]
        most = least + perhaps[event, actor]
        if not least <= number <= most:
            found.append(f"audit: {number} entries of {event} by one person, not {least} to {most}")
    expected = {(event, str(actor)) for event, actor in reads.keys() | perhaps.keys()}
    found += [f"audit: {event} by a person who did not read" for event, _ in _reads(recorded) - expected]
    return found


def _reads(recorded: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the reads and refusals of a trail; the auditors' own, which go on, are left out."""
    return {
        (event, actor)
        for event, actor in recorded
        if event.endswith((".looked.v1", ".access_refused.v1"))
        and event not in _STEPS
        and not event.startswith("audit.")
    }
