"""
What goes wrong in the server itself.

    WebhookError
    ├── BadCall             a call that is no usable review; becomes HTTP 4xx
    ├── BadSettings         flags that can't be used; exit code 2
    ├── BadCertificate      a certificate or key that can't be used
    ├── CannotListen        an address that can't be had
    ├── NotReachable        the API server doesn't answer as it should
    └── NotReady            a review came before the facts that it needs; becomes HTTP 503
"""

from __future__ import annotations


class WebhookError(Exception):
    """Raised when the server can't do what it was asked; the root of all its exceptions."""


class BadCall(WebhookError):  # noqa: N818 -- named for what it is
    """Raised when a call is no usable review: the HTTP status, a sentence and the uid, if any."""

    def __init__(self, status: int, message: str, *, uid: str = "") -> None:
        self.status = status
        self.message = message
        self.uid = uid
        super().__init__(message)


class BadSettings(WebhookError):  # noqa: N818 -- named for what it is
    """Raised when flags contradict each other or can't be read; says what to write instead."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = message
        self.hint = hint
        super().__init__(message)


class BadCertificate(WebhookError):  # noqa: N818 -- named for what it is
    """Raised when a certificate or its key can't be read or don't belong together."""


class CannotListen(WebhookError):  # noqa: N818 -- named for what it is
    """Raised when an address is taken, or is not this machine's."""


class NotReachable(WebhookError):  # noqa: N818 -- named for what it is
    """Raised when the API server can't be asked, or answers something else."""


class NotReady(WebhookError):  # noqa: N818 -- named for what it is
    """Raised when a review came before the facts that it needs."""
