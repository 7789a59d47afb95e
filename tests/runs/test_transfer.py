"""The rate of a small network, found and carried over, with a look at what speaks against it."""

import json
from dataclasses import replace

import jaxtyping
import pytest
import torch

import fathometer as fm
from fathometer.errors import SpecError
from fathometer.records import Asked
from fathometer.spec import ConvNet, Mlp, Transformer

DEEP, SMALL = Mlp(depth=8, width=32, residual="pre-norm"), Mlp(depth=2, width=16, residual="pre-norm")
WISHES = {"asked": Asked(steps=25), "octaves": (-9.0, -3.0), "seeds": (0, 1), "progress": lambda *facts: None}


def test_the_rate_of_a_small_network_is_carried_over() -> None:
    """Both networks are under CompleteP over the small one, the rate is between those tried, and both axes are checked."""
    found = fm.transfer(DEEP, small=SMALL, **WISHES)
    base = {"init": "completep", "base_width": 16, "base_depth": 2}

    assert found.small == replace(SMALL, **base)
    assert found.spec == replace(DEEP, **base)
    assert 2**-9 <= found.learning_rate.low <= found.learning_rate.value <= found.learning_rate.high <= 2**-3
    assert found.asked == replace(WISHES["asked"], learning_rate=found.learning_rate.value)
    assert [check.axis for check in found.checks] == ["depth", "width"]
    assert found.checks[0].sizes == (2, 4, 8)
    assert "Take a learning rate of" in str(found)
    assert len(json.loads(found.to_json())["sweep"]["rates"]) == 13
    assert fm.train(found.spec, found.asked, progress=lambda *facts: None).record.status == "finished"


def test_what_was_swept_is_found_again(tmp_path) -> None:
    """With a folder the runs are not done twice."""
    wishes = {**WISHES, "seeds": (0,), "octaves": (-6.0, -5.0), "folder": tmp_path}
    one = fm.transfer(DEEP, small=SMALL, **wishes)
    files = {path.name: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    assert fm.transfer(DEEP, small=SMALL, **wishes).learning_rate == one.learning_rate
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == files


def test_a_best_rate_at_the_edge_is_warned_of() -> None:
    """A sweep that ends before its best rate says so; data that are no data set are not checked."""
    pair = (torch.randn(64, 64, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 10)
    found = fm.transfer(DEEP, small=SMALL, data=pair, **{**WISHES, "octaves": (-16.0, -13.0)})

    assert any("edge of the sweep" in warning for warning in found.warnings)
    assert found.checks == ()


def test_a_module_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be built at another size: the error says what can be given."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as a user has it
    with pytest.raises(SpecError, match="The network is a Linear"):
        fm.transfer(torch.nn.Linear(3, 3), **WISHES)


def test_heads_keep_their_width() -> None:
    """The small transformer that is taken where none is named has heads as wide as the large one's."""
    from fathometer.runs.transfer import _pair

    spec = Transformer(depth=24, width=1024, heads=16, vocabulary=256, context=64)
    base, target = _pair(spec, None)

    assert (base.depth, base.width, base.head_width) == (4, 256, 64)
    assert (target.depth, target.width, target.base_width, target.base_depth) == (24, 1024, 256, 4)
    assert _pair(replace(spec, init="mup"), None)[1].init == "mup"


def test_pairs_that_cannot_be_are_errors() -> None:
    """A convnet, another family, a small network that is larger, rates that are none, and no rate that trains."""
    for network, small in (
        (ConvNet(), None),
        (DEEP, Transformer()),
        (DEEP, replace(SMALL, depth=9)),
        (DEEP, replace(SMALL, width=64)),
    ):
        with pytest.raises(SpecError):
            fm.transfer(network, small=small, **WISHES)
    for octaves in ((-5.0, -9.0), (-5.0, -4.9), (-5.0, 40.0)):
        with pytest.raises(SpecError, match="Rates go from one power of two"):
            fm.transfer(DEEP, small=SMALL, **{**WISHES, "octaves": octaves})
