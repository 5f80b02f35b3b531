"""
Policies applied, changed and deleted while requests stream in: no wrong answer, and none fails.

Two replicas of the webhook follow the API server, each by itself, and share its calls. What an
answer must be is known from when each policy was written: what was in force for over a second
before a request, and until after it, must show; where one changed meanwhile, either may. The
namespace is an enforced one, so that a call that fails is an answer that fails.
"""

import http.client
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane import waiting
from tests.e2e.controlplane.client import Client, Manifest
from tests.e2e.installed import Installed

CONTROL_PLANE = "policies"
pytestmark = pytest.mark.load
GROUP = "/apis/kubectl-ml.io/v1alpha1"
REPLICAS = 2
THREADS = 4
SECONDS = 30.0
CHANGE_SECONDS = 0.8  # between two changes; the three policies take turns
IN_FORCE_SECONDS = 1.0
FILLERS = 40  # policies for other namespaces, there or not in turn
REAL = 8  # of so many requests one isn't a dry run
NONE = ""


@dataclass(slots=True)
class Written:
    """One state of a policy, and when the API server was asked for it and had it."""

    value: str
    began: float
    done: float = float("inf")


@dataclass(slots=True)
class History:
    """What a policy said over time; nothing while it isn't there."""

    path: str
    states: list[Written] = field(default_factory=lambda: [Written(NONE, 0.0, 0.0)])

    def write(self, admin: Client, value: str, spec: Manifest | None) -> None:
        """Create, change or delete the policy."""
        had, state = self.states[-1].value, Written(value, time.monotonic())
        self.states.append(state)
        collection, _, name = self.path.rpartition("/")
        if spec is None:
            admin.delete(self.path)
        elif had:
            admin.patch(self.path, {"spec": spec})
        else:
            admin.create(
                collection, {**of_kind(collection), "metadata": {"name": name}, "spec": spec}
            )
        state.done = time.monotonic()

    def possible(self, began: float, ended: float) -> set[str]:
        """List what a request from `began` to `ended` may show."""
        following = [*self.states[1:], Written(NONE, float("inf"))]
        return {
            state.value
            for state, after in zip(self.states, following, strict=True)
            if state.began <= ended and after.done + IN_FORCE_SECONDS >= began
        }


@dataclass(frozen=True, slots=True)
class Seen:
    """What one answer showed of one policy."""

    policy: str
    value: str
    began: float
    ended: float


KINDS = {
    "guardpolicies": "GuardPolicy",
    "injectionpolicies": "InjectionPolicy",
    "policyexceptions": "PolicyException",
}


def of_kind(collection: str) -> Manifest:
    plural = collection.rpartition("/")[2]
    return {"apiVersion": "kubectl-ml.io/v1alpha1", "kind": KINDS[plural]}


def no_image(word: str, message: str, namespace: str) -> Manifest:
    return {
        "match": {"namespaces": {"names": [namespace]}},
        "rules": [
            {
                "name": "image",
                "expression": f"!object.spec.containers.exists(c, c.image.contains('/{word}:'))",
                "message": message,
            }
        ],
    }


class Turns:
    """Writes the policies in turn, and remembers when it did."""

    def __init__(self, admin: Client, namespace: str) -> None:
        self.admin, self.namespace = admin, namespace
        self.histories = {
            "env": History(f"{GROUP}/injectionpolicies/load-env"),
            "bad": History(f"{GROUP}/guardpolicies/load-bad"),
            "off": History(f"{GROUP}/policyexceptions/load-off"),
        }
        self._fillers = itertools.cycle([True, False])
        self._steps = itertools.cycle(self._each_step())
        self._numbers = itertools.count(1)

    def step(self) -> None:
        """Write the next change."""
        name, there = next(self._steps)
        if name == "fillers":
            self._fill()
            return
        value = f"{name}-{next(self._numbers)}" if there else NONE
        self.histories[name].write(self.admin, value, self._spec(name, value) if there else None)

    def _each_step(self) -> Iterator[tuple[str, bool]]:
        for there in (True, True, False):  # created, changed, deleted
            for name in self.histories:
                yield name, there
            yield "fillers", there

    def _spec(self, name: str, value: str) -> Manifest:
        if name == "env":
            return {
                "match": {"namespaces": {"names": [f"{self.namespace}*"]}},
                "inject": {"env": [{"name": "LOAD", "value": value}]},
            }
        if name == "bad":
            return no_image("bad", f"Refused by {value}.", self.namespace)
        return {"policies": ["load-worse"], "rules": ["image"], "reason": value}

    def _fill(self) -> None:
        there = next(self._fillers)
        path = f"{GROUP}/injectionpolicies"
        for number in range(FILLERS):
            name = f"load-filler-{number}"
            if there:
                spec = {
                    "match": {"namespaces": {"names": [f"elsewhere-{number}-*"]}},
                    "inject": {"env": [{"name": "LOAD", "value": "elsewhere"}]},
                }
                manifest = {**of_kind(path), "metadata": {"name": name}, "spec": spec}
                self.admin.create(path, manifest)
            else:
                self.admin.delete(f"{path}/{name}")

    def clear(self) -> None:
        """Take away what is left."""
        for history in self.histories.values():
            self.admin.request("DELETE", history.path)
        for number in range(FILLERS):
            self.admin.request("DELETE", f"{GROUP}/injectionpolicies/load-filler-{number}")


