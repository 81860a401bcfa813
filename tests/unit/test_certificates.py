"""Certificates: a bounded life, an authority whose key is encrypted, and renewal without an interruption."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from typer.testing import CliRunner

from deploy import credentials
from deploy.certificates import WrongPassphrase, issue, new_authority
from deploy.credentials import PassphraseTooShort, make_credentials, passphrase_in

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
YEAR = timedelta(days=365)
PASSPHRASE = b"a passphrase of the tests"
SERVERS = ("kafka_node", "kafka_operator", "postgres_server")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make the secrets of an installation."""
    make_credentials(tmp_path / "secrets", NOW, passphrase=PASSPHRASE)
    return tmp_path / "secrets"


def certificates_in(file: Path) -> list[x509.Certificate]:
    """Return the certificates of a file."""
    return x509.load_pem_x509_certificates(file.read_bytes())


def verified(folder: Path, name: str, at: datetime) -> bool:
    """Return whether a client that trusts the folder's authorities takes a certificate."""
    trusted = x509.verification.Store(certificates_in(folder / "authority"))
    builder = x509.verification.PolicyBuilder().store(trusted).time(at)
    (leaf,) = certificates_in(folder / name)
    try:
        builder.build_server_verifier(x509.DNSName("localhost")).verify(leaf, [])
    except x509.verification.VerificationError:
        return False
    return True


def test_finding_15_the_key_of_the_authority_is_encrypted(folder: Path) -> None:
    """Finding 15: without the passphrase nobody issues certificates, and no other file holds the key."""
    stored = (folder / "authority_key").read_bytes()

    with pytest.raises(TypeError):
        serialization.load_pem_private_key(stored, None)
    with pytest.raises(ValueError, match="password"):
        serialization.load_pem_private_key(stored, b"another passphrase of no use")
    assert stored.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert b"PRIVATE KEY" not in (folder / "authority").read_bytes()


def test_a_wrong_passphrase_changes_nothing(folder: Path) -> None:
    """Renewal needs the passphrase that the key was made with, and says so."""
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    with pytest.raises(WrongPassphrase):
        make_credentials(folder, NOW, passphrase=b"not the one that it was", renew=True)

    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_finding_15_certificates_have_a_bounded_life(folder: Path) -> None:
    """Finding 15: an authority ends after five years, a certificate after one and before its authority."""
    (authority,) = certificates_in(folder / "authority")
    leaves = [certificates_in(folder / name)[0] for name in SERVERS]
    late = issue(new_authority(NOW), "late", (), NOW + 5 * YEAR - timedelta(days=30)).certificate

    assert authority.not_valid_after_utc == NOW + 5 * YEAR
    assert {leaf.not_valid_after_utc for leaf in leaves} == {NOW + YEAR}
    assert late.not_valid_after_utc <= NOW + 5 * YEAR


def test_certificates_are_renewed(folder: Path) -> None:
    """After a renewal each is valid for another year, by the same authority."""
    later = NOW + timedelta(days=300)
    make_credentials(folder, later, passphrase=PASSPHRASE, renew=True)

    assert {certificates_in(folder / name)[0].not_valid_after_utc for name in SERVERS} == {later + YEAR}
    assert verified(folder, "kafka_node", later + timedelta(days=364))
    assert not verified(folder, "kafka_node", later + timedelta(days=366))


def test_an_authority_is_replaced_without_an_interruption(folder: Path) -> None:
    """First both are trusted, then the servers' certificates are of the new one, then it alone is trusted."""
    before = certificates_in(folder / "authority")[0]
    later = NOW + timedelta(days=100)

    assert make_credentials(folder, later, passphrase=PASSPHRASE, new_ca=True) == [
        "authority_key",
        "authority",
    ]
    assert [one.subject for one in certificates_in(folder / "authority")].count(before.subject) == 2
    assert verified(folder, "postgres_server", later)
    assert make_credentials(folder, later, passphrase=PASSPHRASE, renew=True) == ["authority", *SERVERS]
    assert before not in certificates_in(folder / "authority")
    assert verified(folder, "postgres_server", later)


def test_what_the_libraries_trust_can_hold_two_authorities(folder: Path) -> None:
    """While an authority is replaced OpenSSL loads both."""
    make_credentials(folder, NOW, passphrase=PASSPHRASE, new_ca=True)

    context = ssl.create_default_context(cafile=str(folder / "authority"))

    assert len(context.get_ca_certs()) == 2


def test_a_passphrase_is_made_once_and_is_long(tmp_path: Path) -> None:
    """It has the strength of the key that it protects, is its owner's alone, and a short one is refused."""
    file = tmp_path / "elsewhere" / "passphrase"
    made = passphrase_in(file)
    (tmp_path / "short").write_text("hemmeligt")

    assert passphrase_in(file) == made
    assert len(made) >= 43
    assert file.stat().st_mode & 0o077 == 0
    with pytest.raises(PassphraseTooShort):
        passphrase_in(tmp_path / "short")


def test_the_command_says_what_it_made_and_what_is_wrong(folder: Path, tmp_path: Path) -> None:
    """An operator reads which files are new, where the passphrase is, and why nothing was made."""
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_bytes(PASSPHRASE + b"\n")
    wrong.write_bytes(b"x" * 30)
    app = typer.Typer()
    app.command()(credentials.main)

    fine = CliRunner().invoke(app, [str(folder), "--passphrase", str(right), "--renew"])
    refused = CliRunner().invoke(app, [str(folder), "--passphrase", str(wrong), "--renew"])

    assert fine.exit_code == 0
    assert "kafka_node, kafka_operator, postgres_server" in fine.output
    assert refused.exit_code == 1
    assert "does not open the key of the authority" in refused.output
