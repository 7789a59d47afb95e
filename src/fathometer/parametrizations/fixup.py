"""Fixup: branches scaled down by depth, so that no norm is needed."""

from dataclasses import replace

from fathometer.parametrizations.classic import he
from fathometer.parametrizations.roles import Scale, Tensor


def fixup(tensor: Tensor) -> Scale:
    """Return He's std times L^(-1/(2m-2)) inside a branch of m matrices; 0 for its last one and for the readout.

    L is the number of blocks. A branch of one matrix has no matrix "inside": it starts at zero.
    Zhang, Dauphin & Ma 2019, "Fixup initialization: residual learning without normalization".
    """
    plain = he(tensor)
    if tensor.role in ("branch_last", "output"):
        return replace(plain, weight_std=0.0)
    if tensor.role == "hidden" and tensor.branch_layers > 1:
        return replace(plain, weight_std=plain.weight_std * tensor.depth ** (-1 / (2 * tensor.branch_layers - 2)))
    return plain
