"""Ray driver: the program of a host that talks with a Ray cluster: `python -m subactors.runtime.nodes.ray_driver`.

It is not the host itself, because Ray ends a process that is connected to it 60 s after the cluster's head has gone,
takes over its signals, and may have any call wait. Its input and output are lines of JSON (`ray_messages`). It ends
with its input, and Ray then ends what was made here.
"""

from __future__ import annotations

import contextlib
import os
import platform
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import ray
from ray.exceptions import ActorDiedError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ..errors import RunError
from ..text import one_line
from . import ray_starter
from .ray_bookings import RayBookings
from .ray_messages import (
    AgentFound,
    Book,
    Connect,
    FromDriver,
    NodeComing,
    NodeDrains,
    NodeLost,
    ReleaseNode,
    ToDriver,
    Trouble,
    Unbook,
    decode_to_driver,
)
from .ray_reach import found_address, reach
from .ray_voice import RayVoice
from .tls_files import tls_files_of

__all__ = ["main"]

_LOOK_EVERY: Final = 1.0
"""Seconds between two looks at the cluster's nodes."""

_PATIENCE: Final = 60.0
"""Seconds that an agent may take to be there: Ray may have to make its environment first."""

_AGAIN: Final = 1.0
_AGAIN_AT_MOST: Final = 60.0
"""Seconds until a node gets another agent, where one has failed or was lost, the first time and later."""

_LAST_WORDS: Final = 3.0
"""Seconds that Ray may take to say why an agent's actor has ended."""

_LONGEST: Final = 400
"""Characters of Ray's that are told."""

_OF_ACTORS: Final = "The actor is dead because "
"""What comes before the reason, behind ids that mean nothing to people."""

_LEAVE: Final = 3.0
"""Seconds that may pass between the end of the input and the end of this process."""


class _Node:
    """A node of the cluster.

    Attributes:
        id: as Ray names it.
        called: as people know the machine.
        name: the same, with a part of the id where another node has that.
        actor: which has started the agent, or does so; None: there is none now.
        answer: what `start` of it will return; None once it has.
        is_found: whether the host knows the agent.
        is_failing: whether none could be had, or it was lost, until there is one again.
        drains: whether the host knows that the node is about to go.
        due: when an agent may be started, on the monotonic clock; while one is, by when it must be there.
        pause: seconds until the next try after the next failure.
    """

    def __init__(self, node_id: str, called: str, name: str) -> None:
        self.id = node_id
        self.called, self.name = called, name
        self.token = ""
        self.actor: Any = None
        self.answer: Any = None
        self.is_found = self.is_failing = self.drains = False
        self.due = 0.0
        self.pause = _AGAIN

    def fail(self) -> None:
        """Have no agent for a while."""
        if self.actor is not None:
            ray.kill(self.actor)
        now = time.monotonic()
        if self.is_found and now - self.due > _AGAIN_AT_MOST:
            self.pause = _AGAIN
        self.actor = self.answer = None
        self.is_found, self.is_failing = False, True
        self.due = now + self.pause
        self.pause = min(2 * self.pause, _AGAIN_AT_MOST)


