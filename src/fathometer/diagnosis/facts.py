"""Numbers of the whole network: sizes, losses, what enters and leaves."""

from torch import Tensor, nn

from fathometer.contract import main_tensor
from fathometer.diagnosis.answer import Answer, Facts
from fathometer.diagnosis.case import Case
from fathometer.instruments import DepthPoints, Sounding, as_rows, correlation, second_moment


def facts_of(case: Case, points: DepthPoints, sounding: Sounding, answer: Answer) -> Facts:
    """Return the facts of a sounding: sizes, the loss, what enters, and what the outputs are for a cross-entropy."""
    entering = _entering(case)
    facts: Facts = {
        "batch_size": case.num_samples,
        **_counts(case.model, points, sounding),
        "depth_points": points.found_as,
        "through_time": int(_is_through_time(points)),
        "loss": float(sounding.loss.detach()) if sounding.loss is not None and answer.has_loss else None,
        "input_signal": None if entering is None else second_moment(entering),
        "input_correlation": None if entering is None else correlation(entering),
        "spread_floor": sounding.spread_floor,
        "entering_token_spread": sounding.entering_token_spread,
    }
    return facts | answer.facts


def _is_through_time(points: DepthPoints) -> bool:
    """Return whether all points are runs of one and the same module: its weights learn from every one of them."""
    return points.found_as == "steps" or (len(points.points) > 1 and len({point.modules for point in points.points}) == 1)


def _counts(model: nn.Module, points: DepthPoints, sounding: Sounding) -> dict[str, int]:
    """Return how many parameters there are, how many are frozen or not reached by the loss, and how many blocks are cut off."""
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    unused = {name for name, gradient in sounding.parameter_gradients.items() if gradient is None}
    held = points.held(sounding.parameter_gradients)
    return {
        "num_parameters": sum(sizes.values()),
        "frozen_parameters": sum(p.numel() for p in model.parameters() if not p.requires_grad),
        "unused_parameters": sum(sizes[name] for name in unused),
        "blocks_cut_off": sum(bool(names) and unused.issuperset(names) for names in held),
    }


def _entering(case: Case) -> Tensor | None:
    tensor = main_tensor(case.inputs)
    return None if tensor is None else as_rows(tensor, case.num_samples)
