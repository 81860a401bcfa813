"""What is deployed is what was meant: valid files, no secret in them, no metric that does not exist."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka.admin import AclOperation, ResourceType
from cryptography import x509
from pydantic import SecretStr

from contracts.event import SERVICES, topic_of
from deploy.certificates import hosts_of
from deploy.credentials import make_credentials
from deploy.images import images_in
from deploy.principals import rights_of, user_of
from deploy.reader import ReaderRefused, reader_rights, user_of_reader
from services.kernel.postgres.roles import logins_of
from services.kernel.production import require_complete
from services.kernel.settings import Settings, read_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = ROOT / "docker-compose.yml"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PASSPHRASE = b"a passphrase of the tests"
GIVEN_BY_THE_OPERATOR = {
    "alertmanager", "issuers", "sign_in", "sign_in_key", "vault_authority",
    *(f"vault_token_{one}" for one in SERVICES),
}  # fmt: skip
OF_THIS_PROGRAM = ("prepare", "reader", *SERVICES)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """Read the compose file as docker does, its anchors resolved."""
    read: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return read


def test_the_compose_file_is_valid() -> None:
    """Docker can read the compose file."""
    _run(_tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(COMPOSE))


def test_the_image_is_built_as_it_should() -> None:
    """The linter of image recipes finds nothing."""
    _run(_tool("hadolint"), str(DEPLOY / "Dockerfile"))


def test_the_image_runs_without_privileges() -> None:
    """The image's last user is a number that is not root's."""
    users = re.findall(r"^USER (.+)$", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)

    assert users
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1])


def test_the_image_holds_locked_libraries_only() -> None:
    """Every library of the image stands in the lock of the project, in the same version, with hashes."""
    of_image, of_project = (
        _pins(path) for path in (DEPLOY / "requirements.lock", ROOT / "requirements.lock")
    )

    assert of_image
    assert {name: version for name, version in of_image.items() if of_project.get(name) != version} == {}


def test_every_service_has_its_container(compose: dict[str, Any]) -> None:
    """Each service runs by itself, with its own logins, its own user in Kafka and its own secrets only."""
    for service in SERVICES:
        container = compose["services"][service]
        logins = logins_of(service)
        databases = {f"database_{logins.works}", f"database_{logins.api}"}
        own = {*databases, f"kafka_{service}", f"vault_token_{service}"}
        assert container["command"] == ["run", service]
        assert container["environment"]["SAMSPIL_DATABASE_API_FILE"].endswith(f"/database_{logins.api}")
        assert container["environment"]["SAMSPIL_KAFKA_USER"] == user_of(service)
        assert {
            each
            for each in container["secrets"]
            if "_samspil_" in each or each.startswith(("kafka_", "vault_token"))
        } == own


def test_containers_have_no_rights_to_spare(compose: dict[str, Any]) -> None:
    """No container keeps capabilities or may gain rights, and ours write nowhere but in /tmp."""
    for name, container in compose["services"].items():
        assert container["cap_drop"] == ["ALL"], name
        assert container["security_opt"] == ["no-new-privileges:true"], name
        assert not {"privileged", "cap_add", "network_mode", "pid"} & container.keys(), name
    for name in OF_THIS_PROGRAM:
        assert compose["services"][name]["read_only"], name
        assert compose["services"][name]["tmpfs"] == ["/tmp"], name  # noqa: S108 - the container's own


def test_nothing_is_published_to_other_machines(compose: dict[str, Any]) -> None:
    """Ports are bound to the loopback address, and the servers' network has no way out."""
    ports = [port for container in compose["services"].values() for port in container.get("ports", ())]

    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []
    assert compose["networks"]["data"]["internal"] is True
    assert {name: compose["services"][name]["networks"] for name in ("kafka", "postgres")} == {
        "kafka": ["data", "outside"],
        "postgres": ["data"],
    }


def test_secrets_come_as_files(compose: dict[str, Any]) -> None:
    """No secret stands in an environment: what is secret in the settings is given as a file."""
    secret = {
        f"SAMSPIL_{name.upper()}"
        for name, field in Settings.model_fields.items()
        if field.annotation is SecretStr
    }
    for name, container in compose["services"].items():
        environment = container.get("environment", {})
        assert secret & environment.keys() == set(), name
        hidden = {
            key: value for key, value in environment.items() if "PASSWORD" in key or key.endswith("_FILE")
        }
        assert [value for value in hidden.values() if not value.startswith("/run/secrets/")] == [], name


