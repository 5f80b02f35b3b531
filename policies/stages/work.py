"""One workload being worked on: its draft, its intents, its templates, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from policies.inject import carry, receive
from policies.inject.pod import LIMIT_RANGER, PodDraft, annotation, limit_ranged
from policies.inject.prepared import POD, Rule
from policies.inject.provenance import Claims
from policies.inject.sound import is_sound, is_sound_container, is_sound_resources
from policies.intents import PREFIX, Intents, read, written
from policies.match import Target
from policies.model import Manifest, Violation
from policies.patch import Draft, Path, lookup
from policies.stages import pod as pod_stage
from policies.stages.context import Context
from policies.workloads import locate
from policies.workloads.catalogue import Kind
from policies.workloads.locate import Template

METADATA = ("metadata",)
_WHOLE: Path = ()
_NO_CLAIMS = Claims()
_NOW: Any = object()


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What became of a workload. `claims` are those of the workload and of its templates."""

    draft: Draft
    warnings: list[str] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    audits: list[Violation] = field(default_factory=list)
    claims: Claims = field(default_factory=Claims)
    previews: dict[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # of policies in mode Preview

    def collect(self, pod: PodDraft) -> None:
        """Take over what a draft had to say."""
        self.warnings += [one for one in pod.warnings if one not in self.warnings]
        self.violations += [one for one in pod.violations if one not in self.violations]

    def claim(self, claims: Claims) -> None:
        """Take over claims."""
        for policy, at, before in claims:
            self.claims.add(policy, at, before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One workload being worked on."""

    context: Context
    kind: Kind
    draft: Draft
    intents: Intents  # of the workload itself
    written: Mapping[str, Any]  # the same, as they stand
    templates: tuple[Template, ...]
    known: Mapping[Path, Claims] = field(default_factory=dict)  # by template; (): the workload's

    @classmethod
    def of(cls, context: Context, kind: Kind, draft: Draft) -> Work:
        """Open a workload; no templates where they make no pods, or their shape is unsound."""
        obj = draft.object
        annotations = lookup(obj, (*METADATA, "annotations"))
        sound = receive.walkable(obj, (*METADATA, "annotations")) and receive.walkable(
            obj, (*METADATA, "labels")
        )
        found = locate.templates(obj, kind, context.catalogue) if sound else ()
        return cls(
            context=context,
            kind=kind,
            draft=draft,
            intents=read(annotations),
            written=written(annotations),
            templates=tuple(
                one for one in found if not kind.makes_no_pods(obj) and _is_sound(obj, one)
            ),
        )

    @property
    def makes_no_pods(self) -> bool:
        """Tell whether intents change nothing here: others' pods do what is asked for."""
        return self.kind.makes_no_pods(self.draft.object)

    def trial(self) -> Work:
        """Open the same workload as it is now, to try what is then thrown away."""
        return replace(self, draft=self.draft.fork())

    @property
    def name(self) -> str:
        """The workload's name, as far as it is known."""
        metadata = lookup(self.draft.object, METADATA) or {}
        name = metadata.get("name") or str(metadata.get("generateName") or "").rstrip("-")
        return name if isinstance(name, str) else ""

    def whole(self, claims: Claims | None = None, prior: Claims | None = None) -> PodDraft:
        """Open the object itself, for what is written at the workload."""
        return PodDraft(
            draft=self.draft,
            spec=("spec",),
            metadata=METADATA,
            whole=True,
            keyed=any(template.keyed for template in self.templates),
            claims=claims or Claims(),
            prior=prior or Claims(),
            known=self.known.get(_WHOLE, _NO_CLAIMS),
            skips=self.context.skips,
        )

    def at_workload(self, template: Template, claims: Claims, prior: Claims) -> PodDraft:
        """Open a template for what the workload carries; its claims are the workload's."""
        return PodDraft(
            draft=self.draft,
            spec=template.pod_spec,
            metadata=template.metadata,
            whole=True,
            keyed=template.keyed,
            finishes=self.finishes(template),
            claims=claims,
            prior=prior,
            known=self.known.get(_WHOLE, _NO_CLAIMS),
            skips=self.context.skips,
        )

    def as_pod(self, template: Template) -> PodDraft:
        """Open a template as the pod it will be; its claims are the pod's."""
        obj = self.draft.object
        return PodDraft(
            draft=self.draft,
            spec=template.pod_spec,
            metadata=template.metadata,
            keyed=template.keyed,
            prior=self.context.recorded(obj, template.metadata),
            known=self.known.get(template.pod_spec, _NO_CLAIMS),
            skips=self.context.skips,
            defaulted=limit_ranged(annotation(obj, template.metadata, LIMIT_RANGER)),
        )

    def receiving(self, template: Template, intents: Intents) -> PodDraft:
        """Open a template as the pod it will be, with the containers that receive."""
        return self._receive(self.as_pod(template), template, intents)

    def receiving_at_workload(
        self, template: Template, intents: Intents, claims: Claims, prior: Claims
    ) -> PodDraft:
        """Do the same where what goes into the template is claimed at the workload."""
        pod = self.at_workload(template, claims, prior)
        annotations = self.as_pod(template)
        pod.defaulted = annotations.defaulted
        return self._receive(pod, template, intents)

    def _receive(self, pod: PodDraft, template: Template, intents: Intents) -> PodDraft:
        role = template.definition
        if role.adds and intents.accelerator and not pod.get("containers"):
            pod.add(carry.AUTHOR, (*pod.spec, "containers"), {"name": role.primary})
        pod.containers = receive.containers(
            pod,
            intents,
            role,
            role.primary,
            resources=_resources(self.draft.object, template),
            elsewhere=self._elsewhere(template, intents),
        )
        pod.finishes = self.finishes(template)
        return pod

    def _elsewhere(self, template: Template, intents: Intents) -> frozenset[str]:
        """Name the containers of other templates: the workload's own intent may mean those."""
        if not intents.containers or intents.containers != self.intents.containers:
            return frozenset()
        others = [one for one in self.templates if one is not template]
        found = [receive.names(self.as_pod(one), one.definition) for one in others]
        return frozenset().union(*found)

    def finishes(self, template: Template) -> bool:
        """Tell whether a template's pods run to an end."""
        policy = lookup(self.draft.object, (*template.pod_spec, "restartPolicy"))
        return template.kind.finishes or policy in ("Never", "OnFailure")

    def signs_itself(self, template: Template) -> bool:
        """Tell whether a template has metadata that is its alone, where its provenance can be."""
        return template.metadata not in (None, METADATA) and all(
            other is template or other.metadata != template.metadata for other in self.templates
        )

    def carried_to(self, template: Template) -> tuple[Intents, Mapping[str, Any]]:
        """
        Give what travels to a template: the workload's intents, and how they are written.

        An object inside another has intents of its own, which beat the outer one's.
        """
        if not template.base:
            return self.intents, self.written
        inner = written(lookup(self.draft.object, (*template.base, *METADATA, "annotations")))
        if not inner:
            return self.intents, self.written
        merged = {**self.written, **inner}
        return read({PREFIX + key: value for key, value in merged.items()}), merged

    def sign(self, claims: Claims, prior: Claims) -> None:
        """Write the workload's provenance."""
        self.whole(claims, prior).sign()

    def intents_of(self, template: Template) -> Intents:
        """Read the intents that a template's pods will have."""
        if template.metadata is None:
            return carry.received(self.intents, template)
        intents = read(lookup(self.draft.object, (*template.metadata, "annotations")))
        return carry.received(intents, template) if template.metadata == METADATA else intents

    def rules(self) -> list[Rule]:
        """Find the policies that name this kind of workload."""
        labels = lookup(self.draft.object, (*METADATA, "labels"))
        target = self.context.target(
            self.kind.name,
            labels,
            "",
            self.intents,
            seen=lambda: (self.draft.object, self.context.old),
        )
        return self.context.prepared.rules(target, self.intents)

    def target(self, template: Template, intents: Intents) -> Target:
        """Describe a template as the pod that policies are matched on."""
        labels = template.metadata and lookup(self.draft.object, (*template.metadata, "labels"))
        owner = self.kind.pod_owner or self.kind.name
        return self.context.target(
            POD,
            labels,
            owner,
            intents,
            seen=lambda: (self.made(template), self.made(template, self.context.old)),
        )

    def made(self, template: Template, obj: Any = _NOW) -> Manifest | None:
        """Write out the Pod that a template makes, now or in another state of its object."""
        obj = self.draft.object if obj is _NOW else obj
        if obj is None:
            return None
        metadata = lookup(obj, template.metadata) if template.metadata else None
        metadata = metadata if isinstance(metadata, dict) else {}
        return {
            "apiVersion": "v1",
            "kind": POD,
            "metadata": {**metadata, "namespace": self.context.request.namespace},
            "spec": lookup(obj, template.pod_spec) or {},
        }

    def pod_rules(
        self, template: Template, intents: Intents, also: Iterable[Rule] = ()
    ) -> list[Rule]:
        """Find the policies that act on a template's pods, with those in `also`, in order."""
        found = self.context.prepared.rules(self.target(template, intents), intents)
        if not also:
            return found
        return sorted({*found, *also}, key=lambda rule: (rule.policy.order, rule.policy.name))

    def run(self, pod: PodDraft, template: Template, intents: Intents, rules: list[Rule]) -> None:
        """Run every family over a template's pod."""
        target = self.target(template, intents)
        pod_stage.run_families(pod, self.context, target, intents, rules)


def _resources(obj: Any, template: Template) -> str:
    """Tell in which member the containers of a template have their resources."""
    names = template.definition.resources
    if not names:
        return receive.RESOURCES
    version = str(lookup(obj, (*template.base, "apiVersion"))).rpartition("/")[2]
    return names.get(version, receive.RESOURCES)


def _is_sound(obj: Any, template: Template) -> bool:
    metadata = lookup(obj, template.metadata) if template.metadata else None
    if template.base and not receive.walkable(obj, (*template.base, *METADATA, "annotations")):
        return False
    if template.definition.container:
        return _is_sound_override(obj, template, metadata)
    pod_spec = lookup(obj, template.pod_spec)
    if pod_spec is None and template.definition.implied:
        pod_spec = {}
    for path in template.definition.lists:
        found = lookup(pod_spec, path)
        if found is not None and not (
            isinstance(found, list) and all(map(is_sound_container, found))
        ):
            return False
    return is_sound(pod_spec, metadata) and all(
        pod_spec.get(member) is None or is_sound_container(pod_spec[member])
        for member in template.definition.inline
    )


def _is_sound_override(obj: Any, template: Template, metadata: Any) -> bool:
    overrides = template.definition.container
    assert overrides is not None  # noqa: S101 -- the caller asked
    paths = (template.pod_spec, (*(template.metadata or ()), "annotations"), overrides.env[:-1])
    if not all(receive.walkable(obj, path) for path in paths):
        return False
    pod_spec, resources = lookup(obj, template.pod_spec), lookup(obj, overrides.resources)
    return (
        is_sound({} if pod_spec is None else pod_spec, metadata)
        and is_sound_container({"env": lookup(obj, overrides.env)})
        and (resources is None or is_sound_resources(resources))
    )
