"""A Ray cluster on this machine: prints its address, does what its input says, and ends with its input.

The input is lines, each answered with one. `add NAME` has a node join, with the settings that follow as JSON; `kill
NAME` ends its raylet by SIGKILL and reaps it, and `behead NAME` what makes it the head; `remove NAME` has it leave;
`drain NAME` says that it is about to go; `pid NAME` gives its raylet's, and `logs NAME` where its logs are. The first
node is the head.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import sys
from typing import Any, Final

from ray._raylet import GcsClient
from ray.cluster_utils import Cluster

HEAD: Final = "first"

_PATIENCE: Final = 150.0
"""Seconds: on busy cores Ray's processes take long to start."""

_PREEMPTION: Final = 2
"""Why a node is drained, as Ray numbers it."""

_PR_SET_NAME: Final = 15
_PR_SET_CHILD_SUBREAPER: Final = 36


def serve() -> None:
    cluster = Cluster()
    nodes: dict[str, Any] = {}
    nodes[HEAD] = cluster.add_node(num_cpus=2, include_dashboard=False, node_name=HEAD, wait=False)
    cluster.wait_for_nodes(timeout=_PATIENCE)
    print(cluster.address, flush=True)
    for line in sys.stdin:
        verb, name, settings = line.split(maxsplit=2)
        match verb:
            case "kill":
                raylet = nodes[name].all_processes["raylet"][0].process
                raylet.kill()
                raylet.wait()
                cluster.remove_node(nodes.pop(name), allow_graceful=False)
            case "behead":
                cluster.head_node.kill_gcs_server(check_alive=False)
            case "remove":
                cluster.remove_node(nodes.pop(name), allow_graceful=True)
            case "drain":
                client = GcsClient(address=cluster.address)
                accepted, why = client.drain_node(nodes[name].node_id, _PREEMPTION, "a test", 2**62)
                assert accepted, why
            case "add":
                nodes[name] = cluster.add_node(**{"num_cpus": 2, "node_name": name, **json.loads(settings)})
            case "pid":
                print(nodes[name].all_processes["raylet"][0].process.pid, flush=True)
                continue
            case "logs":
                print(nodes[name].get_logs_dir_path(), flush=True)
                continue
        print("done", flush=True)
    cluster.shutdown()


def main() -> None:
    # As init of its own: what nodes have started without a parent is below the tests, which see whether it is left.
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    prctl(_PR_SET_NAME, b"ray-nodes", 0, 0, 0)
    child = os.fork()
    if child == 0:
        prctl(_PR_SET_NAME, b"ray-cluster", 0, 0, 0)
        serve()
        return
    sys.stdin.close()
    with contextlib.suppress(ChildProcessError):
        while os.wait()[0] != child:
            pass


if __name__ == "__main__":
    main()
