"""What is in use, as it is followed: what is read again when policies or namespaces change."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from typing import Any

import structlog

from policies.model import Facts, PolicySet
from tests import builders
from tests.webhook.serving import until
from webhook.apiserver import Expired, Watched
from webhook.usage import Usage
from webhook.watching_usage import UsageWatch

QUOTA = """
kind: QuotaPolicy
metadata: {name: gpus}
spec: {groupBy: {namespaceLabel: team}, budget: {pods: %d}}
"""
EVERYWHERE = "/api/v1/pods"


@dataclass(kw_only=True)
class Api:
    """An API server that has pods, and nothing else."""

    pods: list[Any] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    events: SimpleQueue[Watched | Expired] = field(default_factory=SimpleQueue)
    answers: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.answers.set()

    def groups(self) -> Any:
        return {"groups": []}

    def ask(self, method: str, path: str, *, what: str, body: Any = None) -> Any:
        del method, what, body
        self.answers.wait()
        self.asked.append(path)
        parts = path.split("/")
        wanted = parts[4] if "namespaces" in parts else ""
        items = [one for one in self.pods if wanted in ("", one["metadata"]["namespace"])]
        return {"items": items if parts[-1] == "pods" else [], "metadata": version()}

    def objects(self, group: str, version: str, plural: str) -> Listed:
        return Listed(api=self, path=f"/{group}/{version}/{plural}".replace("//", "/api/"))

    def add(self, namespace: str, name: str) -> None:
        pod = {
            "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}", **version()},
            "spec": {"containers": [{"name": "main", "image": "example.com/main"}]},
        }
        self.pods.append(pod)
        self.events.put(("ADDED", pod))


@dataclass(kw_only=True)
class Listed:
    """The objects of one kind."""

    api: Api
    path: str

    def list(self) -> Any:
        return self.api.ask("GET", self.path, what="")

    def watch(self, version: str) -> Iterator[Watched]:
        del version
        while True:  # nobody else has anything to tell
            found = self.api.events.get() if self.path == EVERYWHERE else SimpleQueue[Any]().get()
            if isinstance(found, Expired):
                raise found
            yield found


@dataclass(kw_only=True)
class Cluster:
    """Policies and namespaces as they are now."""

    current: PolicySet
    known: Facts

    def label(self, **teams: str) -> None:
        labels = {name: {"team": team} for name, team in teams.items()}
        self.known = replace(self.known, namespaces={**self.known.namespaces, **labels})

    def api_server_failed(self) -> None:
        raise AssertionError("the API server never fails here")


def watching(api: Api, cluster: Cluster, **more: Any) -> UsageWatch:
    return UsageWatch(
        api,
        usage=Usage(),
        policies=cluster,
        facts=cluster,
        recorder=cluster,
        log=structlog.get_logger(),
        **more,
    )


@contextmanager
def followed(api: Api, cluster: Cluster) -> Iterator[Callable[[], dict[str, str]]]:
    """Follow, and give who uses how many pods."""
    watch = watching(api, cluster)

    def used() -> dict[str, str]:
        usage = watch.usage
        return {one[1]: str(usage.used(one)["pods"]) for one in usage.accounts()}

    watch.start()
    try:
        until(lambda: watch.is_counted("gpus", cluster.current.quotas[0].digest))
        yield used
    finally:
        watch.stop()


def version() -> dict[str, str]:
    return {"resourceVersion": "5"}


def cluster_of(**teams: str) -> Cluster:
    cluster = Cluster(current=builders.policies(QUOTA % 4), known=Facts())
    cluster.label(**teams)
    return cluster


def test_a_namespace_of_another_team_takes_what_is_in_it_along() -> None:
    api, cluster = Api(), cluster_of(ml="nlp", web="shop")
    for name in ("one", "two"):
        api.add("ml", name)
    api.add("web", "three")
    with followed(api, cluster) as used:
        until(lambda: used() == {"nlp": "2", "shop": "1"})
        asked = len(api.asked)
        cluster.label(ml="vision")
        until(lambda: used() == {"vision": "2", "shop": "1"})

        assert api.asked[asked:] == ["/api/v1/namespaces/ml/pods"]


def test_a_new_namespace_is_nothing_to_read_for() -> None:
    api, cluster = Api(), cluster_of(ml="nlp")
    api.add("ml", "one")
    with followed(api, cluster) as used:
        until(lambda: used() == {"nlp": "1"})
        asked = len(api.asked)
        cluster.label(web="shop")
        time.sleep(0.5)  # two looks
        api.add("web", "two")
        until(lambda: used() == {"nlp": "1", "shop": "1"})

        assert api.asked[asked:] == []


def test_what_came_before_its_namespace_was_known_is_charged_anew() -> None:
    api, cluster = Api(), cluster_of(ml="nlp")
    with followed(api, cluster) as used:
        api.add("web", "one")
        until(lambda: used() == {"<none>": "1"})
        cluster.label(web="shop")
        until(lambda: used() == {"shop": "1"})


def test_another_policy_is_charged_for_everything() -> None:
    api, cluster = Api(), cluster_of(ml="nlp")
    api.add("ml", "one")
    with followed(api, cluster) as used:
        until(lambda: used() == {"nlp": "1"})
        cluster.current = builders.policies(QUOTA.replace("team", "unit") % 4)
        until(lambda: used() == {"<none>": "1"})


def test_what_went_while_nobody_watched_is_gone() -> None:
    """Even if it is newer than all that is left: the list is newer than it."""
    api = Api()
    with followed(api, cluster_of(speech="nlp")) as used:
        api.add("speech", "one")
        until(lambda: used() == {"nlp": "1"})

        api.pods.clear()
        api.events.put(Expired("too old"))

        until(lambda: used() == {})


def test_who_starts_is_ready_when_all_there_is_was_counted() -> None:
    api, cluster = Api(), cluster_of(ml="nlp")
    api.answers.clear()
    watch = watching(api, cluster)
    watch.start()
    try:
        time.sleep(0.5)  # two looks
        before = watch.unready
        api.answers.set()
        until(lambda: watch.unready == "")
        counted = watch.is_counted("gpus", cluster.current.quotas[0].digest)

        cluster.current = builders.policies(
            QUOTA % 5
        )  # what comes later is counted beside the rest
        assert (before, counted) == ("what is in use isn't counted yet", True)
        assert watch.unready == ""
    finally:
        watch.stop()


def test_who_starts_without_a_quota_is_ready_at_once() -> None:
    api = Api()
    api.answers.clear()
    watch = watching(api, Cluster(current=PolicySet(), known=Facts()))
    watch.start()
    try:
        until(lambda: watch.unready == "")
    finally:
        watch.stop()


def test_what_cant_be_counted_keeps_nobody_from_the_rest() -> None:
    api = Api()
    api.answers.clear()
    watch = watching(api, cluster_of(ml="nlp"), count_seconds=0.3)
    watch.start()
    try:
        assert watch.unready == "what is in use isn't counted yet"
        until(lambda: watch.unready == "")
    finally:
        watch.stop()
        api.answers.set()
