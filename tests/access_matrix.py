"""Every route with every role on own, another department's, another municipality's and absent ids."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

import aiohttp
from msgspec.structs import replace

from contracts.event import municipality_stream
from services.directory.domain.states import FamilyCase
from services.kernel.decider.service import Service, StreamChange
from services.kernel.http.application import mount
from services.kernel.http.authentication import TokenVerifier
from services.kernel.http.server import app_of, listening_socket, serve
from services.kernel.ids import new_id
from services.kernel.issuer_settings import ROLES
from services.kernel.limits import Limits
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.store import WriteSet, save
from services.kernel.streams.stream import new_stream
from services.notify.domain.states import Case as NotifiedCase
from services.notify.domain.states import Parties, Recipient
from services.registry import ALL
from tests import examples_accounts as people
from tests import examples_agreement as agreement
from tests import examples_audit as audit
from tests import examples_consent as consent
from tests import examples_directory as directory
from tests import examples_evaluation as evaluation
from tests import examples_notify as notify
from tests import examples_referral as referral
from tests.http_site import ISSUER, a_token, advance_watermark
from tests.issuers import AUDIENCE, trusting
from tests.subject_consent import CASES as CONSENT_CASES
from tests.tally import running

HOME, ELSEWHERE = "0440", "0461"
OWN, FOREIGN = UUID(int=0x0CA5E << 64 | 7), UUID(int=0xFCA5E << 64 | 7)
REFUSED: Final = frozenset({403, 404})
_DOCUMENT: Final = Path(__file__).parents[1] / "contracts" / "openapi.json"
_EXAMPLES: Final[Mapping[str, Any]] = {
    "agreement": agreement, "audit": audit, "consent": consent, "directory": directory,
    "evaluation": evaluation, "notify": notify, "referral": referral,
    "portal": SimpleNamespace(),  # it keeps nothing that a call names
}  # fmt: skip
_TRACE: Final = f"00-{'0123456789abcdef' * 2}-0123456789abcdef-00"
_OF_EACH: Final = frozenset({"date", "traceparent"})
"""Headers that differ from answer to answer."""

_NOTIFIED: Final = notify.a_case(notify.sent())
_NOTICE: Final = notify.notice_to(_NOTIFIED, notify.ORGANISATION, "referral_sent")
_TEXTS: Final = {
    "^(heard|declined|not_heard)$": "declined", "^[0-9]{4}$": HOME, "^([0-9]{8,9})?$": "",
    "^[0-9a-f]{64}$": "0" * 64, "^[a-z][a-z0-9_]{0,63}$": "some_code",
}  # fmt: skip


@dataclass(frozen=True)
class Route:
    """One route of the document, with a body that it takes."""

    method: str
    path: str
    body: Any
    roles: frozenset[str] = frozenset()
    needs_version: bool = False

    @property
    def service(self) -> str:
        """The service behind it."""
        return self.path.split("/")[1]

    @property
    def names_an_id(self) -> bool:
        """Whether its address names something."""
        return "{" in self.path


@dataclass(frozen=True)
class Seen:
    """One answer as a client sees it, with the statements it took and the entries it left."""

    status: int
    headers: Mapping[str, str]
    body: str
    statements: tuple[str, ...]
    denials: int

    @property
    def shown(self) -> tuple[Any, ...]:
        """What tells two answers apart; one that is granted names what was asked for."""
        return (self.status, self.headers, self.body) if self.status in REFUSED else (self.status,)

    @property
    def names_roles(self) -> bool:
        """Whether the answer is the one that rests on the role alone."""
        return self.status == 403 and json.loads(self.body)["detail"].startswith("this is for: ")


def routes() -> list[Route]:
    """Return all routes of the published document."""
    document = json.loads(_DOCUMENT.read_text())
    schemas = document["components"]["schemas"]
    return [
        Route(
            method.upper(),
            path,
            _body(operation.get("requestBody"), schemas),
            frozenset(operation["x-roles"]),
            {"$ref": "#/components/parameters/if-match-required"} in operation["parameters"],
        )
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def _body(request: Any, schemas: Mapping[str, Any]) -> Any:
    return _sample(request["content"]["application/json"]["schema"], schemas, "") if request else None


def _sample(  # noqa: C901, PLR0911  the table of kinds
    schema: Any, schemas: Mapping[str, Any], name: str
) -> Any:
    """Return a value that a schema of the document describes."""
    match schema:
        case {"$ref": str(ref)}:
            return _sample(schemas[ref.rpartition("/")[2]], schemas, name)
        case {"anyOf": [first, *_]}:
            return _sample(first, schemas, name)
        case {"enum": [first, *_]} | {"const": first}:
            return first
        case {"type": "object", "properties": properties}:
            needed = set(schema.get("required", ()))
            return {key: _sample(one, schemas, key) for key, one in properties.items() if key in needed}
        case {"type": "object", "patternProperties": inner}:
            return {"some_code": _sample(next(iter(inner.values())), schemas, name)}
        case {"type": "array"}:
            return [_sample(schema["items"], schemas, name)]
        case {"type": "integer" | "number"}:
            return max(1, schema.get("minimum", 1))
        case {"type": "boolean"}:
            return True
        case {"format": "uuid"}:
            return str(getattr(agreement, "AGREEMENT", None) if name == "agreement_id" else new_id())
        case {"format": "date"}:
            return "2026-03-02"
    return _TEXTS.get(schema.get("pattern", ""), "some text")


def inside(service: str, role: str) -> dict[str, Any]:
    """Return the claims of somebody in a role with a part in the service's own example."""
    of = _EXAMPLES[service]
    caseworker = getattr(of, "CASEWORKER", None)
    subs = {
        "caseworker": getattr(caseworker, "id", caseworker),
        "guardian": getattr(of, "MOTHER", None),
        "young_person": getattr(of, "YOUNG_PERSON", None) or getattr(of, "YOUNG", None),
    }
    sub = subs.get(role)
    return {
        "sub": str(getattr(sub, "id", sub) or uuid5(NAMESPACE_URL, f"inside {service} {role}")),
        "role": role,
        "tenant": HOME,
        "organisation_id": str(getattr(of, "ORGANISATION", None) or OWN),
        "department_id": str(getattr(of, "DEPARTMENT", None) or OWN),
    }


