"""What a Gaussian matrix that is never made does to a few vectors.

W (rows × columns) has independent entries N(0, s²). It is asked two kinds of questions, one after the other, each of which
may depend on all answers before: "what is x Wᵀ?" for x `(vectors, columns)`, and "what is g W?" for g `(vectors, rows)`.
Only the answers are drawn, from their exact distribution given all answers so far. Derivation:

*First question.* y = x Wᵀ is linear in W, so Gaussian. Two of its columns belong to two rows of W, so they are independent;
within one, E[yᵢ yⱼ] = s² xᵢ·xⱼ. Hence y = s L ξ with L Lᵀ = x xᵀ, a matrix of vectors × vectors, and ξ fresh. W is not needed.

*Question from the other side, given that answer.* Let P project on the span of the rows of x. g W = g W P + g W (I - P).
The first part is known: with rows of x orthonormalised, u = Tᵀ x and Tᵀ (x xᵀ) T = 1, it is (g (Tᵀ y)ᵀ) u, as W uᵀ = (Tᵀ y)ᵀ.
For the second: rows of W are Gaussian, and what a row does on span(x) is independent of what it does on the complement. So given
y, W (I - P) is as fresh as before, also for a g that was made from y: g W (I - P) = s M ξ (I - P) with M Mᵀ = g gᵀ.
It follows that ⟨g W, x⟩ = ⟨g, y⟩ holds as for a matrix, which is the test. A backward pass with another, fresh W
would miss the first part, which carries all that gradients know of the activations.

*Any sequence.* What has been asked on one side is kept as orthonormal vectors with their images (`Known`). A new question x is
split into its part on them, whose answer is known, and the rest, x = C u + L u′. The image of u′ is known on the span of
what was asked from the other side, v with images v W: it is (u′ (v W)ᵀ) v there, and s ξ (I - vᵀ v) beside it. This is
Gram-Schmidt on both sides at once, and exact for every adaptive sequence; `answer` does it.

The conditioning is that of approximate message passing (Bolthausen 2014; Bayati & Montanari 2011) and of Tensor Programs
(Yang 2019, "Scaling limits of wide neural networks with weight sharing", 2020 "Tensor programs III", where it gives the limit
of infinite width and proves when the forward and the backward W may be taken as independent). Here the width is finite and
nothing is taken as independent that is not. A uniform start is Gaussian in this sense only as columns grow: y is a sum
of `columns` terms, and its kurtosis differs from 3 by 1.2 Σxᵢ⁴/(Σxᵢ²)², which is of the order of 1/columns.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

Vectors = Float[Tensor, "vector inside"]
Out = Float[Tensor, "vector outside"]
LEAST = 1e-12  # of the largest eigenvalue: below, two vectors are one as far as float32 can tell (6e-8, squared, times a few)
MILD = 1e-4  # from this eigenvalue on, float32 is right to 1e-5 also in the smallest direction: its error grows as the root
PLAIN = 1e-3  # from this eigenvalue on, Gram matrices from float32 products do too: they are right to 1e-7 of the largest
CHUNK = 4096  # columns that are turned to float64, or multiplied in float32, at a time, so that they stay in the cache


@dataclass(frozen=True)
class Factor:
    """L and T of a Gram matrix x xᵀ: L Lᵀ = x xᵀ, and the rows of Tᵀ x are orthonormal; float64, one column for each direction.

    `least` is the smallest eigenvalue of x xᵀ that counts, over the largest; 0 if there is none.
    """

    lower: Float[Tensor, "vector rank"]
    inverse: Float[Tensor, "vector rank"]
    least: float

    @property
    def is_mild(self) -> bool:
        """Return whether float32 is enough to multiply with T."""
        return self.least > MILD

    @property
    def is_plain(self) -> bool:
        """Return whether all vectors are told apart so well that their products in float32 are enough."""
        return self.least > PLAIN and self.lower.shape[0] == self.lower.shape[1]


def gram(x: Vectors) -> Float[Tensor, "vector vector"]:
    """Return x xᵀ in float64."""
    if x.shape[1] <= CHUNK:
        wide = x.double()
        return wide @ wide.T
    return sum((gram(part) for part in x.split(CHUNK, dim=1)), start=x.new_zeros((), dtype=torch.float64))


def factored(x: Vectors) -> tuple[Float[Tensor, "vector vector"], Factor | None]:
    """Return x xᵀ with its factor, as `gram` and `factor` do, at a third of the time where float32 products are enough.

    A GPU is as fast in float64, and may be told to multiply float32 with fewer digits.
    """
    if x.dtype == torch.float32 and x.device.type == "cpu" and x.shape[0] < x.shape[1]:
        product = sum(((part @ part.T).double() for part in x.split(CHUNK, dim=1)), start=x.new_zeros((), dtype=torch.float64))
        found = factor(product)
        if found is not None and found.is_plain:
            return product, found
    product = gram(x)
    return product, factor(product)


def factor(product: Float[Tensor, "vector vector"]) -> Factor | None:
    """Return the rank-revealing factor of a Gram matrix, as vectors may repeat; None if it is not finite.

    Eigenvalues below `LEAST` of the largest are dropped: there the vectors differ by no more than rounding.
    """
    if not bool(torch.isfinite(product).all()):
        return None
    place = product.device
    values, directions = torch.linalg.eigh(product.cpu())
    some = values > LEAST * values[-1]
    values, directions = values[some].to(place), directions[:, some].to(place)
    roots = values.sqrt()
    return Factor(directions * roots, directions / roots, float(values[0] / values[-1]) if len(values) else 0.0)


def draw_product(factors: Factor | None, columns: int, std: float, generator: torch.Generator, like: Tensor) -> Out:
    """Return s L ξ: the image, `columns` wide, of vectors that nothing is known of; NaN where they are not finite."""
    if factors is None:
        return like.new_zeros(like.shape[0], columns) + (like * 0).sum()  # so that who looks for its origin finds it before
    wide = torch.promote_types(like.dtype, torch.float32)
    noise = torch.empty(factors.lower.shape[1], columns, dtype=wide, device=like.device).normal_(generator=generator)
    return ((std * factors.lower).to(wide) @ noise).to(like.dtype)


def draw_return(
    g: Out, x: Vectors, y: Out, factors: tuple[Factor | None, Factor | None], std: float, generator: torch.Generator
) -> Vectors:
    """Return g W given y = x Wᵀ; `factors` are those of x xᵀ and of g gᵀ."""
    of_x, of_g = factors
    fresh = draw_product(of_g, x.shape[1], std, generator, g)
    if of_x is None or of_g is None:
        return fresh + (x * 0).sum()
    if not len(of_x.lower[0]):
        return fresh
    inverse = of_x.inverse @ of_x.inverse.T if of_x.is_mild else of_x.inverse
    if of_x.is_mild:
        lacks = (g @ y.T - fresh @ x.T).double()  # what ⟨g W, x⟩ is, less what it is by chance
        return fresh.addmm_((lacks @ inverse).to(x.dtype), x)
    exact = fresh.double()
    lacks = g.double() @ y.double().T - exact @ x.double().T
    return (exact + (lacks @ inverse) @ (inverse.T @ x.double())).to(g.dtype)


@dataclass(frozen=True)
class Known:
    """What has been asked of W on one side: orthonormal vectors, and their images."""

    vectors: Vectors
    images: Out

    @classmethod
    def nothing(cls, width: int, out_width: int, like: Tensor) -> "Known":
        """Return the knowledge of one who has not asked."""
        return cls(like.new_zeros(0, width), like.new_zeros(0, out_width))


def answer(x: Vectors, own: Known, other: Known, std: float, generator: torch.Generator) -> tuple[Out, Known]:
    """Return the image of x given everything that was asked on its side and on the other, and what is known now.

    All in the precision of `own`, which should be float32 or more.
    """
    wide = x.to(own.vectors)
    along = wide @ own.vectors.T
    rest = wide - along @ own.vectors
    again = rest @ own.vectors.T  # once more, as the first projection left rounding errors of the size of what it took away
    along, rest = along + again, rest - again @ own.vectors
    split = _split(rest, wide)
    if split is None:
        return x.new_zeros(x.shape[0], own.images.shape[1]) + (x * 0).sum(), own
    lower, new = split
    noise = torch.empty(len(new), own.images.shape[1], dtype=new.dtype, device=new.device).normal_(generator=generator) * std
    images = noise + (new @ other.images.T - noise @ other.vectors.T) @ other.vectors
    result = along @ own.images + lower @ images
    return result.to(x.dtype), Known(torch.cat([own.vectors, new]), torch.cat([own.images, images]))


def _split(rest: Vectors, whole: Vectors) -> tuple[Float[Tensor, "vector rank"], Float[Tensor, "rank inside"]] | None:
    """Return L and orthonormal u with rest = L u, as far as the rest is more than the rounding of the whole."""
    product = gram(rest)
    if not bool(torch.isfinite(product).all()):
        return None
    values, directions = torch.linalg.eigh(product.cpu())
    size = whole.double().square().sum(1).max().cpu()
    some = values > max(LEAST * float(values[-1]), 1e-13 * float(size))
    values, directions = values[some].to(rest.device), directions[:, some].to(rest.device)
    roots = values.sqrt()
    new = (directions / roots).T @ rest.double()
    return (directions * roots).to(rest), new.to(rest)
