"""At the door: who asks, under which key, having seen what; every no is said, and nothing happens twice."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import NAMESPACE_URL, UUID, uuid5

import aiohttp
import asyncpg
import pytest
from fastapi import APIRouter, Depends
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey
from pydantic import BaseModel, ConfigDict, Field

from contracts.consent import ConsentLost
from contracts.event import municipality_stream
from contracts.model import load_models, model_folder
from services.kernel.clock import wall
from services.kernel.decider.service import Service
from services.kernel.embedded.servers import postgres
from services.kernel.errors import ConsentUnknown
from services.kernel.http.application import LARGEST_BODY, mount
from services.kernel.http.authentication import TokenVerifier
from services.kernel.http.requests import CommandResult, RequestContext, access_stream, request_context
from services.kernel.http.server import app_of, listening_socket, serve
from services.kernel.ids import new_id
from services.kernel.postgres import connections as database
from services.kernel.postgres.connections import Tx
from services.kernel.runtime.runtime import Runtime
from tests.servers import scratch_folder
from tests.tally import ACTOR, TALLY, TENANT, Count, running
from tests.waiting import until

AUDIENCE = "samspil"
ISSUER, STRANGER = OKPKey.generate_key("Ed25519"), OKPKey.generate_key("Ed25519")
TALLY_ID = UUID("0199a000-0000-7000-8000-000000000010")
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "strict-transport-security": "max-age=31536000",
}
router = APIRouter(prefix="/consent", tags=["consent"])
TallyDesk = Annotated[RequestContext, Depends(request_context("consent"))]


class CountBody(BaseModel):
    """What is counted."""

    model_config = ConfigDict(extra="forbid")

    referral_id: UUID
    word: str = Field(default="", max_length=100)


class Shown(BaseModel):
    """A tally, for somebody who may see it."""

    version: int
    seen: tuple[UUID, ...]
    word: str | None


@router.post("/tallies", status_code=201)
async def begin(body: CountBody, request: TallyDesk) -> CommandResult:
    """Begin a tally of a new id."""
    return await request.execute(new_id(), Count(body.referral_id, body.word))


@router.post("/tallies/{tally_id}/counts")
async def count(tally_id: UUID, body: CountBody, request: TallyDesk) -> CommandResult:
    """Count once more."""
    made = new_id()
    return await request.execute(tally_id, Count(body.referral_id, body.word), created=made)


@router.get("/tallies/{tally_id}")
async def show(tally_id: UUID, request: TallyDesk) -> Shown:
    """Show a tally with its word."""
    seen = await request.read_private(tally_id, what=("word", "seen"), purpose="casework")
    return Shown(version=seen.version, seen=seen.state.seen, word=seen.private.get("word"))


@router.get("/tallies/{tally_id}/status")
async def status(tally_id: UUID, request: TallyDesk) -> Shown:
    """Show a tally without its word."""
    seen = await request.read(tally_id)
    return Shown(version=seen.version, seen=seen.state.seen, word=seen.private.get("word"))


@router.get("/tallies")
async def list_tallies(request: TallyDesk) -> int:
    """Count the tallies at the address at which they are begun."""
    return await request.query(_number)


@router.get("/numbers")
async def numbers(request: TallyDesk) -> int:
    """Count the tallies of the actor's municipality."""
    request.require_role("caseworker")
    return await request.query(_number)


@router.get("/bug")
async def bug(word: str) -> None:
    """Break."""
    raise RuntimeError(word)


async def _number(tx: Tx, *, tenant: str) -> int:
    found: int = await tx.fetchval(
        "select count(*) from streams where tenant = $1 and state is not null", tenant
    )
    return found


SERVICE = replace(TALLY, routes=router)


def a_token(key: OKPKey = ISSUER, **claims: object) -> str:
    """Return a token, of a caseworker unless it says otherwise."""
    now = int(datetime.now(UTC).timestamp())
    whole = {
        "sub": str(ACTOR),
        "aud": AUDIENCE,
        "exp": now + 300,
        "role": "caseworker",
        "tenant": TENANT,
        **claims,
    }
    told = {name: value for name, value in whole.items() if value is not None}
    return jwt.encode({"alg": "Ed25519"}, told, key, algorithms=["Ed25519"])


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        """What was said, as JSON."""
        return json.loads(self.text)

    @property
    def slug(self) -> str:
        """Return which problem it is; every problem has the shape of RFC 9457."""
        assert self.headers["content-type"] == "application/problem+json"
        assert self.body["status"] == self.status
        assert self.body["title"].endswith((".", "`errors`."))
        return str(self.body["type"]).removeprefix("urn:samspil:problem:")


