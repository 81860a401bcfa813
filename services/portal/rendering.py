"""Rendering: templates in the language of the person, with days, times and names as people write them."""

from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime, format_time
from babel.numbers import format_decimal
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from contracts.model_parts import LANGUAGES, Language
from services.portal.catalogue import word
from services.portal.forms import Bound, Choice, FieldError, Text
from services.portal.service_client import Silent
from services.portal.static_files import static_files
from services.portal.texts import TRANSLATIONS

FOLDER: Final = Path(__file__).parent / "templates"
ZONE: Final = ZoneInfo("Europe/Copenhagen")
"""The zone in which moments are shown; Denmark and Norway have the same hours."""


class Renderer:
    """Renders templates; one environment a language, made once."""

    def __init__(self) -> None:
        """Prepare the environments."""
        self._environments = {language: _environment(language) for language in LANGUAGES}

    def render(self, template: str, language: Language, values: Mapping[str, Any]) -> str:
        """Return a page's HTML; raises `jinja2.UndefinedError` for a value that the template lacks."""
        return self._environments[language].get_template(template).render(values)


def translate(language: Language, sentence: str, **values: object) -> str:
    """Return a marked sentence in a language, with its placeholders filled."""
    translated = TRANSLATIONS[language].gettext(sentence) if sentence else ""
    return translated % values if values else translated


def counted(language: Language, sentence: tuple[str, str], num: int) -> str:
    """Return a marked sentence with its number, in the form that the number asks for."""
    return TRANSLATIONS[language].ngettext(*sentence, num) % {"num": num}


def template_environment() -> Environment:
    """Return what reads the templates: all is escaped, and a missing value is an error."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["ext.i18n.trimmed"] = True
    return environment


def _environment(language: Language) -> Environment:
    environment = template_environment()
    environment.install_gettext_translations(TRANSLATIONS[language], newstyle=True)  # type: ignore[attr-defined]  # of the extension
    environment.filters |= {
        "day": lambda value: day_text(as_day(value), language),
        "short_day": lambda value: format_date(as_day(value), "d. MMM", locale=language),
        "moment": lambda value: moment_text(as_moment(value), language),
        "time": lambda value: format_time(as_moment(value), "HH:mm", locale=language),
        "number": lambda value: format_decimal(value, locale=language),
        "text": lambda texts: text_of(texts, language),
        "field": lambda bound, name: field_values(bound, name, language),
        "counted": lambda sentence, num: counted(language, sentence, num),
        "word": lambda model, kind, code: word(model, kind, code, language),
        "errors": lambda bound: [error_values(error, language) for error in bound.errors],
    }
    environment.tests["silent"] = lambda value: isinstance(value, Silent)
    environment.globals |= {"static": static_files().url, "language": language}
    return environment


def day_text(value: date, language: Language) -> str:
    """Return a day as it is written in a sentence: 4. januar 2027."""
    return format_date(value, "long", locale=_locale(language))


def moment_text(value: datetime, language: Language) -> str:
    """Return a moment on the clock of Denmark and Norway: 4. januar 2027 kl. 9.30."""
    day = format_date(value, "long", locale=_locale(language))
    return f"{day} {format_datetime(value, 'HH:mm', locale=_locale(language))}"


def _locale(language: Language) -> str:
    return "en_GB" if language == "en" else language


def as_day(value: date | str) -> date:
    """Return a day that a service answered; of a moment, the day here."""
    if isinstance(value, datetime):
        return value.astimezone(ZONE).date()
    if isinstance(value, str):
        return date.fromisoformat(value) if len(value) == 10 else as_moment(value).date()  # noqa: PLR2004
    return value


def as_moment(value: datetime | str) -> datetime:
    """Return a moment that a service answered, on the clock here."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.astimezone(ZONE)


def text_of(texts: Mapping[str, str] | str | None, language: Language) -> str:
    """Return a text of the model in a language; English or the first where it does not have it."""
    if texts is None or isinstance(texts, str):
        return texts or ""
    return texts.get(language) or texts.get("en") or next(iter(texts.values()), "")


def field_values(bound: Bound[Any], name: str, language: Language) -> dict[str, Any]:
    """Return the arguments of a field's macro: name, label, hint, what was typed, and what is wrong."""
    widget = bound.form.fields[name]
    error = bound.error(name)
    values: dict[str, Any] = {
        "name": name,
        "label": translate(language, widget.label),
        "hint": translate(language, widget.hint),
        "error": error_values(error, language)["text"] if error else "",
    }
    typed = list(bound.typed.get(name, ()))
    values |= {"values": typed} if widget.several else {"value": typed[0] if typed else ""}
    if isinstance(widget, Choice):
        values["options"] = bound.options_of(name) or [
            (value, translate(language, label)) for value, label in widget.options
        ]
    if isinstance(widget, Text) and widget.lines > 1:
        values["rows"] = widget.lines
    return values


def summary_values(bound: Bound[Any], error: FieldError, language: Language) -> dict[str, str]:
    """Return one line of an error summary; a sentence that fits any field says which one it is about."""
    values = error_values(error, language)
    widget = bound.form.fields.get(error.field)
    if widget is not None and error.text in widget.usual.values():
        label = translate(language, widget.label)
        values["text"] = f"{label}{' ' if label.endswith('?') else ': '}{values['text']}"
    return values


def error_values(error: FieldError, language: Language) -> dict[str, str]:
    """Return one line of an error summary: the field that it leads to, and its text."""
    text = error.text if error.translated else translate(language, error.text)
    return {"field": error.field, "text": text}
