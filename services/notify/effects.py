"""Effect of the notify service: the mail about a notice, its texts, and how it is sent."""

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Final, assert_never
from uuid import UUID

import aiosmtplib
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from contracts.model_parts import LANGUAGES
from services.kernel.decider.decision import Effect
from services.kernel.decider.service import EffectContext, EffectSettings
from services.kernel.errors import ConsentUnknown
from services.notify.domain.access import rests_on_consent
from services.notify.domain.commands import RecordMailOutcome
from services.notify.domain.states import (
    ADDRESS,
    CONTACT_CHANGED,
    MINUTED,
    Case,
    Parties,
    Recipient,
    State,
    former_address,
)
from services.notify.projections import contact_of

LINK: Final = "((link))"
_FOLDER: Final = Path(__file__).parent / "templates"
_PERMANENT: Final = range(500, 600)
_TIMEOUT_SECONDS: Final = 20


class Frame(Struct, frozen=True, forbid_unknown_fields=True):
    """The text around every mail; `enter` alone has a placeholder, for the link."""

    greeting: str
    enter: str
    closing: str


class Wording(Struct, frozen=True, forbid_unknown_fields=True):
    """The texts of one kind of notice: the mail is neutral, the inbox says what has happened."""

    subject: str
    body: str
    inbox: str


class Texts(Struct, frozen=True, forbid_unknown_fields=True):
    """All texts of one language."""

    frame: Frame
    kinds: dict[str, Wording]


class _Contact(Struct, frozen=True):
    """The language and the address of a recipient, and who has recorded it."""

    language: str = ""
    address: str = ""
    recorded_by: UUID | None = None


class MailNotTaken(Exception):
    """The mail server did not accept a mail now; the code is its answer, the address is left out."""


def read_texts(language: str) -> Texts:
    """Read the texts of one language from its file."""
    document = tomllib.loads((_FOLDER / f"{language}.toml").read_text(encoding="utf-8"))
    return msgspec.convert(document, Texts)


TEXTS: Final[Mapping[str, Texts]] = {language: read_texts(language) for language in LANGUAGES}
"""The texts by language."""


async def mail(effect: Effect, context: EffectContext) -> RecordMailOutcome | None:
    """Send the mail about a notice, unless it has become void or there is no address.

    Returns the outcome to put on record, or None where the notice was taken back. Raises `ConsentUnknown`,
    `MailNotTaken`, or an error of the network, where a later attempt may succeed.
    """
    notice_id = UUID(effect.about["notice_id"])
    case_id = UUID(effect.about["case_id"])
    state, of_case = await context.read(case_id)
    case = _case_in(state)
    notice = case.notices.get(notice_id)
    if notice is None:
        return None
    if not case.is_visible(notice):
        return RecordMailOutcome(notice_id, "spared")
    notification = case.notification_of(notice)
    if rests_on_consent(notification.role, notification.kind) and not await context.consents_fresh(case_id):
        raise ConsentUnknown
    contact = await _contact(effect, context)
    if notification.kind == CONTACT_CHANGED:
        contact = replace(contact, address=of_case.get(former_address(notice_id)) or "")
    elif notification.kind == MINUTED and str(contact.recorded_by) == effect.about["minuted_by"]:
        # what the same employee has typed tells the person nothing
        contact = replace(contact, address="")
    language, address = contact.language, contact.address
    if not language or not address:
        return RecordMailOutcome(notice_id, "inbox")
    letter = letter_of(effect, language, address, context.settings)
    code = await _send(letter, address, context.settings)
    if code:
        return RecordMailOutcome(notice_id, "failed", f"smtp_{code}")
    return RecordMailOutcome(notice_id, "delivered")


def _case_in(state: State | None) -> Case:
    """Return the case of a stream; one without notices where there is none."""
    match state:
        case Case():
            return state
        case None | Recipient() | Parties():
            return Case()
        case _:
            assert_never(state)


async def _contact(effect: Effect, context: EffectContext) -> _Contact:
    """Return how the recipient of a mail is reached; nothing in it where that is not on record."""
    contact_id = await context.query(contact_of, recipient_id=UUID(effect.about["recipient_id"]))
    if contact_id is None:
        return _Contact()
    state, private = await context.read(contact_id)
    match state:
        case Recipient():
            return _Contact(state.language, private.get(ADDRESS) or "", state.recorded_by)
        case None | Case() | Parties():
            return _Contact()
        case _:
            assert_never(state)


def letter_of(effect: Effect, language: str, address: str, settings: EffectSettings) -> EmailMessage:
    """Return the mail about a notice: neutral words and the link to sign in, nothing about the case."""
    texts = TEXTS[language]
    wording = texts.kinds[effect.about["kind"]]
    link = settings.public_url.rstrip("/") + "/"
    letter = EmailMessage()
    letter["Subject"] = wording.subject
    letter["From"] = settings.mail_from
    letter["To"] = address
    letter["Date"] = format_datetime(datetime.now(UTC))
    letter["Message-ID"] = f"<{effect.key}@{_domain(settings)}>"
    letter["Auto-Submitted"] = "auto-generated"
    lines = (texts.frame.greeting, wording.body, texts.frame.enter.replace(LINK, link), texts.frame.closing)
    letter.set_content("\n\n".join(lines) + "\n")
    letter["Content-Language"] = language
    return letter


def _domain(settings: EffectSettings) -> str:
    _, _, domain = parseaddr(settings.mail_from)[1].rpartition("@")
    return domain or "localhost"


async def _send(letter: EmailMessage, address: str, settings: EffectSettings) -> int:
    """Send a mail to the server; return 0, or the code with which it was refused for good."""
    try:
        await aiosmtplib.send(
            letter,
            sender=parseaddr(settings.mail_from)[1],
            recipients=[address],
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_user or None,
            password=settings.smtp_password.get_secret_value() or None,
            start_tls=settings.smtp_tls,
            timeout=_TIMEOUT_SECONDS,
        )
    except aiosmtplib.SMTPRecipientsRefused as refused:
        code = max(one.code for one in refused.recipients)
    except (aiosmtplib.SMTPRecipientRefused, aiosmtplib.SMTPDataError) as refused:
        code = refused.code
    except aiosmtplib.SMTPResponseException as refused:
        # Our own sign-in, name or sender is at fault, not this mail: it is retried until that is repaired.
        raise MailNotTaken(str(refused.code)) from None
    else:
        return 0
    if code in _PERMANENT:
        return code
    raise MailNotTaken(str(code)) from None
