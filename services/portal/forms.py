"""Forms: what a person typed, bound to a model, with a sentence for each thing that does not fit."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import ClassVar, Final, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData

from services.portal.texts import _

M = TypeVar("M", bound=BaseModel)
Option = tuple[str, str]
"""The value of a choice, and its label."""

_DAY: Final = re.compile(
    r"(?P<day>\d{1,2})(?P<month>\d{1,2}|[^\d]+\d{1,2})(?P<year>[^\d]*\d{4}|[^\d]*\d{2})\.?"
)
_ISO_DAY: Final = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_CENTURY: Final = 100


@dataclass(frozen=True)
class Widget:
    """One field of a form as a person meets it: its label, a hint, and its sentences."""

    label: str
    hint: str = ""
    sentences: Mapping[str, str] = field(default_factory=dict)
    """Sentences of this field by kind of fault, where the usual ones say too little."""

    several: ClassVar[bool] = False
    usual: ClassVar[Mapping[str, str]] = {
        "missing": _("Write an answer"),
        "too_long": _("Write less: this text is too long"),
        "too_short": _("Write a little more"),
        "invalid": _("Check this answer"),
    }

    def read(self, typed: Sequence[str]) -> object:
        """Return what the model is to validate; an empty field is not given at all."""
        return typed[0] if typed else ""

    def sentence(self, kind: str) -> str:
        """Return the sentence for a kind of fault."""
        return self.sentences.get(kind) or self.usual.get(kind) or self.usual["invalid"]


@dataclass(frozen=True)
class Text(Widget):
    """One line of text, or several."""

    lines: int = 1


@dataclass(frozen=True)
class Day(Widget):
    """A day, typed in any of the ways in which people write one."""

    usual: ClassVar[Mapping[str, str]] = {
        "missing": _("Write a day, for example 4.1.2027"),
        "invalid": _("Write a day that exists, for example 4.1.2027"),
    }

    def read(self, typed: Sequence[str]) -> object:
        """Return the day, or the text where it is none."""
        text = typed[0].strip() if typed else ""
        return day_of(text) or text


@dataclass(frozen=True)
class Number(Widget):
    """A whole number."""

    usual: ClassVar[Mapping[str, str]] = {
        "missing": _("Write a number"),
        "invalid": _("Write a whole number, for example 3"),
        "too_small": _("Write a larger number"),
        "too_large": _("Write a smaller number"),
    }

    def read(self, typed: Sequence[str]) -> object:
        """Return the number, or the text where it is none."""
        text = typed[0].strip() if typed else ""
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text  # noqa: PLR2004


@dataclass(frozen=True)
class Choice(Widget):
    """One of several."""

    options: tuple[Option, ...] = ()
    usual: ClassVar[Mapping[str, str]] = {
        "missing": _("Choose an answer"),
        "invalid": _("Choose one of the answers"),
    }


@dataclass(frozen=True)
class Select(Choice):
    """One of many, in a list that opens."""


@dataclass(frozen=True)
class YesNo(Choice):
    """Yes or no."""

    options: tuple[Option, ...] = (("yes", _("Yes")), ("no", _("No")))

    def read(self, typed: Sequence[str]) -> object:
        """Return a boolean, or the text where it is neither."""
        return {"yes": True, "no": False}.get(typed[0] if typed else "", typed[0] if typed else "")


@dataclass(frozen=True)
class Choices(Choice):
    """Any number of several."""

    several: ClassVar[bool] = True
    usual: ClassVar[Mapping[str, str]] = {
        "missing": _("Choose at least one"),
        "too_short": _("Choose at least one"),
        "invalid": _("Choose among the answers"),
    }

    def read(self, typed: Sequence[str]) -> object:
        """Return all that was chosen."""
        return list(typed)


@dataclass(frozen=True)
class FieldError:
    """A fault of one field, or of the whole form where the field is empty; `text` is a marked sentence."""

    field: str
    text: str
    translated: bool = False
    """Whether the text is in the person's language already, as a service's sentence is."""


class Form(Generic[M]):
    """A form: the model that it fills, and its fields in their order."""

    def __init__(self, model: type[M], /, **fields: Widget) -> None:
        """Name a widget for each field of the model that a person fills in."""
        self.model = model
        self.fields: Mapping[str, Widget] = fields
        if unknown := set(fields) - set(model.model_fields):
            raise TypeError(f"{model.__name__} has no {', '.join(sorted(unknown))}")

    @staticmethod
    def nothing() -> "Bound[BaseModel]":
        """Return a form without fields, for what concerns a page as a whole."""
        return Form(BaseModel).empty()

    def empty(self, **typed: object) -> "Bound[M]":
        """Return the form as it is first shown, with what is known already."""
        texts = {name: _typed(value) for name, value in typed.items()}
        return Bound(self, texts, [], None)

    def bind(self, data: FormData) -> "Bound[M]":
        """Return the form with what was typed, and either the model or what is wrong."""
        typed = {name: [_clean(text) for text in data.getlist(name)] for name in self.fields}
        errors = [FieldError(name, widget.sentence("invalid")) for name, widget in self.fields.items()
                  if any("\0" in text for text in typed[name])]  # fmt: skip
        if errors:
            shown = {name: [text.replace("\0", "") for text in texts] for name, texts in typed.items()}
            return Bound(self, shown, errors, None)
        values = {name: widget.read(typed[name]) for name, widget in self.fields.items()}
        given = {name: value for name, value in values.items() if value not in ("", [])}
        try:
            return Bound(self, typed, [], self.model.model_validate(given))
        except ValidationError as fault:
            return Bound(self, typed, self._errors(fault, given), None)

    def _errors(self, fault: ValidationError, given: Mapping[str, object]) -> list[FieldError]:
        found: dict[str, FieldError] = {}
        for entry in fault.errors():
            name = str(entry["loc"][0]) if entry["loc"] else ""
            widget = self.fields.get(name, _WHOLE)
            kind = kind_of(entry["type"]) if name in given or not name else "missing"
            found.setdefault(name, FieldError(name if name in self.fields else "", widget.sentence(kind)))
        order = [*self.fields, ""]
        return sorted(found.values(), key=lambda error: order.index(error.field))


_WHOLE: Final = Widget("")


@dataclass(frozen=True)
class Bound(Generic[M]):
    """A form with what was typed into it."""

    form: Form[M]
    typed: Mapping[str, Sequence[str]]
    errors: list[FieldError]
    model: M | None
    options: Mapping[str, Sequence[Option]] = field(default_factory=dict)
    """Choices that are known only when the page is shown, such as the model's words."""

    def with_options(self, **options: Sequence[Option]) -> "Bound[M]":
        """Return the form with the choices of some fields."""
        return replace(self, options={**self.options, **options})

    def refused(self, *errors: FieldError) -> "Bound[M]":
        """Return the form as it was typed, with what a service refused."""
        return replace(self, errors=[*self.errors, *errors], model=None)

    def options_of(self, name: str) -> list[Option]:
        """Return the choices of a field that are known only now."""
        return list(self.options.get(name, ()))

    @property
    def value(self) -> M:
        """The model; raises `ValueError` where the form was not accepted."""
        if self.model is None:
            raise ValueError("the form was not accepted")
        return self.model

    def first(self, name: str) -> str:
        """Return what was typed into a field."""
        return next(iter(self.typed.get(name, ())), "")

    def error(self, name: str) -> FieldError | None:
        """Return what is wrong with a field."""
        return next((error for error in self.errors if error.field == name), None)


