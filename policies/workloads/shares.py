"""What is asked for: shares of pods and quantities, of a role, of an object, of many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from policies.workloads import requests
from policies.workloads.counts import Pods, Range
from policies.workloads.requests import Amounts, PodRequest


@dataclass(slots=True)
class Share:
    """Pods, and what they ask for together; `endless` are resources without an upper bound."""

    pods: Pods = 0
    amounts: Amounts = field(default_factory=Amounts)
    endless: set[str] = field(default_factory=set)

    def add(self, other: Share, times: Pods = 1) -> None:
        """Add another's, so many times (None: without bound)."""
        if times is None:
            if other.pods != 0:
                self.pods = None
                self.endless |= {*other.amounts.values} | other.endless
            return
        if not times:
            return
        if self.pods is None or other.pods is None:
            self.pods = None
        else:
            self.pods += other.pods * times
        self.amounts.add(other.amounts, times)
        self.endless |= other.endless

    def at_least(self, other: Share) -> None:
        """Raise each figure to that of another."""
        if self.pods is None or other.pods is None:
            self.pods = None
        else:
            self.pods = max(self.pods, other.pods)
        self.amounts.at_least(other.amounts)
        self.endless |= other.endless

    def quantities(self) -> dict[str, str]:
        """Write the quantities, each in canonical form, or `unbounded`."""
        names = requests.names([self.amounts, Amounts(dict.fromkeys(self.endless, Decimal(0)))])
        return {
            name: "unbounded" if name in self.endless else self.amounts.text(name)
            for name in names
            if name in self.endless or self.amounts.values[name]
        }


@dataclass(slots=True)
class RoleDemand:
    """One role's part. `classes` names the device class that asked for a resource."""

    name: str
    steady: Share
    peak: Share
    request: PodRequest
    range: Range
    classes: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Demand:
    """What one object asks for, and what has to be said of it."""

    steady: Share
    peak: Share
    roles: tuple[RoleDemand, ...]
    notes: tuple[str, ...] = ()
    unusable: tuple[str, ...] = ()  # why the API server would refuse the object


def role_demand(
    name: str,
    request: PodRequest,
    extent: Range,
    *,
    held: bool = False,
    classes: Mapping[str, str] | None = None,
) -> RoleDemand:
    """Count a role's pods; `held` ones aren't there at the steady state."""
    extent = Range(0, extent.peak) if held else extent
    return RoleDemand(
        name=name,
        steady=share_of(request, extent.steady),
        peak=share_of(request, extent.peak),
        request=request,
        range=extent,
        classes=classes or {},
    )


def share_of(request: PodRequest, pods: Pods) -> Share:
    """Give what so many pods of one kind ask for."""
    share = Share()
    share.add(Share(pods=1, amounts=request.amounts), pods)
    return share
