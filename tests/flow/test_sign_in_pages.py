"""Sign-in in a browser, from the choice of a provider to the end of the session."""

import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from services.kernel.embedded.pretended_pages import provider_routes
from services.kernel.embedded.pretended_provider import PretendedPerson, PretendedProvider
from tests.portal_site import Browser, PortalSite, Seen, portal_site
from tests.pretended_directory import ACCOUNT, CODE, PretendedDirectory, membership, pretended_directory

TENANT, OTHER = "0440", "0461"
NUMBER = "3112995671"
LEAD = membership("leader", UUID("0199a000-0000-7000-8000-0000000000c2"), label="Counselling")

ELSEWHERE = ("//attacker.example", "https://attacker.example/", "/\\attacker.example", "javascript:alert(1)")
CHANGED = (("state", "0440.x"), ("iss", "https://a.example"), ("code", ""), ("code", "another"))


class World(NamedTuple):
    """The portal, a directory and a browser."""

    site: PortalSite
    directory: PretendedDirectory
    browser: Browser


@pytest.fixture
async def world(postgres_dsn: str, tmp_path: Path) -> AsyncIterator[World]:
    """Serve the portal with the pretended provider; anna and carl can be chosen."""
    async with pretended_directory() as directory:

        def settings_at(address: str) -> dict[str, Any]:
            return {
                "sign_in": (provider_at(address).settings(frozenset({TENANT})),),
                "municipality_names": {TENANT: "Kerteminde Kommune"},
                "services": f"http://127.0.0.1:{directory.port}",
            }

        def provider_at(address: str) -> PretendedProvider:
            return PretendedProvider(tmp_path / "provider", address)

        async def nobody(tenant: str) -> PretendedPerson:
            raise AssertionError(tenant)

        async with portal_site(
            postgres_dsn,
            tmp_path,
            settings_at=settings_at,
            routes_at=lambda address: provider_routes(provider_at(address), nobody),
        ) as site:
            provider = provider_at(site.address)
            for name in ("anna", "carl"):
                number = NUMBER if name == "anna" else ""
                provider.admit(
                    PretendedPerson(name=name, subject=name, tenant=TENANT, national_number=number)
                )
            directory.roles["anna"] = [membership("caseworker")]
            async with site.browser() as browser:
                yield World(site, directory, browser)


async def choose(browser: Browser, cards: Seen, who: str, *, follow: bool = True) -> Seen:
    """Choose somebody's card, and go back to the portal."""
    found = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', cards.text)
    fields = {name: unescape(value) for name, value in found}
    return await browser.send("/development/oidc/authorize", follow=follow, subject=who, **fields)


async def sign_in(browser: Browser, who: str = "anna", path: str = "/sessions") -> Seen:
    """Open a page, and sign in on the way."""
    page = await browser.open(path)
    return await choose(browser, await browser.open(page.link("Demo-ID")), who)


async def test_somebody_signs_in_and_comes_to_the_page_they_asked_for(world: World) -> None:
    """The directory is asked by the portal's own token, with the identity in the body and nowhere else."""
    page = await sign_in(world.browser)

    assert (page.status, page.url, page.title) == (
        200,
        f"{world.site.address}/sessions",
        "Where you are signed in",
    )
    (path, body, _token) = world.directory.asked[0]
    assert (path, body["subject"], body["national_number"]) == ("/directory/sign-in", "anna", NUMBER)
    types = await world.site.runtime.pool.fetch("select type, data from event_log")
    assert [row["type"] for row in types] == ["portal.signed_in.v1"]
    assert NUMBER not in str(types)


async def test_cookies_are_kept_from_scripts_and_other_sites(world: World) -> None:
    """And nobody may keep a page or frame it."""
    page = await world.browser.open("/sign-in")
    start = await world.browser.open(page.link("Demo-ID"), follow=False)

    for part in ("HttpOnly", "SameSite=lax", "Path=/"):
        assert part in start.headers["set-cookie"]
    assert start.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]


