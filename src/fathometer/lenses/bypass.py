"""A network with some blocks left out or exchanged, for a while."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from fathometer.contract import main_tensor, map_tensors, tensors_in
from fathometer.errors import ModelError
from fathometer.instruments import DepthPoint, rewriting


@contextmanager
def bypassing(model: nn.Module, points: Sequence[DepthPoint], skipped: Collection[int]) -> Iterator[None]:
    """Let, inside a `with` block, some depth points pass on what they are given.

    `skipped` are places in `points`. Where a block gives another shape than it takes, the model raises `ModelError` when it runs.
    """
    chosen = [points[place] for place in sorted(skipped)]
    given: dict[str, list[Any]] = {}
    calls: dict[str, int] = {}

    def enter(name: str) -> Callable[[Any], None]:
        return lambda inputs: given.setdefault(name, []).append(_copies(inputs))

    def leave(name: str) -> Callable[[Any], Any]:
        def change(output: Any) -> Any:
            index = calls.get(name, 0)
            calls[name] = index + 1
            here = next((point for point in chosen if point.leave == name and point.stop == index), None)
            return output if here is None else _passed_on(here, given[here.enter][here.start], output)

        return change

    enters, leaves = ({name: make(name) for name in names} for make, names in _doors(chosen, enter, leave))

    def begin(inputs: Any) -> None:
        given.clear()
        calls.clear()
        if "" in enters:
            enters[""](inputs)

    with rewriting(model, {"": begin, **{name: tell for name, tell in enters.items() if name}}, leaves):
        yield


def _doors(chosen: Sequence[DepthPoint], enter: Any, leave: Any) -> list[tuple[Any, list[str]]]:
    firsts, lasts = (list(dict.fromkeys(getattr(point, end) for point in chosen)) for end in ("enter", "leave"))
    return [(enter, firsts), (leave, lasts)]


def _copies(inputs: Any) -> list[Tensor]:
    """Return the tensors that go in, as they are now: the block may write into them."""
    return [tensor.clone() for _, tensor in tensors_in(inputs) if tensor.is_floating_point() and tensor.ndim]


def _passed_on(point: DepthPoint, given: list[Tensor], output: Any) -> Any:
    main = main_tensor(output)
    fitting = [tensor for tensor in given if main is not None and tensor.shape == main.shape]
    if not fitting:
        shapes = [tuple(tensor.shape) for tensor in given]
        raise ModelError(
            f'"{point.name}" takes {shapes} and gives {None if main is None else tuple(main.shape)}',
            "A block can be left out where it gives the shape that it takes",
            "Name other `layers`",
        )
    return map_tensors(output, lambda tensor: fitting[0] if tensor is main else tensor)


@contextmanager
def exchanged(model: nn.Module, one: str, other: str) -> Iterator[None]:
    """Let two modules do each other's work inside a `with` block."""
    modules = dict(model.named_modules())
    pair = modules[one], modules[other]
    before = [vars(module).get("forward") for module in pair]
    works = [module.forward for module in pair]
    try:
        for module, work in zip(pair, reversed(works), strict=True):
            vars(module)["forward"] = work
        yield
    finally:
        for module, own in zip(pair, before, strict=True):
            vars(module).pop("forward", None)
            if own is not None:
                vars(module)["forward"] = own


@contextmanager
def without_cache(model: nn.Module) -> Iterator[None]:
    """Keep models of Hugging Face from remembering keys and values: a block that runs in another's place would confuse them."""
    config: Any = getattr(model, "config", None)
    before = getattr(config, "use_cache", None)
    try:
        if before is not None:
            config.use_cache = False
        yield
    finally:
        if before is not None:
            config.use_cache = before
