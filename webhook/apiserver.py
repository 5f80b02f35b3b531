"""
Asks the API server, and gives its answers as plain JSON.

The official client is used for what is hard to get right: kubeconfigs with all their plugins, and
tokens that expire. Objects of its types are not made: they cost more than all the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
import yaml

from policies.model import API_VERSION
from webhook.errors import BadSettings, NotReachable
from webhook.review import one_line
from webhook.settings import FactsFrom, Settings

if TYPE_CHECKING:
    from kubernetes.client import ApiClient
    from urllib3 import HTTPResponse

CONNECTIONS = 32  # each watch keeps one
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


class NotFound(NotReachable):
    """Raised when the API server has no such resource, or no such object."""


class Forbidden(NotReachable):
    """Raised when we may not ask."""


class Conflicting(Exception):  # noqa: N818 -- named for what it is
    """Raised when somebody else was faster: what we wrote on is no longer what is there."""


class ApiServer:
    """One API server, as the user of a kubeconfig or of the pod we run in."""

    def __init__(self, settings: Settings) -> None:
        self._api = _connect(settings)

    def version(self) -> Any:
        """Read `/version`."""
        return self.ask("GET", "/version/", what="the version")

    def groups(self) -> Any:
        """Read the API groups that are served."""
        return self.ask("GET", "/apis/", what="the API groups")

    def openapi(self, path: str = "/openapi/v3") -> Any:
        """Read where each group's schemas are, or the schemas at one of these places."""
        return self.ask("GET", path, what="the schemas of what is served")

    def registration(self, name: str) -> Any:
        """Read one of our validating registrations."""
        path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
        return self.ask("GET", f"{path}/{name}", what=f"the registration {name}")

    @property
    def namespaces(self) -> Resource:
        """Lists and follows the namespaces."""
        return Resource(self, "/api/v1/namespaces", "the namespaces")

    def own(self, plural: str) -> Resource:
        """Lists and follows one kind of our own objects."""
        return Resource(self, f"/apis/{API_VERSION}/{plural}", f"the {plural}")

    def objects(self, group: str, version: str, plural: str) -> Resource:
        """Lists and follows all objects of one kind."""
        base = f"/apis/{group}/{version}" if group else f"/api/{version}"
        return Resource(self, f"{base}/{plural}", f"the {plural}")

    def config_maps(self, namespace: str, label: str) -> Resource:
        """Lists and follows the ConfigMaps of a namespace that carry a label."""
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        return Resource(self, path, "the ConfigMaps", {"labelSelector": label})

    def ask(
        self,
        method: str,
        path: str,
        *,
        what: str,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
    ) -> Any:
        """
        Send one request and read the answer's JSON; a PATCH is a merge patch.

        Raises NotReachable, Forbidden (403), NotFound (404), Conflicting (409) or Expired (410).
        """
        with self._asking(method, path, what=what, body=body, query=query) as response:
            with _telling(what):
                answer = response.read()
            return orjson.loads(answer) if answer else None

    def lines(self, path: str, query: Mapping[str, Any], *, what: str) -> Iterator[bytes]:
        """Read an answer line by line, as it comes."""
        with (
            self._asking(
                "GET", path, what=what, query=query, seconds=WATCH_SILENCE_SECONDS
            ) as response,
            _telling(what),
        ):
            yield from _lines(response)

    @contextmanager
    def _asking(
        self,
        method: str,
        path: str,
        *,
        what: str,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        seconds: float = READ_SECONDS,
    ) -> Iterator[HTTPResponse]:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        with _telling(what):
            _, url, headers, *_ = self._api.param_serialize(
                method,
                path,
                query_params=[*(query or {}).items()],
                header_params={"Accept": "application/json", "Content-Type": kind},
                auth_settings=["BearerToken"],
            )
            answer = self._api.call_api(
                method, url, headers, body, _request_timeout=(CONNECT_SECONDS, seconds)
            )
        response: Any = answer.response
        try:
            if response.status >= 400:
                raise _refusal(response.status, response.read(), what)
            yield response
        finally:
            # A watch's connection holds what we didn't read; others can be used again.
            if seconds == READ_SECONDS:
                response.release_conn()
            else:
                response.close()


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource: its objects listed, and followed."""

    api: ApiServer
    path: str
    what: str
    query: Mapping[str, Any] = field(default_factory=dict)

    def list(self) -> Any:
        """Give the list as the API server does."""
        return self.api.ask("GET", self.path, what=self.what, query=self.query)

    def watch(self, version: str) -> Iterator[Watched]:
        """Follow the changes from a version on, until the server ends it."""
        query = {
            **self.query,
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": WATCH_SECONDS,
        }
        for line in self.api.lines(self.path, query, what=self.what):
            yield _event(line)


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
    configuration.connection_pool_maxsize = CONNECTIONS
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
def _telling(what: str) -> Iterator[None]:
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
    if status in (409, _GONE):
        return Expired(what) if status == _GONE else Conflicting(what)
    with suppress(orjson.JSONDecodeError, AttributeError):
        said = orjson.loads(said).get("message") or said
    reason = f"{status or ''} {one_line(str(said))[:300]}".strip()
    failure = {404: NotFound, 403: Forbidden}.get(status or 0, NotReachable)
    return failure(f"the API server didn't give {what}: {reason}")


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
