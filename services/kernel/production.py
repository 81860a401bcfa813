"""What production insists on before a service starts: complete settings, and TLS to every server."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import SecretStr

from services.kernel.settings import NEEDED_IN_PRODUCTION, Part, Settings, SettingsFault

_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_VERIFIED_MODES: Final = ("verify-full", "verify-ca")
_DATABASES: Final = ("database", "database_api")


def require_complete(settings: Settings) -> Settings:
    """Return the settings of a service; raise `SettingsFault` with all that production needs and lacks."""
    if settings.mode != "production":
        return settings
    missing = [
        name for name in Settings.model_fields if name in NEEDED_IN_PRODUCTION and _is_unset(settings, name)
    ]
    if missing:
        names = ", ".join(f"SAMSPIL_{name.upper()}" for name in missing)
        raise SettingsFault(f"set {names}, each also as a file: see docs/settings.md")
    if faults := list(plain_connections(settings)):
        raise SettingsFault("; ".join(faults))
    return settings


def _is_unset(settings: Settings, name: str) -> bool:
    value = getattr(settings, name)
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    return text in (None, "", ())


def plain_connections(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each connection that would be plain and is not allowed to be."""
    yield from _kafka(settings)
    for name in _DATABASES:
        yield from _database(settings, name)
    if not settings.smtp_tls and not _allowed(settings, "smtp", settings.smtp_host):
        yield f"SAMSPIL_SMTP_TLS: mails need TLS: set it to true{_or_allow('smtp')}"
    for issuer in settings.issuers:
        named = {"issuer": issuer.issuer, "keys": issuer.keys if issuer.has_address else ""}
        for what, address in named.items():
            if _is_plain(settings, "issuers", address):
                yield f"SAMSPIL_ISSUERS: {address} ({what}) must begin with https{_or_allow('issuers')}"
    for provider in settings.sign_in:
        if not provider.issuer.lower().startswith("https://"):
            yield f"SAMSPIL_SIGN_IN: {provider.issuer} must begin with https"
    if _is_plain(settings, "public_url", settings.public_url):
        yield f"SAMSPIL_PUBLIC_URL: it must begin with https{_or_allow('public_url')}"
    if _is_plain(settings, "otlp", settings.otlp):
        yield f"SAMSPIL_OTLP: it must begin with https{_or_allow('otlp')}"


def _or_allow(part: Part) -> str:
    return f", or name {part} in SAMSPIL_PLAIN_CONNECTIONS if it is on this machine"


def _allowed(settings: Settings, part: Part, *hosts: str) -> bool:
    """Return whether a part may be plain: it is named, and nowhere but on this machine."""
    local = all(host in _LOOPBACK or host.startswith("/") for host in hosts)
    return part in settings.plain_connections and bool(hosts) and local


def _is_plain(settings: Settings, part: Part, address: str) -> bool:
    """Return whether an address is neither https nor allowed; an empty one is no address."""
    if not address or address.lower().startswith("https://"):
        return False
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:  # no address at all
        return True
    return not _allowed(settings, part, host)


def _kafka(settings: Settings) -> Iterator[str]:
    hosts = [_host(address) for address in settings.bootstrap.split(",")]
    if _allowed(settings, "kafka", *hosts):
        return
    if settings.kafka_ca is None:
        yield (
            "SAMSPIL_KAFKA_CA: Kafka needs TLS: name the file with the authority of its certificate"
            f"{_or_allow('kafka')}"
        )
    if not settings.kafka_user or not settings.kafka_password.get_secret_value():
        yield (
            "SAMSPIL_KAFKA_USER: Kafka needs a user: set it and SAMSPIL_KAFKA_PASSWORD_FILE"
            f"{_or_allow('kafka')}"
        )


def _database(settings: Settings, name: str) -> Iterator[str]:
    value: SecretStr = getattr(settings, name)
    netloc, query = _parts_of(value.get_secret_value())
    if query.get("sslmode") in _VERIFIED_MODES:
        return
    if not _allowed(settings, "database", *_hosts(netloc, query)):
        yield (
            f"SAMSPIL_{name.upper()}: PostgreSQL needs TLS: add sslmode=verify-full and sslrootcert with the "
            f"file of its authority{_or_allow('database')}"
        )


def _parts_of(dsn: str) -> tuple[str, dict[str, str]]:
    """Return hosts and parameters of a connection string as the driver reads them."""
    address = urlsplit(dsn)
    hosts = address.netloc.partition("@")[2] if "@" in address.netloc else address.netloc
    return hosts, {name: values[-1] for name, values in parse_qs(address.query).items()}


def _hosts(netloc: str, query: dict[str, str]) -> list[str]:
    """Return the hosts that a connection string names; without any, the environment may name one."""
    named = netloc or query.get("host", "")
    return [_host(unquote(one)) for one in named.split(",")] if named else []


def _host(address: str) -> str:
    """Return the host of `host:port`, of `[host]:port`, or the path of a Unix socket."""
    address = address.strip()
    if address.startswith("/"):
        return address
    return address[1:].partition("]")[0] if address.startswith("[") else address.partition(":")[0]
