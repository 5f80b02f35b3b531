"""
What goes wrong in the plugin, as the person at the terminal reads it.

    click.ClickException
    └── PluginError        one sentence that says what failed, one line that says what to try
        ├── Unreadable     an input that can't be read as manifests
        └── Refused        objects that the policies refuse; a sentence for each reason

Wrong flags are `click.UsageError` (exit code 2); everything here ends with 1.
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
