"""Refusals of a request for its form, its size, its time or its number, before any rule is asked."""

import math

from services.kernel.errors import ProblemError


class RequestUnreadable(ProblemError):
    """This is no request that HTTP allows, or one of its headers is there twice."""


class ContentTypeUnsupported(ProblemError):
    """This call takes JSON: send it with the header Content-Type: application/json."""


class AddressUnreadable(ProblemError):
    """An address holds no encoded slash, no backslash and no control character."""


class HeadersTooLarge(ProblemError):
    """The headers of this request are larger, or more, than are taken here."""


class RequestTooSlow(ProblemError):
    """This request did not arrive in time: send it again."""


class TooManyConnections(ProblemError):
    """Too many connections are open: try again later."""


class HostUnknown(ProblemError):
    """This server does not answer under that name."""


class TooManyRequests(ProblemError):
    """There were too many requests in a short time: wait a moment and try again."""

    def __init__(self, seconds: float) -> None:
        """Say after how many seconds the next request is taken."""
        super().__init__()
        self.seconds = max(1, math.ceil(seconds))
