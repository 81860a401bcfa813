"""How the deployment scripts reach Kafka, and how to say clearly why they could not."""

import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError

MECHANISM = "SCRAM-SHA-512"


class NoAccess(RuntimeError):
    """Kafka did not let us in, or was not there."""


@dataclass(frozen=True)
class KafkaAccess:
    """One way in: client certificate (operator), user and password (service), or nothing (development).

    `authority` and `certificate` are PEM files; `certificate` holds the private key as well.
    """

    bootstrap: str
    authority: Path | None = None
    certificate: Path | None = None
    user: str = ""
    password: str = ""

    def for_aiokafka(self) -> dict[str, Any]:
        """Return the settings for any aiokafka client."""
        settings: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": self._protocol(),
        }
        if self.authority:
            settings["ssl_context"] = self._trust(self.authority)
        if self.user:
            settings |= {
                "sasl_mechanism": MECHANISM,
                "sasl_plain_username": self.user,
                "sasl_plain_password": self.password,
            }
        return settings

    def for_librdkafka(self) -> dict[str, str]:
        """Return the settings for any confluent-kafka client."""
        settings = {"bootstrap.servers": self.bootstrap, "security.protocol": self._protocol()}
        if self.authority:
            settings["ssl.ca.location"] = str(self.authority)
        if self.certificate:
            settings |= {
                "ssl.certificate.location": str(self.certificate),
                "ssl.key.location": str(self.certificate),
            }
        if self.user:
            settings |= {
                "sasl.mechanism": MECHANISM,
                "sasl.username": self.user,
                "sasl.password": self.password,
            }
        return settings

    def _protocol(self) -> str:
        return f"{'SASL_' if self.user else ''}{'SSL' if self.authority else 'PLAINTEXT'}"

    def _trust(self, authority: Path) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(authority))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate:
            context.load_cert_chain(str(self.certificate))
        return context


@asynccontextmanager
async def administrator(access: KafkaAccess) -> AsyncIterator[AIOKafkaAdminClient]:
    """Lend an administration client; raises `NoAccess` with the reason that aiokafka only logs."""
    reasons = _Reasons()
    logger = logging.getLogger("aiokafka")
    logger.addHandler(reasons)
    admin = AIOKafkaAdminClient(**access.for_aiokafka(), request_timeout_ms=30_000)
    try:
        await admin.start()
    except KafkaConnectionError as refused:
        await admin.close()
        who = f" for {access.user}" if access.user else ""
        why = "; ".join(reasons.said) or str(refused)
        raise NoAccess(f"no way into Kafka at {access.bootstrap}{who}: {why}") from refused
    finally:
        logger.removeHandler(reasons)
    try:
        yield admin
    finally:
        await admin.close()


class _Reasons(logging.Handler):
    """Keeps what was logged at level error, each sentence once."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: dict[str, None] = {}

    def emit(self, record: logging.LogRecord) -> None:
        self.said[record.getMessage()] = None
