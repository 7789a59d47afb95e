"""Python files as TARGET, most of them broken."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import strategies as st

from benchmarks.fuzz.kind import Kind, answer
from fathometer.diagnosis import load_target, preflight

HEAD = """
import sys, torch
from torch import nn
x, y = torch.randn(8, 3), torch.randint(0, 2, (8,))


class Odd(nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.net, self.answer = nn.Linear(3, 2), answer

    def forward(self, x):
        return self.answer(self.net(x))


"""
MODELS = [
    "nn.Linear(3, 2)",
    "nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))",
    "None",
    "3",
    "nn.Linear",
    "[nn.Linear(3, 2)]",
]
MODELS += [
    "nn.Sequential()",
    "nn.LazyLinear(2)",
    "nn.Linear(3, 2, device='meta')",
    "nn.Linear(3, 2).double()",
    "nn.Linear(3, 2).half()",
]
MODELS += ["nn.Linear(3, 2).requires_grad_(False)", "nn.Embedding(4, 2)", "nn.Flatten()", "nn.LSTM(3, 2)", "nn.Linear(3, 1)"]
MODELS += [
    f"Odd(lambda z: {z})"
    for z in ("None", "z.sum()", "z.detach()", "[]", "{}", "'z'", "z * float('nan')", "z / 0", "(z, z)", "1 / 0")
]
MODELS += [
    f"Odd(lambda z: {z})" for z in ("sys.exit(0)", "z.numpy()", "z[:, :0]", "z.long()", "z.to(torch.complex64)", "z.unsqueeze(0)")
]
BATCHES = [
    "(x, y)",
    "x",
    "None",
    "y",
    "x, y, y",
    "[]",
    "{}",
    "''",
    "3",
    "(x, None)",
    "(x[:0], y[:0])",
    "(x[:1], y[:1])",
    "(x, y[:3])",
]
BATCHES += [
    "(x, y.float())",
    "(x, y + 5)",
    "(x, y - 100)",
    "(x * float('nan'), y)",
    "(x.long(), y)",
    "(x.double(), y)",
    "{'input': x}",
]
BATCHES += [
    "[x, y]",
    "iter([(x, y)])",
    "(x.numpy(), y.numpy())",
    "torch.zeros(8, 3)",
    "x[None]",
    "x.to('meta')",
    "(x.to_sparse(), y)",
    "object()",
]
LOSSES = [
    "None",
    "nn.CrossEntropyLoss()",
    "nn.MSELoss()",
    "3",
    "'mse'",
    "lambda: 0",
    "lambda a, b: None",
    "lambda a, b: a",
    "nn.CrossEntropyLoss",
]
LOSSES += ["lambda a, b: a.sum().item()", "lambda a, b: a.sum() * float('inf')", "lambda a, b: 1 / 0", "lambda a, b: sys.exit(1)"]
BODIES = [
    "raise SystemExit(0)",
    "raise KeyError",
    "raise Exception('a\\nb')",
    "return",
    "yield 1",
    "1 / 0",
    "return target()",
    "exit()",
    "import nothing_here",
]
BODIES += [
    "raise RuntimeError('\\ud800')",
    "raise RuntimeError('z' * 10**6)",
    "raise StopIteration",
    "raise MemoryError",
    "import torchvision_",
]
FILES = [
    b"",
    b"\x00",
    b"\xff\xfe",
    b"def target(:",
    b"target = 3",
    b"import sys; sys.exit(0)",
    b"raise KeyError",
    b"class target: pass",
]
FILES += [
    b"async def target(): return 1",
    b"target = len",
    b"def target(a): return a",
    b"# -*- coding: nothing -*-",
    b"\t  x",
    b"((" * 300,
]
FILES += [b"def target():\n" + b" " * n + b"return 1" for n in (0, 1)] + [
    b"x = " + b"-" * 9000 + b"1",
    b"import target",
    b"from . import x",
]
FILES += [
    b"def target(): raise type('E', (Exception,), {'__str__': lambda s: 1 / 0})()",
    b"target = property()",
    b"__import__ = 3",
]


def often(some: list[str]) -> st.SearchStrategy[str]:
    """Return a strategy of the first, which is right, as often as of the others."""
    return st.booleans().flatmap(lambda right: st.just(some[0]) if right else st.sampled_from(some))


def files() -> st.SearchStrategy[bytes]:
    """Return a strategy of files: with a function that returns something odd, or with something wrong."""
    parts = st.tuples(*(often(some) for some in (MODELS, BATCHES, LOSSES)), st.sampled_from([2, 2, 3, 3, 1, 4]))
    returned = parts.map(lambda given: ", ".join(given[: given[3]] if given[3] < 4 else given[:3] + given[:1]))
    written = returned.map(lambda returned: f"{HEAD}def target():\n    return {returned}\n".encode())
    broken = st.sampled_from([f"{HEAD}def target():\n    {body}\n".encode() for body in BODIES] + FILES) | st.binary(max_size=12)
    return st.integers(0, 4).flatmap(lambda part: written if part else broken)


def check_file(content: bytes) -> bool:
    """Raise unless a file's function gives a network that is judged, or is refused in words."""
    with TemporaryDirectory() as home:
        path = Path(home) / "net.py"
        path.write_bytes(content)
        found = answer(lambda: load_target(f"{path}:target"))
        check: Any = None if found is None else answer(lambda: preflight(found.model, found.batch, loss_fn=found.loss_fn))
    if check is not None:
        assert check.verdict in ("healthy", "at risk", "will not train", "unknown")
        assert str(check).strip()
        assert check.to_json()
    return check is not None


SILENT = b"def target(): raise type('E', (Exception,), {'__str__': lambda s: 1 / 0})()"
SPARSE = f"{HEAD}def target():\n    return nn.Linear(3, 2), (x.to_sparse(), y)\n".encode()
KINDS = (Kind("Python file", files(), check_file, 40, 12, (SILENT, SPARSE)),)
