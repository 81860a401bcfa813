"""Operators: their identity is proved, and what they do is in the trail of the municipality."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from contracts.event import municipality_stream
from services.kernel.decider.decision import Actor
from services.kernel.http.authentication import TokenInvalid
from services.kernel.issuer_settings import IssuerSettings
from services.kernel.operations.operators import (
    OperatorUnknown,
    operator_of,
    record_operation,
    tenants_here,
    tenants_with_parked,
)
from services.kernel.settings import Settings
from tests.http_site import ISSUER, STRANGER, Site, a_token
from tests.issuers import SIGN_IN, key_set
from tests.tally import ACTOR, TENANT, running


def settings(folder: Path, token: str, **more: Any) -> Settings:
    """Return settings with a token and the issuer's keys."""
    keys = folder / "issuer.json"
    keys.write_bytes(key_set(ISSUER))
    issuer = IssuerSettings(issuer=SIGN_IN, keys=str(keys), municipalities=frozenset({TENANT}))
    return Settings(mode="test", issuers=(issuer,), operator_token=SecretStr(token), **more)


async def test_an_operator_is_the_person_of_a_token(tmp_path: Path) -> None:
    """Row 15: not what is typed, but what the sign-in service has signed."""
    found = await operator_of(settings(tmp_path, a_token(role="operator")))

    assert (found.id, found.role) == (ACTOR, "operator")


@pytest.mark.parametrize(
    ("token", "refusal"),
    [
        (lambda: "", OperatorUnknown),
        (lambda: a_token(role="caseworker"), OperatorUnknown),
        (lambda: a_token(STRANGER, role="operator"), TokenInvalid),
        (lambda: "operator", TokenInvalid),
    ],
    ids=["none", "of a caseworker", "of another issuer", "not a token"],
)
async def test_nobody_else_is_an_operator(
    tmp_path: Path, token: Callable[[], str], refusal: type[Exception]
) -> None:
    """No token, another role, another issuer's, no token at all."""
    with pytest.raises(refusal):
        await operator_of(settings(tmp_path, token()))


async def test_a_data_folder_knows_the_account_of_the_machine(tmp_path: Path) -> None:
    """By an id that is the same each time, and another for another folder's key."""
    found = []
    for name in ("one", "two"):
        keys = tmp_path / name
        keys.mkdir()
        (keys / "issuer.json").write_text(name)
        found += [await operator_of(Settings(mode="embedded", kek=keys / "kek")) for _ in range(2)]

    ids = [operator.id for operator in found]
    assert (ids[0], ids[2]) == (ids[1], ids[3])
    assert ids[0] != ids[2]
    assert {operator.role for operator in found} == {"operator"}


async def test_a_folder_without_its_key_knows_no_operator(tmp_path: Path) -> None:
    """The error names the file that cannot be read."""
    with pytest.raises(OperatorUnknown, match=r"issuer\.json"):
        await operator_of(Settings(mode="embedded", kek=tmp_path / "kek"))


async def test_a_command_is_recorded_with_each_municipality(site: Site) -> None:
    """The operator, the command and its purpose; in a stream of the operator's own in each."""
    await site.begin()
    await site.begin(token=a_token(tenant="0461"))
    operator = Actor(ACTOR, "operator")

    await record_operation(site.runtime, operator, "rebuild", await tenants_here(site.runtime))

    rows = await site.runtime.pool.fetch(
        "select tenant, stream_id, data, meta ->> 1 as actor, meta ->> 2 as role from event_log"
        " where type = 'consent.looked.v1' order by tenant"
    )
    assert [(row["tenant"], row["actor"], row["role"]) for row in rows] == [
        (tenant, str(operator.id), "operator") for tenant in (TENANT, "0461")
    ]
    assert [json.loads(row["data"]) for row in rows] == [
        {"case_id": str(municipality_stream(tenant)), "what": ["rebuild"], "purpose": "operations"}
        for tenant in (TENANT, "0461")
    ]
    assert len({row["stream_id"] for row in rows}) == 2


async def test_a_command_on_nothing_concerns_nobody(postgres_dsn: str) -> None:
    """Without streams and parked events there is no municipality to record with."""
    async with running(postgres_dsn, "", "none") as runtime:
        assert (await tenants_here(runtime), await tenants_with_parked(runtime)) == ([], [])
