"""Settings: read from the environment and from files, with errors that say what to do."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.kernel.clock import VirtualClock
from services.kernel.production import require_complete
from services.kernel.runtime.assembly import models_of
from services.kernel.settings import (
    NEEDED_IN_PRODUCTION,
    Settings,
    SettingsFault,
    read_settings,
)
from services.publish.settings import FILE, document, type_of


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without a setting in the environment."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"SAMSPIL_{name.upper()}", raising=False)
        monkeypatch.delenv(f"SAMSPIL_{name.upper()}_FILE", raising=False)


def test_the_default_mode_is_production() -> None:
    """A forgotten setting starts no development server, and the default address is the loopback."""
    settings = read_settings()

    assert settings.mode == "production"
    assert settings.broker == "kafka"
    assert settings.host == "127.0.0.1"
    assert settings.smtp_tls is True


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting is called SAMSPIL_ and its name."""
    monkeypatch.setenv("SAMSPIL_PARTITIONS", "12")
    monkeypatch.setenv("SAMSPIL_CONSENT_MAX_AGE_SECONDS", "30.5")

    assert (read_settings().partitions, read_settings().consent_max_age_seconds) == (12, 30.5)


def test_a_secret_is_read_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The file's last line break is not part of the secret."""
    (tmp_path / "database").write_text("postgresql://x:secret@db/samspil\n", encoding="utf-8")
    monkeypatch.setenv("SAMSPIL_DATABASE_FILE", str(tmp_path / "database"))

    settings = read_settings()

    assert settings.database.get_secret_value() == "postgresql://x:secret@db/samspil"
    assert "secret@" not in repr(settings)


def test_a_file_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where both are given the file counts; what a program gives goes before both."""
    (tmp_path / "audience").write_text("from-file", encoding="utf-8")
    monkeypatch.setenv("SAMSPIL_AUDIENCE", "from-environment")
    monkeypatch.setenv("SAMSPIL_AUDIENCE_FILE", str(tmp_path / "audience"))

    assert read_settings().audience == "from-file"
    assert read_settings(audience="given").audience == "given"


def test_a_missing_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error says which variable names which file, and why it cannot be read."""
    monkeypatch.setenv("SAMSPIL_VAULT_TOKEN_FILE", str(tmp_path / "absent"))

    with pytest.raises(SettingsFault, match=r"SAMSPIL_VAULT_TOKEN_FILE names .*absent.*: No such file"):
        read_settings()


def test_a_file_that_is_no_text_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A secret that was written as bytes is refused without showing it."""
    (tmp_path / "password").write_bytes(b"\xff\xfe\x00")
    monkeypatch.setenv("SAMSPIL_KAFKA_PASSWORD_FILE", str(tmp_path / "password"))

    with pytest.raises(SettingsFault, match=r"SAMSPIL_KAFKA_PASSWORD_FILE names .*password") as said:
        read_settings()

    assert "xff" not in str(said.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MODE", "staging"),
        ("BROKER", "rabbit"),
        ("PARTITIONS", "0"),
        ("PORT", "65536"),
        ("POOL", "1"),
        ("TRACED_SHARE", "1.5"),
        ("CONSENT_MAX_AGE_SECONDS", "0"),
        ("WATERMARK_SECONDS", "often"),
        ("LOG_LEVEL", "loud"),
        ("DATABASE", "hunter2"),
        ("DATABASE", "postgresql://samspil@one:many/samspil"),
        ("BOOTSTRAP", "kafka-1:nine"),
        ("BOOTSTRAP", "kafka-1:9092,,kafka-2:9092"),
    ],
)
def test_a_setting_that_cannot_be_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """The error begins with the variable that must be changed."""
    monkeypatch.setenv(f"SAMSPIL_{name}", value)

    with pytest.raises(SettingsFault, match=f"^SAMSPIL_{name}: "):
        read_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE", "postgresql://samspil@one:5432,two:5432/samspil?target_session_attrs=read-write"),
        ("DATABASE", "postgres:///samspil?host=/run/postgresql"),
        ("DATABASE", "postgresql://samspil:a sign: @ or %2F@[::1]:5432"),
        ("BOOTSTRAP", "kafka-1:9092,kafka-2:9092"),
        ("BOOTSTRAP", "[::1]:9092"),
    ],
)
def test_an_address_that_can_be_is_taken(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Of one server or of several."""
    monkeypatch.setenv(f"SAMSPIL_{name}", value)

    settings = read_settings()

    assert value in (settings.database.get_secret_value(), settings.bootstrap)


