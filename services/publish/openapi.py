"""Write the published OpenAPI document of all services: `python -m services.publish.openapi [--check]`."""

import json
import sys
from pathlib import Path

from services.kernel.http.server import app_of
from services.registry import ALL

FILE = Path(__file__).parents[2] / "contracts" / "openapi.json"


def document() -> str:
    """Return the document as it is committed."""
    return json.dumps(app_of(ALL).openapi(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def main(arguments: list[str]) -> int:
    """Write the document, or with `--check` say whether it is current."""
    fresh = document()
    if "--check" not in arguments:
        FILE.write_text(fresh, encoding="utf-8")
        return 0
    if FILE.exists() and FILE.read_text(encoding="utf-8") == fresh:
        return 0
    sys.stderr.write(f"{FILE.name} is not current: run `make publish`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
