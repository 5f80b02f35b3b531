"""Documents without what was injected into them, or the reasons why that can't be told."""

from __future__ import annotations

from dataclasses import dataclass, field

import click

from kubectl_ml import objects, output
from kubectl_ml.documents import Document
from kubectl_ml.errors import Refused
from policies import engine
from policies.model import Facts, Manifest, PolicySet, User
from policies.patch import Draft


@dataclass(slots=True, kw_only=True)
class Stripping:
    """One run over all documents: what has come out so far, and what can't be undone."""

    policies: PolicySet
    facts: Facts
    namespace: str
    writer: output.Writer
    left: list[str] = field(default_factory=list)

    def add(self, document: Document) -> None:
        """Strip one document."""
        results: list[output.Result] = []
        value = None
        if document.value is not None:
            objects.check(document)
            value = objects.replaced(
                document.value, lambda manifest: self._strip(manifest, document, results)
            )
        self.writer.add(document, value, results)

    def report(self) -> None:
        """Raise where something can't be undone."""
        if self.left:
            raise Refused(tuple(dict.fromkeys(self.left)), hint="nothing was printed")

    def _strip(
        self, manifest: Manifest, document: Document, results: list[output.Result]
    ) -> Manifest | None:
        request = objects.request(manifest, namespace=self.namespace, user=User())
        stripped = engine.strip(request, self.policies, self.facts)
        where = f"{document.source}: {objects.title(manifest)}"
        self.left += [f"{where}: {sentence}" for sentence in stripped.left]
        for sentence in stripped.warnings:
            click.echo(f"Warning: {where}: {sentence}", err=True)
        draft = Draft(manifest)
        draft.object = stripped.object
        patch = draft.patch()
        results.append(
            output.Result(
                reference=objects.reference(manifest, namespace=self.namespace),
                before=manifest,
                after=stripped.object,
                patch=patch,
            )
        )
        return stripped.object if patch else None
