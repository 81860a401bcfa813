"""What production insists on: TLS to every server, or a word of its own for this machine (finding 11)."""

import json
from typing import Any

import pytest
from pydantic import SecretStr

from services.kernel.production import require_complete
from services.kernel.settings import Settings, SettingsFault, read_settings

TRUST = "sslmode=verify-full&sslrootcert=/run/secrets/authority"
ISSUER = {"issuer": "https://sign-in.test", "keys": "/run/secrets/keys", "municipalities": ["0440"]}
SAFE: dict[str, Any] = {
    "database": SecretStr(f"postgresql://samspil:x@postgres:5432/samspil?{TRUST}"),
    "database_api": SecretStr(f"postgresql://samspil_api:x@postgres:5432/samspil?{TRUST}"),
    "bootstrap": "kafka:9094",
    "kafka_ca": "/run/secrets/authority",
    "kafka_user": "samspil.referral",
    "kafka_password": SecretStr("x"),
    "issuers": [ISSUER],
    "vault_url": "https://vault:8200",
    "public_url": "https://samspil.test",
}


def settings(**changes: Any) -> Settings:
    """Return settings that production takes, but for the changes."""
    return read_settings(**{**SAFE, **changes})


def fault(**changes: Any) -> str:
    """Return why production refuses a start."""
    with pytest.raises(SettingsFault) as said:
        require_complete(settings(**changes))
    assert "hunter2" not in said.value.detail
    return said.value.detail


def test_production_takes_settings_of_which_every_connection_is_by_tls() -> None:
    """What the compose file sets."""
    assert require_complete(settings()) == settings()


def issuers(**changes: Any) -> list[dict[str, Any]]:
    """Return one issuer, but for the changes."""
    return [{**ISSUER, **changes}]


def database(address: str) -> SecretStr:
    """Return an address of a database."""
    return SecretStr(address)


PLAIN: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "Kafka without an authority": (
        "SAMSPIL_KAFKA_CA",
        {"kafka_ca": None},
        {"bootstrap": "127.0.0.1:9092,[::1]:9092,localhost:9093", "plain_connections": "kafka"},
    ),
    "Kafka without a user": (
        "SAMSPIL_KAFKA_USER",
        {"kafka_user": ""},
        {"bootstrap": "localhost:9092", "plain_connections": "kafka"},
    ),
    "Kafka without a password": (
        "SAMSPIL_KAFKA_USER",
        {"kafka_password": SecretStr("")},
        {"bootstrap": "localhost:9092", "plain_connections": "kafka"},
    ),
    "mails without TLS": (
        "SAMSPIL_SMTP_TLS",
        {"smtp_tls": False, "smtp_host": "mail.test"},
        {"smtp_host": "::1", "plain_connections": "smtp"},
    ),
    "an issuer without https": (
        "SAMSPIL_ISSUERS: http://sign-in.test",
        {"issuers": issuers(issuer="http://sign-in.test")},
        {"issuers": issuers(issuer="http://localhost:8080"), "plain_connections": "issuers"},
    ),
    "an issuer that is no address": (
        "SAMSPIL_ISSUERS: samspil:development",
        {"issuers": issuers(issuer="samspil:development")},
        {"issuers": issuers(issuer="http://127.0.0.1"), "plain_connections": "issuers"},
    ),
    "keys of an issuer without https": (
        r"SAMSPIL_ISSUERS: HTTP://sign-in.test/jwks \(keys\)",
        {"issuers": issuers(keys="HTTP://sign-in.test/jwks")},
        {"issuers": issuers(keys="http://[::1]:8080/jwks"), "plain_connections": "issuers"},
    ),
    "a public address without https": (
        "SAMSPIL_PUBLIC_URL",
        {"public_url": "http://samspil.test"},
        {"public_url": "http://127.0.0.1:8080", "plain_connections": "public_url"},
    ),
    "a public address that is none": (
        "SAMSPIL_PUBLIC_URL",
        {"public_url": "http://[samspil.test"},
        {"public_url": "http://localhost", "plain_connections": "public_url"},
    ),
    "a collector of traces without https": (
        "SAMSPIL_OTLP",
        {"otlp": "http://collector.test:4318"},
        {"otlp": "http://localhost:4318", "plain_connections": "otlp"},
    ),
}


@pytest.mark.parametrize(("name", "changes", "allowed"), PLAIN.values(), ids=PLAIN.keys())
def test_finding_11_production_insists_on_tls(
    name: str, changes: dict[str, Any], allowed: dict[str, Any]
) -> None:
    """The setting is named and what to do; on this machine it may be plain, if a setting says so."""
    word = allowed["plain_connections"]
    assert fault(**changes).startswith(name.partition(" ")[0])
    assert f"or name {word} in SAMSPIL_PLAIN_CONNECTIONS" in fault(**changes)

    elsewhere = {**changes, "plain_connections": word}
    assert fault(**elsewhere) == fault(**changes)
    here = {**changes, **allowed}
    assert require_complete(settings(**here)) == settings(**here)
    silent = {**here, "plain_connections": "database"}
    assert fault(**silent).startswith(name.partition(":")[0])


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://samspil:hunter2@db/samspil",
        "postgresql://samspil:hunter2@db/samspil?sslmode=require",
        "postgresql://samspil:hunter2@db/samspil?sslmode=prefer&sslrootcert=/a",
        "postgresql://samspil:hunter2@db/samspil?sslmode=verify-full&sslmode=disable",
        "postgresql://samspil:hunter2@db/samspil?sslmode=VERIFY-FULL",
        "postgresql://samspil:hunter2@127.0.0.1,db/samspil",
        "postgresql://samspil:hunter2@127.0.0.1@db/samspil",
        "postgresql://samspil:hunter2@db/samspil?host=/run/postgresql",
        "postgresql:///samspil?host=db",
        "postgresql:///samspil?host=/run/postgresql,db",
        "postgresql:///samspil",
        "postgresql://samspil:hunter2@127.0.0.1.db.test/samspil",
    ],
)
def test_finding_11_production_insists_on_a_database_that_proves_who_it_is(address: str) -> None:
    """A mode that checks no certificate is none; a host that another machine may answer for stays refused."""
    for name in ("database", "database_api"):
        for allowed in ("", "database", "kafka"):
            said = fault(**{name: database(address)}, plain_connections=allowed)
            needs = f"SAMSPIL_{name.upper()}: PostgreSQL needs TLS: add sslmode=verify-full"
            assert said.startswith(needs)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://samspil:x@127.0.0.1:5432/samspil",
        "postgresql://samspil:x@[::1]:5432,localhost/samspil?sslmode=disable",
        "postgresql://samspil:x@%2Frun%2Fpostgresql/samspil",
        "postgres:///samspil?host=/run/postgresql",
        "postgres:///samspil?host=/run/postgresql,127.0.0.1",
    ],
)
def test_a_database_of_this_machine_is_taken_where_the_setting_says_so(address: str) -> None:
    """A Unix socket or a loopback address, and only with the word."""
    assert fault(database=database(address)).startswith("SAMSPIL_DATABASE: ")
    assert require_complete(settings(database=database(address), plain_connections="kafka, database"))


