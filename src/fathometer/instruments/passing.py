"""Does a block pass its input on? Asked of autograd's graph."""

from torch.autograd.graph import Node

# What a stream may meet on its way without being made anew: sums, scales, norms, masks and changes of shape.
_PASS = (
    *("Add", "Sub", "Mul", "Div", "Lerp", "Addcmul", "NativeDropout", "FusedDropout", "Relu", "NativeLayerNorm", "FusedRmsNorm"),
    *("View", "UnsafeView", "ReshapeAlias", "Transpose", "Permute", "T", "Clone", "ToCopy", "Alias", "Squeeze", "Unsqueeze"),
    *("Expand", "Slice", "Select", "Split", "Cat", "NativeBatchNorm", "CudnnBatchNorm", "Rsub", "Neg", "Where", "MaskedFill"),
)
MOST_NODES = 400  # a block whose end is further from its beginning than this is not walked through


def passes_on(start: Node | None, goal: Node | None) -> bool | None:
    """Return whether a way leads from an output to an input past every weight; None where autograd kept no graph of it.

    Both are given by their `grad_fn`, as it was when they entered or left. It tells x + f(x) from f(x) also where f is so
    strong that nothing of x can be seen in the sum.
    """
    if goal is None or start is None:
        return None
    waiting, seen = [start], {start}
    while waiting and len(seen) < MOST_NODES:
        node = waiting.pop()
        if node is goal:
            return True
        if not _lets_pass(node.name()):
            continue
        following = {after for after, _ in node.next_functions if after is not None} - seen
        seen |= following
        waiting += following
    return False


def _lets_pass(name: str) -> bool:
    return name.partition("Backward")[0] in _PASS
