"""Commands of the notify service."""

from typing import Literal
from uuid import UUID

from msgspec import Struct


class RecordContact(Struct, frozen=True):
    """Keep the language and, if there is one, the mail address of a recipient.

    `named_in` are the streams of which one is to name the recipient: a case for somebody of its family, the
    directory's for a department or an organisation; none where recipients do it themselves.
    """

    recipient_id: UUID
    language: Literal["da", "nb", "en"]
    email: str = ""
    named_in: tuple[UUID, ...] = ()


class ReadNotice(Struct, frozen=True):
    """Put on record that a notice was read."""

    notice_id: UUID


class RecordMailOutcome(Struct, frozen=True):
    """Put on record what became of the mail about a notice; `reason` is a code for a mail that failed."""

    notice_id: UUID
    outcome: Literal["delivered", "failed", "inbox", "spared"]
    reason: str = ""
