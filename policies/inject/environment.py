"""
Environment: variables, labels and annotations that policies give, the experiment tracker's too.

    kubectl-ml.io/experiment: bert-42

sets the variables that a `tracking` policy names (MLFLOW_EXPERIMENT_NAME, WANDB_NAME, …). A value
may come from the pod's own fields (`fieldRef`, `resourceFieldRef`), and refer to a variable before
it: `$(NAME)`. Touches `env` and `envFrom` of receiving containers, and the pod's labels and
annotations.
"""

from __future__ import annotations

from policies.inject.pod import PodDraft
from policies.inject.prepared import Rule
from policies.intents import Intents
from policies.model import Manifest

SCRAPE = "prometheus.io/"


def inject(pod: PodDraft, intents: Intents, rules: list[Rule]) -> None:
    """Inject the environment that policies give to this pod."""
    for rule in rules:
        if "environment" not in rule.families:
            continue
        wanted, author = rule.inject, rule.author
        pod.add_env(author, wanted.env)
        if wanted.tracking:
            _tracking(pod, intents, rule)
        if wanted.env_from and pod.allows("envFrom"):
            for container in pod.containers:
                for source in wanted.env_from:
                    pod.add_value(author, (*container.path, "envFrom"), source)
        if wanted.labels or wanted.annotations or wanted.scrape:
            _metadata(pod, rule)


def _tracking(pod: PodDraft, intents: Intents, rule: Rule) -> None:
    items: list[Manifest] = []
    if intents.experiment:  # first, so that what follows can refer to it
        names = rule.inject.tracking.get("experiment") or ()
        items = [{"name": name, "value": intents.experiment} for name in names]
    pod.add_env(rule.author, [*items, *(rule.inject.tracking.get("env") or ())])


def _metadata(pod: PodDraft, rule: Rule) -> None:
    if pod.metadata is None:
        return
    wanted = rule.inject
    if pod.allows("labels"):
        for key, value in wanted.labels.items():
            pod.put(rule.author, (*pod.metadata, "labels", key), value)
    if pod.allows("annotations"):
        for key, value in wanted.annotations.items():
            pod.put(rule.author, (*pod.metadata, "annotations", key), value)
        for key, value in wanted.scrape.items():
            pod.put(rule.author, (*pod.metadata, "annotations", SCRAPE + key), value)
        if wanted.scrape:
            pod.put(rule.author, (*pod.metadata, "annotations", SCRAPE + "scrape"), "true")
