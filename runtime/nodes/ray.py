"""Nodes of a Ray cluster: a small Ray actor on each starts the node's agent. Tasks are no business of Ray's.

A process of its own, the Ray driver, talks with the cluster (`ray_driver` says why). Whatever becomes of Ray, the host
waits for nothing. One thread reads the driver's lines, and another one writes what it is told: a driver that does not
read holds up that thread alone. One that says nothing is killed, and another takes its place.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import queue
import select
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from ..errors import RequirementError
from ..team.places import RayPlace, Resources
from .last_words import last_line
from .launcher import NodeFound
from .ray_messages import (
    AgentFound,
    Beat,
    Book,
    Booked,
    BookingWaits,
    Connect,
    NodeComing,
    NodeDrains,
    NodeLost,
    ReleaseNode,
    ToDriver,
    Trouble,
    Unbook,
    decode_from_driver,
    line,
)
from .tls_files import tls_files_of
from .tls_lines import TlsLines

__all__ = ["RayLauncher", "require"]

_DRIVER: Final = "subactors.runtime.nodes.ray_driver"

_SOON: Final = 1.0
_AGAIN: Final = 5.0
_AGAIN_AT_MOST: Final = 60.0
"""Seconds until a cluster is tried again: where it had nodes, where it could not be had, and later."""

_END: Final = 4.0
"""Seconds that the driver may take to end once its input has; a little more than it gives itself."""

_BEGINNING: Final = 60.0
_SILENCE: Final = 15.0
"""Seconds that the driver may say nothing: before its first word, as importing Ray takes long on busy cores; and later.
It says something each second."""

_MOST: Final = 65536
"""Bytes of what it says that are read at a time."""

_NO_MORE: Final = b""
"""What ends its input, and with it the driver."""


def require(place: RayPlace) -> None:
    """Raise RequirementError if Ray or what it needs is not here, or the address is one that cannot be used."""
    if place.address.startswith("ray://"):
        raise RequirementError(
            f"Place {place.name} has the address {place.address}, of a Ray client, by which tasks on nodes cannot "
            "be reached. Run the program in the cluster (`ray job submit -- python PROGRAM`), or on a machine "
            "that has joined it (`ray start --address=HOST:6379 --num-cpus=0`), with `address: auto`."
        )
    if place.address == "local":
        raise RequirementError(
            f"Place {place.name} has the address `local`, by which Ray would start a cluster. Start one with "
            "`ray start --head`, and leave `address` out."
        )
    if importlib.util.find_spec("ray") is None:
        raise RequirementError(
            f"Place {place.name} is a Ray cluster, and Ray is not installed here: pip install 'subactors[ray]'."
        )
    files = tls_files_of(os.environ)
    if files is None:
        return
    from .tls import fault_of  # noqa: PLC0415 - most have none

    if fault := fault_of(files):
        raise RequirementError(f"Place {place.name} cannot be reached with TLS, which Ray is told to use: {fault}.")


class _Told(NamedTuple):
    """What is called with news; see `Launcher.begin`."""

    found: Callable[[NodeFound], None]
    lost: Callable[[str, str, bool], None]
    trouble: Callable[[str, bool], None]
    drains: Callable[[str], None]
    coming: Callable[[str], None]


class _Booking(NamedTuple):
    """Resources that a task is to have; see `Booker`."""

    order: Book
    booked: Callable[[str, dict[str, str]], None]
    waits: Callable[[str], None]


class RayLauncher:
    """See `Launcher`, and `Booker`.

    Args:
        place: the cluster.
        withheld: names of variables that Ray has no use for, and that others are not to see in its driver.
        folder: for sockets of lines with TLS.
    """

    def __init__(self, place: RayPlace, withheld: Collection[str], folder: Path) -> None:
        self._place = place
        self._withheld = frozenset(map(os.fsencode, withheld))
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._driver: subprocess.Popen[bytes] | None = None
        self._orders: queue.SimpleQueue[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._connect = Connect(place.address)
        self._names: set[str] = set()
        self._keys = itertools.count(1)
        self._bookings: dict[int, _Booking] = {}
        files = tls_files_of(os.environ)
        self._lines = TlsLines(files, withheld, folder) if files is not None else None

    def begin(
        self,
        found: Callable[[NodeFound], None],
        lost: Callable[[str, str, bool], None],
        trouble: Callable[[str, bool], None],
        drains: Callable[[str], None],
        coming: Callable[[str], None],
    ) -> None:
        """See `Launcher`."""
        told = _Told(found, lost, trouble, drains, coming)
        self._connect = _connection(self._place.address)
        name = f"subactors-ray-{self._place.name}"
        self._thread = threading.Thread(target=self._keep, args=(told,), name=name, daemon=True)
        self._thread.start()

    def release(self, name: str) -> None:
        """See `Launcher`."""
        if self._lines is not None:
            self._lines.close(name)
        self._order(ReleaseNode(name))

    def book(
        self,
        resources: Resources,
        avoiding: tuple[str, ...],
        booked: Callable[[str, dict[str, str]], None],
        waits: Callable[[str], None],
    ) -> int:
        """See `Booker`."""
        key = next(self._keys)
        booking = _Booking(Book(key, _bundle(resources), avoiding), booked, waits)
        self._bookings[key] = booking
        self._order(booking.order)
        return key

    def unbook(self, key: int) -> None:
        """See `Booker`."""
        if self._bookings.pop(key, None) is not None:
            self._order(Unbook(key))

    def close(self) -> None:
        """See `Launcher`."""
        self._closing.set()
        if self._lines is not None:
            self._lines.close_all()
        with self._lock:
            if self._orders is not None:
                self._orders.put(_NO_MORE)
        if self._thread is not None:
            self._thread.join(_END)
            with self._lock:
                if self._driver is not None:
                    self._driver.kill()
            self._thread.join(_END)

    def _order(self, message: ToDriver) -> None:
        with self._lock:
            if self._orders is not None and not self._closing.is_set():
                self._orders.put(line(message))

    # --- in its thread ----------------------------------------------------------------------------------------------

    def _keep(self, told: _Told) -> None:
        """Have a driver, and another when that has ended, until all is closed."""
        pause = _AGAIN
        while not self._closing.is_set():
            try:
                why = self._serve(told)
            except OSError as error:
                why = f"Ray's driver cannot be started: {error.strerror or error}"
            if self._closing.is_set():
                return
            names, self._names = self._names, set()
            for name in names:
                told.lost(name, why, False)
            # Where there were nodes there may be some again, in a moment; who waits for one waits for what comes of it.
            told.trouble(f"{why[:1].upper()}{why[1:]}.", not names)
            if names:
                pause = _SOON
            self._closing.wait(pause)
            pause = min(2 * pause, _AGAIN_AT_MOST)

    def _serve(self, told: _Told) -> str:
        """Have one driver, from its start to its end; return why that came, as a clause."""
        with tempfile.TemporaryFile() as errors, self._start(errors) as driver, self._taking_orders(driver):
            try:
                last = self._hear(driver, told)
            except TimeoutError:
                return f"Ray's driver was ended, as it had said nothing for {_SILENCE:g} s"
            driver.wait()
            errors.seek(0)
            return _why(driver.returncode, last_line(errors.read()), last)

    def _hear(self, driver: subprocess.Popen[bytes], told: _Told) -> str:
        """Pass on what a driver says, up to its end; return why it cannot go on, if it has said so."""
        last = ""
        for said in _lines(driver):
            match decode_from_driver(said):
                case NodeComing(name):
                    self._names.add(name)
                    told.coming(name)
                case AgentFound() as agent:
                    self._find(agent, told)
                case NodeLost(name, why, is_final):
                    self._names.discard(name)
                    told.lost(name, why, is_final)
                case NodeDrains(name):
                    told.drains(name)
                case Booked(key, name, variables) if key in self._bookings:
                    self._bookings[key].booked(name, variables)
                case BookingWaits(key, why) if key in self._bookings:
                    self._bookings[key].waits(why)
                case Booked() | BookingWaits() | Beat():
                    pass  # it is given up; a beat says that the driver runs, and no more
                case Trouble(sentence, is_last):
                    last = sentence.rstrip(".") if is_last else last
                    told.trouble(sentence, is_last)
        return last

    def _find(self, agent: AgentFound, told: _Told) -> None:
        """Tell of a node whose agent is there, if its line is what it is to be."""
        node = NodeFound(agent.name, agent.address, bytes.fromhex(agent.token))

        def refuse(name: str, why: str, *, is_final: bool = False) -> None:
            told.lost(name, why, is_final)
            self._order(ReleaseNode(name))

        if self._lines is not None and agent.certificate:
            self._lines.open(node, agent.certificate, told.found, refuse)
        elif self._lines is not None:
            refuse(node.name, "its line would be plain: RAY_USE_TLS is set here, and not there", is_final=True)
        elif agent.certificate:
            refuse(node.name, "its line is encrypted by TLS: RAY_USE_TLS is set there, and not here", is_final=True)
        else:
            told.found(node)

    def _start(self, errors: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", _DRIVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={name: value for name, value in os.environb.items() if name not in self._withheld},
            start_new_session=True,
            bufsize=0,
        )

    @contextlib.contextmanager
    def _taking_orders(self, driver: subprocess.Popen[bytes]) -> Iterator[None]:
        """Have a driver told what is ordered, by a thread of its own; it is no more when the block is left."""
        orders = queue.SimpleQueue[bytes]()
        with self._lock:
            # Before anybody else has it told something: it takes nothing before it has connected.
            orders.put(line(self._connect))
            for booking in list(self._bookings.values()):
                orders.put(line(booking.order))
            self._driver, self._orders = driver, orders
            if self._closing.is_set():
                orders.put(_NO_MORE)
        name = f"subactors-ray-{self._place.name}-orders"
        writer = threading.Thread(target=_write, args=(driver, orders), name=name, daemon=True)
        writer.start()
        try:
            yield
        finally:
            with self._lock:
                self._driver = self._orders = None
            driver.kill()
            orders.put(_NO_MORE)
            writer.join()


def _write(driver: subprocess.Popen[bytes], orders: queue.SimpleQueue[bytes]) -> None:
    """Write what a driver is told, and then close its input."""
    assert driver.stdin is not None  # noqa: S101 - it is a pipe
    with contextlib.suppress(OSError), driver.stdin:  # it has ended, and all its nodes are lost
        while order := orders.get():
            driver.stdin.write(order)


def _lines(driver: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """Yield what a driver says, until it has ended; raise TimeoutError if it is silent for too long."""
    assert driver.stdout is not None  # noqa: S101 - it is a pipe
    poll = select.poll()
    poll.register(driver.stdout, select.POLLIN)
    patience, rest = _BEGINNING, b""
    while True:
        if not poll.poll(patience * 1000):
            raise TimeoutError
        data = os.read(driver.stdout.fileno(), _MOST)
        if not data:
            return
        patience = _SILENCE
        *whole, rest = (rest + data).split(b"\n")
        yield from whole


def _bundle(resources: Resources) -> dict[str, float]:
    """Return resources as Ray calls them."""
    own = {"CPU": resources.cpu, "GPU": resources.gpu, "memory": resources.memory}
    return {**{name: amount for name, amount in own.items() if amount}, **resources.custom}


def _connection(address: str) -> Connect:
    """Return how to connect: to the cluster that this program has connected to, where that is not said."""
    ray: Any = sys.modules.get("ray")
    if address in {"", "auto"} and ray is not None and ray.is_initialized():
        context = ray.get_runtime_context()
        return Connect(context.gcs_address, dict(context.runtime_env))
    return Connect(address)


def _why(status: int, last_words: str, trouble: str) -> str:
    """Return why a driver has ended, as a clause."""
    if "Failed to connect to GCS" in last_words:
        return "the head of the Ray cluster does not answer"
    if status == 0 and trouble:
        return trouble
    return f"Ray's driver ended with status {status}" + (f": {last_words}" if last_words else "")