def outside(role: str) -> dict[str, Any]:
    """Return the claims of somebody in a role without a part in anything."""
    ids = {name: str(uuid5(NAMESPACE_URL, f"outside {role} {name}")) for name in ("sub", "org", "dep")}
    return {
        "sub": ids["sub"],
        "role": role,
        "tenant": HOME,
        "organisation_id": ids["org"],
        "department_id": ids["dep"],
    }


@dataclass
class Everything:
    """All services behind one application, on one database, with an example of each in two municipalities."""

    runtimes: Mapping[str, Runtime]
    session: aiohttp.ClientSession
    port: int
    statements: list[str] = field(default_factory=list)
    warm: set[tuple[str, str, str]] = field(default_factory=set)

    async def ask(
        self, route: Route, claims: Mapping[str, Any], ids: Mapping[str, Any], version: str = '"1"'
    ) -> Seen:
        """Send a request, with the version that was seen unless that is empty; return what came of it."""
        runtime = self.runtimes[route.service]
        before = await self._denials(runtime)
        self.statements.clear()
        url = f"http://127.0.0.1:{self.port}{route.path.format(**ids)}"
        headers = {
            "Authorization": f"Bearer {a_token(**claims)}",
            "Idempotency-Key": str(new_id()),
            "traceparent": _TRACE,
            **({"If-Match": version} if version else {}),
        }
        async with self.session.request(route.method, url, json=route.body, headers=headers) as answer:
            text = await answer.text()
        statements = tuple(self.statements)
        denials = await self._denials(runtime) - before
        shown = {n.lower(): value for n, value in answer.headers.items() if n.lower() not in _OF_EACH}
        return Seen(answer.status, shown, text, statements, denials)

    async def _denials(self, runtime: Runtime) -> int:
        found = await runtime.pool.fetchval(
            "select count(*) from event_log where type = $1", runtime.service.denied_event.type
        )
        return int(found)


@asynccontextmanager
async def everything(dsn: str) -> AsyncIterator[Everything]:
    """Run all services on a database while the block runs, each with its example at home and elsewhere."""
    limits = Limits(denials_alone=1_000_000, denials_seconds=3600)
    more: dict[str, Any] = {"limits": limits, "models": directory.MODELS, "consent_max_age_seconds": 3600}
    async with AsyncExitStack() as stack:
        runtimes = {
            service.name: await stack.enter_async_context(running(dsn, "", "none", service, **more))
            for service in ALL
        }
        app = app_of(ALL)
        mount(app, runtimes, TokenVerifier([trusting(ISSUER)], AUDIENCE))
        stopping, listener = asyncio.Event(), listening_socket("127.0.0.1", 0)
        serving = asyncio.create_task(serve(app, listener, runtimes["consent"].settings, stopping=stopping))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        site = Everything(runtimes, session, listener.getsockname()[1])
        for runtime in runtimes.values():
            await advance_watermark(runtime, 0)
            for tenant, case_id in ((HOME, OWN), (ELSEWHERE, FOREIGN)):
                await _seed(runtime, tenant, case_id)
            pool: Any = runtime.api_pool
            for holder in pool._holders:
                if holder._con is not None:
                    holder._con.add_query_logger(lambda record: site.statements.append(record.query))
        # the first identity of a municipality makes the key of their digests
        identity = {"issuer": "https://sign-in.test", "subject": "nobody"}
        await site.ask(Route("POST", "/directory/sign-in", identity), inside("directory", "portal"), {})
        try:
            yield site
        finally:
            stopping.set()
            await serving


