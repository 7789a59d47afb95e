"""The places of a sequence, and how alike the vectors at them are.

Letters: x_s the vector at place s, n its width, D = x_s·x_s/n the same place, K = x_s·x_t/n two places.

Places that stand next to each other far back see nearly the same, so they are held in groups: single places at first, then
groups that grow with where they stand. Statistics are the same for all places of a group.
"""

from dataclasses import dataclass

import numpy as np

from fathometer.theory.gaussian import Array

_GROWTH = 0.15  # a group's size over the place at which it starts: 40 groups for 2,048 places


@dataclass(frozen=True)
class Places:
    """Groups of places: `sizes`, and in `seen[j, i]` how many places of group i a place of group j looks at."""

    sizes: Array
    seen: Array

    @property
    def shares(self) -> Array:
        """Return the share of each group in all places."""
        return self.sizes / self.sizes.sum()

    @property
    def visible(self) -> Array:
        """Return how many places each looks at, itself among them."""
        return self.seen.sum(axis=1)


@dataclass(frozen=True)
class Kernel:
    """Products of vectors: `same` (row, group) of a place with itself, `pairs` (row, group, group) of two different places.

    Of signals, row 0 is within one sample and row 1 across two; gradients have the first alone.
    """

    same: Array
    pairs: Array

    def scaled(self, factors: Array) -> "Kernel":
        """Return the kernel of vectors whose second moments are multiplied by a factor for each group."""
        roots = np.sqrt(factors)
        return Kernel(self.same * factors, self.pairs * (roots[:, None] * roots))

    def times(self, factor: float) -> "Kernel":
        """Return the kernel of vectors whose second moments are all multiplied by one factor."""
        return Kernel(self.same * factor, self.pairs * factor)

    def plus(self, other: "Kernel") -> "Kernel":
        """Return the kernel of the sum of independent vectors."""
        return Kernel(self.same + other.same, self.pairs + other.pairs)

    def cosines(self) -> "Kernel":
        """Return the kernel of the same vectors at length 1."""
        moments = np.maximum(self.same[0], 1e-300)
        return self.scaled(1 / moments)


def group_places(num_places: int, causal: bool) -> Places:
    """Return the places of a sequence in groups; without a causal mask all see the same, and one group holds them."""
    if not causal:
        return Places(np.array([float(num_places)]), np.array([[float(num_places)]]))
    sizes: list[int] = []
    while (start := sum(sizes)) < num_places:
        sizes.append(min(max(1, int(_GROWTH * start)), num_places - start))
    of_group = np.array(sizes, float)
    seen = np.tril(np.broadcast_to(of_group, (len(sizes), len(sizes))), -1) + np.diag((of_group + 1) / 2)
    return Places(of_group, seen)


def mean_moment(kernel: Kernel, places: Places) -> float:
    """Return the mean second moment over all places."""
    return float(places.shares @ kernel.same[0])


def mean_pair(kernel: Kernel, places: Places) -> Array:
    """Return the mean product of two different places, for each row; that of a place alone where there is but one."""
    total = places.sizes.sum()
    if total < 2:
        return kernel.same @ places.shares
    sums = places.sizes @ kernel.pairs @ places.sizes - np.diagonal(kernel.pairs, axis1=-2, axis2=-1) @ places.sizes
    return sums / (total * (total - 1))


def repeats(kernel: Kernel, places: Places) -> float:
    """Return Σ K²/(Σ D)² over all pairs of places of a sample: what averaging over places leaves of a scatter by width."""
    total = places.sizes.sum()
    squares = Kernel(kernel.same[:1] ** 2, kernel.pairs[:1] ** 2)
    mean = mean_moment(kernel, places) ** 2
    if not mean > 0:
        return 1.0
    return float(mean_moment(squares, places) + (total - 1) * mean_pair(squares, places)[0]) / (total * mean)
