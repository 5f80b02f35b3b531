"""
Environment: variables, labels and annotations that policies give, the experiment tracker's too.

    kubectl-ml.io/experiment: bert-42

sets the variables that a `tracking` policy names (MLFLOW_EXPERIMENT_NAME, WANDB_NAME, …); a label
that it names gets the data of the `mounts` intent (`lineage`). A value may come from the pod's own
fields (`fieldRef`, `resourceFieldRef`), and refer to a variable before it: `$(NAME)`. Touches
`env`, `envFrom` and `ports` of receiving containers, and the pod's labels and annotations.
"""

from __future__ import annotations

from policies.inject import lineage, ports
from policies.inject.pod import Author, PodDraft
from policies.inject.prepared import Rule
from policies.intents import Intents
from policies.model import Manifest
from policies.patch import Path

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
            _dataset(pod, intents, rule)
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


def _dataset(pod: PodDraft, intents: Intents, rule: Rule) -> None:
    """Label a pod with the data that it works on; a label that is there already stays."""
    key = str(rule.inject.tracking.get("dataset") or "")
    value = lineage.dataset(intents.mounts, pod.claims.revisions) if key else ""
    if value and pod.metadata is not None and pod.allows("labels"):
        pod.put(rule.author, (*pod.metadata, "labels", key), value, quiet=True)


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
        if wanted.scrape:
            _scrape(pod, rule, pod.metadata)


def _scrape(pod: PodDraft, rule: Rule, metadata: Path) -> None:
    """Say what Prometheus scrapes, in the annotations it knows, and name the port for others."""
    wanted = dict(rule.inject.scrape)
    name, port = wanted.pop("name", ""), wanted.get("port", "")
    if port:
        wanted["port"] = ports.number(pod, port)
    if port and not wanted["port"]:
        pod.warn(
            f'{rule.author.name}: no receiving container has a port "{port}", so it is not scraped'
        )
        return
    for key, value in (*wanted.items(), ("scrape", "true")):
        pod.put(rule.author, (*metadata, "annotations", SCRAPE + key), value)
    if name and pod.containers and pod.allows("ports"):
        _declare(pod, rule.author, name, int(port))


def _declare(pod: PodDraft, author: Author, name: str, port: int) -> None:
    """Declare a port under a name, unless one of that name or number is there."""
    for one in ports.there(pod):
        same_name, same_port = one.get("name") == name, one.get("containerPort") == port
        if same_name != same_port:
            shown = f'as "{one["name"]}"' if one.get("name") else "without a name"
            pod.warn(
                f"{author.name}: a receiving container has port {one.get('containerPort')} "
                f'{shown}, not {port} as "{name}"; kept as it was written'
            )
            return
    declared = {"name": name, "containerPort": port}
    pod.add(author, (*pod.containers[0].path, "ports"), declared)
