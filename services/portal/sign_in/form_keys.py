"""Keys of forms: each names one sending of one form, and only the browser that was shown it has it."""

import base64
import hmac
import secrets

_NONCE_BYTES = 16


def new_key(secret: bytes) -> str:
    """Return the key of a form that is about to be shown, bound to a browser's secret."""
    nonce = secrets.token_urlsafe(_NONCE_BYTES)
    return f"{nonce}.{_seal(secret, nonce)}"


def nonce_of(secret: bytes, key: str) -> str | None:
    """Return the nonce of a form's key; None where the key was not made for this secret."""
    nonce, _, seal = key.partition(".")
    return nonce if nonce and hmac.compare_digest(seal.encode(), _seal(secret, nonce).encode()) else None


def _seal(secret: bytes, nonce: str) -> str:
    digest = hmac.digest(secret, b"form\0" + nonce.encode(), "sha256")
    return base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")
