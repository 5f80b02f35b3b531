"""`kubectl ml policy check`: the webhook's verdicts on manifests, without a webhook."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from time import time
from typing import Any

import click

from kubectl_ml import (
    assumed,
    documents,
    flags,
    manifest_flags,
    objects,
    policy_flags,
    tables,
    verdicts,
)
from kubectl_ml.assumed import Assumed
from kubectl_ml.documents import Document
from kubectl_ml.inputs import Input
from kubectl_ml.manifest_flags import Files
from kubectl_ml.places import Place, Places
from kubectl_ml.policy_flags import Chosen
from kubectl_ml.verdicts import Verdict
from policies.model import Facts, PolicySet, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """One object, where it stands, and what would be said of it."""

    place: Place
    reference: str
    title: str
    verdict: Verdict

    @property
    def lines(self) -> Iterator[str]:
        """Write a line for each sentence: `job.yaml:3: Deny: Job "t": POLICY: sentence`."""
        head = f"{self.place.file}:{self.place.line}"
        said = (
            *(("Deny", text) for text in self.verdict.refused),
            *(("Warn", text) for text in self.verdict.warned),
            *(("Audit", text) for text in self.verdict.audited),
        )
        for word, text in said:
            yield f"{head}: {word}: {self.title}: {text}"
        if not said:
            yield f"{head}: Allow: {self.title}"

    @property
    def json(self) -> dict[str, Any]:
        """Write it for programs."""
        return {
            "file": self.place.file,
            "line": self.place.line,
            "object": self.reference,
            "verdict": self.verdict.word,
            "denied": list(self.verdict.refused),
            "warnings": list(self.verdict.warned),
            "audited": list(self.verdict.audited),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judge:
    policies: PolicySet
    facts: Facts
    namespace: str

    def document(self, document: Document) -> Iterator[_Judged]:
        """Judge every object of a document."""
        objects.check(document)
        places = Places(document)
        for pointer, manifest in objects.each(document.value):
            request = objects.request(manifest, namespace=self.namespace, user=self.facts.user)
            yield _Judged(
                place=places.of(pointer),
                reference=objects.reference(manifest, namespace=self.namespace),
                title=objects.title(manifest),
                verdict=verdicts.of(_as_sent(request), self.policies, self.facts),
            )


def _as_sent(request: Request) -> Request:
    """Give the request as the API server sends it: it has written the namespace into the object."""
    metadata = request.object.get("metadata")
    if not isinstance(metadata, dict) or objects.is_cluster_scoped(request.object):
        return request
    there = {"namespace": request.namespace} | metadata
    return replace(request, object=request.object | {"metadata": there})


@click.command(context_settings=flags.CONTEXT, options_metavar="-f FILENAME [flags]")
@manifest_flags.required
@policy_flags.options
@flags.where
@assumed.options
@flags.of_manifests()
@click.option("-q", "--quiet", is_flag=True, help="Don't mention objects that nothing is said of.")
@flags.form("text", "json")
@flags.verbosity
def check(
    *,
    files: Files,
    chosen: Chosen,
    assumed_: Assumed,
    namespace: str,
    quiet: bool,
    form: str,
) -> int:
    """
    Judge manifests as the webhook would when they are created: Deny, Warn, Audit or Allow.

    Each object is injected first and then judged, with the sentences of the webhook. It ends
    with 1 where an object is denied.

    \b
    Examples:
      # As a step of a pipeline
      kubectl ml policy check -R -f manifests/ --policies policies/
      # Only what is said, by the policies that are in force in the cluster
      kubectl ml policy check -f train.yaml --policies cluster -q
    """
    files.check()
    judge = _Judge(
        policies=chosen.read(),
        facts=replace(assumed_.facts(chosen), now=time()),
        namespace=namespace,
    )
    found = list(_judged(judge, files.inputs()))
    shown = [one for one in found if not quiet or one.verdict.word != "Allow"]
    if form == "json":
        items = {"results": [one.json for one in shown]}
        click.echo(tables.structured(items, "json"), nl=False)
    else:
        for one in shown:
            click.echo("\n".join(one.lines))
    return int(any(one.verdict.refused for one in found))


def _judged(judge: _Judge, files: Iterator[Input]) -> Iterator[_Judged]:
    for file in files:
        with file.open(sys.stdin.buffer) as stream:
            for document in documents.read(stream, file.name):
                if document.value is not None:
                    yield from judge.document(document)
