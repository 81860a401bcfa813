"""Settings of a process, from the environment (`SAMSPIL_…`), each also from a file (`SAMSPIL_…_FILE`)."""

import os
import re
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.kernel.errors import ProblemError

_HOST: Final = r"(\[[0-9a-fA-F:.]+\]|[^\s:,\[\]/?@]*)(:[0-9]{1,5})?"
_DATABASE: Final = re.compile(rf"postgres(ql)?://([^/?]*@)?{_HOST}(,{_HOST})*([/?].*)?")
_BROKER: Final = re.compile(r"\s*(\[[0-9a-fA-F:.]+\]|[^\s:,\[\]]+)(:[0-9]{1,5})?\s*")


class SettingsFault(ProblemError):
    """A setting is missing or cannot be used."""


def _database(named: SecretStr) -> SecretStr:
    """Refuse what is no connection string, without repeating it: it may hold a password."""
    text = named.get_secret_value()
    if text and not _DATABASE.fullmatch(text):
        raise ValueError("an address as in postgresql://user@host:5432/samspil")
    return named


def _brokers(named: str) -> str:
    if named and not all(map(_BROKER.fullmatch, named.split(","))):
        raise ValueError("addresses as in kafka-1:9092,kafka-2:9092")
    return named


class Settings(BaseSettings):
    """What a process is told from outside; secrets are best given as files."""

    model_config = SettingsConfigDict(env_prefix="SAMSPIL_", frozen=True, extra="forbid")

    mode: Literal["production", "embedded", "test"] = "production"
    database: Annotated[SecretStr, AfterValidator(_database)] = SecretStr("")
    bootstrap: Annotated[str, AfterValidator(_brokers)] = ""
    broker: Literal["kafka", "embedded"] = "kafka"
    kafka_user: str = ""
    kafka_password: SecretStr = SecretStr("")
    kafka_ca: Path | None = None
    partitions: int = Field(default=4, ge=1, le=1000)
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    issuer_keys: Path | None = None
    audience: str = "samspil"
    kek: Path | None = None
    vault_url: str = ""
    vault_token: SecretStr = SecretStr("")
    vault_mount: str = "transit"
    vault_ca: Path | None = None
    models: Path | None = None
    smtp_host: str = "127.0.0.1"
    smtp_port: int = Field(default=25, ge=0, le=65535)
    smtp_user: str = ""
    smtp_password: SecretStr = SecretStr("")
    smtp_tls: bool = True
    mail_from: str = "samspil@localhost"
    public_url: str = "http://127.0.0.1:8080"
    otlp: str = ""
    traced_share: float = Field(default=0.0, ge=0.0, le=1.0)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    pool: int = Field(default=8, ge=2, le=200)
    parked_limit: int = Field(default=50, ge=1)
    parked_seconds: float = Field(default=60.0, gt=0)
    horizon_seconds: float = Field(default=60.0, gt=0)
    tick_seconds: float = Field(default=5.0, gt=0)
    session_seconds: float = Field(default=10.0, ge=1.0)
    log_days: int = Field(default=0, ge=0)
    """For how many days the log is kept at least; 0 for ever. Less than 30 counts as 30."""

    @property
    def alone(self) -> bool:
        """Whether one process runs all services and nobody else uses its broker: nothing is shared out."""
        return self.mode == "embedded" and self.broker == "embedded"


def read_settings(**given: object) -> Settings:
    """Return the settings of this process; raise `SettingsFault` with what to do."""
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
        return Settings(**{**from_files, **given})  # type: ignore[arg-type]  # pydantic validates each field
    except ValueError as fault:
        lines = [f"SAMSPIL_{str(e['loc'][0]).upper()}: {e['msg']}" for e in fault.errors()]  # type: ignore[attr-defined]
        raise SettingsFault("; ".join(lines)) from None
