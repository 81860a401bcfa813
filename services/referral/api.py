"""Cases and referrals over HTTP."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from contracts.event import Code, Tenant, municipality_stream
from services.kernel.decider.decision import Context
from services.kernel.errors import NotAllowed
from services.kernel.http.fields import Day, GivenId
from services.kernel.http.requests import CommandResult, RequestContext, request_context
from services.kernel.ids import new_id
from services.referral.domain.access import NAME, SHARED, STATUS, visible
from services.referral.domain.commands import (
    AcceptReferral,
    AssessEligibility,
    AwaitConsent,
    Child,
    CloseCase,
    ConfirmDeletion,
    DeclineReferral,
    DraftReferral,
    NoteViews,
    OpenCase,
    RecallReferral,
    SeeReferral,
    SendReferral,
    View,
)
from services.referral.domain.names import fits
from services.referral.domain.refusals import ChildUnknown
from services.referral.domain.states import Help
from services.referral.domain.steps.case import DECLINED, HEARD, NOT_HEARD
from services.referral.projections import queries
from services.referral.views import (
    CaseLine,
    CaseView,
    FoundLine,
    Funnel,
    InboxLine,
    NameView,
    case_line,
    case_view,
    funnel,
    name_of,
)

router = APIRouter(prefix="/referral", tags=["referral"])
ReferralRequest = Annotated[RequestContext, Depends(request_context("referral"))]

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000)]
SomeWords = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
Codes = Annotated[tuple[Code, ...], Field(max_length=50)]
Limit = Annotated[int, Query(ge=1, le=200)]

_SEARCHED: Final = 1_000
"""How many of a department's newest cases are looked through for a name."""

_PURPOSE: Final = {
    "caseworker": "casework",
    "coordinator": "referral",
    "guardian": "own_child",
    "young_person": "own_case",
}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class OpenBody(_Body):
    """Whom the case is about; the id of a child is taken who has had a case here, and else one is made."""

    child_id: GivenId | None = None
    first_name: Name
    family_name: Name
    born: Day
    residence: Tenant
    language: Words = ""
    contact: Words = ""
    practical: Words = ""


class ViewBody(_Body):
    """What one party said, or why it was not heard."""

    answer: Annotated[str, Field(pattern=f"^({HEARD}|{DECLINED}|{NOT_HEARD})$")]
    view: Words = ""
    proposals: Words = ""
    why: Words = ""


class ViewsBody(_Body):
    """What the child said, and what the family said."""

    child: ViewBody
    family: ViewBody


class EligibilityBody(_Body):
    """The need, and the professional's answers by criterion of the model."""

    theme: Code
    measure: Code
    conditions: Codes = ()
    factors: Codes = ()
    answers: Annotated[dict[Code, StrictBool], Field(max_length=50)]
    judgement: Words = ""
    offer_id: GivenId | None = None


class HelpBody(_Body):
    """Public help that goes on, and the department that answers for it."""

    kind: Code
    department_id: GivenId


class DraftBody(_Body):
    """The offer that is chosen, what is needed and what the aim is."""

    organisation_id: GivenId
    offer_id: GivenId
    purposes: Codes
    public_help: Annotated[tuple[HelpBody, ...], Field(max_length=20)]
    need: SomeWords
    aim: SomeWords


class AwaitBody(_Body):
    """The facts to be shared besides those that always are; the purpose is the referral's first by itself."""

    facts: Codes = ()
    purpose: Code | None = None


class NamesBody(_Body):
    """The cases whose children's names are wanted."""

    case_ids: Annotated[list[GivenId], Field(min_length=1, max_length=50)]


class SearchBody(_Body):
    """A child's name, or the beginnings of its words."""

    name: Name


class ReasonBody(_Body):
    """Why, in the model's words."""

    reason: Code


