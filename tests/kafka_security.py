"""The secured variant of Apache Kafka for the tests: the production settings, with secrets of its own."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from deploy.credentials import make_credentials
from deploy.kafka_access import KafkaAccess

PASSPHRASE = b"a passphrase of the tests"
PRODUCTION = Path(__file__).parents[1] / "deploy" / "kafka" / "server.properties"


@dataclass(frozen=True)
class Security:
    """The secrets of an installation, in a folder as `deploy.credentials` makes it."""

    secrets: Path

    def settings(self) -> dict[str, str]:
        """Return the settings of the production server, with the secrets where they lie here."""
        lines = PRODUCTION.read_text(encoding="utf-8").splitlines()
        pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
        return {key: value.replace("/run/secrets", str(self.secrets)) for key, _, value in pairs}

    def operator(self, bootstrap: str) -> KafkaAccess:
        """Return the operator's way in, by certificate through the inner listener."""
        return KafkaAccess(bootstrap, authority=self.authority, certificate=self.secrets / "kafka_operator")

    def service(self, bootstrap: str, user: str, password: str) -> KafkaAccess:
        """Return a service's way in, by user and password."""
        return KafkaAccess(bootstrap, authority=self.authority, user=user, password=password)

    def password(self, service: str) -> str:
        """Return the password that was made for a service."""
        return (self.secrets / f"kafka_{service}").read_text(encoding="utf-8")

    @property
    def authority(self) -> Path:
        """Return the certificate of the authority that clients trust."""
        return self.secrets / "authority"


def made_security(folder: Path) -> Security:
    """Make all secrets of an installation in `folder`."""
    make_credentials(folder, dt.datetime.now(dt.UTC), passphrase=PASSPHRASE)
    return Security(folder)
