"""The certificate that is served: where it comes from, and how a live server takes a new one."""

from __future__ import annotations

import asyncio
import ssl
from typing import Protocol, TypeAlias

from structlog.typing import FilteringBoundLogger

from webhook import self_signed
from webhook.errors import BadCertificate
from webhook.settings import CertificateFiles, SelfSigned, Settings

Fingerprint: TypeAlias = tuple[tuple[int, int], ...]


class Recorder(Protocol):
    """Counts what became of the files."""

    def certificate_read(self, *, good: bool) -> None:
        """Count a reload."""
        ...


class ServedCertificate:
    """
    The certificate in its TLS context. Making it raises BadCertificate where there is none.

    Connections that are open keep the certificate they began with; new ones get the newest: at a
    client's hello the listener's context gives way to the newest one. Each pair has a context of
    its own, because a context holds one certificate for each type of key: an RSA pair that is
    loaded beside an EC pair isn't served.
    """

    def __init__(
        self, settings: Settings, *, recorder: Recorder, log: FilteringBoundLogger
    ) -> None:
        self._source = settings.certificate
        self._host = settings.listen.host
        self._seconds = settings.reload_seconds
        self._recorder = recorder
        self._log = log
        self._files = files(self._source, host=self._host)
        self._fingerprint = fingerprint(self._files)
        self.context = self._newest = context(self._files)
        self.context.sni_callback = self._give_newest

    def _give_newest(self, to: ssl.SSLObject, _name: str | None, _listener: ssl.SSLContext) -> None:
        to.context = self._newest

    async def follow(self) -> None:
        """Look at the files every now and then, and serve what is new in them."""
        while True:
            await asyncio.sleep(self._seconds)
            await self._refresh()

    async def _refresh(self) -> None:
        try:
            seen = await asyncio.to_thread(self._renewed)
            if seen == self._fingerprint:
                return
            self._fingerprint = seen  # a bad pair is reported once, not each second
            self._newest = context(self._files)
        except BadCertificate as error:
            self._recorder.certificate_read(good=False)
            self._log.error("certificate not reloaded; the last good one stays", error=str(error))
        else:
            self._recorder.certificate_read(good=True)
            self._log.info("certificate reloaded")

    def _renewed(self) -> Fingerprint:
        return fingerprint(files(self._source, host=self._host))


def files(source: CertificateFiles | SelfSigned, *, host: str = "") -> CertificateFiles:
    """Give the files to serve; self-signed ones are made or renewed first where that is due."""
    if isinstance(source, CertificateFiles):
        return source
    return self_signed.ensure(source.directory, host=host)


def context(served: CertificateFiles) -> ssl.SSLContext:
    """Make the TLS context, or raise BadCertificate."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(["http/1.1"])
    _load(made, served)
    return made


def fingerprint(served: CertificateFiles) -> Fingerprint:
    """Give something that changes when one of the files does; mounted Secrets are symlinks."""
    seen = []
    for path in (served.certificate, served.key):
        try:
            status = path.stat()
        except OSError:
            seen.append((0, 0))
        else:
            seen.append((status.st_mtime_ns, status.st_ino))
    return tuple(seen)


def _load(into: ssl.SSLContext, served: CertificateFiles) -> None:
    try:
        # Without a password callback an encrypted key would be asked for on the terminal.
        into.load_cert_chain(served.certificate, served.key, password=lambda: b"")
    except FileNotFoundError as error:
        missing = served.key if served.certificate.exists() else served.certificate
        raise BadCertificate(f"{missing}: there is no such file") from error
    except ssl.SSLError as error:
        message = f"{served.certificate} and {served.key} are no certificate with its key"
        raise BadCertificate(f"{message}: {error.reason or error}") from error
    except OSError as error:
        raise BadCertificate(f"{served.certificate}, {served.key}: {error.strerror}") from error
