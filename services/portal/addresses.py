"""Addresses within the portal: where a person is led after signing in or choosing a language."""

import re
from typing import Final

_OWN: Final = re.compile(r"/(?:[A-Za-z0-9_.~-]+/?)*")


def own_path(text: str) -> str:
    """Return a path of this site; the start page for anything else, so that nobody is led elsewhere.

    A path has no query: filters are chosen again, and no address of another site fits (RFC 3986, 3.3).
    """
    return text if _OWN.fullmatch(text) and not text.startswith("//") else "/"