async def test_nobody_is_led_to_another_site(world: World) -> None:
    """Whatever the address of sign-in says, it leads to a page of this site."""
    for path in ELSEWHERE:
        page = await world.browser.open(f"/sign-in?next={path}")
        cards = await world.browser.open(page.link("Demo-ID"))
        back = await choose(world.browser, cards, "anna", follow=False)
        arrived = await world.browser.open(back.url, follow=False)
        assert (arrived.status, arrived.url) == (303, "/"), path
        await world.browser.send("/sign-out", follow=False)


async def test_an_answer_counts_once_and_in_the_browser_that_began(world: World) -> None:
    """A stolen address signs in nobody else, and a repeated one nobody at all."""
    page = await world.browser.open("/sign-in")
    cards = await world.browser.open(page.link("Demo-ID"))
    back = await choose(world.browser, cards, "anna", follow=False)

    async with world.site.browser() as stranger:
        assert (await stranger.open(back.url)).status == 400
    assert (await world.browser.open(back.url, follow=False)).status == 303
    assert (await world.browser.open(back.url)).status == 400


async def test_a_changed_answer_signs_nobody_in(world: World) -> None:
    """State, issuer and code must be those of the provider's own answer."""
    for name, value in CHANGED:
        page = await world.browser.open("/sign-in")
        cards = await world.browser.open(page.link("Demo-ID"))
        back = await choose(world.browser, cards, "anna", follow=False)
        changed = re.sub(rf"{name}=[^&]*", f"{name}={value}", back.url)
        assert (await world.browser.open(changed)).status == 400, name
        assert (await world.browser.open("/sessions")).title == "Sign in"


async def test_who_is_not_known_types_the_code_of_an_invitation(world: World) -> None:
    """A wrong code is told as the directory says it; the right one leads to the page asked for."""
    page = await sign_in(world.browser, "carl")
    assert page.title == "Type the code of your invitation"

    for typed, status in (("", 422), ("WRONG", 409)):
        key = page.hidden("key")
        refused = await world.browser.send("/sign-in/code", key=key, code=typed)
        assert (refused.status, refused.title) == (status, "Error: Type the code of your invitation")
    arrived = await world.browser.send("/sign-in/code", key=page.hidden("key"), code=f" {CODE} ")

    assert (arrived.status, arrived.title) == (200, "Where you are signed in")


async def test_a_form_of_another_browser_or_site_is_refused(world: World) -> None:
    """A code cannot be sent in somebody else's name, nor a role be chosen."""
    page = await sign_in(world.browser, "carl")
    async with world.site.browser() as stranger:
        foreign = (await sign_in(stranger, "carl")).hidden("key")

    assert (await world.browser.send("/sign-in/code", key=foreign, code=CODE)).status == 400
    assert (await world.browser.send("/sign-in/code", code=CODE)).status == 400
    world.browser.headers["Sec-Fetch-Site"] = "cross-site"
    assert (await world.browser.send("/sign-in/code", key=page.hidden("key"), code=CODE)).status == 400


async def test_who_has_several_roles_chooses_one(world: World) -> None:
    """The directory is asked again when they choose; a number that is none is refused."""
    world.directory.roles["anna"] = [membership("caseworker", label="Child welfare"), LEAD]
    page = await sign_in(world.browser)
    assert page.title == "Choose what you want to work as"
    assert "Leader, Counselling" in page.text

    assert (await world.browser.send("/sign-in/role", key=page.hidden("key"), role="2")).status == 400
    arrived = await world.browser.send("/sign-in/role", key=page.hidden("key"), role="1")

    assert (arrived.status, "Leader" in arrived.text) == (200, True)
    stored = await world.site.runtime.pool.fetch("select role, account_id, membership_id from sessions")
    assert [tuple(row) for row in stored] == [("leader", ACCOUNT, UUID(LEAD["membership_id"]))]
    assert await world.site.runtime.pool.fetchval("select count(*) from sign_ins") == 0


