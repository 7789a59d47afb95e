"""Networks by construction: the tent map, the square, parity, folding.

Letters: W_l and b_l weights and biases of layer l, t the tent map on [0, 1], t^k the map applied k times, f_m Yarotsky's
approximation of x², n₀ inputs, p folds of each coordinate.

Telgarsky 2015; Yarotsky 2017, "Error bounds for approximations with deep ReLU networks"; Montúfar et al. 2014.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from fathometer.errors import SpecError

Array = Float[np.ndarray, "..."]
TENT_BIASES = np.array([0.0, -0.5])
TENT_READOUT = np.array([[2.0, -4.0]])  # t(x) = 2 relu(x) - 4 relu(x - 1/2)


@dataclass(frozen=True, eq=False)
class ReluStack:
    """A plain ReLU network by its numbers: weights `(out, in)` and biases `(out,)`, no ReLU after the last.

    `skip` is a linear term `(outputs, inputs)` from the input to the output, None where there is none.
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    skip: Array | None = None

    def __call__(self, x: Array) -> Array:
        """Return the outputs `(batch, outputs)` for inputs `(batch, inputs)`; `(batch,)` for one input and output each."""
        inputs = np.asarray(x, float)
        signal = inputs[:, None] if inputs.ndim == 1 else inputs
        past = 0.0 if self.skip is None else signal @ self.skip.T
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            signal = np.maximum(signal @ weight.T + bias, 0.0)
        outputs = signal @ self.weights[-1].T + self.biases[-1] + past
        return outputs[:, 0] if inputs.ndim == 1 else outputs

    @property
    def widths(self) -> tuple[int, ...]:
        """Return the number of units of each hidden layer."""
        return tuple(len(bias) for bias in self.biases[:-1])

    @property
    def num_units(self) -> int:
        """Return the number of hidden units."""
        return sum(self.widths)

    @property
    def num_parameters(self) -> int:
        """Return the number of weights and biases, those that are 0 too."""
        parts = (*self.weights, *self.biases, *(() if self.skip is None else (self.skip,)))
        return sum(part.size for part in parts)


def tent_network(folds: int) -> ReluStack:
    """Return the network of `folds` layers with 2 units that is the tent map applied so often, exactly, on [0, 1].

    2^k pieces of slope ±2^k from 2k units and 6k + 1 parameters.

    >>> network = tent_network(10)
    >>> network.num_units, network.num_parameters, float(network(np.array([1 / 1024]))[0])
    (20, 61, 1.0)
    """
    _check(folds)
    folded = np.repeat(TENT_READOUT, 2, axis=0)
    weights = (np.ones((2, 1)), *[folded] * (folds - 1), TENT_READOUT)
    return ReluStack(weights, (*[TENT_BIASES] * folds, np.zeros(1)))


def shallow_sawtooth(folds: int, *, skip: bool = False) -> ReluStack:
    """Return the one hidden layer that equals `tent_network(folds)` on [0, 1], with as few units as there can be.

    >>> network = shallow_sawtooth(10)
    >>> network.num_units, network.num_parameters
    (1024, 3073)
    """
    _check(folds)
    places = np.arange(2**folds + 1) / 2**folds
    return shallow_twin(places, np.arange(2**folds + 1) % 2.0, skip=skip)


def shallow_twin(places: Array, values: Array, *, skip: bool = True) -> ReluStack:
    """Return the one hidden layer that joins points by straight lines: from the first place to the last it equals them.

    A unit for each bend between; where there is no linear `skip` term, one more for the slope at the left. So does any ReLU
    network of one input have a shallow twin, of as many units as it has pieces.
    """
    slopes = np.diff(values) / np.diff(places)
    jumps = np.concatenate([[0.0 if skip else slopes[0]], np.diff(slopes)])
    at = jumps != 0
    kinks, jumps = places[:-1][at], jumps[at]
    first = values[0] - (slopes[0] * places[0] if skip else 0.0)
    weights = (np.ones((len(kinks), 1)), jumps[None])
    return ReluStack(weights, (-kinks, np.array([first])), np.array([[slopes[0]]]) if skip else None)


