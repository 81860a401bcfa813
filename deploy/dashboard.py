"""The dashboard as code: `python -m deploy.dashboard` writes the file that Grafana reads."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

PANELS: Final = Path(__file__).with_name("dashboard.toml")
FILE: Final = Path(__file__).parent / "grafana" / "dashboards" / "samspil.json"
_SOURCE: Final = {"type": "prometheus", "uid": "prometheus"}
_WIDTH: Final = 24
_HEIGHT: Final = 8
_BESIDE: Final = 3
_NAMES: Final = "label_values(samspil_ready, service)"
_SERVICE: Final = {
    "name": "service",
    "label": "Service",
    "type": "query",
    "datasource": _SOURCE,
    "query": {"query": _NAMES, "refId": "service"},
    "definition": _NAMES,
    "refresh": 2,
    "multi": True,
    "includeAll": True,
    "allValue": ".*",
    "current": {"text": "All", "value": "$__all"},
}
_CURVE: Final = {
    "type": "timeseries",
    "options": {
        "legend": {"displayMode": "list", "placement": "bottom"},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
}
_LAMP: Final = {
    "type": "stat",
    "fieldConfig": {
        "defaults": {
            "mappings": [
                {
                    "type": "value",
                    "options": {"0": {"text": "no", "color": "red"}, "1": {"text": "yes", "color": "green"}},
                }
            ],
            "thresholds": {
                "mode": "absolute",
                "steps": [{"color": "red", "value": None}, {"color": "green", "value": 1}],
            },
        },
        "overrides": [],
    },
    "options": {
        "colorMode": "background",
        "reduceOptions": {"calcs": ["lastNotNull"]},
        "textMode": "value_and_name",
    },
}


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana reads it."""
    rows = tomllib.loads(PANELS.read_text(encoding="utf-8"))["row"]
    return {
        "uid": "samspil",
        "title": "Samspil",
        "tags": ["samspil"],
        "timezone": "browser",
        "editable": False,
        "schemaVersion": 41,
        "version": 2,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [_SERVICE]},
        "annotations": {"list": []},
        "panels": [panel | {"id": number} for number, panel in enumerate(_laid(rows), 1)],
    }


def _laid(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Lay the panels of each row beside and below each other."""
    top = 0
    for row in rows:
        position = {"x": 0, "y": top, "w": _WIDTH, "h": 1}
        yield {"type": "row", "title": row["title"], "collapsed": False, "panels": [], "gridPos": position}
        beside = min(_BESIDE, len(row["panel"]))
        width = _WIDTH // beside
        for n, panel in enumerate(row["panel"]):
            down, across = divmod(n, beside)
            position = {"x": across * width, "y": top + 1 + down * _HEIGHT, "w": width, "h": _HEIGHT}
            yield _drawn(panel) | {"gridPos": position}
        top += 1 + -(-len(row["panel"]) // beside) * _HEIGHT


def _drawn(panel: Mapping[str, Any]) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + n), "expr": query, "legendFormat": legend, "datasource": _SOURCE}
        for n, (query, legend) in enumerate(panel["queries"])
    ]
    drawn = {"title": panel["title"], "description": panel["says"], "datasource": _SOURCE}
    if panel.get("lamp"):
        return drawn | _LAMP | {"targets": [target | {"instant": True} for target in targets]}
    custom = {"lineWidth": 1, "fillOpacity": 10, "showPoints": "never"}
    defaults = {"unit": panel.get("unit", "short"), "min": 0, "custom": custom}
    return drawn | _CURVE | {"targets": targets, "fieldConfig": {"defaults": defaults, "overrides": []}}


def written() -> str:
    """Return the file's text."""
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(written(), encoding="utf-8")
