"""A pretended OpenID provider for the embedded installation: whom it knows, and what it signs."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.jwk import OKPKey
from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from contracts.event import Tenant
from services.kernel.atomic_files import write_whole
from services.kernel.sign_in_settings import ClaimNames, ProviderSettings

PATH: Final = "/development/oidc"
CLIENT: Final = "samspil-portal"
_CODE_SECONDS: Final = 60
_TOKEN_SECONDS: Final = 300


class PretendedPerson(BaseModel):
    """A made-up person who can be chosen; `hint` says who they are in the story."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200)
    subject: str = Field(min_length=1, max_length=200)
    tenant: Tenant
    role: str = Field(default="", max_length=64)
    hint: str = Field(default="", max_length=300)
    national_number: str = Field(default="", max_length=32)
    organisation_number: str = Field(default="", max_length=32)


_PEOPLE: Final = TypeAdapter(list[PretendedPerson])


class _Grant(Struct, frozen=True):
    """What a code stands for, once and for a minute."""

    person: PretendedPerson
    nonce: str
    challenge: str
    redirect_uri: str
    level: str
    until: float


class PretendedProvider:
    """Signs in whomever somebody chooses; the portal is its client as of any other provider."""

    def __init__(self, folder: Path, public_url: str) -> None:
        """Use the key, the client secret and the people in a folder, or make them."""
        self.issuer = f"{public_url}{PATH}"
        self._redirect_uri = f"{public_url}/sign-in/back"
        self._people_file = folder / "people.json"
        self._secret_file = folder / "client.secret"
        key_file = folder / "provider.json"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not key_file.exists():
            write_whole(key_file, json.dumps(OKPKey.generate_key("Ed25519").as_dict(private=True)))
        if not self._secret_file.exists():
            write_whole(self._secret_file, secrets.token_urlsafe(32))
        self._key = OKPKey.import_key(json.loads(key_file.read_text()))
        self._key.ensure_kid()
        self._secret = self._secret_file.read_text()
        self._grants: dict[str, _Grant] = {}

    def settings(self, municipalities: frozenset[str]) -> ProviderSettings:
        """Return the settings by which the portal is its client."""
        return ProviderSettings(
            issuer=self.issuer,
            name="Demo-ID",
            client_id=CLIENT,
            secret=self._secret_file,
            municipalities=municipalities,
            people=frozenset({"staff", "citizen", "organisation"}),
            claims=ClaimNames(national_number="pid", organisation_number="organisation"),
        )

    @property
    def people(self) -> list[PretendedPerson]:
        """Everybody who can be chosen."""
        return _PEOPLE.validate_json(self._people_file.read_bytes()) if self._people_file.exists() else []

    def people_of(self, tenant: str) -> list[PretendedPerson]:
        """Return everybody of one municipality who can be chosen."""
        return [one for one in self.people if one.tenant == tenant]

    def admit(self, person: PretendedPerson) -> None:
        """Add a person, or replace the one with the same subject."""
        others = [one for one in self.people if one.subject != person.subject]
        write_whole(self._people_file, _PEOPLE.dump_json([*others, person]))

    def grant(self, person: PretendedPerson, wanted: "AuthorizationRequest") -> str:
        """Return where the browser goes with a code for a person."""
        self._grants = {code: one for code, one in self._grants.items() if one.until > time.time()}
        code = secrets.token_urlsafe(32)
        level = "high" if wanted.acr_values == "high" else "substantial"
        self._grants[code] = _Grant(
            person,
            wanted.nonce,
            wanted.code_challenge,
            wanted.redirect_uri,
            level,
            time.time() + _CODE_SECONDS,
        )
        return f"{wanted.redirect_uri}?{urlencode({'code': code, 'state': wanted.state, 'iss': self.issuer})}"

    def accepts(self, wanted: "AuthorizationRequest") -> bool:
        """Return whether a request is one of the portal's."""
        return wanted.client_id == CLIENT and wanted.redirect_uri == self._redirect_uri

    def knows(self, authorization: str) -> bool:
        """Return whether the client's secret stands in a header."""
        expected = base64.b64encode(f"{CLIENT}:{self._secret}".encode()).decode()
        return hmac.compare_digest(authorization.encode(), f"Basic {expected}".encode())

    def id_token(self, code: str, verifier: str, redirect_uri: str) -> str | None:
        """Return the ID token of a code, once; None where code, verifier or address are others."""
        grant = self._grants.pop(code, None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        if grant is None or grant.until < time.time():
            return None
        if (challenge, redirect_uri) != (grant.challenge, grant.redirect_uri):
            return None
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": grant.person.subject,
            "aud": CLIENT,
            "iat": now,
            "auth_time": now,
            "exp": now + _TOKEN_SECONDS,
            "nonce": grant.nonce,
            "acr": grant.level,
            "pid": grant.person.national_number,
            "organisation": grant.person.organisation_number,
        }
        said = {name: value for name, value in claims.items() if value != ""}
        return jwt.encode({"alg": "Ed25519", "kid": self._key.kid}, said, self._key, algorithms=["Ed25519"])

    def document(self) -> dict[str, Any]:
        """Return the discovery document."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["Ed25519"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }

    def key_set(self) -> dict[str, Any]:
        """Return the key by which its ID tokens are verified."""
        return {"keys": [{**self._key.as_dict(private=False), "use": "sig", "alg": "Ed25519"}]}


class AuthorizationRequest(BaseModel):
    """An authorization request of the portal's; what this provider does not need is passed over."""

    model_config = ConfigDict(extra="ignore")

    client_id: str
    redirect_uri: str
    state: str = Field(pattern=r"^[0-9]{4}\.[A-Za-z0-9_-]{43}$")
    nonce: str = Field(max_length=200)
    code_challenge: str = Field(min_length=43, max_length=43)
    acr_values: str = ""
    subject: str = ""

    @property
    def tenant(self) -> str:
        """The municipality, by which the portal's state begins."""
        return self.state.partition(".")[0]