@dataclass
class Site:
    """A service behind its port, and somebody who asks."""

    runtime: Runtime
    session: aiohttp.ClientSession
    port: int

    async def ask(self, method: str, path: str, *, token: str | None = "", **more: Any) -> Answer:
        """Ask as the bearer of a token; every answer must carry the headers."""
        headers = dict(more.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token or a_token()}"
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self.session.request(method, url, headers=headers, **more) as answer:
            text = await answer.text()
        found = {name.lower(): value for name, value in answer.headers.items()}
        assert {name: found.get(name) for name in HEADERS} == HEADERS
        return Answer(answer.status, found, text)

    async def begin(self, key: str | None = None, *, word: str = "", **more: Any) -> Answer:
        """Begin a tally."""
        headers = {"Idempotency-Key": key or str(new_id())} if key != "" else {}
        body = {"referral_id": str(ACTOR), "word": word}
        return await self.ask("POST", "/consent/tallies", json=body, headers=headers, **more)

    async def count(
        self, tally: str, version: object, key: str | None = None, *, referral: object = ACTOR, **more: Any
    ) -> Answer:
        """Count in a tally, having seen a version."""
        headers = {"Idempotency-Key": key or str(new_id())}
        if version is not None:
            headers["If-Match"] = f'"{version}"' if isinstance(version, int) else str(version)
        path = f"/consent/tallies/{tally}/counts"
        return await self.ask("POST", path, json={"referral_id": str(referral)}, headers=headers, **more)

    async def events(self) -> list[tuple[UUID, int, str, Any]]:
        """Return what the log holds."""
        rows = await self.runtime.pool.fetch("select stream_id, seq, type, data from event_log order by id")
        return [(row["stream_id"], row["seq"], row["type"], json.loads(row["data"])) for row in rows]

    async def types(self) -> list[str]:
        """Return the types of what the log holds."""
        return [event_type for _, _, event_type, _ in await self.events()]


@asynccontextmanager
async def open_site(dsn: str, service: Service = SERVICE, **more: Any) -> AsyncIterator[Site]:
    """Serve a service on a port of the loopback address while the block runs."""
    stopping, door = asyncio.Event(), listening_socket("127.0.0.1", 0)
    async with running(dsn, "", "none", service, **more) as runtime, aiohttp.ClientSession() as session:
        app = app_of([service])
        mount(app, {service.name: runtime}, TokenVerifier(KeySet([ISSUER]), AUDIENCE))
        serving = asyncio.create_task(serve(app, door, stopping=stopping))
        site = Site(runtime, session, door.getsockname()[1])

        async def open_() -> bool:
            try:
                return (await site.ask("GET", "/live", token=None)).status == 200
            except aiohttp.ClientConnectorError:
                return False

        try:
            await until(open_)
            yield site
        finally:
            stopping.set()
            await serving


@pytest.fixture
async def site(postgres_dsn: str) -> AsyncIterator[Site]:
    """Run a site."""
    async with open_site(postgres_dsn) as opened:
        yield opened


# Who asks


async def test_who_sends_no_token_is_asked_to_sign_in(site: Site) -> None:
    """And is told how."""
    answer = await site.begin(token=None)

    assert (answer.status, answer.slug) == (401, "token-missing")
    assert answer.headers["www-authenticate"] == "Bearer"


EXPIRED = int(time.time()) - 3600
TOKENS: dict[str, Callable[[], str]] = {
    "no token at all": lambda: "guess",
    "another issuer's": lambda: a_token(STRANGER),
    "unsigned": lambda: "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.",
    "expired": lambda: a_token(exp=EXPIRED),
    "for another audience": lambda: a_token(aud="other"),
    "for other audiences": lambda: a_token(aud=["other", "another"]),
    "for nobody": lambda: a_token(aud=[]),
    "that ends at no time": lambda: a_token(exp="soon"),
    "of the system": lambda: a_token(role="system"),
    "of an unknown role": lambda: a_token(role="mayor"),
    "without a role": lambda: a_token(role=None),
    "without a municipality": lambda: a_token(tenant=None),
    "of no municipality": lambda: a_token(tenant="44"),
    "of somebody without an id": lambda: a_token(sub="Karen"),
    "that never ends": lambda: a_token(exp=None),
    "whose time has not come": lambda: a_token(nbf=int(time.time()) + 3600),
    "whose head breaks the reader": lambda: "eyJhbGciOiJFZDI1NTE5IiwiY3JpdCI6NX0.e30.e30",
}


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS.keys())
async def test_a_token_that_is_not_good_is_refused(site: Site, token: Callable[[], str]) -> None:
    """Nothing happens, and the token is not repeated; it is made here, so that only its fault is at fault."""
    given = token()
    answer = await site.begin(token=given)

    assert (answer.status, answer.slug) == (401, "token-invalid")
    assert given not in answer.text
    assert await site.events() == []


