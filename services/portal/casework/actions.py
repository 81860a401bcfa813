"""Actions: whether a page offers one, as the owning service says what would be taken."""

from collections.abc import Mapping
from typing import Any


def allows(shown: Mapping[str, Any], name: str, otherwise: bool) -> bool:  # noqa: FBT001  templates call it
    """Return whether what a service has shown names an action; `otherwise` where it names none at all."""
    named = shown.get("allowed_actions")
    return otherwise if named is None else name in named
