"""Policies and certificates that change under a running server."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from tests.webhook import serving
from tests.webhook.reviews import pod, review
from webhook import self_signed

POLICY = """\
apiVersion: kubectl-ml.io/v1alpha1
kind: InjectionPolicy
metadata: {name: team}
spec: {inject: {labels: {team: %s}}}
"""


@pytest.fixture
def followed(tmp_path: Path) -> Iterator[serving.Served]:
    """A webhook with a policy file and certificate files, all to be changed."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "team.yaml").write_text(POLICY % "red")
    self_signed.ensure(tmp_path)
    flags = [f"--policies={tmp_path / 'policies'}", "--no-library"]
    flags += [f"--cert={tmp_path / 'tls.crt'}", f"--key={tmp_path / 'tls.key'}"]
    with serving.webhook(tmp_path, *flags) as started:
        yield started


def serial(served: serving.Served, name: str = "127.0.0.1") -> int:
    """Give the serial number of the certificate that a new connection gets."""
    pem = ssl.get_server_certificate((name, served.port))
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


def overwrite(directory: Path, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> int:
    """Put a self-signed certificate of this key into the files, and give its serial number."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(subject_name=subject, issuer_name=subject)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    made = builder.sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "tls.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (directory / "tls.key").write_bytes(private)
    return made.serial_number


def test_follows_policies_and_keeps_the_last_good_ones(followed: serving.Served) -> None:
    file = followed.directory / "policies" / "team.yaml"
    red = followed.mutate(review(pod()))["patch"]

    file.write_text(POLICY % "blue")
    serving.until(lambda: followed.mutate(review(pod()))["patch"] != red)
    blue = followed.mutate(review(pod()))["patch"]
    file.write_text("kind: InjectionPolicy\nspec: {inject: 5}\n")
    said = serving.until(
        lambda: followed.events("policies not reloaded; the last good ones stay in force")
    )

    assert said[0]["level"] == "error"
    assert all("team.yaml" in fault for fault in said[0]["faults"])
    assert followed.mutate(review(pod()))["patch"] == blue
    assert followed.call("/readyz", method="GET")[0] == 200
    assert followed.metric('kubectl_ml_policy_reloads_total{outcome="good"}') == 1
    assert followed.metric('kubectl_ml_policy_reloads_total{outcome="bad"}') == 1

    file.write_text(POLICY % "red")
    serving.until(lambda: followed.mutate(review(pod()))["patch"] == red)


def test_follows_certificates_and_keeps_the_last_good_one(followed: serving.Served) -> None:
    first = serial(followed)
    fresh = followed.directory / "fresh"
    fresh.mkdir()
    for name in ("ca.crt", "ca.key"):
        shutil.copy(followed.directory / name, fresh)
    self_signed.ensure(fresh)

    shutil.copy(fresh / "tls.crt", followed.directory / "tls.crt")  # half of a pair
    bad = "certificate not reloaded; the last good one stays"
    serving.until(lambda: followed.events(bad))
    kept = serial(followed)
    shutil.copy(fresh / "tls.key", followed.directory / "tls.key")
    serving.until(lambda: followed.events("certificate reloaded"))

    assert kept == first
    assert serial(followed) != first
    assert followed.call("/healthz", method="GET")[0] == 200


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"], ids=["address", "name"])
def test_follows_certificates_to_another_type_of_key_and_back(
    followed: serving.Served, name: str
) -> None:
    for key in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())):
        reloads = len(followed.events("certificate reloaded"))

        written = overwrite(followed.directory, key)
        serving.until(lambda known=reloads: len(followed.events("certificate reloaded")) > known)

        assert serial(followed, name) == written
