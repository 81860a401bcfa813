"""Settings of a process, from the environment (`SAMSPIL_…`), each also from a file (`SAMSPIL_…_FILE`)."""

import os
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.kernel.errors import ProblemError
from services.kernel.limits import Limits

_HOST: Final = r"(\[[0-9a-fA-F:.]+\]|[^\s:,\[\]/?@]*)(:[0-9]{1,5})?"
_DATABASE: Final = re.compile(rf"postgres(ql)?://([^/?]*@)?{_HOST}(,{_HOST})*([/?].*)?")
_BROKER: Final = re.compile(r"\s*(\[[0-9a-fA-F:.]+\]|[^\s:,\[\]]+)(:[0-9]{1,5})?\s*")
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


NEEDED_IN_PRODUCTION: Final = frozenset({"database", "database_api", "bootstrap", "issuer_keys", "vault_url"})
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
    issuer_keys: Path | None = None
    """File with the public keys of the token issuer (JWKS, RFC 7517)."""
    audience: str = "samspil"
    """Audience that a token must name (`aud`)."""
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
    otlp: str = ""
    """Address of an OpenTelemetry collector (OTLP over HTTP); without it nothing is traced."""
    traced_share: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of commands and reads that are traced, from 0 to 1."""
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
        lines = [f"SAMSPIL_{str(e['loc'][0]).upper()}: {e['msg']}" for e in fault.errors()]  # type: ignore[attr-defined]
        raise SettingsFault("; ".join(lines)) from None


def require_complete(settings: Settings) -> Settings:
    """Return the settings of a service; raise `SettingsFault` with all that production needs and lacks."""
    missing = [
        name for name in Settings.model_fields if name in NEEDED_IN_PRODUCTION and _is_unset(settings, name)
    ]
    if settings.mode == "production" and missing:
        names = ", ".join(f"SAMSPIL_{name.upper()}" for name in missing)
        raise SettingsFault(f"set {names}, each also as a file: see docs/settings.md")
    return settings


def _is_unset(settings: Settings, name: str) -> bool:
    value = getattr(settings, name)
    return value is None or not str(value.get_secret_value() if isinstance(value, SecretStr) else value)


def _refuse_misspelt() -> None:
    """Refuse variables that resemble a setting; others are not ours, such as those of an orchestrator."""
    settings = {f"SAMSPIL_{name.upper()}": None for name in Settings.model_fields}
    known = [*settings, *(f"{name}_FILE" for name in settings)]
    others = sorted(name for name in os.environ if name.startswith("SAMSPIL_") and name not in known)
    near = [(name, get_close_matches(name, known, n=1, cutoff=_MISSPELT)) for name in others]
    lines = [f"{name} is no setting: is {found[0]} meant?" for name, found in near if found]
    if lines:
        raise SettingsFault("; ".join(lines))
