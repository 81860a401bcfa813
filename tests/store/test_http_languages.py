"""HTTP content language: every problem in the language of the request."""

from typing import Any

from contracts.model import load_models, model_folder
from services.kernel.http.protocol import LARGEST_BODY
from tests.http_site import TALLY_ID, Answer, Site, a_token, open_site
from tests.tally import ACTOR

ANSWERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "token-missing": ("GET", "/consent/numbers", {"token": None}),
    "token-invalid": ("GET", "/consent/numbers", {"token": "guess"}),
    "not-allowed": ("GET", "/consent/numbers", {"role": "guardian"}),
    "not-found": ("GET", f"/consent/tallies/{TALLY_ID}", {}),
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


async def problem(site: Site, slug: str, begun: str, wish: str) -> Answer:
    """Return the response to a request that fails with a problem code, in a language."""
    method, path, more = ANSWERS[slug]
    headers = {"Content-Type": "application/json", "Idempotency-Key": "key-2", **more.get("headers", {})}
    if slug == "key-missing":
        del headers["Idempotency-Key"]
    if wish:
        headers["Accept-Language"] = f"{wish}, *;q=0.1"
    where = path or f"/consent/tallies/{begun}/counts"
    request = {**more, "headers": headers}
    if role := request.pop("role", None):
        request["token"] = a_token(role=role)  # made at its use: a long run outlives a token
    return await site.request(method, where, **request)


async def test_every_problem_is_in_the_language_of_the_request(postgres_dsn: str) -> None:
    """Code and status stay; the title follows Accept-Language, else the municipality's language."""
    async with open_site(postgres_dsn, models=load_models(model_folder())) as site:
        begun = (await site.begin("key-1")).body["id"]
        answers = {
            slug: {wish: await problem(site, slug, begun, wish) for wish in ("da", "nb", "en", "")}
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


async def test_without_a_model_the_response_is_in_english(site: Site) -> None:
    """So is the response to a request for languages that are not supported."""
    without = await site.request("GET", "/consent/nowhere")
    unsupported = await site.request("GET", "/consent/nowhere", headers={"Accept-Language": "sv, fi"})

    assert [answer.headers["content-language"] for answer in (without, unsupported)] == ["en", "en"]
    assert without.body["title"] == "There is nothing at this address."
