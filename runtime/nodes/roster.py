"""Roster: the nodes of one place: which there are, which were, why some cannot be had, and which one takes a task.

Everything happens in the I/O thread.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from ..tasks.nodes import NodeState, NodeView
from ..team.places import PlaceConfig, SshPlace

if TYPE_CHECKING:
    from ...actors import NodeLink
    from .launcher import NodeFound

__all__ = ["OTHERS", "Roster"]

OTHERS: Final = 2.0
"""Seconds from the first node of a place on for which others that are on their way are counted in: the first would get
all that waits."""

_TRIES: Final = 3
"""Times in a row that a node cannot be had until nobody waits for it any more. A reason that one end has stated counts
as all of them."""

_MOST_LOST: Final = 1000
"""Nodes that are remembered after their loss: a cluster may give each machine a new name."""


class Roster:
    """See the module.

    Args:
        config: of the place.

    Attributes:
        links: to the nodes that there are, by their names.
    """

    def __init__(self, config: PlaceConfig) -> None:
        self.links: dict[str, NodeLink] = {}
        self._config = config
        self._keeps_machines = isinstance(config, SshPlace)  # which somebody has named, and drains until the host ends
        self._found: dict[str, NodeFound] = {}
        self._lost: dict[str, str] = {}
        self._draining: set[str] = set()
        self._begun: set[str] = set()
        self._coming: dict[str, None] = dict.fromkeys(config.hosts if isinstance(config, SshPlace) else ())
        self._failures: Counter[str] = Counter()
        self._counts_others_until = 0.0
        self._trouble = ""
        self._is_last_trouble = False

    # --- what is heard ----------------------------------------------------------------------------------------------

    def add(self, link: NodeLink, found: NodeFound) -> None:
        """An agent has been found, to which there is a link now."""
        self.links[link.name], self._found[link.name] = link, found
        self._begun.add(link.name)
        self._lost.pop(link.name, None)

    def note_coming(self, name: str) -> None:
        """A node that nobody has named is tried, or tried again."""
        self._coming[name] = None
        self._trouble, self._is_last_trouble = "", False

    def note_serving(self, name: str) -> bool:
        """A node takes processes; return whether it is the first, or the first again after all were lost."""
        del self._failures[name]
        self._is_last_trouble = False
        is_first = not any(link.is_serving for other, link in self.links.items() if other != name)
        if is_first:
            self._counts_others_until = time.monotonic() + OTHERS
        return is_first

    def note_trouble(self, sentence: str, *, is_last: bool) -> None:
        """The place as a whole has no nodes, or all of them are told of; see `Launcher.begin`."""
        self._trouble, self._is_last_trouble = sentence, is_last

    def note_lost(self, link: NodeLink, why: str) -> None:
        """A link is no more."""
        if self.links.get(link.name) is link:
            del self.links[link.name]
            self._found.pop(link.name, None)
            if not self._keeps_machines:
                self._draining.discard(link.name)  # what comes by that name is another machine
            self._note_reason(link.name, why)
        if not link.has_served:
            self._note_failure(link.name, is_final=link.is_refused)

    def note_ended(self, name: str, why: str, *, is_final: bool) -> None:
        """Whoever starts agents says that one has ended, or could not be had; the reason may be empty.

        Args:
            name: of the node.
            why: as a clause.
            is_final: whether another try would fail as well, if there was not even anybody to talk to.
        """
        if name in self.links:
            self.links[name].give_up(why)
        elif why or (self._keeps_machines and name not in self._lost):
            self._note_reason(name, why or "its agent has ended")
        if name not in self._begun and (why or self._keeps_machines):
            self._note_failure(name, is_final=is_final)
        self._begun.discard(name)
        if not self._keeps_machines:
            self._coming.pop(name, None)

    def _note_failure(self, name: str, *, is_final: bool) -> None:
        self._failures[name] += _TRIES if is_final else 1

    def _note_reason(self, name: str, why: str) -> None:
        self._lost.pop(name, None)
        self._lost[name] = why
        if len(self._lost) > _MOST_LOST:
            oldest = next(iter(self._lost))
            del self._lost[oldest], self._failures[oldest]

    def drain(self, name: str) -> NodeLink | None:
        """Give a node no new task, and return its link; None if there is none now.

        A machine that is lost is drained as well, where it is known by its name.
        """
        link = self.links.get(name)
        if link is not None or (self._keeps_machines and name in self._coming):
            self._draining.add(name)
        return link

    # --- what is asked ----------------------------------------------------------------------------------------------

    def booked(self, name: str) -> NodeLink | None:
        """Return the node of which somebody has booked something; None if it cannot have the task now."""
        link = self.links.get(name)
        return link if link is not None and link.is_serving and name not in self._draining else None

    @property
    def draining(self) -> tuple[str, ...]:
        """The nodes that are drained, or will be again when they come back."""
        return tuple(name for name in self._names if name in self._draining)

    def choose(self, preferred: Iterable[str], *, waiting: int = 1) -> NodeLink | None:
        """Return the node for a task; None if there is none now.

        Args:
            preferred: names of those that have it if they have room.
            waiting: how many tasks want a node, with this one.
        """
        free = [link for link in self.links.values() if self._has_room(link)]
        for name in preferred:
            if (link := self.links.get(name)) in free:
                return link
        if self._config.placement == "spread" and (others := self._others):
            tasks = waiting + sum(len(link.processes) for link in self.links.values())
            share = math.ceil(tasks / (others + sum(link.is_serving for link in self.links.values())))
            free = [link for link in free if len(link.processes) < share]
        choose = max if self._config.placement == "pack" else min
        return choose(free, key=lambda link: len(link.processes), default=None)

    @property
    def _others(self) -> int:
        """How many nodes are on their way, of which nothing bad is known, as long as they are counted in."""
        if time.monotonic() >= self._counts_others_until:
            return 0
        serving = {name for name, link in self.links.items() if link.is_serving}
        return len({*self._coming, *self.links} - serving - self._failures.keys() - self._draining)

    def _has_room(self, link: NodeLink) -> bool:
        most = self._config.max_tasks
        is_taking = link.is_serving and link.name not in self._draining
        return is_taking and (most is None or len(link.processes) < most)

    @property
    def is_hopeless(self) -> bool:
        """Whether no node takes tasks, and none is to come."""
        if isinstance(self._config, SshPlace):  # it gets no others than its hosts
            hosts, drained = set(self._config.hosts), self._draining
        else:
            hosts, drained = {*self.links, *self._coming}, set()
        if any(link.is_serving for name, link in self.links.items() if name not in drained):
            return False
        cannot = {name for name, failures in self._failures.items() if failures >= _TRIES}
        return self._is_last_trouble or (bool(hosts) and hosts <= cannot | drained)

    @property
    def why_none(self) -> str:
        """Why no node takes tasks though there are some, as a clause; empty if another reason keeps tasks waiting."""
        if isinstance(self._config, SshPlace) or not self.links:
            return ""
        return "every node is drained" if self.links.keys() <= self._draining else ""

    def no_node(self) -> str:
        """Return why a task has none, in sentences."""
        why = {name: f"{name}: {why}." for name, why in self._lost.items()}
        why |= {name: f"{name} is drained." for name in self.draining}
        said = [self._trouble, *(why.get(name, "") for name in self._names)]
        return " ".join([f"place {self._config.name} has no node.", *filter(None, said)])

    @property
    def _names(self) -> Iterable[str]:
        """All nodes that there are, are to be, or were."""
        expected = self._coming if self._keeps_machines else ()
        return dict.fromkeys([*expected, *self.links, *self._lost])

    def views(self, memory_available: Mapping[str, int]) -> list[NodeView]:
        """Return all nodes that there are, are to be, or were.

        Args:
            memory_available: bytes of memory that nodes have left, by their names.
        """
        return [self._view(name, memory_available.get(name)) for name in self._names]

    def _view(self, name: str, memory_available: int | None) -> NodeView:
        link, found = self.links.get(name), self._found.get(name)
        if link is None or found is None:
            why = self._lost.get(name, "")
            return NodeView(place=self._config.name, name=name, state="lost" if why else "connecting", why=why)
        where = found.behind or found.address
        serving: NodeState = "draining" if name in self._draining else "serving"
        versions = link.versions
        return NodeView(
            place=self._config.name,
            name=name,
            state=serving if link.is_serving else "connecting",
            # A path of this machine, behind which ssh is, says nothing of the node.
            address="" if isinstance(where, str) else f"{where[0]}:{where[1]}",
            line=found.line,
            tasks=len(link.processes),
            memory_available=memory_available,
            silent=round(link.silent, 3),
            version=versions.package if versions is not None else "",
            python=versions.python if versions is not None else "",
        )
