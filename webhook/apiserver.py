"""
Asks the API server, and gives its answers as plain JSON.

The official client is used for what is hard to get right: kubeconfigs with all their plugins, and
tokens that expire. Objects of its types are not made: they cost more than all the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import orjson
import yaml

from webhook.errors import BadSettings, NotReachable
from webhook.review import one_line
from webhook.settings import FactsFrom, Settings

if TYPE_CHECKING:
    from kubernetes.client import ApiClient
    from urllib3 import HTTPResponse

CONNECT_SECONDS = 5
READ_SECONDS = 30
# The API server sends a bookmark about each minute, so a watch that is silent for longer is dead.
WATCH_SILENCE_SECONDS = 130
WATCH_SECONDS = 290  # then the server ends it, and we go on where it ended
_GONE = 410
_MISREAD = (yaml.YAMLError, TypeError, KeyError, AttributeError, ValueError)

Watched = tuple[str, Any]  # ADDED, MODIFIED, DELETED, BOOKMARK, and the object


class Expired(Exception):  # noqa: N818 -- named for what it is
    """Raised when a watch can't go on from where it was: list again."""


class ApiServer:
    """One API server, as the user of a kubeconfig or of the pod we run in."""

    def __init__(self, settings: Settings) -> None:
        # Imported here: `--offline` needs none of it (0.2 s and 30 MB).
        from kubernetes import client

        self._api = _connect(settings)
        self._core = client.CoreV1Api(self._api)
        self._version = client.VersionApi(self._api)
        self._groups = client.ApisApi(self._api)

    def version(self) -> Any:
        """Read `/version`."""
        return self._json("the version", self._version.get_code)

    def groups(self) -> Any:
        """Read the API groups that are served."""
        return self._json("the API groups", self._groups.get_api_versions)

    def namespaces(self) -> Any:
        """List the namespaces."""
        return self._json("the namespaces", self._core.list_namespace)

    def watch_namespaces(self, version: str) -> Iterator[Watched]:
        """Follow the namespaces from a version on, until the server ends it."""
        with _asking("the namespaces"):
            response: Any = self._core.list_namespace(
                watch=True,
                resource_version=version,
                allow_watch_bookmarks=True,
                timeout_seconds=WATCH_SECONDS,
                _preload_content=False,
                _request_timeout=(CONNECT_SECONDS, WATCH_SILENCE_SECONDS),
            )
            try:
                for line in _lines(response):
                    yield _event(line)
            finally:
                response.close()

    def _json(self, what: str, ask: Any) -> Any:
        with _asking(what):
            response = ask(_preload_content=False, _request_timeout=(CONNECT_SECONDS, READ_SECONDS))
            try:
                return orjson.loads(response.data)
            finally:
                response.release_conn()


def _connect(settings: Settings) -> ApiClient:
    """Read how to reach the API server, or raise BadSettings."""
    from kubernetes import client, config

    load: Any = config  # which has no types
    configuration = client.Configuration()
    try:
        if settings.facts_from is FactsFrom.IN_CLUSTER:
            load.load_incluster_config(client_configuration=configuration)
        else:
            load.load_kube_config(str(settings.kubeconfig), client_configuration=configuration)
    # A kubeconfig is anybody's YAML, and its reader fails in as many ways.
    except (config.ConfigException, OSError, *_MISREAD) as error:
        raise _unusable(settings, error) from error
    configuration.retries = False  # we try again ourselves, and say so
    return client.ApiClient(configuration)


def _unusable(settings: Settings, error: Exception) -> BadSettings:
    reason = one_line(str(error))
    if settings.facts_from is FactsFrom.IN_CLUSTER:
        return BadSettings(
            f"--in-cluster: this is no pod with a service account: {reason}",
            hint="outside of a cluster give --kubeconfig FILE, or --offline",
        )
    path = settings.kubeconfig
    if path is not None and not path.exists():
        return BadSettings(f"--kubeconfig {path}: there is no such file")
    return BadSettings(f"--kubeconfig {path}: it can't be used: {reason}")


@contextmanager
def _asking(what: str) -> Iterator[None]:
    """Turn what goes wrong on the way into NotReachable, with a sentence."""
    from kubernetes import config
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except (HTTPError, OSError) as error:
        reason = one_line(str(error)).rpartition(": ")[2]
        raise NotReachable(f"the API server can't be asked for {what}: {reason}") from error
    except ApiException as error:
        raise _refusal(error.status, error.body or error.reason, what) from error
    except config.ConfigException as error:
        reason = one_line(str(error))
        raise NotReachable(f"the API server can't be asked for {what}: {reason}") from error
    except orjson.JSONDecodeError as error:
        raise NotReachable(f"asked for {what}, the API server answered no JSON") from error


def _refusal(status: int | None, said: Any, what: str) -> Exception:
    if status == _GONE:
        return Expired(what)
    with suppress(orjson.JSONDecodeError, AttributeError):
        said = orjson.loads(said).get("message") or said
    reason = f"{status or ''} {one_line(str(said))[:300]}".strip()
    return NotReachable(f"the API server didn't give {what}: {reason}")


def _lines(response: HTTPResponse) -> Iterator[bytes]:
    rest = b""
    for chunk in response.stream(amt=None, decode_content=True):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from filter(None, whole)


def _event(line: bytes) -> Watched:
    event = orjson.loads(line)
    kind, found = event["type"], event["object"]
    if kind == "ERROR":
        if found.get("code") == _GONE:
            raise Expired(found.get("message"))
        raise NotReachable(f"the API server ended a watch: {one_line(str(found.get('message')))}")
    return kind, found
