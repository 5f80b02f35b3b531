"""
Which field the served CRDs have, of kinds that have another one in each generation.

The API server's index says where a kind's schema is, in a URL that changes with it: a schema is
read once, and anew when a CRD was replaced.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from policies.workloads import generations
from webhook.errors import NotReachable


class Schemas(Protocol):
    """Gives the API server's schemas."""

    def openapi(self, path: str = "/openapi/v3") -> Any:
        """Read where each group's schemas are, or the schemas at one of these places."""
        ...


@dataclass(slots=True)
class ServedFields:
    """What was read of the schemas so far."""

    api: Schemas
    _read: dict[str, str] = field(default_factory=dict)  # by URL

    def look(self) -> frozenset[tuple[str, str]]:
        """Name the kinds and the field that each has; none where schemas can't be read."""
        try:
            places = generations.documents(self.api.openapi())
            read = {
                url: self._read.get(url) or generations.field_of(self.api.openapi(url), name)
                for name, url in places.items()
            }
        except NotReachable:  # who may not read them goes on as if they said nothing
            return frozenset()
        self._read = read
        return frozenset((name, read[url]) for name, url in places.items() if read[url])