async def test_who_has_no_role_is_told_so(world: World) -> None:
    """Nobody is signed in without one."""
    world.directory.roles["anna"] = []

    page = await sign_in(world.browser)

    assert page.status == 400
    assert await world.site.runtime.pool.fetchval("select count(*) from sessions") == 0


async def test_a_silent_directory_signs_nobody_in(world: World) -> None:
    """A person may try again; nothing is said of whether they are known."""
    world.directory.silent = True

    assert (await sign_in(world.browser)).status == 503


async def test_a_stronger_sign_in_keeps_page_and_role(world: World) -> None:
    """The session is a new one, at the higher level, in the role that the person had."""
    world.directory.roles["anna"] = [membership("caseworker"), LEAD]
    page = await sign_in(world.browser)
    await world.browser.send("/sign-in/role", key=page.hidden("key"), role="1")
    before = await world.site.runtime.pool.fetchval("select secret from sessions")

    again = await world.browser.open("/sign-in/again?next=/sessions")
    cards = await world.browser.open(again.link("Sign in once more"))
    arrived = await choose(world.browser, cards, "anna")

    assert (arrived.status, arrived.url) == (200, f"{world.site.address}/sessions")
    rows = await world.site.runtime.pool.fetch("select secret, role, assurance from sessions")
    assert [(row["role"], row["assurance"]) for row in rows] == [("leader", "high")]
    assert rows[0]["secret"] != before


async def test_signing_out_ends_the_session_for_good(world: World) -> None:
    """The cookie is worth nothing afterwards, and the browser forgets what it kept."""
    await sign_in(world.browser)
    cookies = {cookie.key: cookie.value for cookie in world.browser.session.cookie_jar}
    answer = await world.browser.send("/sign-out", follow=False)
    assert (answer.status, answer.headers["clear-site-data"]) == (303, '"cache", "storage"')

    page = await world.browser.open("/sign-out")
    assert page.title == "You are signed out"
    world.browser.session.cookie_jar.update_cookies(cookies)
    assert (await world.browser.open("/sessions")).title == "Sign in"


async def test_another_site_signs_nobody_out(world: World) -> None:
    """Its form is refused."""
    await sign_in(world.browser)
    world.browser.headers["Sec-Fetch-Site"] = "cross-site"

    assert (await world.browser.send("/sign-out")).status == 400
    world.browser.headers.clear()
    assert (await world.browser.open("/sessions")).title == "Where you are signed in"


async def test_somebody_signs_out_everywhere(world: World) -> None:
    """From one browser; the other one is led to sign-in."""
    page = await sign_in(world.browser)
    async with world.site.browser() as phone:
        await sign_in(phone)
        page = await world.browser.open("/sessions")
        await world.browser.send("/sessions", key=page.hidden("key"), command="end_all")
        assert (await phone.open("/sessions")).title == "Sign in"
    assert (await world.browser.open("/sessions")).title == "Sign in"


async def test_the_keys_of_the_portal_s_tokens_are_published(world: World) -> None:
    """The public ones alone."""
    answer = await world.browser.open("/.well-known/jwks.json")

    assert answer.status == 200
    assert '"Ed25519"' in answer.text
    assert '"d"' not in answer.text


async def test_a_page_that_is_fetched_ahead_starts_no_sign_in(world: World) -> None:
    """Nobody is sent to a provider by a browser's guess."""
    page = await world.browser.open("/sign-in")
    world.browser.headers["Sec-Purpose"] = "prefetch"

    assert (await world.browser.open(page.link("Demo-ID"))).status == 400


async def test_a_provider_of_another_municipality_is_refused(world: World) -> None:
    """An address that names one leads nowhere."""
    for query in (f"?tenant={OTHER}&provider=0", f"?tenant={TENANT}&provider=7"):
        assert (await world.browser.open(f"/sign-in/start{query}")).status == 400


async def test_somebody_chooses_a_language_before_signing_in(world: World) -> None:
    """By a button; the page is shown again in it."""
    page = await world.browser.send("/language", language="da", then="/sign-in")

    assert (page.status, page.url) == (200, f"{world.site.address}/sign-in")
    assert '<html lang="da">' in page.text
