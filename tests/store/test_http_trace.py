"""The trace of a request: one id in the answer, the problem, the log line and the trail."""

import re

import pytest
from structlog.testing import capture_logs

from tests.http_site import TALLY_ID, Site, a_token

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
INCOMING = f"00-{TRACE}-00f067aa0ba902b7-00"
FORM = r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}"


async def test_every_answer_names_its_trace_and_so_does_its_log_line(site: Site) -> None:
    """Whoever has the answer finds the line, which has no id of the path and nothing that was sent."""
    with capture_logs() as lines:
        answer = await site.request("GET", f"/consent/tallies/{TALLY_ID}")

    traced = re.fullmatch(FORM, answer.headers["traceparent"])
    assert traced is not None
    assert answer.body["instance"] == f"urn:samspil:trace:{traced[1]}"
    line = next(one for one in lines if one["event"] == "request")
    assert isinstance(line.pop("ms"), float)
    assert line == {
        "event": "request",
        "log_level": "info",
        "method": "GET",
        "route": "consent/tallies/{tally_id}",
        "status": "404",
        "role": "caseworker",
        "trace_id": traced[1],
    }


async def test_the_trace_of_the_caller_goes_on_into_the_events(site: Site) -> None:
    """A command's events carry the trace that its caller began, sampled or not."""
    headers = {"traceparent": INCOMING, "Idempotency-Key": "1"}
    body = {"referral_id": str(TALLY_ID)}
    begun = await site.request("POST", "/consent/tallies", json=body, headers=headers)

    found = await site.runtime.pool.fetchval("select meta from event_log order by id desc limit 1")
    assert begun.headers["traceparent"].startswith(f"00-{TRACE}-")
    assert begun.headers["traceparent"] != INCOMING
    assert TRACE in str(found)


@pytest.mark.parametrize(
    "value", ["x", f"00-{'0' * 32}-00f067aa0ba902b7-01", f"{INCOMING}-more", "ff" + INCOMING[2:]]
)
async def test_a_trace_that_is_none_is_not_continued(site: Site, value: str) -> None:
    """What is no traceparent by the standard begins a new trace, and is repeated nowhere."""
    answer = await site.request("GET", "/consent/numbers", headers={"traceparent": value})

    assert re.fullmatch(FORM, answer.headers["traceparent"])
    assert TRACE not in answer.headers["traceparent"]


async def test_head_is_answered_like_get_without_a_body(site: Site) -> None:
    """A monitor may ask for the headers alone; the look is recorded as any other."""
    got = await site.request("GET", "/consent/numbers")
    headed = await site.request("HEAD", "/consent/numbers")

    assert (headed.status, headed.text) == (200, "")
    assert headed.headers["content-length"] == got.headers["content-length"]


@pytest.mark.parametrize("media", ["", "text/plain", "application/x-www-form-urlencoded"])
async def test_a_body_that_is_not_json_is_refused_by_its_media_type(site: Site, media: str) -> None:
    """415 says which header is missing; nothing is guessed."""
    answer = await site.request(
        "POST", "/consent/tallies", data=b"{}", headers={"Content-Type": media, "Idempotency-Key": "1"}
    )

    assert (answer.status, answer.slug) == (415, "content-type-unsupported")


async def test_a_refused_role_is_told_which_roles_may(site: Site) -> None:
    """403 names the roles of the call."""
    answer = await site.request("GET", "/consent/numbers", token=a_token(role="guardian"))

    assert (answer.status, answer.body["detail"]) == (403, "this is for: caseworker")