class _Driver:
    """Has an agent on each node of a cluster. All calls of Ray are made in one thread.

    Args:
        orders: what the host says; None: it is gone.
        say: tells the host something.
    """

    def __init__(self, orders: queue.SimpleQueue[ToDriver | None], say: Callable[[FromDriver], None]) -> None:
        self._orders = orders
        self._say = say
        self._nodes: dict[str, _Node] = {}
        self._held: set[str] = set()
        self._starter: Any = None
        self._has_none = False
        self._bookings = RayBookings(self._name_of, self._id_of, self._failing, say)

    def serve(self) -> None:
        """Serve the host until it is gone."""
        ray.cloudpickle.register_pickle_by_value(ray_starter)
        self._starter = ray.remote(ray_starter.RayStarter)
        looked = -_LOOK_EVERY
        while True:
            if time.monotonic() - looked >= _LOOK_EVERY:
                self._look()
                looked = time.monotonic()
            self._see_to_answers(timeout=0.02)
            self._bookings.look()
            busy = self._bookings.waits or any(node.answer is not None for node in self._nodes.values())
            if not self._obey(0.02 if busy else _LOOK_EVERY / 4):
                return

    def _obey(self, seconds: float) -> bool:
        """Do what the host has said, or says within some time; False: it is gone."""
        with contextlib.suppress(queue.Empty):
            order = self._orders.get(timeout=seconds)
            while True:
                match order:
                    case None:
                        return False
                    case ReleaseNode(name):
                        self._release(name)
                    case Book():
                        self._bookings.book(order)
                    case Unbook(key):
                        self._bookings.unbook(key)
                    case Connect():
                        pass  # it has
                order = self._orders.get_nowait()
        return True

    def _name_of(self, node_id: str) -> str:
        """Return the name by which the host knows a node."""
        node = self._nodes.get(node_id)
        return node.name if node is not None and node.is_found else ""

    def _id_of(self, name: str) -> str:
        """Return the id of the node that the host knows by a name."""
        return next((node.id for node in self._nodes.values() if node.is_found and node.name == name), "")

    def _failing(self) -> frozenset[str]:
        """Return the ids of the nodes without an agent that should have one."""
        return frozenset(node.id for node in self._nodes.values() if node.is_failing)

    # --- nodes ------------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """See which nodes there are, and start agents on those that are new."""
        listed = ray.nodes()
        alive = {node["NodeID"]: node for node in listed if node["Alive"]}
        for gone in [node for node_id, node in self._nodes.items() if node_id not in alive]:
            self._lose(gone, next((node for node in listed if node["NodeID"] == gone.id), {}))
        working = {node_id: node for node_id, node in alive.items() if node["Resources"].get("CPU")}
        if not working and not self._has_none:
            sentence = "No node of the cluster has a CPU for tasks. Start one with `ray start --address=HOST:6379`."
            self._say(Trouble(sentence, is_last=True))
        self._has_none = not working
        for node_id, node in working.items():
            if node_id not in self._nodes:
                self._add(node_id, _name(node))
        draining = _draining()
        for node in self._nodes.values():
            if node.id in draining:
                if node.is_found and not node.drains:
                    node.drains = True
                    self._say(NodeDrains(node.name))
            elif node.actor is None and time.monotonic() >= node.due:
                self._start(node)

    def _add(self, node_id: str, called: str) -> None:
        """Have a node by a name by which the host knows no other one now."""
        name = called if called not in self._held else f"{called}-{node_id[:6]}"
        self._held.add(name)
        self._nodes[node_id] = _Node(node_id, called, name)
        self._say(NodeComing(name))

    def _start(self, node: _Node) -> None:
        node.token = os.urandom(32).hex()
        node.due = time.monotonic() + _PATIENCE
        node.actor = self._starter.options(
            num_cpus=0,
            max_restarts=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
        ).remote()
        node.answer = node.actor.start.remote(node.token)

    def _see_to_answers(self, *, timeout: float) -> None:
        """Tell the host of the agents that are there now, and of those that will not be."""
        starting = {node.answer: node for node in self._nodes.values() if node.answer is not None}
        if not starting:
            return
        ready, _ = ray.wait(list(starting), num_returns=len(starting), timeout=timeout)
        for answer in ready:
            self._see_to_answer(starting.pop(answer), answer)
        for node in starting.values():
            if time.monotonic() > node.due:
                self._fail(node, f"Ray has not started its agent within {_PATIENCE:g} s", is_final=True)

    def _see_to_answer(self, node: _Node, answer: Any) -> None:
        node.answer = None
        try:
            said = ray.get(answer)
        except RayError as error:
            if any(listed["NodeID"] == node.id and listed["Alive"] for listed in ray.nodes()):
                self._fail(node, f"Ray cannot start its agent: {_words(error)}")
            else:
                node.fail()  # with the node
            return
        if "problem" in said:
            self._fail(node, said["problem"])
            return
        for other in self._nodes.values():
            if other.called == node.called != node.name and other.name == node.called and not other.is_found:
                other.name, node.name = node.name, other.name  # it may be gone, and Ray has not noticed yet
        host, port = said["address"]
        node.is_found, node.is_failing = True, False
        self._say(AgentFound(node.name, (host, port), node.token, said.get("certificate", "")))

    def _fail(self, node: _Node, why: str, *, is_final: bool = False) -> None:
        node.fail()
        self._say(NodeLost(node.name, why, is_final))
        self._say(NodeComing(node.name))

    def _lose(self, node: _Node, listed: dict[str, Any]) -> None:
        """Forget a node that is no more."""
        del self._nodes[node.id]
        if not node.is_found:  # else the host has let go of it first
            self._held.discard(node.name)
        why = _words(listed.get("DeathReasonMessage") or "")
        gone = "Ray says that it is gone" + (f": {why}" if why else "")
        self._say(NodeLost(node.name, gone if node.is_found or node.is_failing else ""))

    def _release(self, name: str) -> None:
        """The host has let go of an agent: say why its actor has ended, if Ray knows, and start another later."""
        node = next((node for node in self._nodes.values() if node.name == name and node.is_found), None)
        if node is None:
            if all(other.name != name for other in self._nodes.values()):
                self._held.discard(name)
            return
        try:
            ray.get(node.actor.beat.remote(), timeout=_LAST_WORDS)
        except ActorDiedError as error:
            self._say(NodeLost(name, f"its Ray actor has ended: {_words(error)}"))
        except RayError:
            pass  # Ray does not know yet
        node.fail()
        self._say(NodeComing(name))


