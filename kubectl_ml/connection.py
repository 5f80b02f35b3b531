"""
HTTP to the API server: where it is, who we are, and what to do when nothing answers.

The `kubernetes` package reads the kubeconfig and does TLS and credentials (certificates, tokens,
`exec` plugins); it is imported only here, and only when a cluster is asked: it takes 0.2 s.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import yaml

from kubectl_ml import answers
from kubectl_ml.answers import Asked
from kubectl_ml.errors import ClusterError, Unreachable
from policies.model import Manifest

if TYPE_CHECKING:
    import urllib3
    from kubernetes.client import ApiClient

CONNECT_SECONDS = 10.0
BUSY_RETRIES = 3
_PIECE_BYTES = 64 * 1024
# What a kubeconfig that is no kubeconfig makes its reader raise.
_WRONG = (OSError, ValueError, LookupError, TypeError, AttributeError, yaml.YAMLError)
_SERVICE_ACCOUNT_NAMESPACE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
_WARNING = re.compile(r'\d{3} \S+ "(?P<text>(?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Which cluster and namespace, and as whom: the flags, empty where not given."""

    namespace: str = ""
    context: str = ""
    kubeconfig: str = ""
    as_user: str = ""
    as_groups: tuple[str, ...] = ()
    timeout_seconds: float = 30.0

    @property
    def flags(self) -> str:
        """Write where to look again, as a hint's commands need it: ` -n team --context prod`."""
        given = (("-n", self.namespace), ("--context", self.context))
        return "".join(f" {flag} {shlex.quote(value)}" for flag, value in given if value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Sends requests to one API server as one user."""

    client: ApiClient
    impersonation: tuple[tuple[str, str], ...]
    timeout_seconds: float
    warn: Callable[[str], None] | None

    @property
    def host(self) -> str:
        """Say where the API server is."""
        return str(self.client.configuration.host).rstrip("/")

    def json(self, method: str, path: str, **parts: Any) -> Manifest:
        """Send a request and read the answer."""
        response = self.send(method, path, **parts)
        with _explained(self.host):
            found: Manifest = json.loads(response.data)
            return found

    def lines(
        self, path: str, *, asked: Asked, query: Mapping[str, str], endless: bool = True
    ) -> Iterator[bytes]:
        """Get an answer that comes line by line; each is given with its line end."""
        response = self.send("GET", path, asked=asked, query=query, endless=endless)
        rest = b""
        try:
            with _explained(self.host):
                while piece := response.read1(_PIECE_BYTES):
                    *whole, rest = (rest + piece).split(b"\n")
                    for line in whole:
                        yield line + b"\n"
            if rest:
                yield rest + b"\n"
        finally:
            response.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        asked: Asked,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        endless: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """Send one request, again where the server is busy; raise what a refusal means."""
        given = urlencode({key: value for key, value in (query or {}).items() if value})
        url = f"{self.host}{path}" + (f"?{given}" if given else "")
        payload = None if body is None else json.dumps(body).encode()
        for attempt in range(BUSY_RETRIES + 1):
            response = self._once(
                method, url, body=payload, content_type=content_type, endless=endless
            )
            pause = response.headers.get("Retry-After", "")
            if response.status != 429 or not pause.isdigit() or attempt == BUSY_RETRIES:
                break
            response.close()
            time.sleep(min(int(pause), 5))
        for header in response.headers.getlist("Warning"):
            self._pass_on(header)
        if response.status >= 400:
            with _explained(self.host):
                raise answers.error_of(response.status, response.data, asked)
        return response

    def _once(
        self, method: str, url: str, *, body: bytes | None, content_type: str, endless: bool
    ) -> urllib3.BaseHTTPResponse:
        import urllib3

        seconds = self.timeout_seconds or None
        timeout = urllib3.Timeout(
            connect=min(CONNECT_SECONDS, seconds or CONNECT_SECONDS),
            read=None if endless else seconds,
        )
        headers = urllib3.HTTPHeaderDict(self.impersonation)
        headers["Accept"] = "application/json, */*"
        if body is not None:
            headers["Content-Type"] = content_type
        with _explained(self.host):
            # Asked for each request, because tokens are renewed.
            for auth in self.client.configuration.auth_settings().values():
                headers[auth["key"]] = auth["value"]
            return self.client.rest_client.pool_manager.request(
                method,
                url,
                body=body,
                headers=headers,
                timeout=timeout,
                retries=False,
                preload_content=False,
            )

    def _pass_on(self, header: str) -> None:
        if self.warn:
            for found in _WARNING.finditer(header):
                self.warn(re.sub(r"\\(.)", r"\1", found["text"]))


def open_connection(target: Target, warn: Callable[[str], None] | None) -> tuple[Connection, str]:
    """Read the kubeconfig; give the connection and the namespace of its context."""
    from kubernetes import client

    configuration = client.Configuration()
    namespace = _configure(configuration, target)
    groups = (("Impersonate-Group", group) for group in target.as_groups)
    user = (("Impersonate-User", target.as_user),) if target.as_user else ()
    connection = Connection(
        client=client.ApiClient(configuration),
        impersonation=(*user, *groups),
        timeout_seconds=target.timeout_seconds,
        warn=warn,
    )
    return connection, namespace


def _configure(configuration: Any, target: Target) -> str:
    """Set where and as whom; give the namespace. Within a pod its service account is used."""
    from kubernetes import config

    load: Any = config  # it has no types
    path = os.path.expanduser(target.kubeconfig or "~/.kube/config")
    try:
        if not target.kubeconfig and not os.path.exists(path) and _is_in_pod():
            load.load_incluster_config(client_configuration=configuration)
            with open(_SERVICE_ACCOUNT_NAMESPACE) as file:
                return file.read().strip()
        load.load_kube_config(
            path, context=target.context or None, client_configuration=configuration
        )
        contexts, current = load.list_kube_config_contexts(path)
    except (*_WRONG, config.ConfigException) as error:
        raise _unusable(path, target.context, error) from error
    named = next((each for each in contexts if each["name"] == target.context), current)
    return str(named["context"].get("namespace") or "default")


def _is_in_pod() -> bool:
    return os.path.exists(_SERVICE_ACCOUNT_NAMESPACE)


def _unusable(path: str, context: str, error: Exception) -> ClusterError:
    missing = [each for each in path.split(os.pathsep) if not os.path.exists(each)]
    if len(missing) == len(path.split(os.pathsep)):
        return Unreachable(
            f"{path}: there is no kubeconfig",
            hint="--kubeconfig FILE or the variable KUBECONFIG names yours",
        )
    why = " ".join(str(error).split())[:300]
    if context and "Expected object with name" in why:
        return Unreachable(
            f'there is no context "{context}" in {path}',
            hint="kubectl config get-contexts lists the contexts",
        )
    about = f'context "{context}" can\'t be used' if context else "the kubeconfig can't be used"
    return Unreachable(
        f"{about}: {path}: {why}", hint="kubectl config get-contexts lists the contexts"
    )


@contextmanager
def _explained(host: str) -> Iterator[None]:
    """Turn what can go wrong on the way into one sentence."""
    from urllib3 import exceptions

    try:
        yield
    except exceptions.SSLError as error:
        raise Unreachable(
            f"the server at {host} can't be trusted: {_short(error)}",
            hint="does the kubeconfig belong to this cluster? --context names another",
        ) from error
    except exceptions.ReadTimeoutError as error:
        raise Unreachable(
            f"the API server at {host} didn't answer in time",
            hint="try again, or wait longer with --request-timeout 2m",
        ) from error
    except (exceptions.HTTPError, OSError, ValueError) as error:
        raise Unreachable(
            f"the API server at {host} can't be reached: {_short(error)}",
            hint="is it running, and is this the right one? --context and --kubeconfig name "
            "another; kubectl cluster-info tries it, too",
        ) from error


def _short(error: Exception) -> str:
    """Keep what matters of urllib3's `HTTPConnection(host=…): Failed to …: [Errno 111] …`."""
    text = " ".join(str(error).split())
    found = re.search(r"\[(?:Errno -?\d+|SSL[^\]]*)\] (?P<why>.*)", text)
    return (found["why"] if found else text).rstrip("')").lower()[:200]