def ids(tenant: str) -> dict[str, Any]:
    """Return what an address may name of the examples of a municipality; nothing is parked here."""
    return {
        "parked_id": 1 if tenant == HOME else 2,
        "case_id": OWN if tenant == HOME else FOREIGN,
        "referral_id": referral.REFERRAL,
        "consent_id": consent.consent_id(),
        "evaluation_id": evaluation.EVALUATION,
        "notice_id": _notice(tenant),
        "account_id": people.ACCOUNT if tenant == HOME else _beside(FOREIGN, 6),
        "invitation_id": people.INVITATION if tenant == HOME else _beside(FOREIGN, 7),
        "membership_id": people.MEMBERSHIP,
        "organisation_id": directory.ORGANISATION if tenant == HOME else _beside(FOREIGN, 1),
        "offer_id": directory.OFFER if tenant == HOME else _beside(FOREIGN, 2),
        "person_id": notify.MOTHER if tenant == HOME else _beside(FOREIGN, 4),
        "recipient_id": notify.ORGANISATION if tenant == HOME else _beside(FOREIGN, 3),
    }


def _beside(one: UUID, number: int) -> UUID:
    """Return another id; a calculated one (UUIDv5) would be refused by its form."""
    return UUID(int=one.int + number)


def absent_ids() -> dict[str, Any]:
    """Return ids under which there is nothing."""
    return {name: new_id() for name in ids(HOME)} | {"parked_id": 3}


def _notice(tenant: str) -> UUID:
    return _NOTICE if tenant == HOME else _beside(FOREIGN, 5)


def _states(service: Service, tenant: str) -> Iterator[tuple[UUID, Any]]:
    """Return an example of a service's streams, by their ids in a municipality."""
    found = ids(tenant)
    case_id = found["case_id"]
    match service.name:
        case "referral":
            yield case_id, referral.a_case(referral.a_sent(), referral.a_consent())
        case "consent":
            yield case_id, CONSENT_CASES["requested"]
        case "agreement":
            yield case_id, agreement.a_case(agreement.an_in_force())
        case "evaluation":
            yield case_id, evaluation.a_case(evaluation.a_running(evaluation.a_due()))
        case "notify":
            yield case_id, _notified(tenant)
            yield found["recipient_id"], Parties(frozenset({found["recipient_id"]}))
            for person in (found["recipient_id"], found["person_id"]):
                yield (
                    _beside(person, int(tenant)),
                    Recipient(person, "da", has_address=False, recorded_by=person),
                )
        case "directory":
            yield municipality_stream(tenant), directory.a_municipality_with_a_department()
            yield found["organisation_id"], directory.an_organisation()
            yield found["offer_id"], directory.an_offer()
            yield found["account_id"], people.an_account()
            yield found["invitation_id"], people.an_invitation()
            yield case_id, FamilyCase(directory.DEPARTMENT, None, frozenset({found["person_id"]}))
        case "audit":
            yield case_id, audit.states()[0]


def _notified(tenant: str) -> NotifiedCase:
    notices = {
        _notice(tenant) if notice_id == _NOTICE else uuid5(notice_id, tenant): notice
        for notice_id, notice in _NOTIFIED.notices.items()
    }
    return replace(_NOTIFIED, notices=notices)


async def _seed(runtime: Runtime, tenant: str, case_id: UUID) -> None:
    """Store the examples of a service, with their rows in the lists."""
    async with runtime.pool.acquire() as tx, tx.transaction():
        for stream_id, state in _states(runtime.service, tenant):
            stream = new_stream(stream_id, tenant)
            stream.state, stream.changed = state, True
            write_set = WriteSet([stream])
            consumed = (audit.consumed(audit.case_opened(), 1),) if runtime.service.name == "audit" else ()
            if runtime.service.projection is not None:
                change = StreamChange(
                    case_id if consumed else stream_id, tenant, 1, None, state, (), consumed
                )
                await runtime.service.projection(write_set, [change])
            await save(tx, write_set)


ROLES_IN_ORDER: Final = sorted(ROLES)