def square_network(folds: int) -> ReluStack:
    """Return Yarotsky's network for x² on [0, 1]: f_m(x) = x − Σ_{s ≤ m} t^s(x)/4^s, off by 2^(−2m−2) at most, and there.

    `folds` layers of 3 units: two fold, the third keeps the sum, which is never negative.

    >>> float(abs(square_network(5)(np.array([1 / 64])) - (1 / 64) ** 2)[0]) == 2**-12
    True
    """
    _check(folds)
    weights: list[Array] = [np.ones((3, 1))]
    biases: list[Array] = [np.array([0.0, -0.5, 0.0])]
    for fold in range(1, folds):
        kept = np.append(-TENT_READOUT / 4**fold, 1.0)
        weights.append(np.vstack([np.append(TENT_READOUT, 0.0)] * 2 + [kept]))
        biases.append(np.array([0.0, -0.5, 0.0]))
    weights.append(np.append(-TENT_READOUT / 4**folds, 1.0)[None])
    return ReluStack(tuple(weights), (*biases, np.zeros(1)))


def parity_network(bits: int) -> ReluStack:
    """Return the network that is 1 where an odd number of `bits` bits (0 or 1) is set: t^k(Σ bits / 2^k), 2 log₂ bits units.

    >>> network = parity_network(8)
    >>> network.num_units, network(np.array([[1, 0, 1, 1, 0, 0, 0, 0.0]])).tolist()
    (6, [[1.0]])
    """
    folds = bits.bit_length() - 1
    if bits < 2 or 2**folds != bits:
        raise SpecError(f"`bits` is {bits}", "It must be a power of 2, from 2 on", f"Try bits = {2 ** max(1, folds)}")
    tent = tent_network(folds)
    first = np.full((2, bits), 1 / bits)
    return ReluStack((first, *tent.weights[1:]), tent.biases)


def folding_network(widths: Sequence[int], inputs: int, seed: int = 0) -> ReluStack:
    """Return a network that attains `regions_within_reach(widths, inputs)` on the unit cube.

    Each layer but the last folds each coordinate ⌊n_l/n₀⌋ times onto [0, 1] (units that are left over stay 0); the last one
    cuts the folded cube by hyperplanes in general position that all meet within it, drawn by `seed`.
    """
    _check(min(widths, default=0))
    weights, biases = list[Array](), list[Array]()
    unfold, shift = np.eye(inputs), np.zeros(inputs)  # from the layer before to the folded coordinates
    for width in widths[:-1]:
        folds = width // inputs
        spread, places, sums = _folding_layer(width, inputs, folds)
        weights.append(spread @ unfold)
        biases.append(spread @ shift + places)
        unfold, shift = sums, np.zeros(inputs)
    normals, offsets = _crossing_planes(widths[-1], inputs, seed)
    weights += [normals @ unfold, np.ones((1, widths[-1]))]
    biases += [normals @ shift + offsets, np.zeros(1)]
    return ReluStack(tuple(weights), tuple(biases))


def _folding_layer(width: int, inputs: int, folds: int) -> tuple[Array, Array, Array]:
    """Return weights and biases of a layer, and the sums of its units that are the folded coordinates.

    A sawtooth of p teeth on [0, 1]: p x − 2p relu(x − 1/p) + 2p relu(x − 2/p) …
    """
    spread, places, sums = np.zeros((width, inputs)), np.zeros(width), np.zeros((inputs, width))
    for coordinate in range(inputs):
        for fold in range(folds):
            unit = coordinate * folds + fold
            spread[unit, coordinate], places[unit] = 1.0, -fold / folds
            sums[coordinate, unit] = folds if fold == 0 else 2 * folds * (-1) ** fold
    return spread, places, sums


def _crossing_planes(count: int, inputs: int, seed: int) -> tuple[Array, Array]:
    """Return normals and offsets of planes that touch a small ball in the middle of the cube: they cross near it."""
    generator = np.random.default_rng(seed)
    if inputs == 2:  # evenly turned, so that no two are nearly parallel
        turns = np.pi * (np.arange(count) + 0.5) / count
        normals = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    else:
        normals = generator.standard_normal((count, inputs))
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    reach = 0.05 * generator.uniform(0.5, 1.0, count)
    return normals, reach - normals @ np.full(inputs, 0.5)


def _check(count: int) -> None:
    if count < 1:
        raise SpecError(f"The number of folds or units is {count}", "It must be a whole number of at least 1", "Try 4")
