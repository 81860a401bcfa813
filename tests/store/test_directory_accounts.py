"""The API of accounts: people are invited, sign in, get and lose roles; caseworkers let families in."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from contracts.consent import CustodyConfirmed, CustodyRecorded
from contracts.event import Event, municipality_stream
from contracts.referral import CaseOpened
from services.cli.account import invite_administrator
from services.directory.app import SERVICE
from services.directory.domain.codes import read_code
from services.directory.domain.commands import MakeInvitation
from services.directory.domain.states import Position
from services.kernel.clock import VirtualClock
from services.kernel.consumer.decoding import EventDecoder
from services.kernel.consumer.processing import BatchStore
from services.kernel.decider.decision import Actor
from services.kernel.errors import NotFound
from services.kernel.ids import new_id
from services.kernel.limits import Limits
from services.kernel.operations.operator_commands import execute_for
from tests.examples_directory import MODEL, MODELS, TENANT
from tests.http_site import Answer, Site, a_token, open_site
from tests.tally import a_message, a_record
from tests.waiting import until

QUICK = Limits(revocations_seconds=0.02)
ISSUER = "https://login.test"
DEPARTMENT_NAME, STAFF_NAME = "Familieafdelingen", "Kirsten Å. Sørensen"
CASE, MOTHER, CHILD = new_id(), new_id(), new_id()


@dataclass
class Directory:
    """The directory behind its port, asked by people in a role."""

    site: Site
    administrator: UUID

    async def post(
        self, path: str, body: dict[str, Any] | None = None, *, version: int | None = None, **claims: Any
    ) -> Answer:
        """Send a command, as the administrator unless the claims say otherwise."""
        headers = {"Idempotency-Key": str(claims.pop("key", new_id()))}
        if version is not None:
            headers["If-Match"] = f'"{version}"'
        return await self.site.request(
            "POST", f"/directory/{path}", token=self.token(**claims), json=body or {}, headers=headers
        )

    async def get(self, path: str, **claims: Any) -> Answer:
        """Read, as the administrator unless the claims say otherwise."""
        return await self.site.request("GET", f"/directory/{path}", token=self.token(**claims))

    def token(self, **claims: Any) -> str:
        """Return a token, of the administrator unless the claims say otherwise."""
        return a_token(
            **{"role": "administrator", "sub": str(self.administrator), "tenant": TENANT, **claims}
        )

    async def department(self) -> str:
        """Adopt the model and name a department; return its id."""
        await self.post("models/adopt", {"model": MODEL.id, "version": MODEL.version}, version=0)
        made = await self.post("departments", {"kind": "child_welfare", "name": DEPARTMENT_NAME})
        assert made.status == 201
        return str(made.body["made"])

    async def invite(self, role: str = "auditor", **more: Any) -> Any:
        """Invite somebody to a role; return the answer with the code."""
        claims = more.pop("claims", {})
        answer = await self.post("invitations", {"role": role, **more}, **claims)
        assert answer.status == 201, answer.text
        return answer.body

    async def use(self, code: str, subject: str = "kirsten", **more: Any) -> Answer:
        """Give the code of an invitation after signing in."""
        body = {"code": code, "issuer": ISSUER, "subject": subject}
        national = {name: more.pop(name) for name in ("national_number",) if name in more}
        return await self.post("invitations/redeem", body | national, **{"role": "portal", **more})

    async def sign_in(self, subject: str = "kirsten", **more: Any) -> Answer:
        """Ask who an identity is."""
        return await self.post("sign-in", {"issuer": ISSUER, "subject": subject, **more}, role="portal")

    async def member(self, role: str = "auditor", subject: str = "kirsten", **more: Any) -> Any:
        """Invite somebody, let them use the code, and return how they sign in."""
        invitation = await self.invite(role, **{"name": STAFF_NAME, **more})
        used = await self.use(invitation["code"], subject)
        assert used.status == 200, used.text
        return used.body

    async def family(self, department_id: str, *, is_confirmed: bool = True) -> dict[str, Any]:
        """Consume what other services say of a case; return the claims of a caseworker of its department."""
        opened = CaseOpened(
            department_id=UUID(department_id), caseworker_id=new_id(), model="kerteminde", model_version=1,
            child_id=CHILD,
        )  # fmt: skip
        recorded = datetime(2026, 3, 2, 9, tzinfo=UTC)
        custody = CustodyRecorded(holder_ids=(MOTHER,), quorum="all", rule="custody", recorded_at=recorded)
        events: list[tuple[str, Event]] = [("consent", custody), ("referral", opened)]
        if is_confirmed:
            events.append(("consent", CustodyConfirmed(recorded_at=recorded)))
        await self.consume(*events)
        return {"role": "caseworker", "department_id": department_id, "sub": str(new_id())}

    async def consume(self, *events: tuple[str, Event]) -> None:
        """Consume events of one case."""
        sequence: Counter[str] = Counter()
        records = []
        for source, event in events:
            sequence[source] += 1
            message = a_message(CASE, sequence[source], event)
            records.append(a_record(message, topic=f"samspil.{source}.v1"))
        batch = EventDecoder(SERVICE).read(records)
        assert batch.unreadable == []
        async with self.site.runtime.pool.acquire() as tx:
            await BatchStore(self.site.runtime.processor, self.site.runtime.settings).store(tx, batch)


@pytest.fixture
async def directory(postgres_dsn: str) -> AsyncIterator[Directory]:
    """Serve the directory, whose verifier reads the revocations often."""
    async with open_site(postgres_dsn, SERVICE, models=MODELS, limits=QUICK) as site:
        yield Directory(site, new_id())


async def test_an_employee_is_invited_and_signs_in_with_the_code_once(directory: Directory) -> None:
    """The administrator invites; whoever signs in with the code has the role, and the label of its place."""
    department_id = await directory.department()
    invitation = await directory.invite("caseworker", department_id=department_id, name=STAFF_NAME)
    unknown = await directory.sign_in()
    used = await directory.use(invitation["code"].lower().replace("-", " "))
    again = await directory.use(invitation["code"], "somebody else")
    signed_in = await directory.sign_in()

    assert unknown.status == 404
    assert (used.status, signed_in.status) == (200, 200)
    assert used.body == signed_in.body
    account_id = used.body["account_id"]
    (membership,) = used.body["memberships"]
    assert (membership["role"], membership["sub"], membership["label"]) == (
        "caseworker",
        account_id,
        DEPARTMENT_NAME,
    )
    assert used.body["name"] == STAFF_NAME
    assert (again.status, again.slug) == (409, "code-used")


async def test_a_repeated_request_shows_the_same_code(directory: Directory) -> None:
    """Who presses twice makes one invitation, and sees its code both times."""
    key = new_id()
    body = {"role": "auditor", "name": STAFF_NAME}
    first, second = [await directory.post("invitations", body, key=key) for _ in range(2)]
    listed = await directory.get("invitations")

    assert first.body == second.body
    assert len(listed.body["invitations"]) == 1
    assert read_code(first.body["code"])


async def test_no_event_and_no_table_says_who_somebody_is(directory: Directory) -> None:
    """Names, numbers, subjects and codes are sealed or keyed: in no event, and in no row that is readable."""
    invitation = await directory.invite(name=STAFF_NAME)
    await directory.use(invitation["code"], "subject-7", national_number="010203-1234")
    pool = directory.site.runtime.pool
    tables = ["event_log", "streams", "accounts", "memberships", "invitations", "identities", "sealed"]
    rows = str([[tuple(row) for row in await pool.fetch(f"select * from {one}")] for one in tables])  # noqa: S608
    identities = [row["identity_id"] for row in await pool.fetch("select identity_id from identities")]
    events = str(await directory.site.events())

    for secret in (
        STAFF_NAME,
        "subject-7",
        "0102031234",
        "010203-1234",
        read_code(invitation["code"]),
        ISSUER,
    ):
        assert secret not in rows
    assert len(identities) == 2
    assert not [one for one in identities if str(one) in events]


async def test_the_list_says_who_is_who_and_the_account_since_when_and_by_whom(directory: Directory) -> None:
    """Names are opened for the administrator, with one entry in the trail for the whole list."""
    first = await directory.member("auditor", "anna", name="Anna")
    second = await directory.member("administrator", "bo", name="Bo")
    page = await directory.get("accounts?limit=1")
    rest = await directory.get(f"accounts?limit=1&cursor={page.body['next']}")
    auditors = await directory.get("accounts?role=auditor&status=running")
    account = await directory.get(f"accounts/{first['account_id']}")
    looks = [event for event in await directory.site.types() if event == "directory.looked.v1"]

    assert [one["name"] for one in (*page.body["accounts"], *rest.body["accounts"])] == ["Anna", "Bo"]
    assert [one["account_id"] for one in auditors.body["accounts"]] == [first["account_id"]]
    (membership,) = account.body["memberships"]
    (entry,) = membership["history"]
    assert (entry["what"], entry["by"]) == ("given", str(directory.administrator))
    assert (account.body["name"], account.body["can_sign_in"]) == ("Anna", True)
    assert second["memberships"][0]["role"] == "administrator"
    last = (await directory.get(f"accounts/{second['account_id']}")).body
    assert account.body["allowed_actions"] == ["record_details", "give_membership"]
    assert membership["allowed_actions"] == ["renew_membership", "end_membership", "hand_over"]
    assert last["memberships"][0]["allowed_actions"] == ["renew_membership", "hand_over"]
    assert len(looks) == 2 + 3 + 1


@pytest.mark.req("N10")
async def test_a_contact_person_has_hours_and_a_deputy(directory: Directory) -> None:
    """Whoever works with somebody sees how and when they are reached, and who stands in."""
    account_id = (await directory.member(subject="anna"))["account_id"]
    deputy_id = (await directory.member(subject="bo"))["account_id"]
    details = {
        "name": "Anna", "mail": "anna@kommune.dk", "phone": "12 34 56 78", "hours": "9-15",
        "deputy_id": deputy_id,
    }  # fmt: skip
    version = (await directory.get(f"accounts/{account_id}")).body["version"]
    own = {"sub": account_id, "role": "auditor"}
    saved = await directory.post(f"accounts/{account_id}/details", details, version=version, **own)
    seen = await directory.get(f"accounts/{account_id}/contact", role="coordinator")
    names = await directory.post(
        "names", {"account_ids": [account_id, deputy_id, str(new_id())]}, role="guardian"
    )
    others = await directory.post(
        f"accounts/{deputy_id}/details", details, version=version, sub=account_id, role="auditor"
    )

    assert saved.status == 200
    assert {name: seen.body[name] for name in details} == details
    assert {row["account_id"]: row["name"] for row in names.body} == {
        account_id: "Anna",
        deputy_id: STAFF_NAME,
    }
    assert others.status == 404


async def test_a_role_is_given_renewed_handed_over_and_ended(directory: Directory) -> None:
    """Each step is in the account's history; the token of a role that has ended is refused soon."""
    today = datetime.now(UTC).date()
    one, other = await directory.member(subject="anna"), await directory.member(subject="bo")
    path, mine = f"accounts/{one['account_id']}", one["account_id"]
    version = (await directory.get(path)).body["version"]
    given = await directory.post(f"{path}/memberships", {"role": "leader"}, version=version)
    at = f"{path}/memberships/{given.body['made']}"
    last_day = (today + timedelta(days=90)).isoformat()
    renewed = await directory.post(f"{at}/renew", {"until": last_day}, version=given.body["version"])
    leader = directory.token(role="leader", sub=mine, mid=given.body["made"])
    auditor = directory.token(role="auditor", sub=mine, mid=one["memberships"][0]["membership_id"])
    handed = await directory.post(
        f"{at}/hand-over", {"to_account_id": other["account_id"]}, version=renewed.body["version"]
    )

    async def refused() -> bool:
        found = await directory.site.request("GET", "/directory/offers", token=leader)
        return found.status == 401

    await until(refused)
    still = await directory.site.request("GET", "/directory/offers", token=auditor)
    signed_in = await directory.sign_in("bo")
    history = (await directory.get(path)).body["memberships"][1]

    assert (given.status, renewed.status, handed.status, still.status) == (201, 200, 200, 200)
    assert [(row["role"], row["until"]) for row in signed_in.body["memberships"]] == [
        ("auditor", None),
        ("leader", last_day),
    ]
    assert [entry["what"] for entry in history["history"]] == ["given", "renewed", "handed_over"]
    assert history["successor_id"] == other["account_id"]