@router.post("/cases", status_code=201)
async def open_case(body: OpenBody, request: ReferralRequest) -> CommandResult:
    """Begin to follow a child in my department; `made` is the child's id."""
    request.require_role("caseworker")
    if request.actor.department_id is None:
        raise NotAllowed
    if body.child_id and not await request.query(queries.knows_child, child_id=body.child_id):
        raise ChildUnknown
    child_id = body.child_id or new_id()
    command = OpenCase(
        municipality_id=municipality_stream(request.actor.tenant),
        department_id=request.actor.department_id,
        child_id=child_id,
        child=Child(**body.model_dump(exclude={"child_id"})),
    )
    return await request.execute(new_id(), command, created=child_id)


@router.get("/cases")
async def list_cases(
    request: ReferralRequest, status: Code | None = None, before: UUID | None = None, limit: Limit = 50
) -> list[CaseLine]:
    """Return my department's cases, newest first; the following part begins `before` the last case."""
    request.require_role("caseworker")
    rows = await request.query(
        queries.cases_of, department_id=request.actor.department_id, status=status, before=before, limit=limit
    )
    return [case_line(row) for row in rows]


@router.post("/names")
async def read_names(body: NamesBody, request: ReferralRequest) -> list[NameView]:
    """Say whom some cases of my department are about, as a list shows it; other cases are left out.

    Each name is an entry of its own in the audit trail.
    """
    request.require_role("caseworker")
    seen = await request.read_private_of(body.case_ids, what=NAME, purpose="list", each=True)
    return [NameView(case_id=case_id, name=name_of(view.private)) for case_id, view in seen.items()]


@router.post("/search")
async def search_by_name(body: SearchBody, request: ReferralRequest) -> list[FoundLine]:
    """Find cases of my department by a child's name: each word begins one of the name, å may be aa.

    Among the newest cases that are open; each that is found is an entry of its own in the audit trail.
    """
    request.require_role("caseworker")
    rows = await request.query(
        queries.cases_of,
        department_id=request.actor.department_id,
        status=None,
        before=None,
        limit=_SEARCHED,
    )
    open_rows = {row["case_id"]: row for row in rows if row["status"] != "closed"}
    found = await request.read_private_of(
        open_rows,
        what=NAME,
        purpose="search",
        each=True,
        fits=lambda view: fits(name_of(view.private) or "", body.name),
    )
    return [
        FoundLine(**case_line(open_rows[case_id]).model_dump(), name=name_of(view.private))
        for case_id, view in found.items()
    ]


@router.get("/cases/{case_id}")
async def read_case(case_id: UUID, request: ReferralRequest) -> CaseView:
    """Return a case as far as I may see it; the access is logged with its parts."""
    # the first read names the parts only; the freshness of consents is checked where the parts are opened
    context = Context(request.now, case_id, request.actor.tenant, request.actor, request.models)
    first = await request.read(case_id, what=(STATUS,))
    parts = tuple(sorted(visible(first.state, context) - {STATUS}))
    seen = await request.read_private(case_id, what=parts, purpose=_PURPOSE[request.actor.role])
    return case_view(seen.state, context, seen.version, seen.private)


@router.post("/cases/{case_id}/views")
async def note_views(case_id: UUID, body: ViewsBody, request: ReferralRequest) -> CommandResult:
    """Put on record how child and family see it, before anything is planned."""
    command = NoteViews(child=View(**body.child.model_dump()), family=View(**body.family.model_dump()))
    return await request.execute(case_id, command)


@router.post("/cases/{case_id}/eligibility")
async def assess(case_id: UUID, body: EligibilityBody, request: ReferralRequest) -> CommandResult:
    """Hold the model's criteria against the case; read the case for the reasons."""
    return await request.execute(case_id, AssessEligibility(**body.model_dump()))