@dataclass(slots=True)
class Stream:
    """Creates pods from several threads, and remembers what each answer showed."""

    place: Place
    seen: list[Seen] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    created: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Have requests come in meanwhile."""
        threads = [threading.Thread(target=self._run) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stopped.set()
            for thread in threads:
                thread.join()

    def _run(self) -> None:
        for number, word in enumerate(itertools.cycle(["ok", "bad", "worse"])):
            if self.stopped.is_set():
                return
            try:
                self._ask(word, real=number % REAL == 0)
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))

    def _ask(self, word: str, *, real: bool) -> None:
        pod: dict[str, Any] = acting.pod(
            "load", acting.spec(acting.container(image=f"x.y/{word}:1"))
        )
        pod["metadata"] = {"generateName": "load-", **pod["metadata"]}
        del pod["metadata"]["name"]
        path = self.place.path("Pod") + ("" if real else "?dryRun=All")
        began = time.monotonic()
        answer = self.place.user.request("POST", path, pod)
        ended = time.monotonic()
        if answer.status == 201:
            values = {"env": env_of(answer.body), "bad": NONE, "off": "let off"}
            self.created["real" if real else "dry run"] += 1
        elif answer.status == 403 and "denied the request" in answer.body["message"]:
            first = answer.body["message"].partition("denied the request: ")[2].splitlines()[0]
            values = {"bad": first.removeprefix("load-bad: "), "off": first}
        else:
            self.failed.append(f"{answer.status} {json.dumps(answer.body)[:300]}")
            return
        told = {"ok": ("env",), "bad": ("env", "bad"), "worse": ("env", "off")}[word]
        self.seen += [
            Seen(policy, values[policy], began, ended) for policy in told if policy in values
        ]


def env_of(pod: Any) -> str:
    found = {one["name"]: one["value"] for one in pod["spec"]["containers"][0].get("env", ())}
    return found.get("LOAD", NONE)


def shown(policy: str, value: str) -> str:
    """Say what an answer shows where a policy has a value."""
    if policy == "bad":
        return f"Refused by {value}." if value else NONE
    if policy == "off":
        return "let off" if value else "load-worse: Worse is refused."
    return value


def test_no_answer_is_wrong_while_policies_change(installed: Installed, enforced: Place) -> None:
    admin = installed.control_plane.admin
    turns, stream = Turns(admin, enforced.name), Stream(enforced)
    always = History(f"{GROUP}/guardpolicies/load-worse")
    installed.stop()
    installed.start(f"--workers={REPLICAS}")
    try:
        always.write(admin, "always", no_image("worse", "Worse is refused.", enforced.name))
        time.sleep(2 * IN_FORCE_SECONDS)
        with stream.running():
            until = time.monotonic() + SECONDS
            while time.monotonic() < until:
                turns.step()
                time.sleep(CHANGE_SECONDS)
    finally:
        turns.clear()
        admin.request("DELETE", always.path)
        installed.stop()
        waiting.until(lambda: not installed.is_running, what="the replicas to end")
        installed.start()

    may = {
        (one.policy, one.began): {
            shown(one.policy, value)
            for value in turns.histories[one.policy].possible(one.began, one.ended)
        }
        for one in stream.seen
    }
    wrong = [one for one in stream.seen if one.value not in may[one.policy, one.began]]
    sure = Counter(one.policy for one in stream.seen if len(may[one.policy, one.began]) == 1)
    changes = {name: len(one.states) - 1 for name, one in turns.histories.items()}
    print(f"{len(stream.seen)} answers, {sure} sure, {dict(stream.created)}, changes: {changes}")

    assert (wrong, stream.failed) == ([], [])
    assert min(sure[policy] for policy in turns.histories) > 30
    assert min(changes.values()) >= 4
    assert min(stream.created["real"], stream.created["dry run"]) > 20
