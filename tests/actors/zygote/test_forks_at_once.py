"""What a zygote does when many starts are asked for at once: it forks in a row, and tells ends all the same."""

from __future__ import annotations

import os
import signal

from actor_classes import StopsItsZygote, Worker
from process_listeners import Listener, Started
from processes_and_waits import wait_until_at_rest
from subactors.actors import ActorProcess, ProcessExit, ProcessSystem

PATIENCE = 30.0
STARTS = 60


class Counting(Listener):
    """Takes down, at the end of its process, of how many the host knew that they were forked."""

    def __init__(self, processes: list[ActorProcess], known: list[int]) -> None:
        super().__init__()
        self._processes = processes
        self._known = known

    def process_ended(self, process: ActorProcess, end: ProcessExit) -> None:
        self._known.append(sum(each.pid is not None for each in self._processes))
        super().process_ended(process, end)


def test_an_end_is_told_before_all_is_forked_that_was_asked_for(own_system: ProcessSystem) -> None:
    zygote = Started(own_system, Worker).proxy.parent_pid().get(timeout=PATIENCE)
    wait_until_at_rest(zygote)
    processes: list[ActorProcess] = []
    known: list[int] = []
    os.kill(zygote, signal.SIGSTOP)
    processes += [own_system.spawn(StopsItsZygote, listener=Counting(processes, known)) for _ in range(STARTS)]
    for process in processes:
        while process.end is None:
            os.kill(zygote, signal.SIGCONT)  # each of them stops it
            process.join(0.005)
    assert [process.end.code for process in processes if process.end] == [7] * STARTS
    assert known[0] < STARTS