def main() -> None:
    """Serve a host until it is gone."""
    Path("/proc/self/comm").write_text("subactors-ray")  # what `ps -o comm` and `top` show
    for number in (signal.SIGINT, signal.SIGHUP):  # what a terminal sends to the host is the host's
        signal.signal(number, signal.SIG_IGN)
    voice = RayVoice(os.dup(1))
    os.dup2(2, 1)  # so that nothing that Ray prints comes to the host
    try:
        _serve(voice)
    finally:
        voice.close(_LEAVE)


def _serve(voice: RayVoice) -> None:
    orders: queue.SimpleQueue[ToDriver | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(orders,), name="subactors-orders", daemon=True).start()
    driver = _Driver(orders, voice.say)
    first = orders.get()
    if not isinstance(first, Connect):
        sys.exit("This program is started by a host of subactors, which tells it what to do.")
    address = first.address
    try:
        address = found_address(first.address, os.environ)
        reach(address, tls_files_of(os.environ))
        ray.init(
            address=address,
            runtime_env=first.runtime_env or None,
            log_to_driver=False,
            configure_logging=False,
        )
    except (OSError, RuntimeError, ValueError, RayError, RunError) as error:
        voice.say(Trouble(_no_cluster(address, error), is_last=True))
        return
    try:
        driver.serve()
    finally:
        ray.shutdown()


def _read(orders: queue.SimpleQueue[ToDriver | None]) -> None:
    """Pass on what the host says, and see to it that this process ends when the host is gone, whatever Ray does."""
    # Without a buffer: its lock, which a thread would hold that waits here, ends a process that is about to exit.
    for said in open(0, "rb", buffering=0, closefd=False):  # noqa: SIM115 - a descriptor, which stays open
        with contextlib.suppress(msgspec.MsgspecError):
            orders.put(decode_to_driver(said))
    orders.put(None)
    time.sleep(_LEAVE)
    os._exit(0)


def _no_cluster(address: str, error: Exception) -> str:
    """Return why there is no connection to a cluster, and what to do."""
    said = _words(error)
    if isinstance(error, RunError):  # which says what to do
        return f"The Ray cluster at {address} cannot be connected to: {error}."
    if "ersion mismatch" in said:
        python = platform.python_version()
        return (
            f"The Ray cluster has other versions than this host, which has Ray {ray.__version__} and Python {python}. "
            f"Install the cluster's ones here. Ray says: {said}."
        )
    if address in {"", "auto"}:
        return (
            "There is no Ray cluster on this machine. Join one with `ray start --address=HOST:6379 --num-cpus=0`, "
            "start one with `ray start --head`, or set the place's `address`, or RAY_ADDRESS."
        )
    return (
        f"The Ray cluster at {address} cannot be connected to: {said}. Check that it runs, and that this machine is "
        "one of it: `ray start --address=HOST:6379 --num-cpus=0` joins."
    )


def _name(node: dict[str, Any]) -> str:
    """Return what people call a node: the name it was given, else its machine's."""
    name = str(node.get("NodeName") or "")
    if name in {"", node["NodeManagerAddress"]}:
        name = str(node["NodeManagerHostname"])
    return name


def _draining() -> frozenset[str]:
    """Return the ids of the nodes that Ray is about to take away, where it says so."""
    try:
        from ray._private.state import state  # noqa: PLC0415 - a private part of Ray, which may go

        return frozenset(state.get_draining_nodes())
    except (ImportError, AttributeError, RayError):
        return frozenset()


def _words(said: object) -> str:
    """Return what Ray says, without what it says of every case, as one line that can be put into a sentence."""
    text = str(said)
    text = text.partition(_OF_ACTORS)[2] or text
    return one_line(text.partition("Some common causes")[0], _LONGEST).rstrip(" .")


if __name__ == "__main__":
    main()
