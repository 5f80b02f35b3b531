"""`kubectl-ml fn`: the engine as a KRM function, between kustomize or kpt and the cluster."""

from __future__ import annotations

import sys
from typing import Any

import click

from kubectl_ml import edits, findings, flags, krm, objects
from kubectl_ml.documents import Document
from kubectl_ml.errors import PluginError, Refused, Unreadable
from kubectl_ml.policy_flags import Chosen
from kubectl_ml.rendering import Stage
from policies import engine, load, manifests
from policies.errors import InvalidPolicies
from policies.model import Manifest, PolicySet

_INPUT = "standard input"
_HINT = "a KRM function reads a ResourceList; kustomize and kpt write it, see kubectl ml fn --help"


@click.command(context_settings=flags.CONTEXT, options_metavar="[flags]")
@flags.verbosity
def fn() -> int:
    """
    Render the items of a ResourceList: a KRM function.

    It reads a ResourceList on standard input and writes it to standard output, with the items as
    `render` would print them, and a result for each warning and each refusal. Nothing else in
    the text changes, comments neither. A refusal leaves all items as they are, has the severity
    error, is said on stderr, and ends with 1.

    functionConfig is of kind Render, apiVersion kubectl-ml.io/v1alpha1; its spec has
    policies (objects, or paths), paths (of files and directories with policies, from the
    directory that the function runs in), stage (template or admission), kubeVersion, and facts.

    \b
    Examples:
      # By hand
      kubectl ml fn < resource-list.yaml
      # In kustomization.yaml: transformers: [render.yaml], a Render with the annotation
      # config.kubernetes.io/function: "exec: {path: ./kubectl-ml-fn}"
      kustomize build --enable-alpha-plugins --enable-exec overlays/prod
      # With kpt, in place
      kpt fn eval manifests/ --exec "kubectl-ml fn" -- stage=template
    """
    text = _text(sys.stdin.buffer.read())
    whole = _resource_list(text)
    config = krm.config(whole.get("functionConfig"))
    function = _Function(config, _policies(config))
    items = [function.rendered(item, number) for number, item in enumerate(whole["items"], 1)]
    changed = whole | {"items": whole["items"] if function.refusals else items}
    if function.results:
        changed["results"] = [*(whole.get("results") or []), *function.results]
    stdout = sys.stdout.buffer
    stdout.write(edits.edited(text, changed).encode())
    stdout.flush()
    if function.refusals:
        raise Refused(tuple(dict.fromkeys(function.refusals)), hint="the items stay as they were")
    return 0


class _Function:
    """One run over all items."""

    def __init__(self, config: krm.Config, policies: PolicySet) -> None:
        self.config = config
        self.policies = policies
        self.results: list[Manifest] = []
        self.refusals: list[str] = []

    def rendered(self, item: Any, number: int) -> Manifest:
        """Give what becomes of an item, and keep what there is to say."""
        objects.check(
            Document(source=f"{_INPUT}: items[{number - 1}]", line=1, raw=b"", value=item)
        )
        if krm.is_local(item):
            return dict(item)
        return objects.replaced(item, self._decided) or item

    def _decided(self, item: Manifest) -> Manifest | None:
        config = self.config
        decide = engine.render if config.stage is Stage.TEMPLATE else engine.review
        request = objects.request(item, namespace="default", user=config.facts.user)
        decision = decide(request, self.policies, config.facts)
        for finding in findings.of(decision, item):
            self.results.append(krm.result(finding, item))
            if finding.severity == findings.ERROR:
                self.refusals.append(f"{krm.title(item)}: {finding.sentence}")
            else:
                click.echo(f"Warning: {krm.title(item)}: {finding.sentence}", err=True)
        return decision.object if decision.patch else None


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"{_INPUT}: this is no UTF-8", hint=_HINT) from error


def _resource_list(text: str) -> Manifest:
    try:
        found = [value for value in manifests.documents(text) if value is not None]
    except manifests.InvalidYAML as error:
        raise Unreadable(f"{_INPUT}: {error}", hint=_HINT) from error
    whole = found[0] if len(found) == 1 else None
    if not isinstance(whole, dict) or whole.get("kind") != "ResourceList":
        raise Unreadable(f"{_INPUT}: this is not one ResourceList", hint=_HINT)
    if not isinstance(whole.get("items") or [], list):
        raise Unreadable(f'{_INPUT}: "items" of the ResourceList is no list', hint=_HINT)
    return whole if whole.get("items") else whole | {"items": []}


def _policies(config: krm.Config) -> PolicySet:
    base = Chosen(paths=config.paths).read()
    inline = [
        load.Document(file="functionConfig: spec.policies", number=number, value=policy)
        for number, policy in enumerate(config.policies, 1)
    ]
    try:
        return load.policy_set(inline, base=base) if inline else base
    except InvalidPolicies as error:
        raise Refused(
            tuple(str(fault) for fault in error.faults), hint="mend spec.policies"
        ) from error
    except OSError as error:
        raise PluginError(f"functionConfig: {error}") from error
