"""Certificates for the servers of one installation, under a certificate authority of its own."""

import datetime as dt
import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 730
_SKEW = dt.timedelta(minutes=5)


@dataclass(frozen=True)
class Issued:
    """A certificate and its private key."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def key_pem(self) -> bytes:
        """Return the private key, unprotected: the folder it lies in protects it."""
        kind, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        return self.key.private_bytes(kind, form, serialization.NoEncryption())

    def certificate_pem(self) -> bytes:
        """Return the certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def pem(self) -> bytes:
        """Return key and certificate, as Kafka and librdkafka read them from one file."""
        return self.key_pem() + self.certificate_pem()


def read_issued(key_pem: bytes, certificate_pem: bytes) -> Issued:
    """Return a certificate and its key from their PEM forms; raises `TypeError` for a key of another kind."""
    key = serialization.load_pem_private_key(key_pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the authority's key is no elliptic curve key")
    return Issued(key, x509.load_pem_x509_certificate(certificate_pem))


def new_authority(now: dt.datetime) -> Issued:
    """Return a new certificate authority, valid for ten years."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("samspil-authority")
    draft = _draft(name, name, key, now, AUTHORITY_DAYS)
    draft = draft.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    draft = draft.add_extension(_uses(signs_certificates=True), critical=True)
    return Issued(key, draft.sign(key, hashes.SHA256()))


def issue(authority: Issued, name: str, hosts: tuple[str, ...], now: dt.datetime) -> Issued:
    """Return a certificate for `name`, valid for two years at these hosts, as client and as server."""
    key = ec.generate_private_key(ec.SECP256R1())
    draft = _draft(_name(name), authority.certificate.subject, key, now, CERTIFICATE_DAYS)
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
