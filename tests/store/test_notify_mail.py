"""Mails about notices: what they say, what they never say, and what becomes of them."""

import asyncio
import email
import email.policy
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Any, TypeVar
from uuid import UUID

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from msgspec.structs import replace

from contracts.model_parts import LANGUAGES
from services.kernel.errors import ConsentUnknown
from services.kernel.settings import Settings
from services.notify.domain.commands import RecordContact, RecordMailOutcome
from services.notify.domain.lifecycle import decide
from services.notify.domain.states import ADDRESS, Recipient, former_address
from services.notify.domain.steps.rules import KINDS
from services.notify.effects import LINK, TEXTS, MailNotTaken, mail
from tests.examples_notify import (
    CASE,
    CASEWORKER,
    MOTHER,
    ORGANISATION,
    REACHED,
    STRANGER,
    TENANT,
    a_case,
    a_caseworker,
    a_mail,
    accepted,
    context,
    lost,
    minuted_for,
    notice_to,
    sent,
    withdrawn,
)

T = TypeVar("T")

MOTHERS = UUID("0198c000-0000-7000-8000-0000000000ee")
ADDRESSED = "someone@example.org"
SENDER = "Samspil <no-reply@samspil.example.dk>"
PORTAL = "https://samspil.example.dk/"

REVEALING = re.compile(
    r"barn|børn|child|ung|young|famil|foræld|foreld|parent|guardian|samtykke|consent|henvis|referr|forening"
    r"|organi[sz]|kommun|municip|aftale|avtale|agreement|evaluer|evaluat|møde|møte|meeting|frivillig|volunt"
    r"|slet|delet",
    re.IGNORECASE,
)
PLACEHOLDERS = re.compile(r"\(\(|\)\)|[{}<>%$@#]|\[|\]|\d|https?:")