def test_every_setting_in_the_compose_file_exists(compose: dict[str, Any]) -> None:
    """A setting that the program does not know would be a wish without effect."""
    settings = {f"SAMSPIL_{name.upper()}" for name in Settings.model_fields}
    used = {key for name in SERVICES for key in compose["services"][name]["environment"]}

    assert {key for key in used if key.removesuffix("_FILE") not in settings} == set()


def test_the_compose_file_meets_what_production_insists_on(
    compose: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the values of the example and the secrets of the script every service would start."""
    make_credentials(tmp_path / "secrets", NOW, passphrase=PASSPHRASE)
    given = dict(re.findall(r"^(\w+)=(.*)$", (DEPLOY / "example.env").read_text(), re.MULTILINE))
    shutil.copy(DEPLOY / "example-issuers.json", tmp_path / "secrets" / "issuers")
    shutil.copy(DEPLOY / "example-sign-in.json", tmp_path / "secrets" / "sign_in")
    for service in SERVICES:
        (tmp_path / "secrets" / f"vault_token_{service}").write_text("x")
        with monkeypatch.context() as environment:
            for name, value in compose["services"][service]["environment"].items():
                filled = re.sub(r"\$\{(\w+)[^}]*\}", lambda found: given.get(found[1], ""), value)
                environment.setenv(name, filled.replace("/run/secrets", str(tmp_path / "secrets")))
            settings = require_complete(read_settings())

        assert (settings.mode, settings.plain_connections) == ("production", frozenset()), service


def test_every_secret_is_made_or_required(compose: dict[str, Any], tmp_path: Path) -> None:
    """Each secret that a container mounts is defined, and made by our script or given by the operator."""
    made = set(make_credentials(tmp_path / "secrets", NOW, passphrase=PASSPHRASE))
    mounted = {each for container in compose["services"].values() for each in container.get("secrets", ())}

    assert mounted == set(compose["secrets"])
    assert mounted - made == GIVEN_BY_THE_OPERATOR


def test_every_service_gets_its_keys_from_a_vault(compose: dict[str, Any]) -> None:
    """No key lies in a file; without a Vault or OpenBao compose reports it before anything starts."""
    for service in SERVICES:
        environment = compose["services"][service]["environment"]
        assert environment["SAMSPIL_VAULT_URL"].startswith(
            "${SAMSPIL_VAULT_URL:?the https address of your Vault"
        )
        assert environment["SAMSPIL_VAULT_TOKEN_FILE"] == f"/run/secrets/vault_token_{service}"
        assert "SAMSPIL_KEK" not in environment


def test_the_example_names_everything_that_must_be_named() -> None:
    """Each value that the compose file requires is in the example."""
    required = set(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text(encoding="utf-8")))
    required -= images_in((DEPLOY / "images.in").read_text(encoding="utf-8")).keys()
    named = set(re.findall(r"^(\w+)=.", (DEPLOY / "example.env").read_text(encoding="utf-8"), re.MULTILINE))

    assert required
    assert required - named == set()


def test_secrets_are_made_once(tmp_path: Path) -> None:
    """A second run makes nothing; with renewal it makes new certificates and keeps every password."""
    folder = tmp_path / "secrets"
    make_credentials(folder, NOW, passphrase=PASSPHRASE)
    before = _contents(folder)

    assert make_credentials(folder, NOW, passphrase=PASSPHRASE) == []
    assert _contents(folder) == before
    renewed = make_credentials(folder, NOW, passphrase=PASSPHRASE, renew=True)
    assert renewed == ["kafka_node", "kafka_operator", "postgres_server"]
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "authority_key").stat().st_mode & 0o077 == 0


def test_no_two_secrets_are_the_same(tmp_path: Path) -> None:
    """Whoever learns one password knows one password."""
    folder = tmp_path / "secrets"
    make_credentials(folder, NOW, passphrase=PASSPHRASE)
    passwords = [path.read_text() for path in folder.glob("password_*")]
    passwords += [(folder / f"kafka_{service}").read_text() for service in SERVICES]

    assert len(passwords) == len(set(passwords)) == 4 * len(SERVICES)


def test_a_name_of_kafka_outside_stays_in_its_certificate(tmp_path: Path) -> None:
    """A new name makes the certificate anew; names of before, and those of inside, stay through renewals."""
    folder = tmp_path / "secrets"
    make_credentials(folder, NOW, passphrase=PASSPHRASE)

    made = make_credentials(folder, NOW, passphrase=PASSPHRASE, kafka_hosts=["kafka.example", "192.0.2.7"])
    again = make_credentials(folder, NOW, passphrase=PASSPHRASE, kafka_hosts=["kafka.example"])
    make_credentials(folder, NOW, passphrase=PASSPHRASE, renew=True)

    assert (made, again) == (["kafka_node"], [])
    certificate = x509.load_pem_x509_certificate((folder / "kafka_node").read_bytes())
    assert hosts_of(certificate) == {"kafka", "localhost", "127.0.0.1", "kafka.example", "192.0.2.7"}


def test_a_reader_from_outside_may_read_what_was_named() -> None:
    """It reads these topics in a group of its own, and may do nothing else."""
    rights = reader_rights("statistics", ["audit"])

    assert {(one.restype, one.name, one.operation) for one in rights} == {
        (ResourceType.GROUP, "reader.statistics", AclOperation.READ),
        (ResourceType.TOPIC, topic_of("audit"), AclOperation.READ),
        (ResourceType.TOPIC, topic_of("audit"), AclOperation.DESCRIBE),
    }
    assert {one.principal for one in rights} == {"User:reader.statistics"}


@pytest.mark.parametrize("name", ["", "Statistics", "a b", "-x", "x" * 41, "samspil.audit", "x\n"])
def test_a_reader_has_a_plain_name(name: str) -> None:
    """No name takes a service's user, or one that a shell or a log would stumble over."""
    with pytest.raises(ReaderRefused, match="1 to 40 of a-z"):
        user_of_reader(name)


def test_a_service_may_write_one_topic() -> None:
    """Of the rights of a service only one is to write, and it is to its own topic."""
    rights = rights_of("referral", {"consent", "directory"})

    written = {right.name for right in rights if right.operation == AclOperation.WRITE}
    read = {right.name for right in rights if right.operation == AclOperation.READ}
    assert written == {topic_of("referral")}
    assert read == {topic_of("consent"), topic_of("directory"), topic_of("referral"), "samspil.referral"}
    assert {right.principal for right in rights} == {"User:samspil.referral"}


def test_a_service_may_read_the_offsets_of_its_consumers() -> None:
    """That is all it may do with the groups of others: it keeps its log until they have consumed it."""
    rights = rights_of("referral", {"consent"}, {"audit", "consent"})

    groups = {(right.name, right.operation) for right in rights if right.restype == ResourceType.GROUP}
    assert groups == {
        ("samspil.referral", AclOperation.READ),
        ("samspil.audit", AclOperation.DESCRIBE),
        ("samspil.consent", AclOperation.DESCRIBE),
    }


def test_every_panel_says_what_it_shows() -> None:
    """Panels have distinct ids and titles and lie beside each other, not on each other."""
    panels = json.loads((DEPLOY / "grafana/dashboards/samspil.json").read_text(encoding="utf-8"))["panels"]

    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    taken = [cell for panel in panels for cell in _cells(panel["gridPos"])]
    assert len(taken) == len(set(taken))


def test_prometheus_scrapes_every_service() -> None:
    """Each container of ours is scraped."""
    read = yaml.safe_load((DEPLOY / "prometheus.yml").read_text(encoding="utf-8"))

    (job,) = read["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"{service}:8080" for service in SERVICES]}]


def test_prometheus_reaches_alertmanager(compose: dict[str, Any]) -> None:
    """Alerts go to the container that tells people, at the port that it listens at."""
    read = yaml.safe_load((DEPLOY / "prometheus.yml").read_text(encoding="utf-8"))
    (manager,) = read["alerting"]["alertmanagers"]

    assert manager == {"static_configs": [{"targets": ["alertmanager:9093"]}]}
    assert compose["services"]["alertmanager"]["networks"] == compose["services"]["prometheus"]["networks"]
    assert compose["services"]["alertmanager"]["secrets"] == ["alertmanager"]


def _tool(name: str) -> str:
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else name


def _run(*argv: str) -> None:
    ran = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def _pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE))


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _cells(cell: Mapping[str, int]) -> Iterator[tuple[int, int]]:
    for x in range(cell["x"], cell["x"] + cell["w"]):
        for y in range(cell["y"], cell["y"] + cell["h"]):
            yield x, y