@router.post("/cases/{case_id}/referrals", status_code=201)
async def draft(case_id: UUID, body: DraftBody, request: ReferralRequest) -> CommandResult:
    """Choose an offer, and name the public help that goes on."""
    referral_id = new_id()
    command = DraftReferral(
        municipality_id=municipality_stream(request.actor.tenant),
        referral_id=referral_id,
        public_help=tuple(Help(help_.kind, help_.department_id) for help_ in body.public_help),
        **body.model_dump(exclude={"public_help"}),
    )
    return await request.execute(case_id, command, created=referral_id)


@router.post("/cases/{case_id}/referrals/{referral_id}/await-consent")
async def await_consent(
    case_id: UUID, referral_id: UUID, body: AwaitBody, request: ReferralRequest
) -> CommandResult:
    """Request the consent of all who must give it."""
    return await request.execute(case_id, AwaitConsent(referral_id, body.facts, body.purpose or ""))


@router.post("/cases/{case_id}/referrals/{referral_id}/send")
async def send(case_id: UUID, referral_id: UUID, request: ReferralRequest) -> CommandResult:
    """Send the referral to the organisation, now that all have consented."""
    return await request.execute(case_id, SendReferral(referral_id))


@router.post("/cases/{case_id}/referrals/{referral_id}/see")
async def see(case_id: UUID, referral_id: UUID, request: ReferralRequest) -> CommandResult:
    """Say that my organisation has opened the referral."""
    return await request.execute(case_id, SeeReferral(referral_id), any_version=True)


@router.post("/cases/{case_id}/referrals/{referral_id}/accept")
async def accept(case_id: UUID, referral_id: UUID, request: ReferralRequest) -> CommandResult:
    """Say that my organisation takes the case."""
    return await request.execute(case_id, AcceptReferral(referral_id))


@router.post("/cases/{case_id}/referrals/{referral_id}/decline")
async def decline(
    case_id: UUID, referral_id: UUID, body: ReasonBody, request: ReferralRequest
) -> CommandResult:
    """Say that my organisation does not take the case; my access ends with this."""
    return await request.execute(case_id, DeclineReferral(referral_id, body.reason), any_version=True)


@router.post("/cases/{case_id}/referrals/{referral_id}/recall")
async def recall(
    case_id: UUID, referral_id: UUID, body: ReasonBody, request: ReferralRequest
) -> CommandResult:
    """Take a referral back, whatever step it has reached."""
    return await request.execute(case_id, RecallReferral(referral_id, body.reason), any_version=True)


@router.post("/cases/{case_id}/referrals/{referral_id}/confirm-deletion")
async def confirm_deletion(case_id: UUID, referral_id: UUID, request: ReferralRequest) -> CommandResult:
    """Say that my organisation has deleted its copy."""
    return await request.execute(case_id, ConfirmDeletion(referral_id), any_version=True)


@router.post("/cases/{case_id}/close")
async def close(case_id: UUID, body: ReasonBody, request: ReferralRequest) -> CommandResult:
    """Follow a case no longer."""
    return await request.execute(case_id, CloseCase(body.reason))


@router.get("/inbox")
async def read_inbox(
    request: ReferralRequest, after: UUID | None = None, limit: Limit = 50
) -> list[InboxLine]:
    """Return what my organisation was sent and may still read, or must still delete; nothing personal."""
    request.require_role("coordinator")
    rows = await request.query(
        queries.inbox,
        organisation_id=request.actor.organisation_id,
        now=request.now,
        after=after,
        limit=limit,
    )
    await request.require_fresh_consents({row["case_id"] for row in rows if row["status"] in SHARED})
    return [InboxLine(**row) for row in rows]


@router.get("/funnel")
async def read_funnel(request: ReferralRequest) -> Funnel:
    """Return my municipality's cases and referrals in numbers; small groups are not shown."""
    request.require_role("leader", "caseworker")
    return funnel(
        cases=await request.query(queries.case_counts),
        referrals=await request.query(queries.referral_counts),
        pace=await request.query(queries.pace),
        answers=await request.query(queries.answers),
    )
