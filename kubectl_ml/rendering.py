"""
Documents through the engine: what comes out, what is warned about, what is refused.

The commands that print manifests share it; each brings its documents and its writer.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

import click

from kubectl_ml import objects, output
from kubectl_ml.documents import Document
from kubectl_ml.errors import Refused
from policies import engine
from policies.model import Decision, Facts, Manifest, PolicySet

_TOO_LATE = (
    'intents: the runtime "{}", whose launcher is one of the nodes, comes after this TrainJob, so '
    "nothing was added for the launcher; put the runtime before it"
)


class Stage(Enum):
    """What is shown: the pods to be, or the webhook's answer for the object itself."""

    TEMPLATE = "template"
    ADMISSION = "admission"


@dataclass(slots=True, kw_only=True)
class Rendering:
    """One run over all documents: what goes in, and what has come out so far."""

    policies: PolicySet
    facts: Facts
    namespace: str
    stage: Stage
    writer: output.Writer
    objects: int = 0
    changed: bool = False
    warnings: dict[tuple[str, str], None] = field(default_factory=dict)  # an ordered set
    previews: dict[tuple[str, str], None] = field(default_factory=dict)  # of policies not in force
    refusals: list[str] = field(default_factory=list)
    codes: set[int] = field(default_factory=set)  # of the refusals
    given: set[str] = field(default_factory=set)  # references of what came in
    waiting: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)  # by runtime
    needed: dict[str, Manifest] = field(default_factory=dict)  # what pods need besides

    def add(self, document: Document) -> None:
        """Render one document."""
        results: list[output.Result] = []
        value = None
        if document.value is not None:
            objects.check(document)
            value = objects.replaced(
                document.value, lambda manifest: self._decide(manifest, document, results)
            )
        self.writer.add(document, value, results)

    def add_needed(self) -> None:
        """Add the objects that the pods need besides, where they didn't come in."""
        for reference, manifest in self.needed.items():
            if reference not in self.given:
                self.changed = True
                document = Document(source="needed besides", line=1, raw=b"", first=True)
                result = output.Result(
                    reference=reference,
                    before={},
                    after=manifest,
                    patch=[{"op": "add", "path": "", "value": manifest}],
                )
                self.writer.add(replace(document, value=manifest), manifest, [result])

    def _note_needed(self, manifest: Manifest, decision: Decision) -> None:
        """Remember what the pods of an object need in its namespace."""
        self.given.add(objects.reference(manifest, namespace=self.namespace))
        if self.stage is not Stage.TEMPLATE:
            return
        request = objects.request(decision.object, namespace=self.namespace, user=self.facts.user)
        for needed in engine.beside(request, self.policies):
            named = (manifest.get("metadata") or {}).get("namespace")
            if named:
                needed["metadata"]["namespace"] = named
            self.needed[objects.reference(needed, namespace=self.namespace)] = needed

    def _decide(
        self, manifest: Manifest, document: Document, results: list[output.Result]
    ) -> Manifest | None:
        request = objects.request(manifest, namespace=self.namespace, user=self.facts.user)
        decide = engine.render if self.stage is Stage.TEMPLATE else engine.review
        decision = decide(request, self.policies, self.facts)
        self.objects += 1
        self._learn(manifest, request.namespace, decision)
        self._note(decision, objects.title(manifest), document.source)
        self._note_needed(manifest, decision)
        results.append(
            output.Result(
                reference=objects.reference(manifest, namespace=self.namespace),
                before=manifest,
                after=decision.object,
                patch=decision.patch,
            )
        )
        if not decision.patch:
            return None
        self.changed = True
        changed: Manifest = decision.object
        return changed

    def _learn(self, manifest: Manifest, namespace: str, decision: Decision) -> None:
        """Remember a runtime whose launcher is a node, for the TrainJobs that come after it."""
        if str(manifest["apiVersion"]).partition("/")[0] != "trainer.kubeflow.org":
            return
        from policies.workloads import trainings  # here, because most have no TrainJobs

        if launcher := trainings.launcher_of(manifest):
            launcher = trainings.reference(launcher[0], launcher[2], namespace)
            self.facts = replace(self.facts, launchers=self.facts.launchers | {launcher})
            for title in self.waiting.pop(launcher, ()):
                self.warnings[(title, _TOO_LATE.format(launcher[2]))] = None
        elif decision.patch and manifest.get("kind") == "TrainJob":
            wanted = trainings.reference(*trainings.runtime_of(manifest), namespace)
            if wanted not in self.facts.launchers:
                self.waiting.setdefault(wanted, []).append(objects.title(manifest))

    def _note(self, decision: Decision, title: str, source: str) -> None:
        for warning in decision.warnings:
            self.warnings[(title, warning)] = None
        for policy, pointers in decision.preview.items():
            name, added = policy.rpartition("@")[0], ", ".join(pointers)
            self.previews[(title, f"{name} would add {added}")] = None
        for violation in decision.violations:
            sentence = ": ".join(filter(None, [violation.policy, violation.message]))
            self.refusals.append(f"{source}: {title}: {sentence}")
            self.codes.add(violation.code)

    def report(self, *, color: bool) -> None:
        """Say on stderr what there is to say; raise where something was refused."""
        label = "\x1b[33mWarning:\x1b[0m" if color else "Warning:"
        for title, warning in self.warnings:
            about = f"{title}: " if self.objects > 1 else ""
            click.echo(f"{label} {about}{warning}", err=True)
        for title, preview in self.previews:
            about = f"{title}: " if self.objects > 1 else ""
            click.echo(f"Preview: {about}{preview}", err=True)
        if self.refusals:
            from kubectl_ml.answers import hint_of  # here, because most of what is rendered passes

            raise Refused(
                tuple(dict.fromkeys(self.refusals)),
                hint=f"nothing was printed; {hint_of(self.codes)}",
            )
