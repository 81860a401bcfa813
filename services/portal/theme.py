"""Themes: a municipality's colours as a stylesheet of custom properties."""

import hashlib
from collections.abc import Mapping

from services.kernel.colours import Colours


def stylesheet(colours: Colours) -> str:
    """Return the stylesheet that puts a municipality's colours over the usual ones."""
    return f":root {{ --brand: {colours.brand}; --brand-dark: {colours.brand_dark}; }}\n"


def theme_url(tenant: str, colours: Mapping[str, Colours]) -> str:
    """Return where a municipality's stylesheet is; empty where it has no colours of its own."""
    own = colours.get(tenant)
    if own is None:
        return ""
    return f"/static/theme/{tenant}.css?{hashlib.sha256(stylesheet(own).encode()).hexdigest()[:8]}"
