"""Recurrent layers in steps: torch's own numbers, and each state with its gradient."""

from itertools import product

import pytest
import torch
from torch import Tensor, nn

from fathometer.instruments import Call
from fathometer.instruments.recurrent import step_by_step, told_steps

BATCH, TIMES, INPUTS, WIDTH = 4, 6, 3, 5
LENGTHS = torch.tensor([3, 6, 1, 5])
KINDS = {"tanh": nn.RNN, "relu": nn.RNN, "lstm": nn.LSTM, "projected": nn.LSTM, "gru": nn.GRU}


def made(kind: str, **options: object) -> nn.RNNBase:
    """Return a recurrent layer in float64, always the same."""
    torch.manual_seed(0)
    own: dict[str, object] = {"relu": {"nonlinearity": "relu"}, "projected": {"proj_size": 4}}.get(kind, {})
    return KINDS[kind](INPUTS, WIDTH, **own, **options).double()


def sequence(layer: nn.RNNBase) -> Tensor:
    """Return a batch of sequences in the layer's order of axes."""
    torch.manual_seed(1)
    x = torch.randn(BATCH, TIMES, INPUTS, dtype=torch.float64)
    return (x if layer.batch_first else x.transpose(0, 1).contiguous()).requires_grad_()


def initial(layer: nn.RNNBase) -> object:
    """Return initial states that are not zero."""
    rows = layer.num_layers * (2 if layer.bidirectional else 1)
    hidden = torch.randn(rows, BATCH, layer.proj_size or WIDTH, dtype=torch.float64)
    return (hidden, torch.randn(rows, BATCH, WIDTH, dtype=torch.float64)) if isinstance(layer, nn.LSTM) else hidden


def tensors(answer: object) -> list[Tensor]:
    """Return the outputs and the last states, whatever they are packed in."""
    outputs, states = answer
    outputs = outputs.data if isinstance(outputs, nn.utils.rnn.PackedSequence) else outputs
    return [outputs, *(states if isinstance(states, tuple) else (states,))]


def gradients(answer: object, inputs: Tensor, layer: nn.Module) -> tuple[Tensor, ...]:
    """Return the gradients of one fixed mixture of all that a layer answers."""
    torch.manual_seed(2)
    mixture = sum((tensor * torch.randn(tensor.shape, dtype=tensor.dtype)).sum() for tensor in tensors(answer))
    return torch.autograd.grad(mixture, [inputs, *layer.parameters()], retain_graph=True)


SHAPES = list(product(KINDS, (1, 3), (False, True), (False, True)))


@pytest.mark.parametrize(("kind", "layers", "both", "packed"), SHAPES)
def test_steps_give_the_numbers_of_the_fused_kernel(kind: str, layers: int, both: bool, packed: bool) -> None:
    """Outputs, last states and gradients are those of torch, with initial states and dropout, in the same structure."""
    dropout = 0.3 if layers > 1 else 0.0
    for batch_first, bias, start in ((True, True, False), (False, False, True)):
        layer = made(kind, num_layers=layers, bidirectional=both, batch_first=batch_first, bias=bias, dropout=dropout)
        x = sequence(layer)
        given = nn.utils.rnn.pack_padded_sequence(x, LENGTHS, batch_first=batch_first, enforce_sorted=False) if packed else x
        arguments = (given, initial(layer)) if start else (given,)
        calls: list[str] = []

        torch.manual_seed(3)
        fused = layer(*arguments)
        torch.manual_seed(3)
        with step_by_step(layer, on_call=lambda call, calls=calls: calls.append(call.name)):
            stepped = layer(*arguments)

        assert len(calls) == TIMES * (layers if both else 1)
        assert type(fused[0]) is type(stepped[0])
        for one, other in zip(tensors(fused), tensors(stepped), strict=True):
            torch.testing.assert_close(other, one, rtol=0, atol=1e-13)  # the same sums in another order
        for one, other in zip(gradients(fused, x, layer), gradients(stepped, x, layer), strict=True):
            torch.testing.assert_close(other, one, rtol=0, atol=1e-12)


def test_without_steps_the_dropout_would_differ() -> None:
    """The check above can fail: another seed gives other numbers."""
    layer = made("lstm", num_layers=2, dropout=0.5)
    x = sequence(layer)
    torch.manual_seed(3)
    fused = layer(x)[0]
    torch.manual_seed(4)
    with step_by_step(layer):
        assert not torch.allclose(layer(x)[0], fused)


@pytest.mark.parametrize("kind", ["tanh", "lstm", "gru"])
def test_states_and_their_gradients_are_those_of_cells_in_a_loop(kind: str) -> None:
    """What is told equals torch's own cell, called in a loop, with `autograd.grad` at each state."""
    layer = made(kind, batch_first=True)
    cell = {"tanh": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}[kind](INPUTS, WIDTH).double()
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    x = sequence(layer)

    hidden = torch.zeros(BATCH, WIDTH, dtype=torch.float64)
    states, outputs, parts = [], [], (hidden, hidden) if kind == "lstm" else (hidden,)
    for time in x.unbind(1):
        parts = cell(time, parts if kind == "lstm" else parts[0])
        parts = parts if kind == "lstm" else (parts,)
        whole = torch.cat(parts, -1)  # the state, of which the next step and the output are made
        states, parts = [*states, whole], whole.split(WIDTH, -1)
        outputs.append(parts[0])
    expected = torch.autograd.grad(torch.stack(outputs, 1).pow(3).sum(), states)

    told: dict[str, Call] = {}
    arrived: dict[str, Tensor] = {}
    with step_by_step(
        layer,
        on_call=lambda call: told.__setitem__(call.name, call),
        on_gradient=lambda call, gradient: arrived.__setitem__(call.name, gradient),
    ):
        layer(x)[0].pow(3).sum().backward()

    assert list(told) == [f"@{number}" for number in range(1, TIMES + 1)]
    assert list(arrived) == list(reversed(told))
    for name, state, gradient in zip(told, states, expected, strict=True):
        torch.testing.assert_close(told[name].output, state, rtol=0, atol=1e-14)
        torch.testing.assert_close(arrived[name], gradient, rtol=0, atol=1e-13)
    assert all(told[f"@{number}"].inputs[0] is told[f"@{number - 1}"].output for number in range(2, TIMES + 1))


