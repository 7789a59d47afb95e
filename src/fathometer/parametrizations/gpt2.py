"""GPT-2's start: one small std for every matrix, less for what is added."""

from fathometer.parametrizations.roles import Scale, Tensor

GPT2_STD = 0.02


def gpt2(tensor: Tensor) -> Scale:
    """Return std .02, and .02/√L for the last matrix of each of the L residual branches (two for each block).

    Radford et al. 2019, "Language models are unsupervised multitask learners", section 2.3; GPT-3 does the same.
    """
    return Scale(GPT2_STD * tensor.depth**-0.5 if tensor.role == "branch_last" else GPT2_STD)