async def test_a_token_may_be_spelt_as_the_standard_allows(site: Site) -> None:
    """Several audiences, and times between two seconds (RFC 7519, 2 and 4.1.3)."""
    now = time.time()
    tokens = [
        a_token(aud=["other", AUDIENCE]),
        a_token(exp=now + 300.5, nbf=now - 0.5),
        a_token(nbf=0),
    ]

    assert [(await site.begin(token=token)).status for token in tokens] == [201] * 3


async def test_a_good_token_is_good_until_it_ends(site: Site) -> None:
    """A token that was good a moment ago is refused once its time is over."""
    token = a_token(exp=int(time.time()) - 25)  # five of the thirty seconds by which clocks may differ
    good = await site.begin(token=token)

    async def ended() -> bool:
        return (await site.begin(token=token)).status == 401

    await until(ended)
    assert good.status == 201


async def test_who_may_not_is_refused_and_it_is_noted(site: Site) -> None:
    """The trail says who tried what on which case; nothing else happened."""
    begun = (await site.begin()).body["id"]
    coordinator = a_token(role="coordinator", sub="0199a000-0000-7000-8000-0000000000cc")

    done = await site.count(begun, 1, token=coordinator)
    looked = await site.ask("GET", f"/consent/tallies/{begun}", token=coordinator)
    shown = await site.ask("GET", f"/consent/tallies/{begun}/status", token=coordinator)

    assert [(each.status, each.slug) for each in (done, looked, shown)] == [(403, "not-allowed")] * 3
    tried = [event for event in await site.events() if event[2] == "consent.access_refused.v1"]
    assert [event[3] for event in tried] == [
        {"case_id": begun, "wanted": wanted, "slug": "not_allowed"} for wanted in ("count", "look", "look")
    ]
    assert [event[1] for event in tried] == [1, 2, 3]
    rows = await site.runtime.pool.fetch("select meta ->> 1 as actor, meta ->> 2 as role from event_log")
    assert [tuple(row) for row in rows][1:] == [("0199a000-0000-7000-8000-0000000000cc", "coordinator")] * 3


async def test_a_list_is_for_its_roles(site: Site) -> None:
    """A query asks for the role, and sees one municipality."""
    await site.begin()
    await site.begin(token=a_token(tenant="0461"))

    refused = await site.ask("GET", "/consent/numbers", token=a_token(role="guardian"))
    found = await site.ask("GET", "/consent/numbers")

    assert (refused.status, refused.slug) == (403, "not-allowed")
    assert (found.status, found.body) == (200, 1)


# What is there


async def test_a_wrong_id_is_not_found(site: Site) -> None:
    """Nothing is there to look at, nor is it made by looking."""
    for path in (f"/consent/tallies/{TALLY_ID}", f"/consent/tallies/{TALLY_ID}/status"):
        answer = await site.ask("GET", path)
        assert (answer.status, answer.slug) == (404, "missing")
    assert await site.events() == []


async def test_another_municipality_sees_nothing(site: Site) -> None:
    """What belongs to one municipality is not there for the other, for no step and no look."""
    begun = (await site.begin(word="private")).body["id"]
    elsewhere = a_token(tenant="0461")

    answers = [
        await site.count(begun, 1, token=elsewhere),
        await site.ask("GET", f"/consent/tallies/{begun}", token=elsewhere),
        await site.ask("GET", f"/consent/tallies/{begun}/status", token=elsewhere),
    ]

    assert [(answer.status, answer.slug) for answer in answers] == [(404, "missing")] * 3
    assert await site.types() == ["consent.given.v1"]


