"""Checks across the parts of a collaboration model: no doubles, no unknown codes, numbers in order."""

import math
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Final

from contracts.model_faults import Fault, dotted, nearest
from contracts.toml_lines import KeyPath, Lines

_REFERENCES: Final = (("themes", "purposes", "purposes"), ("themes", "measures", "measures"))
"""A list of tables, its key, and the list whose codes that key may name."""

_ORDERED: Final = (
    ("target_group", "age_from", "<=", "age_to"),
    ("deadlines", "consent_remind", "<", "consent_lapse"),
    ("deadlines", "seen", "<=", "answer"),
    ("deadlines", "delete_confirm", "<", "delete_escalate"),
    ("ladder", "stand_in_after", "<", "leader_after"),
    ("ladder", "leader_after", "<", "move_after"),
    ("rhythm", "update_days", "<=", "evaluation_days"),
    ("dimensions", "lowest", "<", "highest"),
    ("consent.rules", "party_from", "<=", "young_person_from"),
    ("consent.rules", "young_person_from", "<=", "own_from"),
)
"""A table, a number of it, and another that must not come before it."""


def cross_faults(path: Path, text: str, document: Mapping[str, object]) -> set[Fault]:
    """Return what is wrong between the parts; parts of the wrong shape are left to the schema's own check."""
    lines = Lines(text)
    found = (
        *_doubles((), document),
        *_ambiguous(document),
        *_unknown_codes(document),
        *_disorder(document),
        *_beyond_scale(document),
        *_consent_gaps(document),
        *_too_short(document),
    )
    return {
        Fault(path, lines.of(key_path), dotted(key_path), wrong, right) for key_path, wrong, right in found
    }


_Found = Iterator[tuple[KeyPath, str, str]]


def _doubles(key_path: KeyPath, value: object) -> _Found:
    """Find codes, ids, days and words that stand twice in one list."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _doubles((*key_path, key), inner)
    if isinstance(value, list):
        seen: dict[object, int] = {}
        for number, item in enumerate(value):
            name = next((key for key in ("code", "id") if isinstance(item, dict) and key in item), None)
            text = item[name] if name else item
            if isinstance(text, str) and seen.setdefault(text, number) != number:
                where = (*key_path, number, name) if name else (*key_path, number)
                yield where, f'"{text}" stands twice', "say each once"
            yield from _doubles((*key_path, number), item)


def _ambiguous(document: Mapping[str, object]) -> _Found:
    """Find reasons of eligibility that two answers share."""
    seen: dict[str, KeyPath] = {}
    for key_path, criterion in _rows(document, "eligibility"):
        for answer in ("holds", "fails"):
            match criterion.get(answer):
                case {"code": str(code)} if seen.setdefault(code, (*key_path, answer)) != (*key_path, answer):
                    yield (
                        (*key_path, answer, "code"),
                        f'"{code}" stands twice',
                        "each answer has its own reason",
                    )
                case _:
                    pass


def _unknown_codes(document: Mapping[str, object]) -> _Found:
    """Find codes that refer to nothing."""
    for table, key, target in _REFERENCES:
        targets = [code for _, row in _rows(document, target) if isinstance(code := row.get("code"), str)]
        for key_path, row in _rows(document, table):
            codes = row.get(key)
            for number, code in enumerate(codes if isinstance(codes, list) else ()):
                if isinstance(code, str) and code not in targets:
                    yield (*key_path, key, number), f'"{code}" is not among {target}', nearest(code, targets)


def _disorder(document: Mapping[str, object]) -> _Found:
    """Find numbers that come before what they must follow."""
    for table, first, sign, second in _ORDERED:
        for key_path, row in _rows(document, table):
            early, late = row.get(first), row.get(second)
            if not isinstance(early, int) or not isinstance(late, int):
                continue
            if early > late or (sign == "<" and early == late):
                yield (*key_path, first), f"is {early}, but {second} is {late}", f"it must be {sign} {second}"


def _beyond_scale(document: Mapping[str, object]) -> _Found:
    """Find thresholds that no move on their scale could reach."""
    for key_path, row in _rows(document, "dimensions"):
        match row:
            case {"lowest": int(low), "highest": int(high), "threshold": int() | float() as least}:
                if math.inf > least > high - low > 0:
                    yield (*key_path, "threshold"), f"is {least}", f"the scale allows {high - low} at most"
            case _:
                pass


def _consent_gaps(document: Mapping[str, object]) -> _Found:
    """Find consent rules that begin on one day, and audiences without a text of consent."""
    begun: dict[date, KeyPath] = {}
    for key_path, rule in _rows(document, "consent.rules"):
        day = rule.get("valid_from")
        if isinstance(day, date) and begun.setdefault(day, key_path) != key_path:
            yield (
                (*key_path, "valid_from"),
                f"is {day}, as another rule's",
                "only one rule can begin on a day",
            )
    texts = [row.get("audience") for _, row in _rows(document, "consent.texts")]
    for audience in ("guardian", "young_person"):
        if texts and audience not in texts:
            wrong = f"nothing is shown to a {audience}"
            yield ("consent", "texts"), wrong, f'add a text with audience = "{audience}"'


def _too_short(document: Mapping[str, object]) -> _Found:
    """Find deadlines so short that their reminder would fall before their beginning."""
    for _, ladder in _rows(document, "ladder"):
        before = ladder.get("reminder_before")
        for key_path, deadlines in _rows(document, "deadlines"):
            for key, days in deadlines.items():
                if isinstance(days, int) and isinstance(before, int) and 1 <= days <= before:
                    wrong = f"is {days}, but a reminder comes {before} days before"
                    yield (*key_path, key), wrong, "it must be longer than ladder.reminder_before"


def _rows(document: Mapping[str, object], dotted: str) -> Iterator[tuple[KeyPath, Mapping[str, object]]]:
    """Return the table of that name, or each table of the list of that name."""
    value: object = document
    for name in dotted.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    names = tuple(dotted.split("."))
    if isinstance(value, dict):
        yield names, value
    if isinstance(value, list):
        for number, row in enumerate(value):
            if isinstance(row, dict):
                yield (*names, number), row
