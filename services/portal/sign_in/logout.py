"""Sign-out at the provider: where the browser ends the provider's session too (RP-Initiated Logout 1.0)."""

from urllib.parse import urlencode

from services.portal.sign_in.provider import Provider
from services.portal.sign_in.refusals import SignInSilent


async def logout_url(provider: Provider, back: str) -> str | None:
    """Return where the browser is sent after sign-out; None where the provider does not offer it.

    No ID token is named as a hint: none is kept, since it says who somebody is.
    """
    try:
        metadata = await provider.metadata()
    except SignInSilent:  # the person is signed out here in any case
        return None
    address = metadata.end_session_endpoint
    if not address:
        return None
    joint = "&" if "?" in address else "?"
    query = {"client_id": provider.settings.client_id, "post_logout_redirect_uri": back}
    return address + joint + urlencode(query)
