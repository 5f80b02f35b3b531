"""What the server is told: flags and their environment twins become one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from webhook.errors import BadSettings

LOG_LEVELS = ("debug", "info", "warning", "error")
MAX_WORKERS = 64
NAMESPACE = "kubectl-ml"
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to listen; port 0 means any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        """Write it as it is written in a URL: `127.0.0.1:9443`, `[::1]:9443`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFiles:
    """A certificate (leaf first) and its key, as PEM files that something else renews."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfSigned:
    """A directory in which the server makes and renews `ca.crt`, `tls.crt` and `tls.key`."""

    directory: Path


class FactsFrom(Enum):
    """Where facts about the cluster come from."""

    OFFLINE = "offline"
    KUBECONFIG = "kubeconfig"
    IN_CLUSTER = "in-cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    What one client may take.

    - `body_bytes`: 7 MiB. The API server sends at most 3 MiB an object, and a review holds two
      (controller-runtime derives the same bound).
    - `client_seconds`: for a TLS handshake, for a request's headers, and for its body. An API
      server sends all of it at once.
    - `idle_seconds`: longer than the 90 s that the API server keeps an idle connection for reuse;
      were ours shorter, it would now and then send a review on a connection that we just closed.
    - `linger_seconds`: how long the rest of a refused body is read and thrown away, so that the
      client gets to read why.
    - `drain_seconds`: how long connections that are open at SIGTERM may still send a review
      before the listener closes; over at once when none is open.
    - `finish_seconds`: how long reviews in flight may take after that. The API server waits for
      at most 30 s.
    """

    body_bytes: int = 7 * 1024 * 1024
    client_seconds: float = 10
    idle_seconds: float = 120
    linger_seconds: float = 5
    drain_seconds: float = 1
    finish_seconds: float = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the server is told, checked before anything starts."""

    listen: Address = Address(host="127.0.0.1", port=9443)
    metrics_listen: Address = Address(host="127.0.0.1", port=9090)
    policies: tuple[Path, ...] = ()
    library: bool = True
    certificate: CertificateFiles | SelfSigned
    facts_from: FactsFrom = FactsFrom.OFFLINE
    kubeconfig: Path | None = None
    namespace: str = NAMESPACE  # our own: where the Lease is that replicas agree by
    workers: int = 1
    log_level: str = "info"
    limits: Limits = Limits()
    reload_seconds: float = 1  # how often policies and certificates are looked at


def from_flags(flags: Mapping[str, Any]) -> Settings:
    """Make settings from what click read, or raise BadSettings."""
    return Settings(
        listen=_address("--listen", flags["listen"]),
        metrics_listen=_address("--metrics-listen", flags["metrics_listen"]),
        policies=tuple(Path(directory) for directory in flags["policies"]),
        library=not flags["no_library"],
        certificate=_certificate(flags),
        facts_from=_facts_from(flags),
        kubeconfig=Path(flags["kubeconfig"]) if flags["kubeconfig"] else None,
        namespace=_namespace(flags),
        workers=flags["workers"],
        log_level=flags["log_level"],
    )


def _address(flag: str, text: str) -> Address:
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise BadSettings(f'{flag}: put an IPv6 address in brackets, not "{text}"')
    if not (colon and port.isascii() and port.isdigit() and int(port) < 65536):
        raise BadSettings(f'{flag}: "{text}" is not HOST:PORT, such as 127.0.0.1:9443')
    return Address(host=host, port=int(port))


def _certificate(flags: Mapping[str, Any]) -> CertificateFiles | SelfSigned:
    certificate, key, directory = flags["cert"], flags["key"], flags["self_signed"]
    if directory and (certificate or key):
        raise BadSettings("--self-signed and --cert can't be used together")
    if directory:
        return SelfSigned(directory=Path(directory))
    if certificate and key:
        return CertificateFiles(certificate=Path(certificate), key=Path(key))
    if certificate or key:
        missing = "--key" if certificate else "--cert"
        raise BadSettings(f"--cert and --key belong together; {missing} is missing")
    raise BadSettings(
        "the API server calls webhooks over TLS only, and there is no certificate",
        hint="give --cert FILE --key FILE, or --self-signed DIR to have one made",
    )


def _namespace(flags: Mapping[str, Any]) -> str:
    """Read the namespace of the pod that we run in."""
    if flags["in_cluster"] and _NAMESPACE_FILE.exists():
        return _NAMESPACE_FILE.read_text("utf-8").strip()
    return NAMESPACE


def _facts_from(flags: Mapping[str, Any]) -> FactsFrom:
    given = [source for source in FactsFrom if flags[source.name.lower()]]
    if len(given) > 1:
        named = " and ".join(f"--{source.value}" for source in given)
        raise BadSettings(f"{named} can't be used together")
    return given[0] if given else FactsFrom.OFFLINE