async def test_another_municipality_is_not_forestalled(site: Site) -> None:
    """Its own stream, whose id anybody can reckon, is taken by nobody else before it begins."""
    others, own = municipality_stream("0461"), municipality_stream(TENANT)

    taken = await site.count(str(others), None)
    made_up = await site.count(str(uuid5(NAMESPACE_URL, "a tally")), None)
    began = await site.count(str(others), None, token=a_token(tenant="0461"))

    assert (taken.status, taken.slug) == (404, "missing")
    assert (made_up.status, began.status) == (200, 200)
    assert (await site.count(str(own), None)).status == 200


async def test_an_unknown_address_is_said(site: Site) -> None:
    """As is a method that an address does not take, with all those that it does."""
    nowhere = await site.ask("GET", "/consent/nowhere")
    wrong = await site.ask("DELETE", f"/consent/tallies/{TALLY_ID}")
    both = await site.ask("OPTIONS", "/consent/tallies")
    aside = await site.ask("POST", "/consent/tallies/", headers={"Host": "else.example"})

    assert (nowhere.status, nowhere.slug) == (404, "http-404")
    assert (aside.status, aside.slug) == (404, "http-404")
    assert (wrong.status, wrong.slug, wrong.headers["allow"]) == (405, "http-405", "GET")
    assert (both.status, both.headers["allow"]) == (405, "GET, POST")


# What was seen


async def test_the_version_that_was_seen_is_asked_for(site: Site) -> None:
    """A step on what exists names its version; a stale one is refused; the right one goes through."""
    first = await site.begin()
    begun = first.body["id"]

    missing = await site.count(begun, None)
    right = await site.count(begun, 1)
    stale = await site.count(begun, 1)
    weak = await site.count(begun, 'W/"2"')

    assert first.headers["etag"] == '"1"'
    assert (missing.status, missing.slug) == (428, "version-missing")
    assert (right.status, right.body["version"], right.headers["etag"]) == (200, 2, '"2"')
    assert (stale.status, stale.slug, stale.body["detail"]) == (412, "stale", "it stands at 2")
    assert weak.status == 200


@pytest.mark.parametrize("seen", ["*", '"one"', '"-1"', '"1", "2"', '"' + "9" * 5000 + '"', '"\u00b2"', '""'])
async def test_a_version_that_is_none_is_said(site: Site, seen: str) -> None:
    """Whatever stands in If-Match, the answer says what should."""
    begun = (await site.begin()).body["id"]
    raw = (
        f"POST /consent/tallies/{begun}/counts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {a_token()}\r\n"
        f"idempotency-key: 1\r\nif-match: {seen}\r\ncontent-type: application/json\r\n"
        f'content-length: 54\r\nconnection: close\r\n\r\n{{"referral_id":"{ACTOR}"}}'
    )

    answer = await say(site.port, raw.encode("latin-1"))

    assert answer.startswith("HTTP/1.1 428 ")
    assert "urn:samspil:problem:version-missing" in answer


