"""Ray starter: the Ray actor that starts the agent of its node, and whose end is the agent's.

It travels to the node by value, where there may be another version of this package, or none; so it imports nothing of
ours. No method raises: Ray writes the text of errors to its logs.
"""

from __future__ import annotations

import importlib.util
import json
import os
import select
import subprocess
import sys
import time
from typing import Any, Final

__all__ = ["RayStarter", "visible_devices"]

_PATIENCE: Final = 30.0
"""Seconds that the agent may take to say where it listens."""

_PROGRAM: Final = "subactors.runtime.nodes.agent"

_DEVICES: Final = (
    "ASCEND_RT_VISIBLE_DEVICES",
    "CUDA_VISIBLE_DEVICES",
    "HABANA_VISIBLE_MODULES",
    "HIP_VISIBLE_DEVICES",
    "NEURON_RT_VISIBLE_CORES",
    "ONEAPI_DEVICE_SELECTOR",
    "ROCR_VISIBLE_DEVICES",
    "TPU_VISIBLE_CHIPS",
)
"""Variables by which Ray tells a worker which accelerators it may use."""

_CHANGED: Final = ("OMP_NUM_THREADS", "PYTHONBREAKPOINT", "SPT_NOENV", *_DEVICES)
"""Variables that Ray sets for a worker, beside those whose names begin with its own: an actor that books no processors
is told to use one thread and no accelerator, and the tasks are not that actor."""

_TLS: Final = {
    "certificate": "RAY_TLS_SERVER_CERT",
    "key": "RAY_TLS_SERVER_KEY",
    "authority": "RAY_TLS_CA_CERT",
}
"""What Ray is told of TLS, as the agent is told of it; see `tls_files`."""

_DETACH: Final = """
import os, signal, sys
program, oom_score = sys.argv[1:]
try:
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write(oom_score)
except OSError:
    pass
if os.fork() == 0:
    os.setsid()
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, signal.SIG_DFL)
        except OSError:
            pass
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.execv(sys.executable, [sys.executable, "-P", "-m", program])
os._exit(0)
"""
"""Starts the agent and ends at once. So the agent is no child of the Ray worker, which kills its children when it ends:
the agent is to end what its tasks have started first. It also gets back what Ray's workers have changed."""


class RayStarter:
    """See the module."""

    def start(self, token: str) -> dict[str, Any]:
        """Start the agent; return its `address` and with TLS the `certificate` there, or the `problem` as a clause.

        Args:
            token: what the agent and its host are to know, in hexadecimal.
        """
        try:
            if importlib.util.find_spec("subactors") is None or importlib.util.find_spec("subactors.runtime") is None:
                return {"problem": f"there is no subactors for {sys.executable} there: install it for that Python"}
            return _start(token)
        except OSError as error:
            return {"problem": f"its agent could not be started: {error.strerror or error}"}

    def beat(self) -> None:
        """Do nothing; that Ray cannot call this says why the actor has ended."""


def visible_devices() -> dict[str, str]:
    """Return the variables that say which devices this worker may use. Ray sets them for each task of its own."""
    return {name: os.environ[name] for name in _DEVICES if os.environ.get(name)}


def _start(token: str) -> dict[str, Any]:
    import ray  # noqa: PLC0415 - it is there, and not where these modules are read

    address = ray.util.get_node_ip_address()
    beginning: dict[str, Any] = {
        "token": token,
        "listen": {"tcp": [address, 0]},
        "control": "listen",
        "starter": os.getpid(),
    }
    if os.environ.get("RAY_USE_TLS", "").lower() in {"1", "true"}:
        beginning["tls"] = {field: os.environ.get(variable, "") for field, variable in _TLS.items()}
    environ, oom_score = _former()
    written = os.fstat(2).st_size
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _DETACH, _PROGRAM, oom_score],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environ,
    ) as starting:
        assert starting.stdin is not None  # noqa: S101 - they are pipes
        assert starting.stdout is not None  # noqa: S101 - the same
        starting.stdin.write(json.dumps(beginning).encode() + b"\n")
        starting.stdin.flush()
        answer = _line(starting.stdout.fileno())
    if not answer.endswith(b"\n"):
        return {"problem": f"its agent did not start: {_last_words(written) or 'it said nothing'}"}
    return dict(json.loads(answer))


def _former() -> tuple[dict[str, str], str]:
    """Return the environment and the `oom_score_adj` that this node's processes have before Ray makes them workers."""
    before: dict[str, str] = {}
    oom_score = "0"
    raylet = f"/proc/{os.environ.get('RAY_RAYLET_PID') or os.getppid()}"
    try:
        with open(f"{raylet}/environ", "rb") as file:  # noqa: PTH123 - see the module
            pairs = (entry.partition(b"=") for entry in file.read().split(b"\0") if b"=" in entry)
            before = {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}
        with open(f"{raylet}/oom_score_adj") as file:  # noqa: PTH123 - the same
            oom_score = file.read().strip()
    except OSError:
        pass  # it is another user's
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    for name in _CHANGED:
        environ.pop(name, None)
        if name in before:
            environ[name] = before[name]
    return environ, oom_score


def _line(descriptor: int) -> bytes:
    """Return what comes up to the end of a line, of the whole, or of patience."""
    until = time.monotonic() + _PATIENCE
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    answer = b""
    while not answer.endswith(b"\n"):
        left = until - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            break
        data = os.read(descriptor, 4096)
        if not data:
            break
        answer += data
    return answer


def _last_words(start: int) -> str:
    """Return the last line on this worker's standard error, where that is a file, from a place on."""
    try:
        with open("/proc/self/fd/2", "rb") as file:  # noqa: PTH123 - see the module
            file.seek(max(start, os.fstat(2).st_size - 4096))
            lines = file.read().decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1].strip().rstrip(".") if lines else ""