@pytest.mark.parametrize("mode", ["verify-full", "verify-ca"])
def test_a_database_by_tls_is_taken(mode: str) -> None:
    """On several servers too."""
    address = f"postgresql://samspil:x@one:5432,two:5432/samspil?sslmode={mode}&sslrootcert=/a"

    assert require_complete(settings(database=database(address)))


def test_every_plain_connection_is_named_at_once() -> None:
    """One start names all that is to be changed."""
    said = fault(kafka_ca=None, smtp_tls=False, smtp_host="mail.test", public_url="http://samspil.test")

    for name in ("SAMSPIL_KAFKA_CA", "SAMSPIL_SMTP_TLS", "SAMSPIL_PUBLIC_URL"):
        assert f"{name}: " in said


@pytest.mark.parametrize("mode", ["test", "embedded"])
def test_what_is_no_production_may_be_plain(mode: str) -> None:
    """`samspil up` and the tests run on this machine only."""
    assert require_complete(settings(mode=mode, kafka_ca=None, smtp_tls=False)).mode == mode


def test_a_part_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt word would allow nothing, and nobody would know why."""
    monkeypatch.setenv("SAMSPIL_PLAIN_CONNECTIONS", "kafka,vault")

    with pytest.raises(SettingsFault, match=r"^SAMSPIL_PLAIN_CONNECTIONS: 1: Input should be 'database'"):
        read_settings()


LISTS: dict[str, tuple[object, str]] = {
    "no JSON": ("{", "a JSON list of issuers"),
    "an address": ("https://sign-in.test", "a JSON list of issuers"),
    "no list": ("{}", "tuple"),
    "words": (["https://sign-in.test"], "0: "),
    "no municipality": ([{**ISSUER, "municipalities": []}], "0: municipalities: .*at least 1 item"),
    "all municipalities": ([{**ISSUER, "municipalities": ["*"]}], "0: municipalities: 0: "),
    "no municipalities named": ([{"issuer": "a", "keys": "b"}], "0: municipalities: Field required"),
    "no keys": ([{**ISSUER, "keys": ""}], "0: keys: "),
    "a level that does not exist": ([{**ISSUER, "assurance": {"x": "none"}}], "0: assurance: x: "),
    "a role that does not exist": ([{**ISSUER, "roles": ["root"]}], "0: roles: .*roles are: administrator"),
    "an unknown field": ([{**ISSUER, "secret": "hunter2"}], "0: secret: Extra inputs are not permitted"),
    "one twice": ([ISSUER, ISSUER], "each issuer is listed once"),
}


@pytest.mark.parametrize(("value", "why"), LISTS.values(), ids=LISTS.keys())
def test_a_list_of_issuers_that_cannot_be_is_named(
    monkeypatch: pytest.MonkeyPatch, value: object, why: str
) -> None:
    """The error names the setting and where in it the fault is, and repeats no value."""
    monkeypatch.setenv("SAMSPIL_ISSUERS", value if isinstance(value, str) else json.dumps(value))

    with pytest.raises(SettingsFault, match=rf"^SAMSPIL_ISSUERS: .*{why}") as said:
        read_settings()

    assert "hunter2" not in said.value.detail


def test_issuers_are_read_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """As every setting is."""
    (tmp_path / "issuers.json").write_text(json.dumps([ISSUER]))
    monkeypatch.setenv("SAMSPIL_ISSUERS_FILE", str(tmp_path / "issuers.json"))

    (issuer,) = read_settings().issuers

    assert (issuer.issuer, sorted(issuer.municipalities)) == ("https://sign-in.test", ["0440"])
    assert issuer.assurance == {"low": "low", "substantial": "substantial", "high": "high"}


def test_production_signs_nobody_in_over_a_plain_connection() -> None:
    """Not on this machine either: whoever reads along would be who signs in."""
    provider = {
        "issuer": "http://127.0.0.1:9400",
        "name": "MitID",
        "client_id": "samspil",
        "secret": "/run/secrets/client",
        "municipalities": ["0440"],
        "people": ["citizen"],
    }

    assert fault(sign_in=[provider]) == "SAMSPIL_SIGN_IN: http://127.0.0.1:9400 must begin with https"
    assert require_complete(settings(sign_in=[{**provider, "issuer": "https://mitid.test"}]))
