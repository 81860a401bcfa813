"""Mails that say no more than that something lies in the inbox: their texts, and how they are sent."""

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Final
from uuid import UUID

import aiosmtplib
import msgspec
from msgspec import Struct

from contracts.model_parts import LANGUAGES
from services.kernel.decider.decision import Effect
from services.kernel.decider.service import EffectContext, EffectSettings
from services.kernel.errors import ConsentUnknown
from services.notify.domain import ADDRESS, NoteMail, Recipient
from services.notify.domain_case import Case, is_visible, rests_on_consent, role_of

LINK: Final = "((link))"
_FOLDER: Final = Path(__file__).parent / "templates"
_FOR_GOOD: Final = range(500, 600)
_SECONDS: Final = 20


class Frame(Struct, frozen=True, forbid_unknown_fields=True):
    """What stands around the text of every mail; `enter` alone has a place to fill, for the link."""

    greeting: str
    enter: str
    closing: str


class Wording(Struct, frozen=True, forbid_unknown_fields=True):
    """What is said of one kind of news: in the mail next to nothing, in the inbox what has happened."""

    subject: str
    body: str
    inbox: str


class Texts(Struct, frozen=True, forbid_unknown_fields=True):
    """All texts of one language."""

    frame: Frame
    kinds: dict[str, Wording]


class MailNotTaken(Exception):
    """The mail server could not take a mail now; the code is its answer, the address is left out."""


def read_texts(language: str) -> Texts:
    """Read the texts of one language from its file."""
    document = tomllib.loads((_FOLDER / f"{language}.toml").read_text(encoding="utf-8"))
    return msgspec.convert(document, Texts)


TEXTS: Final[Mapping[str, Texts]] = {language: read_texts(language) for language in LANGUAGES}
"""The texts by language."""


async def mail(effect: Effect, context: EffectContext) -> NoteMail | None:
    """Send the mail about a notice, unless it has become void or no address is known.

    Returns what is to be noted, or None where the notice was taken back. Raises `ConsentUnknown`,
    `MailNotTaken`, or what the network raises, where a later attempt may succeed.
    """
    notice_id = UUID(effect.about["notice_id"])
    case_id = UUID(effect.about["case_id"])
    case, _ = await context.read(case_id)
    notice = case.notices.get(notice_id) if isinstance(case, Case) else None
    if notice is None:
        return None
    if not is_visible(case, notice):
        return NoteMail(notice_id, "spared")
    news = case.news[notice.news_id]
    if rests_on_consent(role_of(news), news.kind) and not await context.consents_fresh(case_id):
        raise ConsentUnknown
    contact_id = effect.about.get("contact_id")  # not there where it was queued by an older version
    recipient, private = await context.read(UUID(contact_id)) if contact_id else (None, {})
    address = private.get(ADDRESS)
    if not isinstance(recipient, Recipient) or not isinstance(address, str) or not address:
        return NoteMail(notice_id, "inbox")
    letter = letter_of(effect, recipient.language, address, context.settings)
    refusal = await _hand_over(letter, address, context.settings)
    return NoteMail(notice_id, "failed", f"smtp_{refusal}") if refusal else NoteMail(notice_id, "delivered")


def letter_of(effect: Effect, language: str, address: str, settings: EffectSettings) -> EmailMessage:
    """Return the mail about a notice: neutral words and the front door, nothing about the case."""
    texts = TEXTS[language]
    said = texts.kinds[effect.about["kind"]]
    door = settings.public_url.rstrip("/") + "/"
    letter = EmailMessage()
    letter["Subject"] = said.subject
    letter["From"] = settings.mail_from
    letter["To"] = address
    letter["Date"] = format_datetime(datetime.now(UTC))
    letter["Message-ID"] = f"<{effect.key}@{_domain(settings)}>"
    letter["Auto-Submitted"] = "auto-generated"
    lines = (texts.frame.greeting, said.body, texts.frame.enter.replace(LINK, door), texts.frame.closing)
    letter.set_content("\n\n".join(lines) + "\n")
    letter["Content-Language"] = language
    return letter


def _domain(settings: EffectSettings) -> str:
    _, _, domain = parseaddr(settings.mail_from)[1].rpartition("@")
    return domain or "localhost"


async def _hand_over(letter: EmailMessage, address: str, settings: EffectSettings) -> int:
    """Give a mail to the server; return 0, or the code with which it was refused for good."""
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
            timeout=_SECONDS,
        )
    except aiosmtplib.SMTPRecipientsRefused as refused:
        code = max(one.code for one in refused.recipients)
    except (aiosmtplib.SMTPRecipientRefused, aiosmtplib.SMTPDataError) as refused:
        code = refused.code
    except aiosmtplib.SMTPResponseException as refused:
        # Our own sign-in, name or sender is at fault, not this mail: it waits until that is mended.
        raise MailNotTaken(str(refused.code)) from None
    else:
        return 0
    if code in _FOR_GOOD:
        return code
    raise MailNotTaken(str(code)) from None
