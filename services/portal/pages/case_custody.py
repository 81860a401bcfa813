"""Who holds parental responsibility in a case, put on record by the caseworker."""

from dataclasses import replace
from datetime import date
from functools import lru_cache
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, Field, create_model

from contracts.model_parts import LANGUAGES, Language
from services.portal.casework.case_file import CASEWORKER, file_of, name_of
from services.portal.forms import Bound, Choice, Day, Form, Text, Widget, YesNo, typed_day
from services.portal.pages.case_consent import CONSENT
from services.portal.pages.page import Area, Page
from services.portal.rendering import as_day, translate
from services.portal.texts import _
from services.portal.visit import Visit

AREA: Final = Area()
MOST: Final = 8
_YOUNG: Final = 15

CUSTODY: Final = Page(
    "/cases/{case_id}/custody",
    "case/custody.html",
    _("Who holds parental responsibility"),
    CASEWORKER,
    looks=("case", "consent"),
    calls=("referral.case", "consent.case"),
    commands=("record", "more"),
    parent=CONSENT,
)

_LANGUAGES: Final = (("da", "Dansk"), ("nb", "Norsk bokmål"), ("en", "English"))


@lru_cache(maxsize=MOST * len(LANGUAGES))
def custody_form(count: int, language: Language) -> Form[BaseModel]:
    """Return the form for a number of holders; a holder without a name is left out."""
    fields: dict[str, Any] = {}
    widgets: dict[str, Widget] = {}
    for number in range(1, count + 1):
        fields |= {
            f"name_{number}": (Annotated[str, Field(max_length=200)], ""),
            f"residence_{number}": (bool | None, None),
            f"language_{number}": (str, "da"),
        }
        widgets |= {
            f"name_{number}": Text(translate(language, _("Full name of holder %(number)s"), number=number)),
            f"residence_{number}": YesNo(
                translate(language, _("Does the child live with holder %(number)s?"), number=number)
            ),
            f"language_{number}": Choice(
                translate(language, _("Language of holder %(number)s"), number=number), options=_LANGUAGES
            ),
        }
    model = create_model(
        "Custody",
        __base__=BaseModel,
        born=(date, ...),
        young_person_name=(Annotated[str, Field(max_length=200)], ""),
        **fields,
    )
    return Form(
        model,
        **widgets,
        born=Day(_("The child was born on"), _("For example 4.1.2017")),
        young_person_name=Text(
            _("The young person's own name"), _("Only from 15 years: then the young person is asked too")
        ),
    )


@AREA.get(CUSTODY)
async def ask_custody(visit: Visit, case_id: UUID) -> Response:
    """Ask who holds parental responsibility; what is on record is filled in."""
    file = await file_of(visit, case_id)
    consent = await visit.get("consent", f"/consent/cases/{case_id}")
    custody = consent["custody"]
    count = _count(visit, len(custody["holders"]) if custody else 2)
    facts = file["case"]["facts"]
    born = facts.get("born")
    known: dict[str, object] = {"born": typed_day(as_day(born)) if born else ""}
    if (file["age"] or 0) >= _YOUNG:
        known["young_person_name"] = name_of(facts)
    for number in range(1, count + 1):
        known[f"language_{number}"] = visit.language
    for number, holder in enumerate(custody["holders"] if custody else (), 1):
        known |= {
            f"name_{number}": holder["name"] or "",
            f"residence_{number}": holder["residence"],
            f"language_{number}": holder["language"],
        }
    return visit.render(
        **file,
        form=visit.form(custody_form(count, visit.language), **known),
        count=count,
        may_add=count < MOST,
        people=[str(holder["person_id"]) for holder in custody["holders"]] if custody else [],
        consent_version=consent["version"],
    )


@AREA.post(CUSTODY, "more")
async def one_more(visit: Visit, case_id: UUID) -> Response:
    """Show the form with room for one holder more, and with what was typed."""
    form = custody_form(min(MOST, _count(visit, 2) + 1), visit.language)
    typed: Bound[Any] = replace(form.bind(visit.sent.data), errors=[])
    visit.bound = typed
    return await ask_custody(visit, case_id)


@AREA.post(CUSTODY, "record")
async def record(visit: Visit, case_id: UUID) -> Response:
    """Put on record who holds parental responsibility."""
    count = _count(visit, 2)
    said = visit.bind(custody_form(count, visit.language)).value.model_dump(mode="json")
    holders = [holder for number in range(1, count + 1) if (holder := _holder(visit, said, number))]
    body = {"holders": holders, "born": said["born"], "young_person_name": said["young_person_name"]}
    await visit.command("consent", f"/consent/cases/{case_id}/custody", body)
    return visit.redirect(CONSENT, done="custody", case_id=case_id)


def _holder(visit: Visit, said: dict[str, Any], number: int) -> dict[str, Any] | None:
    """Return one holder as they were named; a person who was on record keeps their id."""
    if not said[f"name_{number}"]:
        return None
    if said[f"residence_{number}"] is None:
        raise visit.refuse(f"residence_{number}", _("Choose whether the child lives there"))
    person_id = visit.sent.text(f"person_{number}")
    return {
        "name": said[f"name_{number}"],
        "residence": said[f"residence_{number}"],
        "language": said[f"language_{number}"],
        **({"person_id": person_id} if person_id else {}),
    }


def _count(visit: Visit, known: int) -> int:
    """Return for how many holders the form has room: as it was sent, or as is on record."""
    if visit.bound is not None:
        named = sum(name.startswith("name_") for name in visit.bound.form.fields)
        return named or known
    sent = visit.sent.number("count") if visit.submitted else None
    return max(1, min(MOST, sent or known))