class Tagger(nn.Module):
    """An embedding, a recurrent layer that runs twice, and a readout."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.rnn, self.readout = nn.Linear(INPUTS, WIDTH), nn.RNN(WIDTH, WIDTH), nn.Linear(WIDTH, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.rnn(self.rnn(self.embed(x))[0])[0])


def test_steps_are_told_as_calls_of_modules() -> None:
    """Each step has a name, counts its rounds, and is told between the start and the end of its layer."""
    model, events = Tagger(), []
    with step_by_step(
        model,
        on_enter=lambda name, inputs: events.append(("enter", name)),
        on_activation=lambda name, inputs: events.append((name, inputs.shape)),
        on_call=lambda call: events.append(("leave", call.name, call.index, call.module is model.rnn)),
    ):
        model(torch.randn(2, BATCH, INPUTS))

    one_round = [
        event for step in ("rnn@1", "rnn@2") for event in (("enter", step), ("tanh", (BATCH, WIDTH)), ("leave", step, 0, True))
    ]
    again = [(*event[:2], 1, True) if event[0] == "leave" else event for event in one_round]
    assert events == [*one_round, *again]


@pytest.mark.parametrize(("steps", "most", "expected"), [(3, 5, {1, 2, 3}), (100, 3, {1, 50, 100}), (7, 7, set(range(1, 8)))])
def test_of_long_sequences_some_steps_are_told(steps: int, most: int, expected: set[int]) -> None:
    """The first and the last step are always among them."""
    assert told_steps(steps, most) in (expected, expected - {50} | {51})  # half of 99 may be rounded either way


def test_steps_that_are_not_told_change_nothing() -> None:
    """A sample of the steps has the same states and gradients as all of them."""
    layer = made("lstm", num_layers=2)
    x = sequence(layer)
    heard: list[dict[str, tuple[Tensor, Tensor]]] = []
    for most in (TIMES, 3):
        states: dict[str, tuple[Tensor, Tensor]] = {}
        with step_by_step(
            layer,
            on_gradient=lambda call, gradient, states=states: states.__setitem__(call.name, (call.output.detach(), gradient)),
            most_steps=most,
        ):
            layer(x)[0].sum().backward()
        heard.append(states)

    assert len(heard[1]) == 3
    assert {"@1", f"@{TIMES}"} < heard[1].keys()
    for name, pair in heard[1].items():
        torch.testing.assert_close(heard[0][name], pair, rtol=0, atol=1e-15)


@pytest.mark.parametrize(("mode", "times"), [("train", 1), ("train", 0), ("none", TIMES)])
def test_what_needs_no_steps_is_left_alone(mode: str, times: int) -> None:
    """A single step, an empty sequence, which torch refuses, and a model without recurrent layers go as they are."""
    layer = made("gru") if mode == "train" else nn.Linear(INPUTS, WIDTH).double()
    calls: list[str] = []
    x = torch.randn(times, BATCH, INPUTS, dtype=torch.float64)
    with step_by_step(layer, on_call=lambda call: calls.append(call.name)):
        if times:
            layer(x)
        else:
            with pytest.raises(RuntimeError, match="larger than 0"):
                layer(x)
    assert calls == []


def test_one_sequence_without_a_batch_is_stepped() -> None:
    """`(time, width)` is a batch of one inside, and comes out as it went in."""
    layer = made("gru")
    x = torch.randn(TIMES, INPUTS, dtype=torch.float64)
    with step_by_step(layer):
        outputs, last = layer(x)
    torch.testing.assert_close((outputs, last), layer(x), rtol=0, atol=1e-14)


def test_functions_outside_of_layers_stay_fused() -> None:
    """A kernel that no module calls is nobody's: it is not told."""
    layer, calls = made("gru"), []
    x, start = sequence(layer), torch.zeros(1, BATCH, WIDTH, dtype=torch.float64)
    with step_by_step(layer, on_call=lambda call: calls.append(call.name)):
        torch.gru(x, start, layer._flat_weights, True, 1, 0.0, True, False, False)
    assert calls == []


def test_all_hooks_are_gone_after_the_block() -> None:
    """Also after an exception no module and no state has a hook, and the kernels are torch's again."""
    layer, arrived, calls = made("lstm"), [], []
    x = sequence(layer)

    def run() -> Tensor:
        with step_by_step(
            layer, on_call=lambda call: calls.append(call.name), on_gradient=lambda call, gradient: arrived.append(call.name)
        ):
            outputs = layer(x)[0]
            with pytest.raises(RuntimeError, match=r"input\.size\(-1\)"):
                layer(torch.randn(2, 2, INPUTS + 1, dtype=torch.float64))
            raise KeyError(outputs)

    with pytest.raises(KeyError) as problem:
        run()
    problem.value.args[0].sum().backward()
    told = len(calls)
    layer(x)

    assert arrived == []
    assert told == len(calls) == TIMES
    assert not layer._forward_hooks
    assert not layer._forward_pre_hooks