def test_every_fault_is_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three mistakes are reported by one start."""
    monkeypatch.setenv("SAMSPIL_PORT", "-1")
    monkeypatch.setenv("SAMSPIL_POOL", "many")

    with pytest.raises(SettingsFault, match=r"SAMSPIL_PORT: .*; SAMSPIL_POOL: "):
        read_settings()


def test_a_fault_repeats_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was given is not in the error."""
    monkeypatch.setenv("SAMSPIL_PORT", "hunter2")
    monkeypatch.setenv("SAMSPIL_DATABASE", "samspil:hunter2@localhost")

    with pytest.raises(SettingsFault) as said:
        read_settings()

    assert "hunter2" not in str(said.value)
    assert said.value.__cause__ is None


def test_a_setting_that_does_not_exist_is_refused() -> None:
    """A program cannot pass an unknown setting."""
    with pytest.raises(SettingsFault, match="SAMSPIL_COLOUR"):
        read_settings(colour="blue")


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("SAMSPIL_DATABSE", "SAMSPIL_DATABASE"),
        ("SAMSPIL_LOGLEVEL", "SAMSPIL_LOG_LEVEL"),
        ("SAMSPIL_DATABASEFILE", "SAMSPIL_DATABASE_FILE"),
    ],
)
def test_a_misspelt_variable_is_refused(misspelt: str, meant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting under a wrong name would silently have no effect."""
    monkeypatch.setenv(misspelt, "1")

    with pytest.raises(SettingsFault) as said:
        read_settings()

    assert said.value.detail == f"{misspelt} is no setting: is {meant} meant?"


@pytest.mark.parametrize(
    "name", ["SAMSPIL_VERSION", "SAMSPIL_SECRETS", "SAMSPIL_REPLICATION", "SAMSPIL_CONSENT_SERVICE_PORT"]
)
def test_a_variable_of_other_programs_is_left_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compose file has variables of its own, and an orchestrator names services beside ours."""
    monkeypatch.setenv(name, "tcp://10.0.0.1:80")

    assert read_settings() == Settings()


def test_all_settings_that_production_lacks_are_named_at_once() -> None:
    """One start of a service names every setting that is still to be set."""
    with pytest.raises(SettingsFault) as said:
        require_complete(read_settings(bootstrap="kafka:9092"))

    assert (
        "set SAMSPIL_DATABASE, SAMSPIL_DATABASE_API, SAMSPIL_ISSUERS, SAMSPIL_VAULT_URL," in said.value.detail
    )
    assert require_complete(read_settings(mode="embedded")).mode == "embedded"


def test_a_folder_without_models_is_named(tmp_path: Path) -> None:
    """Before anything is started."""
    with pytest.raises(SettingsFault, match=r"SAMSPIL_MODELS: .*no collaboration model is here"):
        models_of(Settings(models=tmp_path))


@pytest.mark.parametrize("held", ["", "soon", "2026-03-02T07:00:00", "2026-03-02T07:0"])
def test_a_clock_that_cannot_be_read_is_named(tmp_path: Path, held: str) -> None:
    """The time of a folder is not guessed: deadlines were calculated by it."""
    file = tmp_path / "clock"
    file.write_text(held, encoding="utf-8")

    with pytest.raises(SettingsFault, match="clock holds no moment"):
        VirtualClock(file, datetime(2026, 1, 5, tzinfo=UTC))

    assert file.read_text(encoding="utf-8") == held


def test_every_setting_is_described_in_the_published_document() -> None:
    """The document is current, and no row is without a meaning."""
    assert FILE.read_text(encoding="utf-8") == document()
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
    assert Settings.model_fields.keys() >= NEEDED_IN_PRODUCTION


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("port", "integer, ≥ 0, ≤ 65535"),
        ("parked_seconds", "number, > 0"),
        ("kek", "path"),
        ("smtp_tls", "`true` or `false`"),
        ("database", "secret"),
        ("broker", "`kafka` or `embedded`"),
        ("issuers", "JSON"),
        ("plain_connections", "words"),
    ],
)
def test_the_type_of_a_setting_is_in_words(name: str, kind: str) -> None:
    """A reader need not know Python."""
    assert type_of(Settings.model_fields[name]) == kind


def test_no_default_in_the_document_is_a_secret() -> None:
    """A secret has no default, and would not be printed."""
    rows = [line for line in document().splitlines() if "| secret |" in line]

    assert len(rows) == 6
    assert all("| secret |  |" in line for line in rows)
