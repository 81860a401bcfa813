"""HTTP resources: unknown ids and addresses, and what belongs to another municipality."""

from uuid import NAMESPACE_URL, uuid5

from contracts.event import municipality_stream
from tests.http_site import TALLY_ID, Site, a_token
from tests.tally import TENANT


async def test_an_unknown_id_is_not_found(site: Site) -> None:
    """A read of an unknown id is answered 404 and creates nothing but its record."""
    for path in (f"/consent/tallies/{TALLY_ID}", f"/consent/tallies/{TALLY_ID}/status"):
        answer = await site.request("GET", path)
        assert (answer.status, answer.slug) == (404, "not-found")
    assert await site.types() == ["consent.access_refused.v1"] * 2


async def test_another_municipality_finds_nothing(site: Site) -> None:
    """A stream of one municipality is 404 for another; a command that may begin a stream begins its own."""
    begun = (await site.begin(word="private")).body["id"]
    elsewhere = a_token(tenant="0461")

    answers = [
        await site.request("GET", f"/consent/tallies/{begun}", token=elsewhere),
        await site.request("GET", f"/consent/tallies/{begun}/status", token=elsewhere),
    ]
    types = await site.types()
    counted = await site.count(begun, 1, token=elsewhere)
    own = await site.request("GET", f"/consent/tallies/{begun}")

    assert [(answer.status, answer.slug) for answer in answers] == [(404, "not-found")] * 2
    assert types == ["consent.given.v1", *["consent.access_refused.v1"] * 2]
    assert counted.body["version"] == own.body["version"] == 1


async def test_the_stream_of_a_municipality_is_taken_by_no_other(site: Site) -> None:
    """Finding 1, 2: of ids that anybody can calculate, only the own municipality's leads anywhere."""
    others, own = municipality_stream("0461"), municipality_stream(TENANT)

    taken = await site.count(str(others), None)
    calculated = await site.count(str(uuid5(NAMESPACE_URL, "a tally")), None)
    absent = await site.request("GET", f"/consent/tallies/{uuid5(NAMESPACE_URL, 'a tally')}")
    began = await site.count(str(others), None, token=a_token(tenant="0461"))

    assert {(one.status, one.slug) for one in (taken, calculated, absent)} == {(404, "not-found")}
    assert began.status == 200
    assert (await site.count(str(own), None)).status == 200


async def test_an_unknown_address_or_method_is_a_problem_document(site: Site) -> None:
    """404, or 405 with all methods that the address takes."""
    nowhere = await site.request("GET", "/consent/nowhere")
    wrong = await site.request("DELETE", f"/consent/tallies/{TALLY_ID}")
    both = await site.request("OPTIONS", "/consent/tallies")
    aside = await site.request("POST", "/consent/tallies/", headers={"Host": "else.example"})

    assert (nowhere.status, nowhere.slug) == (404, "http-404")
    assert (aside.status, aside.slug) == (404, "http-404")
    assert (wrong.status, wrong.slug, wrong.headers["allow"]) == (405, "http-405", "GET, HEAD")
    assert (both.status, both.headers["allow"]) == (405, "GET, HEAD, POST")
