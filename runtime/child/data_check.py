"""Data check: sees in a process of its own whether data is what an entrypoint takes, without calling that."""

from __future__ import annotations

from ...actors import ProcessActor
from ..tasks.decoding import NotOfTypeError
from ..tasks.entrypoint_data import data_arguments, data_parameter
from ..tasks.messages import DataChecked
from ..team.function_by_value import Function
from ..team.functions import function_of

__all__ = ["DataCheck"]


class DataCheck(ProcessActor):
    """Says what is wrong with data, once, and stops.

    Args:
        entrypoint: what stands for the function, whose module is imported here.
        agent: whose entrypoint it is.
        data: as JSON text.
    """

    def __init__(self, entrypoint: Function, agent: str, data: str) -> None:
        super().__init__()
        self._entrypoint = entrypoint
        self._agent = agent
        self._data = data

    def on_start(self) -> None:
        """Look. What else is wrong with the entrypoint, the task itself will tell."""
        what = f"the entrypoint of agent {self._agent!r}"
        try:
            function = function_of(self._entrypoint, what=what)
            if data_parameter(function) is None:
                self.supervisor.tell(DataChecked(takes_any=True))
            else:
                data_arguments(function, self._data, what)
        except NotOfTypeError as error:
            self.supervisor.tell(DataChecked(str(error)))
        except BaseException:  # noqa: BLE001 - the task itself will tell what is wrong
            self.supervisor.tell(DataChecked())
        self.stop()