_KINDS: Final = {
    "missing": "missing",
    "string_too_short": "missing",
    "string_too_long": "too_long",
    "too_short": "too_short",
    "too_long": "too_long",
    "greater_than_equal": "too_small",
    "greater_than": "too_small",
    "less_than_equal": "too_large",
    "less_than": "too_large",
}


def kind_of(pydantic_type: str) -> str:
    """Return the kind of fault that a person is told, of the many that pydantic knows."""
    return _KINDS.get(pydantic_type, "invalid")


def day_of(text: str) -> date | None:
    """Return the day that a text names: 4.1.2027, 4/1 2027, 040127, 2027-01-04; None where it is none."""
    if iso := _ISO_DAY.fullmatch(text):
        year, month, day = (int(part) for part in iso.groups())
    elif found := _DAY.fullmatch(text):
        day, month, year = (int(re.sub(r"\D", "", found[name])) for name in ("day", "month", "year"))
        if year < _CENTURY:
            year += 2000
    else:
        return None
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _clean(text: object) -> str:
    """Return a text as it is kept: composed (NFC), with one kind of line end, without blanks around it."""
    return unicodedata.normalize("NFC", str(text)).replace("\r\n", "\n").strip()


def _typed(value: object) -> list[str]:
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    if isinstance(value, list | tuple | set | frozenset):
        return [str(one) for one in value]
    return [] if value is None else [str(value)]


def typed_day(value: date) -> str:
    """Return a day as a person would type it."""
    return f"{value.day}.{value.month}.{value.year}"
