"""Draw `docs/services.svg`, the services and their topics: `python -m services.publish.picture [--check]`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from contracts.event import topic_of
from services.kernel.decider.service import Service
from services.publish.files import publish
from services.registry import ALL

FILE: Final = Path(__file__).parents[2] / "docs" / "services.svg"
_WORK: Final = {
    "directory": ("who takes part,", "offers, models"),
    "referral": ("case, criteria,", "referrals"),
    "consent": ("who must agree,", "and who did"),
    "agreement": ("goals, duties,", "signatures"),
    "evaluation": ("voices, measures,", "outcomes"),
    "notify": ("inbox, mails,", "reminders"),
    "audit": ("every change and", "every read"),
    "portal": ("sign-in, pages;", "calls the others"),
}
"""What each service keeps or does, in two lines."""
_LEFT, _STEP, _WIDTH = 201, 122, 112
_FIRST_TOPIC, _TOPIC_STEP = 330, 34
_INK, _PALE, _BLUE, _SKY, _GREY = "#1d2b36", "#c5ced6", "#0b6e99", "#e6f2f7", "#5a6b78"
_HEAD: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" \
role="img" aria-labelledby="title about" font-family="Inter, Segoe UI, Helvetica, Arial, sans-serif">
  <title id="title">The services of Samspil and their topics</title>
  <desc id="about">{count} services, each with a PostgreSQL schema of its own, serve a REST API or pages, \
and each publishes to one Kafka topic. A filled square marks the topic that a service publishes to, \
an open circle a topic that it consumes.</desc>
"""


def drawing() -> str:
    """Return the picture, as SVG."""
    right = _LEFT + _STEP * (len(ALL) - 1) + _WIDTH
    bottom = _FIRST_TOPIC + _TOPIC_STEP * (len(ALL) - 1)
    lines = [
        _box(_LEFT, 24, right - _LEFT, 40, fill=_SKY, stroke=_BLUE),
        _text((_LEFT + right) // 2, 49, "people in a browser, and programs: HTTP", fill=_BLUE, size=14),
        *(_beside(y, text) for y, text in ((143, "services"), (233, "a PostgreSQL schema"), (250, "each"))),
        *(line for place, service in enumerate(ALL) for line in _service(place, service)),
        *(line for place, service in enumerate(ALL) for line in _topic(place, service, right)),
        *(_square(_middle(place), _row(place)) for place in range(len(ALL))),
        *(line for place, service in enumerate(ALL) for line in _consumed(place, service)),
        _square(_LEFT + 8, bottom + 46),
        _text(_LEFT + 24, bottom + 51, "publishes to this topic, after the commit", anchor="start"),
        _circle(580, bottom + 46),
        _text(596, bottom + 51, "consumes it, in batches", anchor="start"),
    ]
    head = _HEAD.format(width=right + 15, height=bottom + 76, count=len(ALL))
    return head + "".join(f"  {line}\n" for line in lines) + "</svg>\n"


def _service(place: int, service: Service) -> Iterator[str]:
    x = _middle(place)
    first, second = _WORK[service.name]
    yield _line(x, 64, 96, _BLUE)
    yield _line(x, 276, _row(place), _PALE)
    yield _box(x - _WIDTH // 2, 96, _WIDTH, 82, fill="#ffffff", stroke=_INK)
    yield _text(x, 122, service.name, fill=_INK, size=15)
    yield _text(x, 145, first)
    yield _text(x, 161, second)
    yield _line(x, 178, 212, _INK)
    yield f'<path d="M{x - 40} 218v48a40 9 0 0 0 80 0v-48" fill="{_SKY}" stroke="{_BLUE}"/>'
    yield f'<ellipse cx="{x}" cy="218" rx="40" ry="9" fill="#ffffff" stroke="{_BLUE}"/>'
    yield _text(x, 250, "streams, log", fill=_BLUE, size=11)


def _topic(place: int, service: Service, right: int) -> Iterator[str]:
    y = _row(place)
    yield _beside(y + 4, topic_of(service.name))
    yield f'<path d="M{_LEFT - 5} {y}H{right}" stroke="{_PALE}" stroke-width="4" stroke-linecap="round"/>'


def _consumed(place: int, service: Service) -> Iterator[str]:
    for row, other in enumerate(ALL):
        if service.subscribes_to_all or other.name in service.sources:
            yield _circle(_middle(place) + (20 if row == place else 0), _row(row))


def _middle(place: int) -> int:
    return _LEFT + _STEP * place + _WIDTH // 2


def _row(place: int) -> int:
    return _FIRST_TOPIC + _TOPIC_STEP * place


def _line(x: int, top: int, bottom: int, stroke: str) -> str:
    return f'<path d="M{x} {top}V{bottom}" stroke="{stroke}" stroke-width="1.5"/>'


def _box(x: int, y: int, width: int, height: int, *, fill: str, stroke: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" fill="{fill}" stroke="{stroke}"/>'


def _square(x: int, y: int) -> str:
    return f'<rect x="{x - 7}" y="{y - 7}" width="14" height="14" rx="2" fill="{_BLUE}"/>'


def _circle(x: int, y: int) -> str:
    return f'<circle cx="{x}" cy="{y}" r="7" fill="#ffffff" stroke="{_INK}" stroke-width="2"/>'


def _beside(y: int, text: str) -> str:
    return _text(182, y, text, anchor="end")


def _text(x: int, y: int, text: str, *, fill: str = _GREY, size: int = 12, anchor: str = "middle") -> str:
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{fill}" text-anchor="{anchor}">{text}</text>'


if __name__ == "__main__":
    sys.exit(publish({FILE: drawing()}, sys.argv[1:]))
