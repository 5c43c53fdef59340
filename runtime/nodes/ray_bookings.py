"""Ray bookings: resources of nodes that tasks have, each as a placement group of one bundle. It belongs to the driver.

Such a group has no process, and an autoscaler sees one that waits. Ray counts what is booked; it holds nobody to it.
Which GPUs a group has Ray tells only a task of its own that runs in it, so one does, for a moment.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any, Final

import ray
from ray.exceptions import RayError
from ray.util import placement_group, placement_group_table, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from ..text import one_line
from . import ray_starter
from .ray_messages import Book, Booked, BookingWaits

__all__ = ["RayBookings"]

_FULL: Final = frozenset({"NO_RESOURCES", "FAILED_TO_COMMIT_RESOURCES"})
"""States of a group for which there will be room."""

_AGAIN: Final = 5.0
"""Seconds until a group is asked again for its devices, if Ray has not told them."""

_LONGEST: Final = 400
"""Characters of Ray's that are told."""

_NODE_ID: Final = "ray.io/node-id"
"""The label that Ray gives each node."""

_GIGABYTE: Final = 1_000_000_000


class _Booking:
    """A booking that has no node yet, or has one.

    Args:
        order: what is to be booked.
        drained: ids of the nodes that it is never to be on.
        failing: ids of those that it is not to be on while they have no agent.

    Attributes:
        order: see above.
        drained: see above.
        failing: see above.
        group: which books it.
        waits: why it waits, as the host was told last; None once it has a node.
        devices: what will tell which devices it has; None: nothing is asked.
        due: when that may be asked, on the monotonic clock.
    """

    def __init__(self, order: Book, drained: frozenset[str], failing: frozenset[str]) -> None:
        self.order, self.drained, self.failing = order, drained, failing
        avoided = drained | failing
        labels = [{_NODE_ID: f"!in({','.join(sorted(avoided))})"}] if avoided else None
        self.group: Any = placement_group([order.bundle], strategy="STRICT_PACK", bundle_label_selector=labels)
        self.waits: str | None = ""
        self.devices: Any = None
        self.due = 0.0

    def variables(self) -> dict[str, str] | None:
        """Return the variables that name its devices; None while they are not known. It has a node.

        Raises:
            RayError: Ray does not tell.
            ValueError: Ray does not divide devices like that.
        """
        if "GPU" not in self.order.bundle:
            return {}
        if self.devices is None and time.monotonic() >= self.due:
            self.due = time.monotonic() + _AGAIN
            strategy = PlacementGroupSchedulingStrategy(self.group, placement_group_bundle_index=0)
            options = {"num_cpus": 0, "num_gpus": self.order.bundle["GPU"], "scheduling_strategy": strategy}
            self.devices = ray.remote(ray_starter.visible_devices).options(**options).remote()
        if self.devices is None or not ray.wait([self.devices], timeout=0)[0]:
            return None
        asked, self.devices = self.devices, None
        return dict(ray.get(asked))


class RayBookings:
    """See the module. All calls are made in the thread that calls Ray.

    Args:
        name_of: returns the name by which the host knows a node that serves, by its id; empty: it knows none.
        id_of: returns the id of a node that serves, by that name; empty: there is none.
        failing: returns the ids of the nodes on which no agent could be had, until there is one.
        say: tells the host something.
    """

    def __init__(
        self,
        name_of: Callable[[str], str],
        id_of: Callable[[str], str],
        failing: Callable[[], frozenset[str]],
        say: Callable[[Booked | BookingWaits], None],
    ) -> None:
        self._name_of = name_of
        self._id_of = id_of
        self._failing = failing
        self._say = say
        self._bookings: dict[int, _Booking] = {}

    @property
    def waits(self) -> bool:
        """Whether there is a booking without a node."""
        return any(booking.waits is not None for booking in self._bookings.values())

    def book(self, order: Book) -> None:
        """Begin to book something; one that is asked for again is not booked twice."""
        if order.key not in self._bookings:
            self._book(order, frozenset(filter(None, map(self._id_of, order.avoiding))))

    def _book(self, order: Book, drained: frozenset[str]) -> None:
        try:
            self._bookings[order.key] = _Booking(order, drained, self._failing())
        except (RayError, ValueError) as error:
            self._say(BookingWaits(order.key, f"Ray does not book {_in_words(order.bundle)}: {_said(error)}"))

    def unbook(self, key: int) -> None:
        """Give something back."""
        booking = self._bookings.pop(key, None)
        if booking is not None:
            with contextlib.suppress(RayError):
                remove_placement_group(booking.group)

    def _book_elsewhere(self, key: int, node_id: str) -> bool:
        """Book something anew that is of a node without an agent, or that a node may have which has one again."""
        booking, failing = self._bookings[key], self._failing()
        if node_id not in failing and booking.failing <= failing:
            return False
        self.unbook(key)
        self._book(booking.order, booking.drained)
        return True

    def look(self) -> None:
        """See what has got a node, and say why the others wait."""
        for key, booking in [*self._bookings.items()]:
            if booking.waits is None:
                continue
            table = placement_group_table(booking.group)
            node_id = table["bundles_to_node_id"].get(0) or "" if table["state"] == "CREATED" else ""
            name = self._name_of(node_id)
            if not name and self._book_elsewhere(key, node_id):
                continue
            why = booking.waits or "Ray is being asked for its devices" if name else _why(booking, table)
            try:
                variables = booking.variables() if name else None
            except (RayError, ValueError) as error:
                variables, why = None, f"Ray does not say which devices it has booked: {_said(error)}"
            if variables is not None:
                booking.waits = None
                self._say(Booked(key, name, variables))
            elif why != booking.waits:
                booking.waits = why
                self._say(BookingWaits(key, why))


def _why(booking: _Booking, table: dict[str, Any]) -> str:
    """Return why a booking waits, as a clause; empty where that is not known yet."""
    if table["state"] == "CREATED":
        return "the agent of its node is being started"
    state = table["stats"]["scheduling_state"]
    nodes = "no node that is not drained" if booking.drained else "no node"
    nodes += " and has an agent" if booking.drained and booking.failing else " with an agent" * bool(booking.failing)
    if state == "INFEASIBLE":
        return f"{nodes} has {_in_words(booking.order.bundle)}"
    return f"{nodes} has {_in_words(booking.order.bundle)} free" if state in _FULL else ""


def _said(error: Exception) -> str:
    return one_line(str(error), _LONGEST).rstrip(" .")


def _in_words(bundle: dict[str, float]) -> str:
    """Return resources as people say them."""
    return ", ".join(
        f"{amount / _GIGABYTE:g} GB of memory" if name == "memory" else f"{amount:g} {name}"
        for name, amount in bundle.items()
    )