async def test_nobody_gives_themselves_a_role_and_the_last_administrator_stays(directory: Directory) -> None:
    """Neither by an invitation nor directly; the last administrator is ended by nobody."""
    me = (await directory.member("administrator", "anna"))["account_id"]
    (membership,) = (await directory.get(f"accounts/{me}")).body["memberships"]
    version = (await directory.get(f"accounts/{me}")).body["version"]
    own = {"sub": me}
    given = await directory.post(f"accounts/{me}/memberships", {"role": "operator"}, version=version, **own)
    invitation = await directory.invite("operator", name="Me", claims=own)
    used = await directory.use(invitation["code"], "anna")
    end = f"accounts/{me}/memberships/{membership['membership_id']}/end"
    last = await directory.post(end)
    await directory.member("administrator", "bo")
    ended = await directory.post(end)

    assert [(one.status, one.slug) for one in (given, used, last)] == [
        (409, "own-role"),
        (409, "own-role"),
        (409, "last-administrator"),
    ]
    assert ended.status == 200


async def test_codes_that_were_revoked_or_are_wrong_say_so(directory: Directory) -> None:
    """Only who holds a right code learns what became of it; slips are told apart from wrong codes."""
    invitation = await directory.invite(name=STAFF_NAME)
    revoked = await directory.post(f"invitations/{invitation['id']}/revoke")
    after = await directory.use(invitation["code"])
    slip = await directory.use("23456-78923")
    wrong = await directory.use("22222-22222")
    listed = await directory.get("invitations?status=revoked")

    assert revoked.status == 200
    assert [(one.status, one.slug) for one in (after, slip, wrong)] == [
        (409, "code-revoked"),
        (409, "code-mistyped"),
        (409, "code-wrong"),
    ]
    assert [one["invitation_id"] for one in listed.body["invitations"]] == [invitation["id"]]
    assert listed.body["invitations"][0]["allowed_actions"] == []


