"""`kubectl ml lint`: what the policies would refuse or warn about, with file and line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

import click

from kubectl_ml import (
    assumed,
    documents,
    findings,
    flags,
    lint_output,
    manifest_flags,
    objects,
    policy_flags,
    reading,
)
from kubectl_ml.assumed import Assumed
from kubectl_ml.documents import Document
from kubectl_ml.errors import Unreadable
from kubectl_ml.findings import ERROR, Finding
from kubectl_ml.inputs import Input
from kubectl_ml.lint_output import Found
from kubectl_ml.manifest_flags import Files
from kubectl_ml.places import Place, Places
from kubectl_ml.policy_flags import Chosen
from policies import engine
from policies.model import Facts, PolicySet


@dataclass(frozen=True, slots=True, kw_only=True)
class _Linter:
    policies: PolicySet
    facts: Facts
    namespace: str

    def document(self, document: Document) -> Iterator[Found]:
        """Find what is wrong with the objects of a document; what is no manifest is left alone."""
        if not isinstance(document.value, dict) or not {"apiVersion", "kind"} & set(document.value):
            return
        try:
            objects.check(document)
        except Unreadable as error:
            yield _unreadable(error, document.source, document.line)
            return
        places = Places(document)
        for pointer, manifest in objects.each(document.value):
            request = objects.request(manifest, namespace=self.namespace, user=self.facts.user)
            decision = engine.render(request, self.policies, self.facts)
            for finding in findings.of(decision, manifest):
                whole = replace(finding, pointer=pointer + finding.pointer)
                yield Found(
                    finding=whole,
                    place=places.of(whole.pointer),
                    reference=objects.reference(manifest, namespace=self.namespace),
                    title=objects.title(manifest),
                )


@click.command(context_settings=flags.CONTEXT, options_metavar="-f FILENAME [flags]")
@manifest_flags.required
@policy_flags.options
@flags.where
@assumed.options
@flags.of_manifests()
@lint_output.options
@flags.verbosity
def lint(
    *,
    files: Files,
    chosen: Chosen,
    assumed_: Assumed,
    namespace: str,
    fail_on: str,
    output: str,
) -> int:
    """
    Find intents that can't be used: typos, unknown classes and sources, the wrong kind.

    An error is what the webhook would refuse, a warning what it would warn about. Each comes
    with its file, line and column. Files of other tools are left alone, unless they can't be read.

    \b
    Examples:
      # A directory of manifests, with your own classes and sources
      kubectl ml lint -R -f manifests/ --policies policies/
      # As a check of a code host, which shows the findings in the change
      kubectl ml lint -R -f manifests/ -o sarif > kubectl-ml.sarif
      # Warnings count, too
      kubectl ml lint -f train.yaml --fail-on warning
    """
    files.check()
    linter = _Linter(
        policies=chosen.read(),
        facts=assumed_.facts(chosen),
        namespace=namespace,
    )
    found = list(_found(linter, reading.watched(files.inputs())))
    lint_output.show(found, output)
    return int(lint_output.fails(found, fail_on))


def _found(linter: _Linter, files: Iterator[Input]) -> Iterator[Found]:
    for file in files:
        of_file: list[Found] = []
        with file.open(sys.stdin.buffer) as stream:
            try:
                for document in documents.read(stream, file.name):
                    of_file += linter.document(document)
            except Unreadable as error:
                of_file.append(_unreadable(error, file.name, 1))
        yield from sorted(dict.fromkeys(of_file), key=lambda each: each.place)


def _unreadable(error: Unreadable, file: str, line: int) -> Found:
    """Make a finding of a file that can't be read; its sentence begins `FILE: line N: `."""
    message = error.sentences[0].removeprefix(f"{file}: ")
    number, colon, rest = message.removeprefix("line ").partition(": ")
    if message.startswith("line ") and colon and number.isdigit():
        line, message = int(number), rest
    return Found(
        finding=Finding(severity=ERROR, policy="manifests", message=message),
        place=Place(file=file, line=line),
    )
