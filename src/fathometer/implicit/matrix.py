"""One matrix that is never made: what was asked of it in one pass."""

from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor

from fathometer.errors import ModelError
from fathometer.implicit.draws import generator_for, seed_of
from fathometer.implicit.gaussian import Factor, Known, answer, draw_product, draw_return, factored, gram
from fathometer.implicit.learning import Learned
from fathometer.implicit.streamed import streamed_product, streamed_row
from fathometer.implicit.tally import Tally

CALLS_A_STEP = 8  # questions to one matrix in one step of training
FEW = 32  # up to so many vectors their factors are kept from the forward pass for the backward pass (16 kB a matrix)


@dataclass(eq=False)
class Session:
    """What all matrices of one network share.

    `seed` decides all draws. While `is_probing`, products are 0 and cost nothing: to see what runs. With `is_streamed` weights
    are made, some rows at a time, and forgotten again. With `remembers`, every question is kept with its answer, for passes
    whose weights have been asked before; `step` counts the steps of training. `last` is the input that was factored last, as
    queries, keys and values share one.
    """

    seed: int = 0
    is_probing: bool = False
    is_streamed: bool = False
    remembers: bool = False
    step: int = 0
    last: tuple[Tensor, int, Factor | None] | None = None
    numbers: int = 0

    def next_numbers(self, count: int = 1) -> int:
        """Return a number that no other matrix has, and set as many aside as there are in a stack."""
        self.numbers += count
        return self.numbers - count