async def test_guesses_are_limited(directory: Directory) -> None:
    """After five wrong codes somebody waits, whatever their next code is; another person does not."""
    invitation = await directory.invite(name=STAFF_NAME)
    wrong = [(await directory.use("22222-22222")).slug for _ in range(6)]
    right = await directory.use(invitation["code"])
    other = await directory.use(invitation["code"], "somebody else")

    assert wrong == ["code-wrong"] * 5 + ["too-many-wrong-codes"]
    assert (right.slug, right.body["detail"]) == ("too-many-wrong-codes", "60 min")
    assert other.status == 200


async def test_a_guardian_is_bound_by_the_national_number(directory: Directory) -> None:
    """A caseworker of the case's department binds; the guardian is known by the id of custody and consent."""
    caseworker = await directory.family(await directory.department())
    bound = await directory.post(f"people/{MOTHER}/identity", {"national_number": "0102031234"}, **caseworker)
    again = await directory.post(f"people/{MOTHER}/identity", {"national_number": "0102031234"}, **caseworker)
    other = await directory.post(f"people/{MOTHER}/identity", {"national_number": "0102031235"}, **caseworker)
    signed_in = await directory.sign_in("any", national_number="010203-1234")
    (membership,) = signed_in.body["memberships"]
    ended = await directory.post(f"people/{MOTHER}/identity/end", **caseworker)
    gone = await directory.sign_in("any", national_number="010203-1234")
    anew = await directory.post(f"people/{MOTHER}/identity", {"national_number": "0102031235"}, **caseworker)

    assert [one.status for one in (bound, again, ended, anew)] == [200, 200, 200, 200]
    assert (other.status, other.slug) == (409, "person-bound-already")
    assert (membership["role"], membership["sub"]) == ("guardian", str(MOTHER))
    assert gone.body["memberships"] == []