class MailServer:
    """Mail server that keeps each mail, or answers with a refusal of its own."""

    def __init__(self, to_recipient: str = "250 OK", to_data: str = "250 OK") -> None:
        """Answer so to a recipient and to a text."""
        self.letters: list[EmailMessage] = []
        self._to_recipient = to_recipient
        self._to_data = to_data

    async def handle_RCPT(  # noqa: N802  the names that aiosmtpd calls
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Accept or refuse a recipient."""
        if self._to_recipient.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self._to_recipient

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep a mail."""
        assert isinstance(envelope.content, bytes)
        letter = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(letter, EmailMessage)
        self.letters.append(letter)
        return self._to_data


class Streams:
    """Effect context over streams prepared beforehand."""

    def __init__(
        self, port: int, streams: Mapping[UUID, tuple[Any, Mapping[str, Any]]], *, fresh: bool = True
    ) -> None:
        """Reach these streams, and the mail server at a port of this machine."""
        self._fresh = fresh
        self.settings = Settings(
            smtp_port=port,
            smtp_tls=False,
            mail_from=SENDER,
            public_url=PORTAL,
        )
        self._streams = streams

    async def read(self, stream_id: UUID) -> tuple[Any, Mapping[str, Any]]:
        """Return a stream's state and private values."""
        return self._streams.get(stream_id, (None, {}))

    async def query(self, query: Callable[..., Awaitable[T]], **parameters: Any) -> T:
        """Return what a query finds in a database in which the mother alone is reached."""
        return await query(self, tenant=TENANT, **parameters)

    async def fetchval(self, _statement: str, _tenant: str, recipient_id: UUID) -> UUID | None:
        """Return the stream of how a recipient is reached."""
        return MOTHERS if recipient_id == MOTHER else None

    async def consents_fresh(self, _stream_id: UUID) -> bool:
        """Return what was prepared."""
        return self._fresh


@asynccontextmanager
async def serving(handler: MailServer) -> AsyncIterator[int]:
    """Run a mail server for a while; yield its port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(handler, loop=loop), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def mailed(
    handler: MailServer, language: str = "da", address: str = ADDRESSED
) -> RecordMailOutcome | None:
    """Mail the guardian about an accepted referral."""
    case = a_case(sent(), accepted())
    effect = a_mail(case, notice_to(case, MOTHER, "referral_accepted"))
    async with serving(handler) as port:
        reached = Recipient(MOTHER, language, bool(address), MOTHER)
        return await mail(effect, Streams(port, {CASE: (case, {}), MOTHERS: (reached, {ADDRESS: address})}))


async def test_a_mail_says_that_something_lies_in_the_inbox() -> None:
    """It greets, says so, links to the sign-in page and ends; no robot answers it."""
    handler = MailServer()
    case = a_case(sent(), accepted())
    notice_id = notice_to(case, MOTHER, "referral_accepted")

    outcome = await mailed(handler)

    assert outcome == RecordMailOutcome(notice_id, "delivered")
    (letter,) = handler.letters
    assert letter["To"] == ADDRESSED
    assert letter["Subject"] == "Der er en ny besked til dig"
    assert letter["Message-ID"] == f"<{notice_id}@samspil.example.dk>"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter.get_content().splitlines()[4] == f"Log ind og læs beskeden her: {PORTAL}"


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_mail_holds_no_id_of_the_case_or_of_a_person(language: str) -> None:
    """A person reading over a shoulder learns that there is a message, and no more."""
    handler = MailServer()

    await mailed(handler, language)

    whole = handler.letters[0].as_string() + handler.letters[0].get_content()
    assert handler.letters[0]["Content-Language"] == language
    assert not any(str(secret) in whole or secret.hex in whole for secret in (CASE, MOTHER, ORGANISATION))
    assert not REVEALING.search(handler.letters[0].get_content() + handler.letters[0]["Subject"])


async def test_a_repeated_mail_is_recognisable() -> None:
    """A mail that had to be sent twice carries the same Message-ID, so that a mailbox recognises it."""
    handler = MailServer()

    await mailed(handler)
    await mailed(handler)

    assert len({letter["Message-ID"] for letter in handler.letters}) == 1


@pytest.mark.req("K3")
@pytest.mark.parametrize(("recorded_by", "letters"), [(MOTHER, 1), (STRANGER, 1), (CASEWORKER, 0)])
async def test_finding_7_what_the_same_employee_typed_tells_nobody_of_a_minuted_yes(
    recorded_by: UUID, letters: int
) -> None:
    """A mail goes only to an address that another than the one who minuted it has recorded."""
    handler, case = MailServer(), a_case(minuted_for())
    effect = a_mail(case, notice_to(case, MOTHER, "consent_minuted"))
    reached = replace(REACHED, recorded_by=recorded_by), {ADDRESS: ADDRESSED}
    async with serving(handler) as port:
        outcome = await mail(effect, Streams(port, {CASE: (case, {}), MOTHERS: reached}))

    assert len(handler.letters) == letters
    assert outcome == RecordMailOutcome(effect.key, "delivered" if letters else "inbox")


@pytest.mark.parametrize("former", ["before@example.org", ""])
async def test_finding_5_a_change_of_address_is_told_at_the_address_before(former: str) -> None:
    """Who types a wrong address does not keep the right one from hearing of it."""
    here = replace(context(a_caseworker(), email=former), others={CASE: a_case()})
    changed = RecordContact(MOTHER, "da", "other@example.org", (CASE,))
    case = decide(REACHED, changed, here).others[CASE].state
    notice_id = notice_to(case, MOTHER, "contact_changed")
    handler, reached = MailServer(), (REACHED, {ADDRESS: "other@example.org"})
    async with serving(handler) as port:
        streams = {CASE: (case, {former_address(notice_id): former}), MOTHERS: reached}
        outcome = await mail(a_mail(case, notice_id), Streams(port, streams))

    assert [letter["To"] for letter in handler.letters] == [former] * bool(former)
    assert outcome == RecordMailOutcome(notice_id, "delivered" if former else "inbox")


async def test_without_an_address_the_inbox_alone_is_used() -> None:
    """Without an address, or after its erasure, no mail is sent."""
    case = a_case(sent(), accepted())
    effect = a_mail(case, notice_to(case, MOTHER, "referral_accepted"))

    emptied = await mailed(MailServer(), address="")
    unknown = await mail(effect, Streams(1, {CASE: (case, {})}))
    erased = await mail(effect, Streams(1, {CASE: (case, {}), MOTHERS: (REACHED, {})}))

    assert emptied == unknown == erased == RecordMailOutcome(effect.key, "inbox")


@pytest.mark.req("K3")
async def test_consent_is_checked_again_just_before_a_mail_goes() -> None:
    """A mail that waited while consent was withdrawn is not sent."""
    case = a_case(sent(), lost())
    effect = a_mail(case, notice_to(case, ORGANISATION, "referral_sent"))

    assert await mail(effect, Streams(1, {CASE: (case, {})})) == RecordMailOutcome(effect.key, "spared")


@pytest.mark.req("K3")
async def test_a_mail_to_an_organisation_waits_while_consents_are_not_fresh() -> None:
    """It is retried later; the notice to stop and the family's mails do not wait."""
    open_case, closed = a_case(sent(), accepted()), a_case(sent(), lost(), withdrawn())
    waiting = a_mail(open_case, notice_to(open_case, ORGANISATION, "referral_sent"))
    stopping = a_mail(closed, notice_to(closed, ORGANISATION, "referral_withdrawn"))
    family = a_mail(open_case, notice_to(open_case, MOTHER, "referral_accepted"))

    with pytest.raises(ConsentUnknown):
        await mail(waiting, Streams(1, {CASE: (open_case, {})}, fresh=False))
    outcomes = [
        await mail(effect, Streams(1, {CASE: (case, {})}, fresh=False))
        for effect, case in ((stopping, closed), (family, open_case))
    ]

    assert outcomes == [RecordMailOutcome(effect.key, "inbox") for effect in (stopping, family)]


async def test_a_mail_about_a_notice_that_was_taken_back_is_not_sent() -> None:
    """Where custody turned out to have passed to others the former holder gets no mail."""
    case = a_case(sent(), accepted())
    effect = a_mail(case, notice_to(case, MOTHER, "referral_accepted"))

    assert await mail(effect, Streams(1, {CASE: (a_case(), {})})) is None


@pytest.mark.parametrize(
    "handler", [MailServer(to_recipient="550 no such mailbox"), MailServer(to_data="554 not wanted here")]
)
async def test_a_permanent_refusal_is_recorded(handler: MailServer) -> None:
    """The notice stays in the inbox, and figures show that its mail failed."""
    outcome = await mailed(handler)

    assert outcome is not None
    assert (outcome.outcome, outcome.reason[:6]) == ("failed", "smtp_5")


@pytest.mark.parametrize(
    "handler", [MailServer(to_recipient="451 try again later"), MailServer(to_data="452 no space left")]
)
async def test_a_temporary_refusal_is_retried(handler: MailServer) -> None:
    """A later attempt may succeed, and the error names no address."""
    with pytest.raises(MailNotTaken) as fault:
        await mailed(handler)

    assert ADDRESSED not in str(fault.value)


async def test_an_unreachable_server_is_retried() -> None:
    """A mail waits while the mail server does not answer."""
    case = a_case(sent(), accepted())
    effect = a_mail(case, notice_to(case, MOTHER, "referral_accepted"))
    reached = (REACHED, {ADDRESS: ADDRESSED})
    async with serving(MailServer()) as port:
        pass

    with pytest.raises(OSError):  # noqa: PT011  any fault of the wire
        await mail(effect, Streams(port, {CASE: (case, {}), MOTHERS: reached}))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_text(language: str) -> None:
    """No kind of notice lacks its words, and no words stand there for nothing."""
    texts = TEXTS[language]
    wordings = list(texts.kinds.values())

    assert texts.kinds.keys() == KINDS
    assert all(text.strip() for one in wordings for text in (one.subject, one.body, one.inbox))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_has_a_placeholder_for_personal_data(language: str) -> None:
    """Only the link is filled in; a mail does not say what it is about either."""
    texts = TEXTS[language]
    texts_of_kinds = [text for one in texts.kinds.values() for text in (one.subject, one.body, one.inbox)]
    mailed_too = [text for one in texts.kinds.values() for text in (one.subject, one.body)]

    assert texts.frame.enter.count(LINK) == 1
    fixed = [*texts_of_kinds, texts.frame.greeting, texts.frame.closing, texts.frame.enter.replace(LINK, "")]
    assert [text for text in fixed if PLACEHOLDERS.search(text)] == []
    assert [text for text in mailed_too if REVEALING.search(text)] == []


@pytest.mark.req("K2")
@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("da", "Kommunens egen hjælp fortsætter."),
        ("nb", "Kommunens egen hjelp fortsetter."),
        ("en", "The municipality's own help goes on."),
    ],
)
def test_a_withdrawal_leaves_the_public_help_as_it_is_and_says_so(language: str, words: str) -> None:
    """A family that takes its consent back reads that the municipality's help does not end."""
    assert TEXTS[language].kinds["referral_withdrawn"].inbox.endswith(words)
