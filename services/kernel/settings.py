"""Settings of a process, from the environment (`SAMSPIL_…`), each also from a file (`SAMSPIL_…_FILE`)."""

import os
import re
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from contracts.event import Tenant
from services.kernel.colours import Colours
from services.kernel.errors import ProblemError
from services.kernel.issuer_settings import Issuers
from services.kernel.limits import Limits
from services.kernel.sign_in_settings import Providers

_HOST: Final = r"(\[[0-9a-fA-F:.]+\]|[^\s:,\[\]/?@]*)(:[0-9]{1,5})?"
_DATABASE: Final = re.compile(rf"postgres(ql)?://([^/?]*@)?{_HOST}(,{_HOST})*([/?].*)?")
_BROKER: Final = re.compile(r"\s*(\[[0-9a-fA-F:.]+\]|[^\s:,\[\]]+)(:[0-9]{1,5})?\s*")
_HOST_NAME: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?")
_MISSPELT: Final = 0.88
"""How much of a name must agree with a setting's, so that it counts as a misspelt one."""


class SettingsFault(ProblemError):
    """A setting is missing or cannot be used."""


def _database(value: SecretStr) -> SecretStr:
    """Refuse what is no connection string, without repeating it: it may hold a password."""
    text = value.get_secret_value()
    if text and not _DATABASE.fullmatch(text):
        raise ValueError("an address as in postgresql://user@host:5432/samspil")
    return value


def _brokers(value: str) -> str:
    if value and not all(map(_BROKER.fullmatch, value.split(","))):
        raise ValueError("addresses as in kafka-1:9092,kafka-2:9092")
    return value


