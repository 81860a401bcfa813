"""Operators: their identity is proved, and what they do is in the trail of the municipality."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from contracts.event import municipality_stream
from services.kernel.decider.decision import Actor
from services.kernel.http.authentication import TokenInvalid
from services.kernel.operations.operators import (
    OperatorUnknown,
    operator_of,
    record_operation,
    tenants_here,
    tenants_with_parked,
)
from services.kernel.settings import Settings
from tests.http_site import ISSUER, STRANGER, Site, a_token
from tests.tally import ACTOR, TENANT, running


def settings(folder: Path, token: str, **more: Any) -> Settings:
    """Return settings with a token and the issuer's keys."""
    keys = folder / "issuer.json"
    keys.write_text(json.dumps({"keys": [ISSUER.as_dict(private=False)]}))
    return Settings(mode="test", issuer_keys=keys, operator_token=SecretStr(token), **more)


def test_an_operator_is_the_person_of_a_token(tmp_path: Path) -> None:
    """Row 15: not what is typed, but what the sign-in service has signed."""
    assert operator_of(settings(tmp_path, a_token(role="operator"))).id == ACTOR


@pytest.mark.parametrize(
    ("token", "refusal"),
    [
        ("", OperatorUnknown),
        (a_token(role="caseworker"), OperatorUnknown),
        (a_token(STRANGER, role="operator"), TokenInvalid),
        ("operator", TokenInvalid),
    ],
)
def test_nobody_else_is_an_operator(tmp_path: Path, token: str, refusal: type[Exception]) -> None:
    """No token, another role, another issuer's, no token at all."""
    with pytest.raises(refusal):
        operator_of(settings(tmp_path, token))


def test_a_data_folder_knows_the_account_of_the_machine(tmp_path: Path) -> None:
    """By an id that is the same each time, and another for another folder's key."""
    found = []
    for name in ("one", "two"):
        kek = tmp_path / name
        kek.write_bytes(name.encode())
        found += [operator_of(Settings(mode="embedded", kek=kek)) for _ in range(2)]

    ids = [operator.id for operator in found]
    assert (ids[0], ids[2]) == (ids[1], ids[3])
    assert ids[0] != ids[2]
    assert {operator.role for operator in found} == {"operator"}


def test_a_folder_without_its_key_knows_no_operator(tmp_path: Path) -> None:
    """The error names the file that cannot be read."""
    with pytest.raises(OperatorUnknown, match="kek"):
        operator_of(Settings(mode="embedded", kek=tmp_path / "kek"))


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
