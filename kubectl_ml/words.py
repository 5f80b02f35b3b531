"""What flags and arguments name, for shells that complete it: classes, sources, sidecars, runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kubectl_ml import policy_flags
from kubectl_ml.flags import Word

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from policies.model import PolicySet


class _InForce(Word):
    """Something that policies name; completes from the library and `--policies`."""

    def named(self, policies: PolicySet) -> dict[str, str]:
        """Give the names, each with what it is."""
        raise NotImplementedError

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer those that begin with what is there."""
        return offer(self.named(policy_flags.for_completion(ctx).read()), incomplete)


class DeviceClass(_InForce):
    """The name of a device class."""

    name = "class"

    def named(self, policies: PolicySet) -> dict[str, str]:
        """Give the classes, each with what it is or asks for."""
        return {
            each.name: each.description or each.resource or each.device_class_name
            for each in policies.accelerators.values()
        }


class DataSourceName(_InForce):
    """The name of a data source."""

    name = "source"

    def named(self, policies: PolicySet) -> dict[str, str]:
        """Give the sources, each with what it is or its type."""
        sources = policies.data_sources.values()
        return {each.name: each.description or each.type for each in sources}


class SidecarName(_InForce):
    """The name of a sidecar that a policy offers."""

    name = "sidecar"

    def named(self, policies: PolicySet) -> dict[str, str]:
        """Give the sidecars, each with what its policy is for."""
        return {
            str(sidecar.container["name"]): policy.description
            for policy in policies.injections
            for sidecar in policy.inject.sidecars
            if sidecar.offered
        }


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


def offer(words: dict[str, str], incomplete: str) -> list[CompletionItem]:
    """Offer the words that begin with what is there."""
    from click.shell_completion import CompletionItem

    return [
        CompletionItem(word, help=words[word])
        for word in sorted(words)
        if word.startswith(incomplete)
    ]