async def say(port: int, raw: bytes) -> str:
    """Return the answer to a request as it stands on the wire."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.decode("latin-1")


# Once


async def test_a_repeated_key_gets_the_same_answer(site: Site) -> None:
    """However often a request comes, and whatever happened since, it is done once."""
    first = await site.begin("key-1")
    counted = await site.count(first.body["id"], 1, "key-2")
    await site.count(first.body["id"], 2, "key-3")

    again = [await site.begin("key-1") for _ in range(3)]
    counted_again = await site.count(first.body["id"], 1, "key-2")

    assert [answer.body for answer in again] == [first.body] * 3
    assert [answer.status for answer in again] == [201] * 3
    assert (counted_again.body, counted_again.headers["etag"]) == (counted.body, '"2"')
    assert counted.body["made"] is not None
    assert await site.types() == ["consent.given.v1"] * 3


async def test_twenty_at_once_under_one_key_are_one(site: Site) -> None:
    """A nervous finger begins one tally, and counts once in it."""
    begun = await asyncio.gather(*(site.begin("key-1") for _ in range(20)))
    tally = begun[0].body["id"]
    counted = await asyncio.gather(*(site.count(tally, 1, "key-2") for _ in range(20)))

    assert {answer.status for answer in begun} == {201}
    assert {answer.text for answer in begun} == {begun[0].text}
    assert {answer.status for answer in counted} == {200}
    assert {answer.text for answer in counted} == {counted[0].text}
    assert await site.types() == ["consent.given.v1"] * 2


async def test_twenty_at_once_under_keys_of_their_own_lose_nothing(site: Site) -> None:
    """One of those who saw the same goes through, the others are told that it has changed."""
    tally = (await site.begin()).body["id"]
    counted = await asyncio.gather(*(site.count(tally, 1, f"key-{n}") for n in range(20)))

    assert sorted(answer.status for answer in counted) == [200] + [412] * 19
    assert {answer.slug for answer in counted if answer.status == 412} == {"stale"}
    assert await site.types() == ["consent.given.v1"] * 2


async def test_a_key_belongs_to_one_request(site: Site) -> None:
    """The same key for something else is refused: another body, another address."""
    tally = (await site.begin("key-1")).body["id"]

    other_body = await site.begin("key-1", word="else")
    other_address = await site.count(tally, 1, "key-1")

    assert (other_body.status, other_body.slug) == (422, "key-reused")
    assert (other_address.status, other_address.slug) == (422, "key-reused")
    assert await site.types() == ["consent.given.v1"]


async def test_a_key_belongs_to_one_person(site: Site) -> None:
    """Two people, or one in two municipalities, may choose the same key."""
    answers = [
        await site.begin("key-1"),
        await site.begin("key-1", token=a_token(sub=str(TALLY_ID))),
        await site.begin("key-1", token=a_token(tenant="0461")),
    ]

    assert len({answer.body["id"] for answer in answers}) == 3


async def test_a_refused_command_leaves_its_key_free(site: Site) -> None:
    """What was not done can be done under the same key, once what was missing is there."""
    tally = (await site.begin()).body["id"]

    stale = await site.count(tally, 7, "key-1")
    mended = await site.count(tally, 1, "key-1")

    assert (stale.status, mended.status) == (412, 200)


@pytest.mark.parametrize("key", ["", "k" * 201])
async def test_a_key_is_asked_for(site: Site, key: str) -> None:
    """Without one, or with one that is no key, nothing happens."""
    answer = await site.begin(key)

    assert (answer.status, answer.slug) == (400, "key-missing")
    assert await site.events() == []


async def test_a_rule_that_says_no_says_which(site: Site) -> None:
    """409, the rule's name and sentence."""
    tally = (await site.begin()).body["id"]

    answer = await site.count(tally, 1, referral=UUID(int=0))

    assert (answer.status, answer.slug) == (409, "too-many")
    assert answer.body["title"] == "More than the tally can hold."


# What was said


async def test_a_body_that_is_not_json_is_said(site: Site) -> None:
    """400, and not a word of it comes back."""
    headers = {"Idempotency-Key": "1", "Content-Type": "application/json"}
    answer = await site.ask("POST", "/consent/tallies", data=b'{"word": "Karen', headers=headers)

    assert (answer.status, answer.slug) == (400, "body-unreadable")
    assert "Karen" not in answer.text


A_BODY = f'{{"referral_id": "{ACTOR}", "word": "Karen"}}'
UNREADABLE = {
    "not UTF-8": A_BODY.encode().replace(b"Karen", b"Karen \xff"),
    "UTF-16": A_BODY.encode("utf-16"),
    "UTF-16 without a mark": A_BODY.encode("utf-16-le"),
    "UTF-32": A_BODY.encode("utf-32"),
    "half a pair": A_BODY.encode().replace(b"Karen", b"\xed\xa0\x80"),
    "too deep": b'{"word": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "a number without end": b'{"word": ' + b"1" * 5_000 + b"}",
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_a_body_that_cannot_be_read_is_said(site: Site, body: bytes) -> None:
    """400 with the one name that it has, whatever the reader stumbles over."""
    headers = {"Idempotency-Key": "1", "Content-Type": "application/json"}
    answer = await site.ask("POST", "/consent/tallies", data=body, headers=headers)

    assert (answer.status, answer.slug) == (400, "body-unreadable")
    assert "Karen" not in answer.text
    assert await site.events() == []


async def test_wrong_fields_are_named_and_not_repeated(site: Site) -> None:
    """422 with where and what, and no value."""
    body = {"referral_id": "Karen Hansen", "word": "Søren" * 50, "more": "Mette", "Anne Holm": 1}
    answer = await site.ask("POST", "/consent/tallies", json=body, headers={"Idempotency-Key": "1"})

    assert (answer.status, answer.slug) == (422, "body-not-understood")
    assert {(error["at"], error["what"]) for error in answer.body["errors"]} == {
        ("body/referral_id", "uuid_parsing"),
        ("body/word", "string_too_long"),
        ("body/more", "extra_forbidden"),
        ("body/?", "extra_forbidden"),
    }
    for value in ("Karen", "Søren", "Mette", "Anne"):
        assert value not in answer.text


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (r"a\u0000", 422),
        (r"\\\u0000", 422),
        (r"\\u0000", 201),
        (r"\\\\u0000", 201),
        (r"\u0001", 201),
        (r"\u00000", 422),
    ],
)
async def test_a_text_holds_no_nothing(site: Site, raw: str, status: int) -> None:
    """The character U+0000 is refused before the database meets it; what only looks like it is kept."""
    body = f'{{"referral_id": "{ACTOR}", "word": "{raw}"}}'.encode()
    headers = {"Idempotency-Key": "1", "Content-Type": "application/json"}

    answer = await site.ask("POST", "/consent/tallies", data=body, headers=headers)
    asked = await site.ask("GET", "/consent/bug?word=%00")

    assert answer.status == status
    assert status == 201 or answer.body["errors"][0]["at"] == "body"
    assert (asked.status, asked.slug, asked.body["errors"][0]["at"]) == (422, "body-not-understood", "query")


