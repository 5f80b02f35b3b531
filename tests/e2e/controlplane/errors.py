"""
What can go wrong with the control plane.

ControlPlaneError
├── NotAvailableError
├── BuildError
├── StartError
├── WaitError
├── KubectlError
├── RequestError
└── AlreadyRunningError
"""


class ControlPlaneError(Exception):
    """Root of what this package raises; its text is for people."""


class NotAvailableError(ControlPlaneError):
    """Raised when the programs aren't built and can't be built here."""


class BuildError(ControlPlaneError):
    """Raised when Go can't build the programs."""


class StartError(ControlPlaneError):
    """Raised when a program ended though it should run."""


class WaitError(ControlPlaneError):
    """Raised when something didn't happen in time."""


class KubectlError(ControlPlaneError):
    """Raised when kubectl ended with another code than 0."""


class RequestError(ControlPlaneError):
    """Raised when the API server refused a request."""

    def __init__(self, message: str, *, status: int):
        super().__init__(message)
        self.status = status


class AlreadyRunningError(ControlPlaneError):
    """Raised when a second long-running cluster is asked for."""
