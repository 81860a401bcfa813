"""Certificates for the servers of one installation, under a certificate authority of its own."""

import datetime as dt
import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 5 * 365
CERTIFICATE_DAYS = 365
_SKEW = dt.timedelta(minutes=5)


@dataclass(frozen=True)
class Issued:
    """A certificate and its private key."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def key_pem(self, passphrase: bytes | None = None) -> bytes:
        """Return the private key, encrypted where a passphrase is given (PKCS #8, AES-256)."""
        kind, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        how: serialization.KeySerializationEncryption = (
            serialization.NoEncryption()
            if passphrase is None
            else serialization.BestAvailableEncryption(passphrase)
        )
        return self.key.private_bytes(kind, form, how)

    def certificate_pem(self) -> bytes:
        """Return the certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def pem(self) -> bytes:
        """Return key and certificate, as Kafka and librdkafka read them from one file."""
        return self.key_pem() + self.certificate_pem()


class WrongPassphrase(Exception):
    """This passphrase does not open the key of the authority: give the one that it was made with."""


def read_issued(key_pem: bytes, certificate_pem: bytes, passphrase: bytes) -> Issued:
    """Return a certificate and its encrypted key from their PEM forms; raise `WrongPassphrase`."""
    try:
        key = serialization.load_pem_private_key(key_pem, passphrase)
    except (ValueError, TypeError):  # TypeError: the key is not encrypted
        raise WrongPassphrase from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise WrongPassphrase
    return Issued(key, x509.load_pem_x509_certificate(certificate_pem))


def new_authority(now: dt.datetime) -> Issued:
    """Return a new certificate authority, valid for five years."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("samspil-authority")
    draft = _draft(name, name, key, now, AUTHORITY_DAYS)
    draft = draft.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    draft = draft.add_extension(_uses(signs_certificates=True), critical=True)
    return Issued(key, draft.sign(key, hashes.SHA256()))


def issue(authority: Issued, name: str, hosts: tuple[str, ...], now: dt.datetime) -> Issued:
    """Return a certificate for `name`, valid for a year at these hosts, as client and as server.

    It ends with its authority at the latest.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    left = authority.certificate.not_valid_after_utc - now
    days = min(CERTIFICATE_DAYS, left.days)
    draft = _draft(_name(name), authority.certificate.subject, key, now, days)
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    draft = (
        draft.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_uses(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(issuer, critical=False)
    )
    if hosts:
        draft = draft.add_extension(
            x509.SubjectAlternativeName([_host(each) for each in hosts]), critical=False
        )
    return Issued(key, draft.sign(authority.key, hashes.SHA256()))


def hosts_of(certificate: x509.Certificate) -> frozenset[str]:
    """Return the names and addresses that a certificate is valid at."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    addresses = map(str, names.get_values_for_type(x509.IPAddress))
    return frozenset((*names.get_values_for_type(x509.DNSName), *addresses))


def _draft(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: dt.datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _uses(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