async def test_a_body_has_its_bounds(site: Site) -> None:
    """413 for one that says how long it is, and for one that does not; one within them is read."""
    filled = json.dumps({"referral_id": str(ACTOR), "word": "x" * LARGEST_BODY}).encode()

    async def in_parts() -> AsyncIterator[bytes]:
        for start in range(0, len(filled), 8192):
            yield filled[start : start + 8192]

    headers = {"Idempotency-Key": "1", "Content-Type": "application/json"}
    told = await site.ask("POST", "/consent/tallies", data=filled, headers=headers)
    untold = await site.ask("POST", "/consent/tallies", data=in_parts(), headers=headers)
    within = await site.ask("POST", "/consent/tallies", data=filled[: LARGEST_BODY - 10], headers=headers)

    assert (told.status, told.slug) == (413, "http-413")
    assert (untold.status, untold.slug) == (413, "http-413")
    assert (within.status, within.slug) == (400, "body-unreadable")
    assert await site.events() == []


async def test_a_bug_is_said_without_its_words(site: Site) -> None:
    """500 as a problem with all the headers; what broke is not repeated."""
    answer = await site.ask("GET", "/consent/bug?word=Karen")

    assert (answer.status, answer.slug) == (500, "bug")
    assert "Karen" not in answer.text
    assert "RuntimeError" not in answer.text


async def test_health_and_numbers_carry_the_headers_too(site: Site) -> None:
    """Every answer has them, whoever asks."""
    for path in ("/live", "/ready", "/metrics", "/openapi.json"):
        assert (await site.ask("GET", path, token=None)).status in {200, 503}


# In which language


ANSWERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "token-missing": ("GET", "/consent/numbers", {"token": None}),
    "token-invalid": ("GET", "/consent/numbers", {"token": "guess"}),
    "not-allowed": ("GET", "/consent/numbers", {"role": "guardian"}),
    "missing": ("GET", f"/consent/tallies/{TALLY_ID}", {}),
    "http-404": ("GET", "/consent/nowhere", {}),
    "http-405": ("DELETE", f"/consent/tallies/{TALLY_ID}", {}),
    "http-413": ("POST", "/consent/tallies", {"data": b"x" * (LARGEST_BODY + 1)}),
    "body-unreadable": ("POST", "/consent/tallies", {"data": b"{"}),
    "body-not-understood": ("POST", "/consent/tallies", {"json": {}}),
    "key-missing": ("POST", "/consent/tallies", {"json": {"referral_id": str(ACTOR)}}),
    "version-missing": ("POST", "", {"json": {"referral_id": str(ACTOR)}}),
    "stale": ("POST", "", {"json": {"referral_id": str(ACTOR)}, "headers": {"If-Match": '"7"'}}),
    "bug": ("GET", "/consent/bug?word=Karen", {}),
}
BEGINNINGS = {
    "da": "Du Der Det Dit Denne Log Send Angiv Indholdet Nogle Nogen",
    "nb": "Du Det Dette Innloggingen Denne Logg Send Oppgi Innholdet Noen",
    "en": "You There This Sign Send Say Some The Somebody",
}


