"""Figures as tables: what a leader reads, and what is saved as a file, made from the services' answers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from services.portal.texts import _

Say = Callable[[str, str], str]
"""Returns what a person reads for a code of the model: of a kind, the code."""

Translate = Callable[[str], str]


class Table(NamedTuple):
    """A table: its name in addresses, its title, what it says, its head, its rows, and which column is drawn.

    A cell of a number that is too small to be shown is None.
    """

    name: str
    title: str
    about: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | int | None]]
    bars: Sequence["Bar"] = ()


class Bar(NamedTuple):
    """One bar of a chart: its label, and the parts of a whole with their words."""

    label: str
    parts: Sequence[tuple[str, str, int]]
    """Kind (better, same, worse or count), word, and size in per cent."""


_STATUSES: Final = {
    "open": _("Open"),
    "closed": _("Closed"),
    "opened": _("New"),
    "views_noted": _("Views are noted"),
    "eligible": _("Within the target group"),
    "drafted": _("Being prepared"),
    "awaiting_consent": _("Waits for consent"),
    "ready": _("Ready to be sent"),
    "sent": _("Sent"),
    "seen": _("Opened by the organisation"),
    "accepted": _("Accepted"),
    "under_way": _("Under way"),
    "declined": _("Declined"),
    "recalled": _("Taken back"),
    "withdrawn": _("Stopped by the family"),
    "expired": _("Lapsed without an answer"),
    "invited": _("First meeting"),
    "met": _("Being written"),
    "proposed": _("Waits for signatures"),
    "in_force": _("In force"),
    "ended": _("Ended"),
}
_STEPS: Final = {
    "consent": _("Until all have consented"),
    "send": _("Until it is sent"),
    "answer": _("Until the organisation answers"),
    "drafted": _("Being prepared"),
    "awaiting_consent": _("Waits for consent"),
    "ready": _("Ready to be sent"),
    "sent": _("Sent"),
    "seen": _("Opened by the organisation"),
    "meeting": _("Until the first meeting"),
    "in_force": _("Until the agreement is signed"),
}
_REASONS: Final = ("decline_reasons", "recall_reasons", "end_reasons")


def tables_of(found: Mapping[str, Any], say: Say, translate: Translate) -> Iterator[Table]:
    """Return the tables of what the services have answered; a silent service has none."""
    if found["funnel"] is not None:
        yield from _of_funnel(found["funnel"], say, translate)
    if found["agreements"] is not None:
        yield from _of_agreements(found["agreements"], say, translate)
    if found["outcomes"] is not None:
        yield _of_outcomes(found["outcomes"], say, translate)


def _of_funnel(funnel: Mapping[str, Any], say: Say, translate: Translate) -> Iterator[Table]:
    counts = {"cases": _("Cases"), "referrals": _("Referrals")}
    for name, title in counts.items():
        yield Table(
            name,
            translate(title),
            translate(_("How many stand where. Fewer than five are not shown, so that nobody can be known.")),
            [translate(_("State")), translate(_("Reason")), translate(_("Number"))],
            [
                [_status(one["status"], translate), _reason(one["reason"], say), one["count"]]
                for one in funnel[name]
            ],
        )
    yield Table(
        "days",
        translate(_("How long it takes")),
        translate(_("Half of all steps took no longer than this.")),
        [translate(_("Step")), translate(_("Days"))],
        [[translate(_STEPS.get(step, step)), days] for step, days in funnel["median_days"].items()],
    )
    yield Table(
        "answers",
        translate(_("Answers from organisations")),
        translate(_("Referrals that were sent, and how many of them were answered by the day that was set.")),
        [translate(_("Sent")), translate(_("Answered")), translate(_("Answered in time"))],
        [[funnel["asked"], funnel["answered"], funnel["answered_in_time"]]],
    )


def _of_agreements(figures: Mapping[str, Any], say: Say, translate: Translate) -> Iterator[Table]:
    yield Table(
        "agreements",
        translate(_("Cooperation agreements")),
        translate(_("How many agreements stand where.")),
        [translate(_("State")), translate(_("Number"))],
        [[_status(status, translate), count] for status, count in figures["statuses"].items()],
    )
    yield Table(
        "goals",
        translate(_("Goals by purpose")),
        translate(_("How far goals were reached, as the parties said it together.")),
        [translate(text) for text in (_("Purpose"), _("Goals"), _("Reached"), _("Partly"), _("Not reached"))],
        [
            [
                say("purposes", one["purpose"]),
                *(one[name] for name in ("goals", "reached", "partly", "not_reached")),
            ]
            for one in figures["purposes"]
        ],
    )


def _of_outcomes(outcomes: Mapping[str, Any], say: Say, translate: Translate) -> Table:
    rows, bars = [], []
    words = {"better": _("Better"), "same": _("Unchanged"), "worse": _("Worse")}
    for one in outcomes["dimensions"]:
        label = say("dimensions", one["dimension"])
        shares = {name: one[name] for name in words}
        cells = [_interval(share) for share in shares.values()]
        rows.append([label, one["measured"], *cells])
        if all(shares.values()):
            parts = [
                (name, translate(words[name]), round(share["share"] * 100)) for name, share in shares.items()
            ]
            bars.append(Bar(label, parts))
    return Table(
        "outcomes",
        translate(_("What became of the children")),
        translate(_("Measured at the start and again at the end. In brackets: the interval of 95 per cent.")),
        [translate(_("Dimension")), translate(_("Measured")), *(translate(text) for text in words.values())],
        rows,
        bars,
    )


def _interval(share: Mapping[str, Any] | None) -> str | None:
    if share is None:
        return None
    low, middle, high = (round(share[name] * 100) for name in ("low", "share", "high"))
    return f"{middle} % ({low} - {high})"


def _status(status: str, translate: Translate) -> str:
    return translate(_STATUSES.get(status, status))


def _reason(reason: str, say: Say) -> str:
    return next((text for kind in _REASONS if (text := say(kind, reason)) != reason), reason)
