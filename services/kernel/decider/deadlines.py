"""What an open state waits for: the one value behind timers, work lists and reminders."""

from datetime import date

from msgspec import Struct


class Waiting(Struct, frozen=True):
    """One thing that a state waits for: what, for whom, since when, until when, and what follows by itself.

    `party` names who can end the wait, by a role or a party of the agreement. `until` is the last whole day;
    where there is none, `open_ended` says why by a code. `then` names what happens by itself after the last
    day, or is empty.
    """

    what: str
    party: str
    since: date | None
    until: date | None
    then: str = ""
    open_ended: str = ""
