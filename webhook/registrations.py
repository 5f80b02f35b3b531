"""
The webhook configurations: which requests the API server sends us, rendered from the catalogue.

`python -m webhook.registrations` writes `manifests/base/50-webhooks.yaml` to standard output. Each
`--controller USER` adds an operator's account to those whose objects were judged with their owner.

| registration | who is asked when we are down | sends |
|---|---|---|
| `mutate.kubectl-ml.io` | nobody (`Ignore`) | workloads and pods of enabled namespaces |
| `0.mutate.kubectl-ml.io` | nobody (`Ignore`) | bare pods in which others read what we add |
| `validate.kubectl-ml.io` | nobody (`Ignore`) | and `/scale`, `/resize`; of enforced the rest |
| `enforce.kubectl-ml.io` | everybody waits (`Fail`) | those of enforced namespaces |
| `guards.validate.…`, `guards.enforce.…` | as those | what guards of `--policies` name besides |

No rule is `*/*`: that would match our own writes. No rule names a status.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click
import yaml

from policies import load
from policies.asked import Asked
from policies.errors import InvalidPolicies
from policies.model import DOMAIN, InjectionPolicy, Manifest
from policies.workloads.catalogue import Catalogue, builtin, of
from policies.workloads.controllers import CONTROLLERS
from webhook import definitions, first, guard_rules

NAMESPACE = "kubectl-ml"
SERVICE = "kubectl-ml"
UNTOUCHED = ("kube-system", NAMESPACE)  # were they held up, nothing could start us again
ENABLED = f"{DOMAIN}/enabled"
ENFORCE = f"{DOMAIN}/enforce"
MUTATE_SECONDS = 2
VALIDATE_SECONDS = 5

_HEADER = """\
# Made by `make generate` from policies/workloads/catalogue.yaml; edit that, not this.
"""

# A pod's containers are given more in place: what quotas count rises without a new object.
_RESIZE: Manifest = {
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "operations": ["UPDATE"],
    "resources": ["pods/resize"],
    "scope": "Namespaced",
}


def configurations(
    catalogue: Catalogue | None = None,
    *,
    controllers: Sequence[str] = CONTROLLERS,
    beyond: Sequence[Asked] = (),
    injections: Sequence[InjectionPolicy] = (),
) -> tuple[Manifest, ...]:
    """
    Render the five configurations; `beyond` is what guards name besides.

    `injections` are those that may mark bare pods for other webhooks.

    Each is an object of its own, named as its webhook, so that one can go without the others:
    `kubectl delete validatingwebhookconfiguration enforce.kubectl-ml.io` lets everything in again.
    """
    known = catalogue or builtin()
    objects, scales = _rules(known), [*_rules(known, subresource="scale"), _RESIZE]
    judged = _judged_with_its_owner(known, controllers)
    return (
        _configuration("Mutating", _mutate(objects)),
        _configuration("Mutating", _mutate_first(injections)),
        _configuration(
            "Validating",
            _validation(f"validate.{DOMAIN}", [*objects, *scales], enforced=False),
            # What enforce.kubectl-ml.io leaves to us: in a registration of its own, since match
            # conditions don't see the namespace's labels.
            _validation(
                f"owned.validate.{DOMAIN}",
                objects,
                enforced=True,
                conditions=[_condition("judged-with-its-owner", judged)],
            ),
            *_for_guards("validate", beyond),
        ),
        _configuration(
            "Validating", _enforce([*objects, *scales], judged), *_for_guards("enforce", beyond)
        ),
        _configuration("Validating", _policies()),
    )


def _mutate(rules: list[Manifest]) -> Manifest:
    made = _webhook(
        f"mutate.{DOMAIN}",
        path="/mutate",
        rules=rules,
        selector=_namespaces(),
        failure_policy="Ignore",
        timeout_seconds=MUTATE_SECONDS,
    )
    return made | {"reinvocationPolicy": "IfNeeded"}


def _mutate_first(injections: Sequence[InjectionPolicy]) -> Manifest:
    """
    Have bare pods injected before Dapr and Istio see them, where an intent or policy is for these.

    Webhooks are called in the order of their configurations' names, and most never again. A pod of
    a workload has what they read from its template; a bare pod has it only if we come first.
    """
    made = _webhook(
        f"0.mutate.{DOMAIN}",
        path="/mutate",
        rules=[
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": ["CREATE"],
                "resources": ["pods"],
                "scope": "Namespaced",
            }
        ],
        selector=_namespaces(),
        failure_policy="Ignore",
        timeout_seconds=MUTATE_SECONDS,
    )
    return made | {
        "reinvocationPolicy": "Never",
        "matchConditions": [
            _condition("read-by-others", first.expression(injections)),
            _condition(
                "bare",
                "!has(object.metadata.ownerReferences) ||\n"
                "!object.metadata.ownerReferences.exists(owner,\n"
                "  has(owner.controller) && owner.controller)",
            ),
        ],
    }


def _enforce(rules: list[Manifest], judged: str) -> Manifest:
    return _validation(
        f"enforce.{DOMAIN}",
        rules,
        enforced=True,
        failure_policy="Fail",
        conditions=[
            # An object that goes away must not wait for us: its finalizers are updates.
            _condition("not-being-deleted", "!has(object.metadata.deletionTimestamp)"),
            _condition("not-judged-with-its-owner", f"!({judged})"),
        ],
    )


def _for_guards(name: str, beyond: Sequence[Asked]) -> list[Manifest]:
    """Have guards asked about more than workloads that come and change."""
    made = _validation(
        f"guards.{name}.{DOMAIN}",
        guard_rules.rules(beyond),
        enforced=name == "enforce",
        failure_policy="Fail" if name == "enforce" else "Ignore",
        conditions=[_condition(*one) for one in guard_rules.conditions()],
    )
    return [made] if beyond else []


def _policies() -> Manifest:
    """Have our own objects judged as they are applied; what slips through is left out anyway."""
    made = _webhook(
        f"policies.{DOMAIN}",
        path="/validate",
        rules=[
            {
                "apiGroups": [DOMAIN],
                "apiVersions": ["*"],
                "operations": ["CREATE", "UPDATE"],
                "resources": sorted(shown.plural for shown in definitions.KINDS.values()),
                "scope": "*",
            }
        ],
        selector={},
        failure_policy="Ignore",
        timeout_seconds=VALIDATE_SECONDS,
    )
    del made["namespaceSelector"]
    return made


def _configuration(kind: str, *webhooks: Manifest) -> Manifest:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{kind}WebhookConfiguration",
        "metadata": {"name": webhooks[0]["name"]},
        "webhooks": list(webhooks),
    }


def _validation(
    name: str,
    rules: list[Manifest],
    *,
    enforced: bool,
    failure_policy: str = "Ignore",
    conditions: Sequence[Manifest] = (),
) -> Manifest:
    made = _webhook(
        name,
        path="/validate",
        rules=rules,
        selector=_namespaces(enforced=enforced),
        failure_policy=failure_policy,
        timeout_seconds=VALIDATE_SECONDS,
    )
    return made | {"matchConditions": list(conditions)} if conditions else made


def _webhook(
    name: str,
    *,
    path: str,
    rules: list[Manifest],
    selector: Manifest,
    failure_policy: str,
    timeout_seconds: int,
) -> Manifest:
    return {
        "name": name,
        "admissionReviewVersions": ["v1"],
        "clientConfig": {
            "service": {"name": SERVICE, "namespace": NAMESPACE, "path": path, "port": 443}
        },
        "failurePolicy": failure_policy,
        "matchPolicy": "Equivalent",
        "namespaceSelector": selector,
        "rules": rules,
        "sideEffects": "NoneOnDryRun",
        "timeoutSeconds": timeout_seconds,
    }


def _namespaces(*, enforced: bool | None = None) -> Manifest:
    expressions: list[Manifest] = [
        {"key": ENABLED, "operator": "In", "values": ["true"]},
        # By the name, which nobody can change, and not by a label that someone may set.
        {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": list(UNTOUCHED)},
    ]
    if enforced is not None:
        operator = "In" if enforced else "NotIn"
        expressions.insert(1, {"key": ENFORCE, "operator": operator, "values": ["true"]})
    return {"matchExpressions": expressions}


def _rules(catalogue: Catalogue, *, subresource: str = "") -> list[Manifest]:
    """Put kinds of one group and the same versions into one rule."""
    resources: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for kind in catalogue.kinds.values():
        if kind.cluster_scoped or not kind.mutate:
            continue
        if subresource != "scale" or kind.scale:
            name = f"{kind.plural}/{subresource}" if subresource else kind.plural
            resources.setdefault((kind.group, kind.versions), []).append(name)
    return [
        {
            "apiGroups": [group],
            "apiVersions": list(versions),
            "operations": ["UPDATE"] if subresource else ["CREATE", "UPDATE"],
            "resources": sorted(plurals),
            "scope": "Namespaced",
        }
        for (group, versions), plurals in sorted(resources.items())
    ]


def _condition(name: str, expression: str) -> Manifest:
    return {"name": name, "expression": expression}


def _judged_with_its_owner(catalogue: Catalogue, controllers: Sequence[str]) -> str:
    """
    Write the condition for objects of a controller that was judged itself.

    Both halves are needed: anyone can write an owner reference, and an operator also makes pods
    for kinds that we aren't asked about.
    """
    owners = sorted(f"{kind.group}/{kind.kind}" for kind in catalogue.kinds.values() if kind.group)
    return (
        f"request.userInfo.username in {_list(controllers)} &&\n"
        "has(object.metadata.ownerReferences) &&\n"
        "object.metadata.ownerReferences.exists(owner,\n"
        "  has(owner.controller) && owner.controller &&\n"
        "  (owner.apiVersion.split('/')[0] + '/' + owner.kind) in "
        f"{_list(owners)})"
    )


def _list(texts: Sequence[str]) -> str:
    return "[\n" + ",\n".join(f"  '{text}'" for text in texts) + "\n]"


# --- the file ------------------------------------------------------------------------------


def text(
    catalogue: Catalogue | None = None,
    *,
    controllers: Sequence[str] = CONTROLLERS,
    beyond: Sequence[Asked] = (),
    injections: Sequence[InjectionPolicy] = (),
) -> str:
    """Write the configurations as `manifests/base/50-webhooks.yaml` has them."""
    documents = configurations(
        catalogue, controllers=controllers, beyond=beyond, injections=injections
    )
    return _HEADER + yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, width=1000)


class _Dumper(yaml.SafeDumper):
    """Writes expressions as block text, and no anchors for what is there twice."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write everything out."""
        return True


