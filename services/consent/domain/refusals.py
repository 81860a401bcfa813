"""Refusals of consent: why a command is not taken, each in the sentence that a person reads."""

from services.kernel.errors import Refused


class CustodyStale(Refused):
    """Who holds parental responsibility must be confirmed anew before anybody can say yes."""


class TextChanged(Refused):
    """The text that was read is not the one in the request: read it again, then decide."""


class EvidenceMissing(Refused):
    """Say how the answer was given and where that is found: a file number, or what was said and when."""


class SignInTooWeak(Refused):
    """Sign in more safely to say yes: the level is in the details; a no can be said at any level."""


class SecondEmployeeMissing(Refused):
    """A colleague must confirm this: another one than who put it on record."""


class OwnMatter(Refused):
    """You are one of those concerned here: a colleague must do this."""


class CustodyUnconfirmed(Refused):
    """A second employee must first confirm who holds parental responsibility."""


class PersonUnknown(Refused):
    """Nobody has this id in this municipality: leave the id out, and the person gets one."""


class HolderMissing(Refused):
    """Nobody is named who may consent: name who holds parental responsibility, and where the child lives."""


class YoungPersonMissing(Refused):
    """At this age the young person must be asked too: name them."""


class PersonNamedTwice(Refused):
    """One person is named twice among those to be asked."""


class BirthAhead(Refused):
    """The birth date is in the future."""


class ModelMissing(Refused):
    """The collaboration model that says who must consent is not installed here, or not yet in force."""
