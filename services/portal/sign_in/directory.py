"""The directory as sign-in asks it: who has proven an identity, and which roles they have."""

from typing import Any
from uuid import UUID

from msgspec import Struct

from contracts.model_parts import Language
from services.kernel.ids import new_id
from services.portal.service_client import ServiceClient, ServiceProblem
from services.portal.sessions import Membership
from services.portal.sign_in.claims import Identity
from services.portal.sign_in.cookies import Secret
from services.portal.sign_in.tokens import Tokens

_UNKNOWN = 404


class Account(Struct, frozen=True):
    """An account of the directory, and the roles that its holder has now."""

    account_id: UUID
    memberships: tuple[Membership, ...]
    name: str = ""


class Directory:
    """Asks in the portal's own name: nobody is signed in yet."""

    def __init__(self, client: ServiceClient, tokens: Tokens) -> None:
        """Ask through the client of all services."""
        self._client = client
        self._tokens = tokens

    async def account_of(self, tenant: str, identity: Identity, language: Language) -> Account | None:
        """Return whose identity it is; None where the municipality does not know it."""
        try:
            return await self._ask(tenant, "/directory/sign-in", _body(identity), language, str(new_id()))
        except ServiceProblem as problem:
            if problem.status == _UNKNOWN:
                return None
            raise

    async def redeem(self, browser: Secret, identity: Identity, code: str, language: Language) -> Account:
        """Bind an identity to the invitation of a code, once; raises `ServiceProblem` with the refusal.

        The same code of the same browser is one request, however often the form is sent.
        """
        key = browser.derived(f"redeem {code}").hex()
        body = {"code": code, **_body(identity)}
        return await self._ask(browser.tenant, "/directory/invitations/redeem", body, language, key)

    async def _ask(
        self, tenant: str, path: str, body: dict[str, str], language: Language, key: str
    ) -> Account:
        token = await self._tokens.of_portal(tenant)
        answer = await self._client.ask(
            "POST", "directory", path, token=token, language=language, body=body,
            headers={"Idempotency-Key": key},
        )  # fmt: skip
        return _account(answer.body)


def _body(identity: Identity) -> dict[str, str]:
    """Return an identity as the directory takes it: it keeps a keyed digest and nothing else."""
    said = {
        "issuer": identity.issuer,
        "subject": identity.subject,
        "national_number": identity.national_number,
        "organisation_number": identity.organisation_number,
    }
    return {name: value for name, value in said.items() if value}


def _account(body: Any) -> Account:
    found = tuple(
        Membership(
            role=str(one["role"]),
            sub=UUID(one["sub"]),
            membership_id=_id(one.get("membership_id")),
            department_id=_id(one.get("department_id")),
            organisation_id=_id(one.get("organisation_id")),
            label=str(one.get("label") or ""),
        )
        for one in body["memberships"]
    )
    return Account(UUID(body["account_id"]), found, str(body.get("name") or ""))


def _id(text: str | None) -> UUID | None:
    return UUID(text) if text else None