def _represent(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _represent)


@click.command(name="webhook.registrations")
@click.option("--controller", multiple=True, metavar="USER", help="One more known controller.")
@click.option(
    "--policies",
    multiple=True,
    metavar="DIR",
    help="Directory or file with WorkloadKinds, GuardPolicies and InjectionPolicies to ask about.",
)
@click.option(
    "--resource",
    multiple=True,
    metavar="KIND.GROUP=PLURAL",
    help="The resource of a kind that a guard names and nobody else knows.",
)
def command(
    controller: tuple[str, ...], policies: tuple[str, ...], resource: tuple[str, ...]
) -> None:
    """Write the webhook configurations to standard output."""
    for user in controller:
        if "'" in user or "\\" in user or not user.isprintable():
            raise click.BadParameter(f"{user!r} is no user's name", param_hint="--controller")
    resources = dict(map(guard_rules.resource, resource))
    try:
        found = load.read(policies)
    except InvalidPolicies as error:
        raise click.ClickException("\n".join(str(fault) for fault in error.faults)) from error
    beyond = guard_rules.beyond(found.guards, of(found), resources=resources)
    if unknown := guard_rules.unknown(beyond):
        raise click.ClickException("\n".join(unknown))
    known = (*CONTROLLERS, *controller)
    sys.stdout.write(text(of(found), controllers=known, beyond=beyond, injections=found.injections))


if __name__ == "__main__":
    command()
