"""The operation that made the first number that is not finite."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Value = Literal["NaN", "infinity"]


@dataclass(frozen=True)
class NonFinite:
    """The operation whose result was the first that was not finite, though what went in was.

    `operation` has torch's name ("sqrt", "div", "softmax"); with `in_backward` its own result was finite and its derivative
    is not. `module` is the innermost that it ran in: "" is the model itself, None is outside of it, as a loss function.
    `file`, `line` and `text` are the innermost line of source that is neither torch's nor ours, None if there is none.
    Where no operation is to blame, `given` says what was not finite from the start: a parameter, a buffer or the inputs.
    """

    operation: str | None
    value: Value
    in_backward: bool = False
    module: str | None = None
    file: str | None = None
    line: int | None = None
    text: str | None = None
    given: str | None = None

    @property
    def words(self) -> str:
        """Return operation, module and line as a person would say them."""
        if self.operation is None:
            return self.given or "the inputs"
        what = f"the derivative of {self.operation}" if self.in_backward else self.operation
        where = {None: " in the loss", "": " in the model itself"}.get(self.module, f" in {self.module}")
        line = f" ({Path(self.file).name}, line {self.line}: {self.text})" if self.file is not None and self.text else ""
        return what + where + line
