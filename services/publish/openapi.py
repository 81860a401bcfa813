"""Write the published OpenAPI document of all services: `python -m services.publish.openapi [--check]`."""

import json
import sys
from pathlib import Path

from services.kernel.http.server import app_of
from services.publish.files import publish
from services.registry import ALL

FILE = Path(__file__).parents[2] / "contracts" / "openapi.json"


def document() -> str:
    """Return the document as it is committed."""
    return json.dumps(app_of(ALL).openapi(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.exit(publish({FILE: document()}, sys.argv[1:]))
