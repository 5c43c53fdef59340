"""Answer check: reads a model's final answer as what its task's output schema wants, and has it repaired once."""

from __future__ import annotations

from typing import Any, Final

from ..errors import OutputSchemaError
from ..models.base import Message
from ..tasks.output_schema import OutputSchema

__all__ = ["AnswerCheck"]

_REPAIR: Final = (
    "Your answer does not fit the output schema: {fault} Answer again, with the whole value: one JSON value that fits "
    "the schema, and nothing else."
)


class AnswerCheck:
    """Checks the final answers of one run of an agent's loop.

    Args:
        output_schema: as JSON text.

    Attributes:
        value: the answer that fitted, as plain data.

    Raises:
        OutputSchemaError: the schema cannot be used.
    """

    value: Any = None

    def __init__(self, output_schema: str) -> None:
        self._schema = OutputSchema(output_schema)
        self._was_repaired = False

    def wrong_with(self, answer: str, *, is_last: bool) -> Message | None:
        """Return what to tell the model of its answer, as a message of the conversation; None if it fits.

        Args:
            answer: the model's.
            is_last: whether there is no turn left.

        Raises:
            OutputSchemaError: it does not fit, and there is no other try.
        """
        try:
            self.value = self._schema.read(answer)
        except OutputSchemaError as error:
            if self._was_repaired or is_last:
                tries = "in its second try either" if self._was_repaired else "and there is no turn left"
                raise OutputSchemaError(f"The answer does not fit the output schema, {tries}: {error}") from None
            self._was_repaired = True
            return {"role": "user", "content": _REPAIR.replace("{fault}", str(error))}
        return None
