"""Open a case and read it by the generated client: `python open_case.py <folder of the client> <server>`."""

import datetime as dt
import json
import sys
import urllib.request
import uuid
from typing import Any

sys.path.insert(0, sys.argv[1])

from stranger import AuthenticatedClient
from stranger.api.directory import adopt_model, register_department
from stranger.api.referral import open_case, read_case
from stranger.models import AdoptBody, DepartmentBody, OpenBody

_ACTOR = "00000000-0000-4000-8000-000000000001"


def client_of(role: str, **more: str) -> AuthenticatedClient:
    """Return a client that speaks in a role; only an embedded server issues tokens to anybody."""
    bearer = json.dumps({"sub": _ACTOR, "role": role, "tenant": "0461", **more}).encode()
    request = urllib.request.Request(  # noqa: S310  the address that the test gave
        f"{sys.argv[2]}/development/tokens", bearer, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310  the same
        return AuthenticatedClient(sys.argv[2], token=json.load(answer)["token"])


def parsed(answer: Any) -> Any:
    """Return what a call answered; a problem ends the program."""
    if answer.status_code >= 300:
        sys.exit(f"{answer.status_code}: {answer.content.decode()}")
    return answer.parsed


administrator = client_of("administrator")
keys = (str(uuid.uuid4()) for _ in range(9))
parsed(
    adopt_model.sync_detailed(
        client=administrator, body=AdoptBody(model="kerteminde", version=1), idempotency_key=next(keys)
    )
)
department = parsed(
    register_department.sync_detailed(
        client=administrator,
        body=DepartmentBody(kind="counselling", name="Example"),
        idempotency_key=next(keys),
    )
)
caseworker = client_of("caseworker", department_id=str(department.made))
child = OpenBody(first_name="Test", family_name="Example", born=dt.date(2016, 5, 17), residence="0461")
opened = parsed(open_case.sync_detailed(client=caseworker, body=child, idempotency_key=next(keys)))
case = parsed(read_case.sync_detailed(client=caseworker, case_id=opened.id))
sys.stdout.write(
    json.dumps({"first_name": case.facts.first_name, "version": case.version, "closed": case.closed})
)
