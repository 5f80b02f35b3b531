"""Certificates that the server makes for itself."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from webhook import certificates, self_signed
from webhook.errors import BadCertificate
from webhook.settings import CertificateFiles

FILES = ("ca.crt", "ca.key", "tls.crt", "tls.key")


def contents(directory: Path) -> dict[str, bytes]:
    return {name: (directory / name).read_bytes() for name in FILES}


def leaf(directory: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((directory / "tls.crt").read_bytes())


def test_makes_a_leaf_for_loopback_and_the_service(tmp_path: Path) -> None:
    self_signed.ensure(tmp_path / "made", host="10.1.2.3")

    names = leaf(tmp_path / "made").extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert {str(name.value) for name in names.value} == {
        "localhost",
        "127.0.0.1",
        "::1",
        "10.1.2.3",
        "kubectl-ml",
        "kubectl-ml.kubectl-ml",
        "kubectl-ml.kubectl-ml.svc",
        "kubectl-ml.kubectl-ml.svc.cluster.local",
    }
    for key in ("ca.key", "tls.key"):
        assert stat.S_IMODE((tmp_path / "made" / key).stat().st_mode) == 0o600


def test_reuses_what_is_good(tmp_path: Path) -> None:
    self_signed.ensure(tmp_path)
    before = contents(tmp_path)

    self_signed.ensure(tmp_path)

    assert contents(tmp_path) == before


def test_renews_the_leaf_under_the_same_ca(tmp_path: Path) -> None:
    self_signed.ensure(tmp_path, now=datetime.now(UTC) - timedelta(days=340))
    before = contents(tmp_path)

    self_signed.ensure(tmp_path)

    after = contents(tmp_path)
    assert {name for name in FILES if after[name] != before[name]} == {"tls.crt", "tls.key"}
    assert leaf(tmp_path).not_valid_after_utc > datetime.now(UTC) + timedelta(days=300)


def test_renews_the_ca_before_a_leaf_would_outlive_it(tmp_path: Path) -> None:
    self_signed.ensure(tmp_path, now=datetime.now(UTC) - timedelta(days=3300))
    before = contents(tmp_path)

    self_signed.ensure(tmp_path)

    assert all(contents(tmp_path)[name] != before[name] for name in FILES)


@pytest.mark.parametrize("broken", FILES)
def test_makes_anew_what_is_broken(tmp_path: Path, broken: str) -> None:
    self_signed.ensure(tmp_path)
    (tmp_path / broken).write_text("no PEM")

    served = self_signed.ensure(tmp_path)

    certificates.context(served)
    ca = x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes())
    leaf(tmp_path).verify_directly_issued_by(ca)


def test_says_which_certificate_can_not_be_used(tmp_path: Path) -> None:
    self_signed.ensure(tmp_path / "one")
    self_signed.ensure(tmp_path / "two")
    mixed = CertificateFiles(
        certificate=tmp_path / "one" / "tls.crt", key=tmp_path / "two" / "tls.key"
    )
    absent = CertificateFiles(
        certificate=tmp_path / "one" / "tls.crt", key=tmp_path / "three" / "tls.key"
    )

    with pytest.raises(BadCertificate, match="are no certificate with its key"):
        certificates.context(mixed)
    with pytest.raises(BadCertificate, match=r"three/tls\.key: there is no such file"):
        certificates.context(absent)


def test_says_which_directory_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(BadCertificate, match="file"):
        self_signed.ensure(tmp_path / "file")
