"""Refusals of sign-in, as a person reads them; what did not hold stands in the log."""

from services.kernel.errors import ProblemError, Unavailable


class SignInSilent(Unavailable):
    """The sign-in service does not answer just now: try again in a moment."""


class SignInFailed(ProblemError):
    """You were not signed in: begin again from the start page."""


class SignInCancelled(ProblemError):
    """You stopped before you were signed in: begin again when you are ready."""


class SignInExpired(ProblemError):
    """Too long has passed since you began, or you began in another window: sign in again."""


class AssuranceTooLow(ProblemError):
    """This needs a stronger sign-in than the one you used: sign in again, and choose a stronger one."""


class RoleMissing(ProblemError):
    """You are known here, but have no role just now: ask whoever invited you, or the municipality."""