async def test_a_family_is_let_in_once_custody_is_confirmed(directory: Directory) -> None:
    """Neither a code nor the national number lets somebody in whom one employee alone has named."""
    caseworker = await directory.family(await directory.department(), is_confirmed=False)
    invited = await directory.post(
        "invitations", {"role": "guardian", "person_id": str(MOTHER)}, **caseworker
    )
    bound = await directory.post(f"people/{MOTHER}/identity", {"national_number": "0102031234"}, **caseworker)
    types = await directory.site.types()

    assert [(one.status, one.slug) for one in (invited, bound)] == [(409, "custody-unconfirmed")] * 2
    assert not {"directory.person_bound.v1", "directory.invitation_made.v1"} & set(types)


async def test_a_guardian_is_invited_by_a_code(directory: Directory) -> None:
    """In the role in which the case names them, once; the child of the case as a young person."""
    caseworker = await directory.family(await directory.department())
    wrong = await directory.post(
        "invitations", {"role": "young_person", "person_id": str(MOTHER)}, **caseworker
    )
    mother = await directory.invite("guardian", person_id=str(MOTHER), claims=caseworker)
    child = await directory.invite("young_person", person_id=str(CHILD), claims=caseworker)
    first, second = await directory.use(mother["code"], "mother"), await directory.use(child["code"], "child")
    listed = await directory.get("invitations", **caseworker)
    types = await directory.site.types()

    assert (wrong.status, wrong.slug) == (409, "role-of-another")
    assert first.body["memberships"][0]["sub"] == str(MOTHER)
    assert second.body["memberships"][0]["sub"] == str(CHILD)
    assert {one["status"] for one in listed.body["invitations"]} == {"used"}
    assert types.count("directory.person_bound.v1") == 2


