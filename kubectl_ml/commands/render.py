"""`kubectl ml render`: manifests in, what the policies make of them out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click

from kubectl_ml import assumed, flags, inputs, output, reading
from kubectl_ml.inputs import Input
from kubectl_ml.program import Terminal
from kubectl_ml.rendering import Rendering, Stage

NOTHING = "nothing was printed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What the flags ask for."""

    filenames: tuple[str, ...]
    kustomize: str
    recursive: bool
    policies: tuple[str, ...]
    library: bool
    stage: str
    facts_file: str
    kube_version: tuple[int, int] | None
    namespace: str
    output: str


@click.command(context_settings=flags.CONTEXT, options_metavar="(-f FILENAME | -k DIR) [flags]")
@click.option(
    "-f",
    "--filename",
    "filenames",
    multiple=True,
    type=flags.ManifestPath(),
    metavar="FILENAME",
    help="File, directory, URL or - (standard input) with manifests; can be repeated.",
)
@click.option(
    "-k",
    "--kustomize",
    default="",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Build this kustomization with kubectl and render what it gives.",
)
@click.option("-R", "--recursive", is_flag=True, help="Look into the directories below, too.")
@flags.policies
@flags.where
@click.option(
    "--stage",
    type=click.Choice(["template", "admission"]),
    default="template",
    show_default=True,
    help="template: what the pods will be, folded back into the templates. "
    "admission: what the webhook answers for the object itself.",
)
@assumed.options
@click.option(
    "-n",
    "--namespace",
    default="default",
    show_default=True,
    metavar="NAME",
    help="The namespace of objects that don't say theirs; it isn't written into them.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["yaml", "json", "diff", "patch"]),
    default="yaml",
    show_default=True,
    help="What to print.",
)
@click.option("--exit-code", is_flag=True, help="End with 1 where something changes.")
@flags.no_color
@flags.verbosity
@click.pass_context
def render(
    ctx: click.Context,
    /,
    *,
    policies_: tuple[str, ...],
    no_library: bool,
    exit_code: bool,
    no_color: bool,
    **flags_: Any,
) -> int:
    """
    Show what the policies make of manifests.

    Nothing is sent anywhere: no cluster is needed. Documents that don't change come out byte
    for byte as they went in, in the same order. Where a policy refuses an object, its sentences
    are on stderr and nothing is on stdout.

    \b
    Examples:
      # Render a file with the built-in library
      kubectl ml render -f train.yaml
      # See only what changes, by the policies of your cluster's repository
      kubectl ml render -f train.yaml --policies policies/ -o diff
      # Between a template engine and kubectl
      kubectl kustomize overlays/prod | kubectl ml render -f - | kubectl apply -f -
      # What exactly would the webhook answer?
      kubectl ml render -k overlays/prod --stage admission -o patch
      # Fail a pipeline where rendered manifests aren't checked in
      kubectl ml render -R -f manifests/ -o diff --exit-code
    """
    spec = Spec(policies=policies_, library=not no_library, **flags_)
    _check_usage(spec, ctx)
    stdout = sys.stdout.buffer
    plain = no_color or (isinstance(ctx.obj, Terminal) and ctx.obj.no_color)
    rendering = Rendering(
        facts=assumed.read(spec.facts_file, spec.kube_version, spec.policies),
        policies=flags.read_policies(spec.policies, library=spec.library),
        namespace=spec.namespace,
        stage=Stage(spec.stage),
        writer=output.writer(spec.output, color=stdout.isatty() and not plain),
    )
    unread = reading.each(_files(spec), rendering.add, foreign=True)
    unread.complain(also=rendering.refusals if unread.faults else (), hint="", unread=NOTHING)
    rendering.add_needed()
    rendering.report(color=sys.stderr.isatty() and not plain)
    rendering.writer.write(stdout)
    stdout.flush()
    return int(exit_code and rendering.changed)


def _check_usage(spec: Spec, ctx: click.Context) -> None:
    if bool(spec.filenames) == bool(spec.kustomize):
        raise click.UsageError("give one of -f and -k: what is to be rendered?", ctx)
    if spec.filenames.count(inputs.STDIN) > 1:
        raise click.UsageError("standard input (-f -) can be read only once", ctx)


def _files(spec: Spec) -> Iterator[Input]:
    if spec.kustomize:
        return inputs.kustomization(spec.kustomize)
    return inputs.inputs(spec.filenames, recursive=spec.recursive)
