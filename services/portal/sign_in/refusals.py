"""Refusals of sign-in: what a person reads, and a code of what did not hold for the log."""

from services.kernel.errors import ProblemError


class SignInSilent(ProblemError):
    """The sign-in service does not answer just now: try again in a moment."""


class SignInFailed(ProblemError):
    """You were not signed in: begin again from the start page."""


class SignInCancelled(ProblemError):
    """You stopped before you were signed in: begin again when you are ready."""


class SignInExpired(ProblemError):
    """Too long has passed since you began, or you began in another window: sign in again."""


class AssuranceTooLow(ProblemError):
    """This needs a stronger sign-in than the one you used: sign in again, and choose a stronger one."""
