"""`kubectl ml render`: manifests in, what the policies make of them out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click

from kubectl_ml import assumed, flags, inputs, manifest_flags, output, policy_flags, reading
from kubectl_ml.assumed import Assumed
from kubectl_ml.inputs import Input
from kubectl_ml.manifest_flags import Files
from kubectl_ml.policy_flags import Chosen
from kubectl_ml.program import Terminal
from kubectl_ml.rendering import Rendering, Stage

NOTHING = "nothing was printed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What the flags ask for."""

    files: Files
    kustomize: str
    stage: str
    namespace: str
    form: str


@click.command(context_settings=flags.CONTEXT, options_metavar="(-f FILENAME | -k DIR) [flags]")
@manifest_flags.options
@click.option(
    "-k",
    "--kustomize",
    default="",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Build this kustomization with kubectl and render what it gives.",
)
@policy_flags.options
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
@flags.of_manifests("; it isn't written into them")
@flags.form("yaml", "json", "diff", "patch")
@click.option("--exit-code", is_flag=True, help="End with 1 where something changes.")
@flags.no_color
@flags.verbosity
@click.pass_context
def render(
    ctx: click.Context,
    /,
    *,
    chosen: Chosen,
    assumed_: Assumed,
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
    spec = Spec(**flags_)
    _check_usage(spec, ctx)
    stdout = sys.stdout.buffer
    plain = no_color or (isinstance(ctx.obj, Terminal) and ctx.obj.no_color)
    rendering = Rendering(
        facts=assumed_.facts(chosen),
        policies=chosen.read(),
        namespace=spec.namespace,
        stage=Stage(spec.stage),
        writer=output.writer(spec.form, color=stdout.isatty() and not plain),
    )
    unread = reading.each(_files(spec), rendering.add, foreign=True)
    unread.complain(also=rendering.refusals if unread.faults else (), hint="", unread=NOTHING)
    rendering.add_needed()
    rendering.report(color=sys.stderr.isatty() and not plain)
    rendering.writer.write(stdout)
    stdout.flush()
    return int(exit_code and rendering.changed)


def _check_usage(spec: Spec, ctx: click.Context) -> None:
    if bool(spec.files) == bool(spec.kustomize):
        raise click.UsageError("give one of -f and -k: what is to be rendered?", ctx)
    spec.files.check()


def _files(spec: Spec) -> Iterator[Input]:
    if spec.kustomize:
        return inputs.kustomization(spec.kustomize)
    return spec.files.inputs()