async def said(site: Site, slug: str, begun: str, wish: str) -> Answer:
    """Return a no in the language that is wished for."""
    method, path, more = ANSWERS[slug]
    headers = {"Content-Type": "application/json", "Idempotency-Key": "key-2", **more.get("headers", {})}
    if slug == "key-missing":
        del headers["Idempotency-Key"]
    if wish:
        headers["Accept-Language"] = f"{wish}, *;q=0.1"
    where = path or f"/consent/tallies/{begun}/counts"
    given = {**more, "headers": headers}
    if role := given.pop("role", None):
        given["token"] = a_token(role=role)  # made at its use: a long run outlives a token
    return await site.ask(method, where, **given)


async def test_every_no_is_said_in_the_language_that_is_asked_for(postgres_dsn: str) -> None:
    """Name and status stay; the sentence follows the request, and without a wish the municipality."""
    async with open_site(postgres_dsn, models=load_models(model_folder())) as site:
        begun = (await site.begin("key-1")).body["id"]
        answers = {
            slug: {wish: await said(site, slug, begun, wish) for wish in ("da", "nb", "en", "")}
            for slug in ANSWERS
        }

    for slug, by_wish in answers.items():
        assert {answer.slug for answer in by_wish.values()} == {slug}
        assert len({answer.status for answer in by_wish.values()}) == 1
        assert {answer.headers["vary"] for answer in by_wish.values()} == {"Accept-Language"}
        spoken = [answer.headers["content-language"] for answer in by_wish.values()]
        assert spoken == ["da", "nb", "en", "da"]
        assert by_wish[""].body["title"] == by_wish["da"].body["title"]
        for language, beginnings in BEGINNINGS.items():
            assert by_wish[language].body["title"].split(" ")[0] in beginnings.split(" ")


async def test_where_no_model_is_the_answer_is_in_english(site: Site) -> None:
    """As it is for somebody who asks for languages that we do not speak."""
    unasked = await site.ask("GET", "/consent/nowhere")
    unspoken = await site.ask("GET", "/consent/nowhere", headers={"Accept-Language": "sv, fi"})

    assert [answer.headers["content-language"] for answer in (unasked, unspoken)] == ["en", "en"]
    assert unasked.body["title"] == "There is nothing at this address."


# The trail


async def test_a_look_is_in_the_trail(site: Site) -> None:
    """Who looked at what and why, on the looker's own stream, with the answer not without it."""
    begun = (await site.begin(word="private")).body["id"]

    shown = await site.ask("GET", f"/consent/tallies/{begun}")

    assert (shown.status, shown.body["word"], shown.headers["etag"]) == (200, "private", '"1"')
    stream_id, seq, event_type, data = (await site.events())[-1]
    assert (stream_id, seq, event_type) == (access_stream(actor()), 1, "consent.looked.v1")
    assert data == {"case_id": begun, "what": ["word", "seen"], "purpose": "casework"}


def actor() -> Any:
    """Return the caseworker of the tests."""
    return TokenVerifier(KeySet([ISSUER]), AUDIENCE).authenticate(f"Bearer {a_token()}")


async def test_looks_at_once_are_each_in_the_trail(site: Site) -> None:
    """Somebody who opens twenty windows has looked twenty times."""
    begun = (await site.begin(word="private")).body["id"]

    shown = await asyncio.gather(*(site.ask("GET", f"/consent/tallies/{begun}") for _ in range(20)))

    assert {answer.status for answer in shown} == {200}
    looks = [event[1] for event in await site.events() if event[2] == "consent.looked.v1"]
    assert looks == list(range(1, 21))


@pytest.mark.parametrize(("state", "status"), [("57P03", 503), ("P0001", 500)])
async def test_a_look_that_cannot_be_noted_fails(site: Site, state: str, status: int) -> None:
    """Where the trail cannot be written nothing is shown."""
    begun = (await site.begin(word="private")).body["id"]
    await site.runtime.pool.execute(
        "create function down() returns trigger language plpgsql as "
        f"$$ begin raise exception 'down' using errcode = '{state}'; end $$"
    )
    await site.runtime.pool.execute(
        "create trigger down before insert on event_log for each row execute function down()"
    )

    shown = await site.ask("GET", f"/consent/tallies/{begun}")

    assert shown.status == status
    assert shown.slug in {"try-later", "bug"}
    assert "private" not in shown.text
    assert str(ACTOR) not in shown.text


async def test_what_is_not_private_leaves_no_look(site: Site) -> None:
    """A status without private values is not a look."""
    begun = (await site.begin(word="private")).body["id"]

    shown = await site.ask("GET", f"/consent/tallies/{begun}/status")

    assert (shown.status, shown.body["word"]) == (200, None)
    assert await site.types() == ["consent.given.v1"]


