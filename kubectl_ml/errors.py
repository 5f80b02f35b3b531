"""
What goes wrong in the plugin, as the person at the terminal reads it.

    click.ClickException
    └── PluginError        one sentence that says what failed, one line that says what to try
        ├── Unreadable     an input that can't be read as manifests
        ├── Refused        objects that the policies refuse; a sentence for each reason
        ├── TimedOut       `wait` ran out of time (exit code 3)
        └── ClusterError   the cluster can't be asked, or says no
            ├── Unreachable    no answer: the server, the network or the kubeconfig
            ├── NotAllowed     who asks isn't known, or lacks a right
            ├── NotFound       there is no such object
            ├── NotInstalled   the server doesn't know the kind
            └── AlreadyExists  the name is taken

Wrong flags are `click.UsageError` (exit code 2); everything else here ends with 1.
"""

from __future__ import annotations

import click


class PluginError(click.ClickException):
    """Raised when a command can't do what it was asked to do."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    @property
    def sentences(self) -> tuple[str, ...]:
        """Give every sentence of the message, without line breaks within."""
        return (" ".join(self.message.split("\n")),)


class Unreadable(PluginError):  # noqa: N818 -- named for what was met
    """Raised when an input is missing, no YAML or no Kubernetes object."""


class Refused(PluginError):  # noqa: N818 -- named for what was met
    """Raised when a policy refuses an object, or a file of policies is refused as a whole."""

    def __init__(self, sentences: tuple[str, ...], *, hint: str = "") -> None:
        super().__init__("\n".join(sentences), hint=hint)
        self._sentences = sentences

    @property
    def sentences(self) -> tuple[str, ...]:
        """Give every reason, each on one line."""
        return tuple(" ".join(sentence.split("\n")) for sentence in self._sentences)


class TimedOut(PluginError):  # noqa: N818 -- named for what was met
    """Raised when what was waited for hasn't come within the time given."""

    exit_code = 3


class ClusterError(PluginError):
    """Raised when the API server can't be asked, or says no; `status` is its HTTP status."""

    def __init__(self, message: str, *, hint: str = "", status: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class Unreachable(ClusterError):  # noqa: N818 -- named for what was met
    """Raised when no API server answers."""


class NotAllowed(ClusterError):  # noqa: N818 -- named for what was met
    """Raised when the API server doesn't know who asks, or that one lacks a right."""


class NotFound(ClusterError):  # noqa: N818 -- named for what was met
    """Raised when there is no such object."""


class NotInstalled(ClusterError):  # noqa: N818 -- named for what was met
    """Raised when the API server doesn't know the kind: its system isn't installed."""


class AlreadyExists(ClusterError):  # noqa: N818 -- named for what was met
    """Raised when an object of that name is there already."""