@pytest.mark.parametrize("who", ["another department", "a leader", "an administrator"])
async def test_only_the_departments_caseworkers_let_a_family_in(directory: Directory, who: str) -> None:
    """What is not theirs and what is not there have the same answer."""
    department_id = await directory.department()
    await directory.family(department_id)
    claims: dict[str, Any] = {
        "another department": {"role": "caseworker", "department_id": str(new_id())},
        "a leader": {"role": "leader", "department_id": department_id},
        "an administrator": {},
    }[who]
    body = {"national_number": "0102031234"}
    answers = [
        await directory.post(f"people/{person_id}/identity", body, **claims)
        for person_id in (MOTHER, new_id())
    ]

    assert len({(one.status, one.slug) for one in answers}) == 1
    assert answers[0].status in {403, 404}


async def test_an_identity_belongs_to_one_account(directory: Directory) -> None:
    """Who has an account already gets the further role on it, and chooses at sign-in."""
    await directory.member("auditor", "anna")
    second = await directory.member("leader", "anna")

    assert [one["role"] for one in second["memberships"]] == ["auditor", "leader"]
    assert len((await directory.get("accounts")).body["accounts"]) == 1


async def test_a_passkey_is_added_to_the_account_of_whoever_is_signed_in(directory: Directory) -> None:
    """By the portal, which has seen both; another account's identity stays with it."""
    account_id = (await directory.member(subject="anna"))["account_id"]
    await directory.member(subject="bo")
    added, others = [
        await directory.post(
            f"accounts/{account_id}/identities", {"issuer": ISSUER, "subject": subject}, role="portal"
        )
        for subject in ("passkey", "bo")
    ]

    assert added.status == 200
    assert (await directory.sign_in("passkey")).body["account_id"] == account_id
    assert (others.status, others.slug) == (409, "identity-taken")


async def test_a_role_ends_on_the_morning_after_its_last_day(postgres_dsn: str, tmp_path: Path) -> None:
    """By the timer, after a forewarning; an invitation that nobody used has lapsed by then."""
    clock = VirtualClock(tmp_path / "clock", datetime.now(UTC))
    async with open_site(postgres_dsn, SERVICE, models=MODELS, clock=clock) as site:
        directory = Directory(site, new_id())
        last_day = clock.now().date() + timedelta(days=60)
        account = await directory.member(until=last_day.isoformat())
        unused = await directory.invite(name=STAFF_NAME)
        for days in (31, 62):
            clock.move(clock.now() + timedelta(days=days))
            await site.runtime.timers.fire()
        signed_in = await directory.sign_in()
        seen = await directory.get(f"accounts/{account['account_id']}")
        late = await directory.use(unused["code"], "late")
        types = await site.types()

    assert signed_in.body["memberships"] == []
    assert [entry["what"] for entry in seen.body["memberships"][0]["history"]] == ["given", "expired"]
    assert (late.status, late.slug) == (409, "code-expired")
    assert [one for one in types if one.endswith(("ends_soon.v1", "ended.v1", "lapsed.v1"))] == [
        "directory.membership_ends_soon.v1",
        "directory.invitation_lapsed.v1",
        "directory.membership_ended.v1",
    ]