# When something is away


async def test_a_database_that_is_away_is_waited_for() -> None:
    """503 and when to come again; the same request under the same key then goes through, once."""
    with scratch_folder() as folder:
        async with postgres(folder / "postgres") as server, open_site(server.dsn) as site:
            before = await site.begin("key-1")
            await server.stop(immediate=True)
            away = [await site.begin("key-2"), await site.ask("GET", "/consent/numbers")]
            ready = await site.ask("GET", "/ready", token=None)
            await server.start()
            back = await site.begin("key-2")
            again = [await site.begin("key-2"), await site.begin("key-1")]
            found = await site.types()

    assert [(answer.status, answer.slug) for answer in away] == [(503, "try-later")] * 2
    assert {answer.headers["retry-after"] for answer in away} == {"1"}
    assert ready.status == 503
    assert "database" in ready.body["reasons"]["consent"]
    assert back.status == 201
    assert [answer.body for answer in again] == [back.body, before.body]
    assert found == ["consent.given.v1"] * 2


async def test_a_busy_database_is_not_waited_for_without_end(postgres_dsn: str) -> None:
    """When every connection is taken for long the answer is to come again."""
    async with open_site(postgres_dsn, pool=2) as site:
        held = [await site.runtime.pool.acquire() for _ in range(2)]
        busy = await site.ask("GET", "/consent/numbers")
        for connection in held:
            await site.runtime.pool.release(connection)
        free = await site.ask("GET", "/consent/numbers")

    assert (busy.status, busy.slug, busy.headers["retry-after"]) == (503, "try-later", "1")
    assert free.status == 200


async def test_a_statement_whose_time_is_up_is_no_bug(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits too long behind a stranger's lock is told to come again; then it is done, once."""
    monkeypatch.setattr(database, "_LONGEST_STATEMENT", "200ms")
    stranger = await asyncpg.connect(postgres_dsn)
    async with open_site(postgres_dsn) as site:
        async with stranger.transaction():
            await stranger.execute("lock table consent.streams in access exclusive mode")
            waited = [await site.begin("key-1"), await site.ask("GET", "/consent/numbers")]
        back = [await site.begin("key-1") for _ in range(2)]
        found = await site.types()
    await stranger.close()

    assert [(answer.status, answer.slug) for answer in waited] == [(503, "try-later")] * 2
    assert {answer.headers["retry-after"] for answer in waited} == {"1"}
    assert [answer.status for answer in back] == [201, 201]
    assert back[0].body == back[1].body
    assert found == ["consent.given.v1"]


async def test_without_fresh_word_of_consents_the_gate_is_shut(postgres_dsn: str) -> None:
    """503 until the consents are known again; it is not noted as a refusal."""

    def allows(_state: Any, _trigger: Any, given: Any) -> bool:
        if not given.consents_fresh:
            raise ConsentUnknown
        return True

    service = replace(SERVICE, subscribes_to=(ConsentLost,), authorize=allows)
    async with open_site(postgres_dsn, service, horizon_seconds=60) as site:
        shut = await site.begin("key-1")
        await tick(site.runtime, 61.0)
        old = await site.begin("key-1")
        await tick(site.runtime, 1.0)
        open_ = await site.begin("key-1")
        found = await site.types()

    assert [(answer.status, answer.slug) for answer in (shut, old)] == [(503, "consent-unknown")] * 2
    assert shut.headers["retry-after"] == "5"
    assert open_.status == 201
    assert found == ["consent.given.v1"]


async def tick(runtime: Runtime, age: float) -> None:
    """Let every partition's last tick be so many seconds old."""
    at_ = datetime.fromtimestamp(wall().timestamp() - age, UTC)
    async with runtime.pool.acquire() as tx:
        await runtime.processor.dependencies.watermark.advance(
            tx, dict.fromkeys(range(runtime.settings.partitions), at_)
        )


async def test_a_command_survives_cut_connections(site: Site) -> None:
    """A connection that the server has ended costs one answer at most, and never a doubled deed."""
    stranger = await asyncpg.connect(site.runtime.settings.database.get_secret_value())
    answers = []
    for n in range(5):
        await stranger.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'samspil consent'"
        )
        while (answer := await site.begin(f"key-{n}")).status == 503:
            assert answer.headers["retry-after"] == "1"
        answers.append(answer)
    await stranger.close()

    assert {answer.status for answer in answers} == {201}
    assert await site.types() == ["consent.given.v1"] * 5
