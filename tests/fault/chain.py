"""Four services in a chain, so simple that the state of each follows from the commands of the first."""

from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

import aiosmtplib
from fastapi import APIRouter, Depends
from msgspec import Struct, structs
from pydantic import AwareDatetime, BaseModel

from contracts.agreement import AgreementAccessRefused, AgreementLooked
from contracts.consent import ConsentAccessRefused, ConsentGiven, ConsentLooked, ConsentTicked
from contracts.notify import ContactLooked, MailDelivered, NotifyAccessRefused
from contracts.referral import CaseAccessRefused, CaseLooked, ReferralReady, ReferralSeen
from services.kernel.decider.decision import Context, Decision, Effect, Timer, TimerFired
from services.kernel.decider.operation import Operation
from services.kernel.decider.service import EffectContext, Service
from services.kernel.http.requests import CommandResult, RequestContext, request_context

ORGANISATION: Final = uuid5(NAMESPACE_URL, "an organisation")
NOWHERE: Final = Path("no-such-folder")


class Book(Struct, frozen=True, tag="book", tag_field="kind"):
    """What a stream has counted of each kind, in order."""

    seen: tuple[UUID, ...] = ()
    given: tuple[UUID, ...] = ()
    mailed: tuple[UUID, ...] = ()


class Count(Struct, frozen=True):
    """Count one, and with `wake_at` another one by the clock."""

    ref: UUID
    wake_at: datetime | None = None


class Mailed(Struct, frozen=True):
    """The mail about one was accepted."""

    ref: UUID


def woken(ref: UUID) -> UUID:
    """Return what the clock counts after a command has."""
    return uuid5(ref, "woken")


def _seen(book: Book, ref: UUID, context: Context, timers: tuple[Timer, ...] = ()) -> Decision:
    event = ReferralSeen(referral_id=ref, organisation_id=ORGANISATION, seen_at=context.now)
    return Decision(structs.replace(book, seen=(*book.seen, ref)), (event,), timers)


def decide_referral(book: Book | None, trigger: Any, context: Context) -> Decision:
    """Count commands, and later timers."""
    now = book or Book()
    match trigger:
        case Count():
            timers = (Timer("wake", trigger.ref, trigger.wake_at),) if trigger.wake_at else ()
            return _seen(now, trigger.ref, context, timers)
        case TimerFired():
            return _seen(now, woken(trigger.ref), context)
    return Decision(book)


def decide_consent(book: Book | None, trigger: Any, context: Context) -> Decision:
    """Count what was seen, and publish it; a `ReferralReady` breaks the rule on purpose."""
    now = book or Book()
    match trigger:
        case ReferralSeen():
            ref = trigger.referral_id
            event = ConsentGiven(
                consent_id=ref,
                referral_id=ref,
                holder_id=ORGANISATION,
                given_at=context.now,
                expires_at=context.now + timedelta(days=1),
            )
            return Decision(structs.replace(now, seen=(*now.seen, ref)), (event,))
        case ReferralReady():
            raise ZeroDivisionError
    return Decision(book)


def decide_agreement(book: Book | None, trigger: Any, _context: Context) -> Decision:
    """Count the events of two other services."""
    now = book or Book()
    match trigger:
        case ReferralSeen():
            return Decision(structs.replace(now, seen=(*now.seen, trigger.referral_id)))
        case ConsentGiven():
            return Decision(structs.replace(now, given=(*now.given, trigger.consent_id)))
    return Decision(book)


def decide_notify(book: Book | None, trigger: Any, _context: Context) -> Decision:
    """Send one mail for each consent, and record that it was accepted."""
    now = book or Book()
    match trigger:
        case ConsentGiven():
            ref = trigger.consent_id
            effect = Effect(ref, "mail", {"ref": str(ref)})
            return Decision(structs.replace(now, given=(*now.given, ref)), effects=(effect,))
        case Mailed():
            event = MailDelivered(notice_id=trigger.ref, recipient_id=ORGANISATION)
            return Decision(structs.replace(now, mailed=(*now.mailed, trigger.ref)), (event,))
    return Decision(book)


async def mail(effect: Effect, context: EffectContext) -> Mailed:
    """Deliver one mail, marked with the effect's key."""
    letter = EmailMessage()
    letter["From"] = letter["To"] = "somebody@localhost.test"
    letter["Message-ID"] = f"<{effect.key}@localhost.test>"
    letter.set_content("One more.")
    await aiosmtplib.send(
        letter,
        hostname=context.settings.smtp_host,
        port=context.settings.smtp_port,
        start_tls=False,
        timeout=5,
    )
    return Mailed(UUID(effect.about["ref"]))


class CountBody(BaseModel):
    """What the call says."""

    ref: UUID
    wake_at: AwareDatetime | None = None


router: Final = APIRouter(prefix="/referral")


@router.post("/cases/{case}/count")
async def count(
    case: UUID, body: CountBody, request: Annotated[RequestContext, Depends(request_context("referral"))]
) -> CommandResult:
    """Count one in a case."""
    return await request.execute(case, Count(body.ref, body.wake_at), any_version=True)


CHAIN: Final = {
    service.name: service
    for service in (
        Service(
            name="referral",
            state=Book,
            decide=decide_referral,
            subscribes_to=(),
            authorize=lambda _state, _trigger, context: context.actor.role == "caseworker",
            access_event=CaseLooked,
            denied_event=CaseAccessRefused,
            routes=router,
            operations={"count": Operation("count", ("caseworker",))},
            schema=NOWHERE,
        ),
        Service(
            name="consent",
            state=Book,
            decide=decide_consent,
            subscribes_to=(ReferralSeen, ReferralReady),
            authorize=lambda *_: False,
            access_event=ConsentLooked,
            denied_event=ConsentAccessRefused,
            routes=APIRouter(),
            schema=NOWHERE,
            watermark_event=ConsentTicked,
        ),
        Service(
            name="agreement",
            state=Book,
            decide=decide_agreement,
            subscribes_to=(ReferralSeen, ConsentGiven, ConsentTicked),
            authorize=lambda *_: False,
            access_event=AgreementLooked,
            denied_event=AgreementAccessRefused,
            routes=APIRouter(),
            schema=NOWHERE,
        ),
        Service(
            name="notify",
            state=Book,
            decide=decide_notify,
            subscribes_to=(ConsentGiven,),
            authorize=lambda *_: False,
            access_event=ContactLooked,
            denied_event=NotifyAccessRefused,
            routes=APIRouter(),
            schema=NOWHERE,
            effect_handlers={"mail": mail},
        ),
    )
}
"""`referral` takes commands; `consent` consumes its events, `agreement` both; `notify` mails."""


class JumpingClock:
    """The machine's clock, moved by as many seconds as a file says."""

    def __init__(self, file: Path) -> None:
        """Read the file at every call."""
        self._file = file

    def now(self) -> datetime:
        """Return the time, aware and in UTC."""
        return datetime.now(UTC) + timedelta(seconds=float(self._file.read_text() or 0))