@dataclass(eq=False)
class Matrix:
    """W, `rows` × `columns`, with independent entries N(0, std²), asked from side 1 for x Wᵀ and from side 0 for x W.

    `rows_met` are the rows that were looked up, as an embedding's are. `tally` adds up the square of the gradient's norm.
    """

    name: str
    rows: int
    columns: int
    std: float
    session: Session
    number: int
    kind: str = "normal"
    calls: int = 0
    rows_met: dict[int, Tensor] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    remembers: bool = False
    learned: Learned | None = None
    known: dict[int, Known] = field(default_factory=dict)
    answers: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    _factors: dict[tuple[int, int], Factor | None] = field(default_factory=dict)

    @property
    def numel(self) -> int:
        """Return the number of entries."""
        return self.rows * self.columns

    def sizes(self, side: int) -> tuple[int, int]:
        """Return the width of what enters a side and of what leaves it."""
        return (self.columns, self.rows) if side else (self.rows, self.columns)

    def begin(self) -> None:
        """Forget the last pass: the same questions, asked again, get the same answers."""
        self.calls, self.tally = CALLS_A_STEP * self.session.step, Tally()
        self.answers = {key: value for key, value in self.answers.items() if key[0] >= self.calls}
        self.rows_met.clear()
        self._factors.clear()

    def next_call(self) -> int:
        """Return how often the matrix was asked before in this pass."""
        call, self.calls = self.calls, self.calls + 1
        settled = self.session.is_probing or self.session.is_streamed or self.remembers or self.session.remembers
        if call % CALLS_A_STEP and not settled:
            raise ModelError(
                f"`{self.name}` is used twice in one pass",
                "A matrix that is asked again must remember",
                "Pass the whole network to fathometer.preflight, which looks first",
            )
        return call

    def forward(self, x: Tensor, call: int, side: int) -> Tensor:
        """Return the image of x `(vectors, width)`."""
        if self.session.is_probing:
            return x.new_zeros(x.shape[0], self.sizes(side)[1])
        start = self._start_forward(x, call, side)
        return start if self.learned is None else start + self.learned.product(x, side)

    def _start_forward(self, x: Tensor, call: int, side: int) -> Tensor:
        """Return the image of x under the weights as they were at the start."""
        width = self.sizes(side)[1]
        if self.std == 0:
            return x.new_zeros(x.shape[0], width)
        if self.session.is_streamed:
            return streamed_product(x, side, *self._real)
        if self.remembers or self.session.remembers:
            return self._remembered(x, call, side)
        y = draw_product(self._factor(x, call, side), width, self.std, self._generator(call, side, x), x)
        if self.rows_met and side:
            ids, rows = self._met(x)
            y[:, ids] = x @ rows.T
        return y

    def backward(self, g: Tensor, x: Tensor, y: Tensor, call: int, side: int) -> Tensor:
        """Return what comes back: g W given that x Wᵀ was y (or the mirror image of it); add up the weights' gradient."""
        of_x = self._factor(x, call, side)
        product, of_g = factored(g) if self._is_drawn else (gram(g), None)
        self.tally.add(g, x, product, of_x, side, keeps=self.is_shared)
        start = self._start_backward(g, x, y, call, side, (of_x, of_g))
        return start if self.learned is None else start + self.learned.product(g, 1 - side)

    def _start_backward(
        self, g: Tensor, x: Tensor, y: Tensor, call: int, side: int, factors: tuple[Factor | None, Factor | None]
    ) -> Tensor:
        """Return g W under the weights as they were at the start; `factors` are those of x xᵀ and of g gᵀ."""
        if self.std == 0:
            return g.new_zeros(g.shape[0], x.shape[1])
        if self.session.is_streamed:
            return streamed_product(g, 1 - side, *self._real)
        if self.remembers or self.session.remembers:
            return self._remembered(g, call, 1 - side)
        seeds = self._generator(call, 1 - side, g, back=True)
        if not (self.rows_met and side):
            return draw_return(g, x, y, factors, self.std, seeds)
        ids, rows = self._met(g)
        unmet_g, unmet_y = g.clone(), y.clone()
        unmet_g[:, ids], unmet_y[:, ids] = 0, 0
        return g[:, ids] @ rows + draw_return(unmet_g, x, unmet_y, (factors[0], factored(unmet_g)[1]), self.std, seeds)

    def look_up(self, tokens: Tensor, like: Tensor) -> Tensor:
        """Return the rows of these tokens `(…)`, each drawn from a seed of its own: `(…, columns)`."""
        if self.session.is_probing or self.std == 0:
            return like.new_zeros(*tokens.shape, self.columns)
        ids, places = torch.unique(tokens, return_inverse=True)
        if self.session.remembers and not self.session.is_streamed:
            table = self._remembered(torch.nn.functional.one_hot(ids, self.rows).to(like), self.next_call(), 0)
        else:
            table = torch.stack([self._row(int(index), like) for index in ids.tolist()])
        return (table if self.learned is None else table + self.learned.rows(ids, like))[places]

    @property
    def _real(self) -> tuple[int, tuple[int, int], float, str]:
        """Return what decides the entries where they are made: a seed, the shape, the spread."""
        return seed_of(self.session.seed, self.number, 0, 0), (self.rows, self.columns), self.std, self.kind

    @property
    def _is_drawn(self) -> bool:
        """Return whether answers are drawn anew, from no more than the question's other side."""
        return self.std != 0 and not (self.session.is_streamed or self.remembers or self.session.remembers)

    @property
    def is_shared(self) -> bool:
        """Return whether the gradient comes from more than one place, so that products between them count too."""
        return bool(self.rows_met) or self.remembers or self.session.remembers or self.learned is not None

    def _row(self, index: int, like: Tensor) -> Tensor:
        if index not in self.rows_met and self.session.is_streamed:
            self.rows_met[index] = streamed_row(index, *self._real, like)
        elif index not in self.rows_met:
            first = seed_of(self.session.seed, self.number, 0, 0)
            generator = generator_for(seed_of(first, index, 1, 0), like.device)
            row = torch.empty(self.columns, dtype=torch.float32, device=like.device).normal_(0, self.std, generator=generator)
            self.rows_met[index] = row.to(like.dtype)
        return self.rows_met[index]

    def _met(self, like: Tensor) -> tuple[Tensor, Tensor]:
        ids = torch.tensor(list(self.rows_met), device=like.device)
        return ids, torch.stack(list(self.rows_met.values())).to(like)

    def _generator(self, call: int, side: int, like: Tensor, *, back: bool = False) -> torch.Generator:
        place = 2 * call + back
        return generator_for(seed_of(self.session.seed, self.number, place, side), like.device)

    def _factor(self, x: Tensor, call: int, side: int) -> Factor | None:
        """Return the factor of x xᵀ; for few vectors it is kept until the pass ends."""
        if (call, side) in self._factors:
            return self._factors[call, side]
        found = self._shared_factor(x)
        if x.shape[0] <= FEW:
            self._factors[call, side] = found
        return found

    def _shared_factor(self, x: Tensor) -> Factor | None:
        """Return the factor of an input; that of the last one, if it is the same tensor, unchanged."""
        last = self.session.last
        if last is not None and last[0].data_ptr() == x.data_ptr() and last[0].shape == x.shape and last[1] == x._version:
            return last[2]
        found = factored(x)[1]
        self.session.last = (x, x._version, found)  # held, so that no other tensor takes its place in memory
        return found

    def _remembered(self, x: Tensor, call: int, side: int) -> Tensor:
        """Answer from what has been asked on both sides so far; a question that was asked before keeps its answer."""
        if (call, side) not in self.answers:
            own, other = (self.known.get(which) or self._nothing(which, x) for which in (side, 1 - side))
            found, self.known[side] = answer(x, own, other, self.std, self._generator(call, side, x))
            self.answers[call, side] = found
        return self.answers[call, side]

    def _nothing(self, side: int, like: Tensor) -> Known:
        return Known.nothing(*self.sizes(side), like=like.float() if like.dtype.itemsize < 4 else like)


def shape_words(shape: tuple[int, ...]) -> str:
    """Return a shape with its size in words.

    >>> shape_words((12288, 49152))
    '12288 × 49152 (604.0M)'
    """
    return f"{' × '.join(map(str, shape))} ({prod(shape) / 1e6:.1f}M)"
