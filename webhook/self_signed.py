"""
Certificates that we make ourselves.

The directory holds a CA of its own (`ca.crt`, and `ca.key` so that a renewed leaf is still trusted
by whoever trusts `ca.crt`) and the leaf that is served (`tls.crt`, `tls.key`).

`python -m webhook.self_signed DIR` makes or renews them and ends.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from webhook.errors import BadCertificate
from webhook.settings import CertificateFiles

SERVICE = "kubectl-ml.kubectl-ml"
NAMES = (
    "localhost",
    "127.0.0.1",
    "::1",
    "kubectl-ml",
    SERVICE,
    f"{SERVICE}.svc",
    f"{SERVICE}.svc.cluster.local",
)

CA_LIFETIME = timedelta(days=3650)
LEAF_LIFETIME = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)
CLOCK_SKEW = timedelta(minutes=5)

_ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 -- compared, not bound

_Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def ensure(directory: Path, *, host: str = "", now: datetime | None = None) -> CertificateFiles:
    """
    Make the files of a self-signed directory, or renew those that end soon; reuse the rest.

    `host` is a name or address to serve under besides the usual ones.
    """
    names = (*NAMES, host) if host and host not in _ANY_ADDRESS else NAMES
    at = now or datetime.now(UTC)
    served = CertificateFiles(certificate=directory / "tls.crt", key=directory / "tls.key")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _locked(directory):
            ca = _read(directory / "ca.crt", directory / "ca.key")
            if ca is None or _ends_soon(ca[0], at + LEAF_LIFETIME):
                ca = _make_ca(at)
                _write(directory / "ca.crt", directory / "ca.key", ca)
            leaf = _read(served.certificate, served.key)
            if leaf is None or _ends_soon(leaf[0], at) or not _usable(leaf[0], ca[0], names):
                _write(served.certificate, served.key, _make_leaf(ca, names, at))
    except OSError as error:
        raise BadCertificate(f"{error.filename or directory}: {error.strerror}") from error
    return served


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Keep other processes out: two that renew at once would mix their pairs."""
    with open(directory / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read(certificate: Path, key: Path) -> _Pair | None:
    try:
        read = x509.load_pem_x509_certificate(certificate.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    except (FileNotFoundError, ValueError, TypeError):
        return None
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        return None
    return (read, private) if read.public_key() == private.public_key() else None


def _ends_soon(certificate: x509.Certificate, at: datetime) -> bool:
    return certificate.not_valid_after_utc - at < RENEW_BEFORE


def _usable(leaf: x509.Certificate, ca: x509.Certificate, names: tuple[str, ...]) -> bool:
    try:
        leaf.verify_directly_issued_by(ca)
        held = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
        return False
    return all(_general_name(name) in held for name in names)


def _make_ca(at: datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubectl-ml webhook CA")])
    usage = _key_usage(digital_signature=False, signs_certificates=True)
    builder = (
        _builder(name, name, key.public_key())
        .not_valid_before(at - CLOCK_SKEW)
        .not_valid_after(at + CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
    )
    return builder.sign(key, hashes.SHA256()), key


def _make_leaf(ca: _Pair, names: tuple[str, ...], at: datetime) -> _Pair:
    certificate, signer = ca
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{SERVICE}.svc")])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = (
        _builder(name, certificate.subject, key.public_key())
        .not_valid_before(at - CLOCK_SKEW)
        .not_valid_after(at + LEAF_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True, signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
        )
        .add_extension(issuer, critical=False)
    )
    return builder.sign(signer, hashes.SHA256()), key


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _key_usage(*, digital_signature: bool, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(certificate: Path, key: Path, pair: _Pair) -> None:
    """Write a pair, key first: whoever reads meanwhile sees a mismatch and reads again."""
    private = pair[1].private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _replace(key, private, mode=0o600)
    _replace(certificate, pair[0].public_bytes(serialization.Encoding.PEM), mode=0o644)


def _replace(path: Path, content: bytes, *, mode: int) -> None:
    written = path.with_name(f".{path.name}.new")
    written.unlink(missing_ok=True)
    with open(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    written.replace(path)


@click.command(name="webhook.self_signed")
@click.argument("directory", type=click.Path(path_type=Path))
def command(directory: Path) -> None:
    """Make a certificate for the Service in DIRECTORY, or renew the one that ends soon."""
    try:
        served = ensure(directory)
    except BadCertificate as error:
        raise click.ClickException(str(error)) from error
    ends = x509.load_pem_x509_certificate(served.certificate.read_bytes()).not_valid_after_utc
    click.echo(f"{served.certificate} is good until {ends:%Y-%m-%d}", err=True)


if __name__ == "__main__":
    command()
