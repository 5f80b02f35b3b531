"""What flags and arguments name, for shells that complete it: classes, sources, sidecars, runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kubectl_ml import flags
from kubectl_ml.flags import Word

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from policies.model import PolicySet


class DeviceClass(Word):
    """The name of a device class; completes from the library and `--policies`."""

    name = "class"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the classes that begin with what is there."""
        classes = _in_force(ctx).accelerators.values()
        return offer(
            {
                each.name: each.description or each.resource or each.device_class_name
                for each in classes
            },
            incomplete,
        )


class DataSourceName(Word):
    """The name of a data source; completes from the library and `--policies`."""

    name = "source"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the sources that begin with what is there."""
        sources = _in_force(ctx).data_sources.values()
        return offer({each.name: each.description or each.type for each in sources}, incomplete)


class SidecarName(Word):
    """The name of a sidecar that a policy offers; completes from the library and `--policies`."""

    name = "sidecar"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the sidecars that begin with what is there."""
        offered = {
            str(sidecar.container["name"]): policy.description
            for policy in _in_force(ctx).injections
            for sidecar in policy.inject.sidecars
            if sidecar.offered
        }
        return offer(offered, incomplete)


class RunName(Word):
    """The name of a training or a server; completes from the cluster, if that answers at once."""

    name = "name"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the runs that begin with what is there."""
        from kubectl_ml import naming

        given = ctx.params.get(param.name or "") or ()
        names = naming.names(
            namespace=ctx.params.get("namespace") or "",
            context=ctx.params.get("context") or "",
            kubeconfig=ctx.params.get("kubeconfig") or "",
        )
        return offer({name: what for name, what in names.items() if name not in given}, incomplete)


def _in_force(ctx: click.Context) -> PolicySet:
    paths = tuple(path for path in ctx.params.get("policies_") or () if path != flags.CLUSTER)
    return flags.read_policies(paths, library=not ctx.params.get("no_library"))


def offer(words: dict[str, str], incomplete: str) -> list[CompletionItem]:
    """Offer the words that begin with what is there."""
    from click.shell_completion import CompletionItem

    return [
        CompletionItem(word, help=words[word])
        for word in sorted(words)
        if word.startswith(incomplete)
    ]
