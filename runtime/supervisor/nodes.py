"""Nodes: answers what is asked about the machines of places. The place knows them, and answers in any thread.

Used in the supervisor's thread only, but for what the place calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from ..errors import RunError, RuntimeClosedError
from ..tasks.nodes import DrainNode, ListNodes, NodeList, NodeRequest, NodeView

if TYPE_CHECKING:
    from ..place.base import Place
    from ..tasks.gateway import ReplyTo

__all__ = ["NodeAnswers"]


class NodeAnswers:
    """See the module.

    Args:
        place: where tasks run.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._owed: dict[ReplyTo, None] = {}

    def answer(self, request: NodeRequest, reply_to: ReplyTo) -> None:
        """Answer a request, later."""
        self._owed[reply_to] = None
        match request:
            case ListNodes():
                self._place.nodes(lambda found: self._reply(reply_to, found))
            case DrainNode(name, stop):
                self._place.drain(name, stop=stop, done=lambda fault: self._drained(name, fault, reply_to))
            case _:
                assert_never(request)

    def give_up(self) -> None:
        """Let nobody wait for an answer that cannot come."""
        while self._owed:
            reply_to, _ = self._owed.popitem()
            reply_to.set_exception(RuntimeClosedError("The runtime is closed."))

    def _drained(self, name: str, fault: str, reply_to: ReplyTo) -> None:
        """Answer with the node as it is now, in each place that has it. In any thread."""
        if fault:
            if self._is_owed(reply_to):
                reply_to.set_exception(RunError(fault))
            return

        def take(found: list[NodeView]) -> None:
            named = [node for node in found if node.name == name]
            self._reply(reply_to, [node for node in named if node.state == "draining"] or named)

        self._place.nodes(take)

    def _reply(self, reply_to: ReplyTo, found: list[NodeView]) -> None:
        if self._is_owed(reply_to):
            reply_to.set(NodeList(found))

    def _is_owed(self, reply_to: ReplyTo) -> bool:
        """Whether nobody has answered yet; whoever asks this does so now. In any thread."""
        return self._owed.pop(reply_to, self) is not self