@pytest.mark.parametrize("role", ["administrator", "caseworker", "operator", "guardian"])
async def test_only_the_portal_asks_who_signs_in(directory: Directory, role: str) -> None:
    """No other role learns which identities there are."""
    body = {"issuer": ISSUER, "subject": "kirsten"}
    asked = [
        await directory.post("sign-in", body, role=role),
        await directory.post("invitations/redeem", body | {"code": "22222-22222"}, role=role),
        await directory.post("machines/verify", {"account_id": str(new_id())}, role=role),
    ]

    assert [one.status for one in asked] == [403, 403, 403]


async def test_a_program_has_an_account_with_a_key(directory: Directory) -> None:
    """The portal reads the key and the role by which it gives the program a token."""
    key = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    made = await directory.post("machines", {"name": "Fagsystem", "role": "auditor", "key": key})
    private = await directory.post(
        "machines", {"name": "Fagsystem", "role": "auditor", "key": {**key, "d": key["x"]}}
    )
    verified = await directory.post("machines/verify", {"account_id": made.body["id"]}, role="portal")
    listed = (await directory.get("accounts")).body["accounts"]
    forbidden = await directory.post("machines", {"name": "X", "role": "administrator", "key": key})
    await directory.post(f"accounts/{made.body['id']}/memberships/{made.body['made']}/end")
    after = await directory.post("machines/verify", {"account_id": made.body["id"]}, role="portal")

    assert made.status == 201
    assert (verified.body["name"], verified.body["key"]) == ("Fagsystem", key)
    assert verified.body["memberships"][0]["role"] == "auditor"
    assert [(one["kind"], one["name"]) for one in listed] == [("machine", "Fagsystem")]
    assert (private.status, forbidden.slug, after.status) == (422, "role-not-for-machines", 404)


async def test_an_operator_lets_the_first_administrator_in(directory: Directory) -> None:
    """By a code that the command prints; the trail names the operator, and nobody else may be let in so."""
    operator = Actor(new_id(), "operator")
    made = await invite_administrator(directory.site.runtime, operator, TENANT, STAFF_NAME)
    used = await directory.use(made["code"])
    other = MakeInvitation(municipality_stream(TENANT), Position("auditor"), new_id(), "0" * 64)
    with pytest.raises(NotFound):
        await execute_for(directory.site.runtime, operator, TENANT, new_id(), other)
    by = await directory.site.runtime.pool.fetchval(
        "select meta ->> 1 from event_log where type = 'directory.invitation_made.v1'"
    )

    assert [one["role"] for one in used.body["memberships"]] == ["administrator"]
    assert by == str(operator.id)


async def test_a_sign_in_for_an_organisation_has_its_roles_only(directory: Directory) -> None:
    """Of the roles in organisations those in the one that the sign-in service names by its number."""
    await directory.department()
    until_ = (datetime.now(UTC).date() + timedelta(days=300)).isoformat()
    joining = {"name": "Voksenvenner", "number": "12345678", "declaration_until": until_}
    terms = {"terms": f"{MODEL.id}_{MODEL.version}"}
    organisation = await directory.post("organisations", joining | terms, version=0)
    await directory.member("coordinator", organisation_id=organisation.body["id"])
    await directory.member("auditor")
    found = [
        [one["role"] for one in (await directory.sign_in(organisation_number=number)).body["memberships"]]
        for number in ("12345678", "87654321")
    ]

    assert found == [["coordinator", "auditor"], ["auditor"]]


async def test_another_municipality_knows_nobody(directory: Directory) -> None:
    """The same identity is another one there, since each municipality has a key of its own."""
    account = (await directory.member())["account_id"]
    elsewhere: dict[str, Any] = {"tenant": "0461"}
    body = {"issuer": ISSUER, "subject": "kirsten"}

    assert (await directory.post("sign-in", body, role="portal", **elsewhere)).status == 404
    assert (await directory.get(f"accounts/{account}", **elsewhere)).status == 404
    assert (await directory.get("accounts", **elsewhere)).body["accounts"] == []
    assert municipality_stream("0461") != municipality_stream(TENANT)