def _parts(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Part: TypeAlias = Literal["database", "issuers", "kafka", "otlp", "public_url", "smtp"]
"""A part that production reaches by TLS."""


def _networks(value: str) -> str:
    """Refuse what is neither an IP address nor a network."""
    for one in filter(None, value.split(",")):
        try:
            ip_network(one.strip())
        except ValueError:
            raise ValueError("addresses or networks as in 10.0.0.5,10.1.0.0/16") from None
    return value


def _hosts(value: str) -> str:
    if value and not all(_HOST_NAME.fullmatch(one.strip()) for one in value.split(",")):
        raise ValueError("names as in samspil.example.dk,localhost:8080")
    return value


NEEDED_IN_PRODUCTION: Final = frozenset({"database", "database_api", "bootstrap", "issuers", "vault_url"})
"""The settings without which a service does not start in production."""


class Settings(BaseSettings):
    """Configuration of a process, from its environment; secrets are best read from files."""

    model_config = SettingsConfigDict(
        env_prefix="SAMSPIL_", frozen=True, extra="forbid", use_attribute_docstrings=True
    )

    mode: Literal["production", "embedded", "test"] = "production"
    """Mode of the process: `production` for people, `embedded` for `samspil up`, `test` for the tests."""
    database: Annotated[SecretStr, AfterValidator(_database)] = SecretStr("")
    """Connection string of PostgreSQL; several hosts may stand in it."""
    database_api: Annotated[SecretStr, AfterValidator(_database)] = SecretStr("")
    """Connection string of PostgreSQL for requests, whose role sees one municipality at a time."""
    bootstrap: Annotated[str, AfterValidator(_brokers)] = ""
    """Bootstrap servers of Kafka, separated by commas."""
    broker: Literal["kafka", "embedded"] = "kafka"
    """Broker behind `bootstrap`: Apache Kafka, or the embedded one of `samspil up`."""
    kafka_user: str = ""
    """User name at Kafka (SASL SCRAM-SHA-512); empty where Kafka needs none."""
    kafka_password: SecretStr = SecretStr("")
    """Password of that user."""
    kafka_ca: Path | None = None
    """File with the certificate authority of Kafka; switches TLS on."""
    partitions: int = Field(default=4, ge=1, le=1000)
    """Number of partitions of every topic; it cannot be changed later."""
    host: str = "127.0.0.1"
    """Address that the HTTP server binds."""
    port: int = Field(default=8080, ge=0, le=65535)
    """Port that the HTTP server binds; 0 takes a free one."""
    issuers: Issuers = ()
    """Sign-in services whose tokens are taken, as a JSON list: each with its keys and its municipalities, see
    [Installation](installation.md#sign-in-services)."""
    sign_in: Providers = ()
    """OpenID providers at which people sign in to the portal, as a JSON list, see
    [Sign-in](sign-in.md#providers)."""
    municipality_names: dict[Tenant, str] = {}
    """What the municipalities are called where somebody signs in, by their codes, as JSON:
    `{"0440": "Kerteminde Kommune"}`."""
    municipality_colours: dict[Tenant, Colours] = {}
    """Colours of the municipalities' pages by their codes, as JSON, each with enough contrast to white:
    `{"0440": {"brand": "#0b5c72", "brand_dark": "#083f4f"}}`."""
    portal_key: Path | None = None
    """File with the private key (JWK, Ed25519) by which the portal signs its tokens; without it, and in
    production always, Vault signs with its transit key `samspil-portal-tokens`."""
    idle_staff_minutes: float = Field(default=30.0, ge=1.0, le=240.0)
    """Minutes without a page after which the session of an employee, a coordinator or an auditor ends."""
    idle_family_minutes: float = Field(default=15.0, ge=1.0, le=240.0)
    """Minutes without a page after which the session of a guardian or a young person ends."""
    session_hours: float = Field(default=10.0, ge=0.1, le=24.0)
    """Hours after which every session ends."""
    audience: str = "samspil"
    """Audience that a token must name (`aud`)."""
    token_seconds: float = Field(default=3600.0, ge=60.0, le=604_800.0)
    """Longest lifetime of a token in seconds; one that lives longer is refused."""
    operator_token: SecretStr = SecretStr("")
    """Token of the person who gives commands with `samspil`, with the role operator; a server needs none."""
    kek: Path | None = None
    """File with the key that wraps the keys of persons; refused in production, which uses Vault."""
    vault_url: str = ""
    """Address of the HashiCorp Vault or OpenBao that wraps the keys of persons."""
    vault_token: SecretStr = SecretStr("")
    """Token for Vault, read when the process starts; empty where a local agent adds it."""
    vault_mount: str = "transit"
    """Path at which the transit engine of Vault is mounted."""
    vault_ca: Path | None = None
    """File with the certificate authority of Vault."""
    models: Path | None = None
    """Folder of collaboration models; without it those of the distribution."""
    smtp_host: str = "127.0.0.1"
    """Mail server of `notify`."""
    smtp_port: int = Field(default=25, ge=0, le=65535)
    """Port of the mail server."""
    smtp_user: str = ""
    """User name at the mail server; empty where it needs none."""
    smtp_password: SecretStr = SecretStr("")
    """Password of that user."""
    smtp_tls: bool = True
    """Whether mails are sent over STARTTLS only."""
    mail_from: str = "samspil@localhost"
    """Sender of the mails."""
    public_url: str = "http://127.0.0.1:8080"
    """Address of the site that a mail links to."""
    services: str = "http://{service}:8080"
    """Address of each service for the portal; `{service}` stands for its name."""
    plain_connections: Annotated[frozenset[Part], NoDecode, BeforeValidator(_parts)] = frozenset()
    """Parts that production may reach without TLS on a Unix socket or a loopback address, and nowhere else:
    `database`, `issuers`, `kafka`, `otlp`, `public_url` and `smtp`, separated by commas."""

    http_header_bytes: int = Field(default=16_384, ge=512)
    """Bytes of a request line with its headers; more are answered 431."""
    http_headers: int = Field(default=64, ge=8)
    """Number of headers of a request; more are answered 431."""
    http_header_seconds: float = Field(default=10.0, gt=0)
    """Seconds within which the headers of a request must have arrived; later ones are answered 408."""
    http_body_seconds: float = Field(default=20.0, gt=0)
    """Seconds within which the body of a request must have arrived, and a response must have been read."""
    http_idle_seconds: int = Field(default=65, ge=1)
    """Seconds after which a connection without a request is closed; longer than the gateway keeps one."""
    http_connections: int = Field(default=512, ge=1)
    """Number of open connections of a process; further ones are answered 503 and closed."""
    http_address_connections: int = Field(default=128, ge=1)
    """Number of open connections of one address that is no trusted proxy."""
    http_trusted_proxies: Annotated[str, AfterValidator(_networks)] = ""
    """Addresses and networks of gateways whose `X-Forwarded-For` names the client, separated by commas."""
    http_hosts: Annotated[str, AfterValidator(_hosts)] = ""
    """Names that `Host` may give, each with a port or for any port, separated by commas; empty for any."""
    http_person_requests: int = Field(default=600, ge=0)
    """Requests of one person a minute, in production unless it is set; 0 for any number."""
    http_tenant_requests: int = Field(default=6_000, ge=0)
    """Requests of one municipality a minute, in production unless it is set; 0 for any number."""
    http_address_requests: int = Field(default=600, ge=0)
    """Requests without a valid token of one address a minute, in production unless it is set; 0 for any
    number."""

    otlp: str = ""
    """Address of an OpenTelemetry collector (OTLP over HTTP); without it nothing is traced."""
    traced_share: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of commands and reads that are traced, from 0 to 1."""
    api_page: bool = False
    """Whether the page of the API is shown at `/docs` in production; `samspil up` always shows it."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe log lines that are written."""
    pool: int = Field(default=8, ge=2, le=200)
    """Size of each of the two pools of database connections: for requests, and for all other work."""
    parked_limit: int = Field(default=50, ge=1)
    """Number of parked events above which the circuit breaker stops the consumer."""
    parked_seconds: float = Field(default=60.0, gt=0)
    """Seconds within which the circuit breaker counts parked events."""
    consent_max_age_seconds: float = Field(default=60.0, gt=0)
    """Age in seconds at which the consent watermark is too old, and commands that rest on a consent are
    refused."""
    watermark_seconds: float = Field(default=5.0, gt=0)
    """Seconds between two consent watermarks."""
    session_seconds: float = Field(default=10.0, ge=1.0)
    """Seconds without a sign of life after which Kafka gives the partitions of a consumer to another."""
    log_days: int = Field(default=0, ge=0)
    """Days for which the event log is kept; 0 for ever, less than 30 counts as 30."""

    limits: Limits = Limits()
    """Intervals and bounds of the kernel's loops, as JSON; an installation needs no others."""

    def requests_a_minute(self, of: Literal["person", "tenant", "address"]) -> int:
        """Return a limit on requests: the one that is set, else in production the default; 0 for none."""
        name = f"http_{of}_requests"
        applies = self.mode == "production" or name in self.model_fields_set
        return int(getattr(self, name)) if applies else 0

    @property
    def alone(self) -> bool:
        """Whether one process runs all services on a broker of its own, without consumer groups."""
        return self.mode == "embedded" and self.broker == "embedded"


def read_settings(**overrides: object) -> Settings:
    """Return the settings of this process; `overrides` go before files, and files before variables.

    Raises `SettingsFault` with what to do; a variable that is nearly named as a setting is a misspelt one.
    """
    _refuse_misspelt()
    from_files: dict[str, object] = {}
    for name in Settings.model_fields:
        path = os.environ.get(f"SAMSPIL_{name.upper()}_FILE")
        if path is None:
            continue
        try:
            from_files[name] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as fault:
            why = fault.strerror if isinstance(fault, OSError) else "it is not text in UTF-8"
            hint = f"SAMSPIL_{name.upper()}_FILE names {path}, which cannot be read: {why}"
            raise SettingsFault(hint) from None
    try:
        return Settings(**{**from_files, **overrides})  # type: ignore[arg-type]  # pydantic validates each field
    except ValueError as fault:
        lines = [_line(*entry["loc"], entry["msg"]) for entry in fault.errors()]  # type: ignore[attr-defined]
        raise SettingsFault("; ".join(lines)) from None


def _line(name: str, *within: object) -> str:
    """Return one fault of a setting; `within` leads from its value to what is at fault, then says what."""
    *path, message = within
    return f"SAMSPIL_{name.upper()}: {''.join(f'{part}: ' for part in path)}{message}"


def _refuse_misspelt() -> None:
    """Refuse variables that resemble a setting; others are not ours, such as those of an orchestrator."""
    settings = {f"SAMSPIL_{name.upper()}": None for name in Settings.model_fields}
    known = [*settings, *(f"{name}_FILE" for name in settings)]
    others = sorted(name for name in os.environ if name.startswith("SAMSPIL_") and name not in known)
    near = [(name, get_close_matches(name, known, n=1, cutoff=_MISSPELT)) for name in others]
    lines = [f"{name} is no setting: is {found[0]} meant?" for name, found in near if found]
    if lines:
        raise SettingsFault("; ".join(lines))
