"""Refusals of the portal itself; those of a service are shown as the service says them."""

from services.kernel.errors import ProblemError


class FormForeign(ProblemError):
    """This form was not shown in your present session: open the page again, and send it from there."""


class TooEarly(ProblemError):
    """This page is not shown ahead of time: open it yourself."""
