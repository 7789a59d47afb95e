"""Each study measured for a few steps: from its cells to its page, and the same again from what is kept."""

from pathlib import Path
from typing import Any

import pytest

import fathometer as fm
from fathometer.report import render
from fathometer.studies import STUDIES

# A few steps of a few networks: what is measured is not what is tested here.
TINY: dict[str, dict[str, Any]] = {
    "power-of-depth": {"folds": (1, 2), "seeds": (0,), "rates": (0.01,), "steps": 2, "parameters": 300, "tree_parameters": 900},
    "depth-or-width": {
        "data": (0.5, 1.0),
        "layers": (1, 3),
        "depths": (1, 3),
        "parameters": 2000,
        "samples": 300,
        "seeds": (0, 1),
        "steps": 2,
        "shape_steps": 17,
        "rates": (0.01,),
        "shape_rates": (0.01,),
    },
    "degradation": {
        "dense_depths": (2, 4),
        "dense_width": 8,
        "dense_steps": 2,
        "dense_rates": (0.01,),
        "convolutional_depths": (8,),
        "convolutional_width": 2,
        "convolutional_steps": 1,
        "convolutional_rates": (0.01,),
        "seeds": (0, 1),
    },
    "trainability": {"depths": (2, 5), "weight_variances": (1.0, 1.76), "width": 8, "steps": 2, "rates": (0.01, 0.1)},
    "residual": {"depth": 3, "width": 8, "steps": 2, "rates": (0.01,), "starts": ("he",), "seeds": (0, 1)},
    "clipping": {"depth": 3, "steps": 2, "rates": (0.01, 0.1), "seeds": (0,)},
    "transfer": {
        "depths": (1, 2),
        "widths": (8, 16),
        "base_depth": 1,
        "base_width": 8,
        "octaves": (-8.0, -6.0),
        "seeds": (0, 1),
        "steps": 2,
    },
    "scaling": {
        "ladder": ("1x16", "2x16", "1x32"),
        "tokens": (1024, 2048, 4096),
        "held_out": "2x32",
        "held_out_tokens": 5120,
        "context": 16,
        "batch_size": 64,
        "starts": 20,
        "resamples": 20,
    },
}


@pytest.mark.parametrize("name", list(STUDIES))
def test_a_study_runs_from_its_cells_to_its_page(name: str, tmp_path: Path) -> None:
    """Every cell has its row, the page can be made, and what was kept gives the same rows without measuring."""
    first, again = (fm.study(name, options=TINY[name], folder=tmp_path, progress=lambda *facts: None) for _ in range(2))
    count = sum(len(group) for group in STUDIES[name].cells(first.options))

    assert len(first.rows) == count
    assert first.rows == again.rows
    assert first.answer in ("shown", "shown in part", "not shown")
    assert len(render(first.page())) > 10_000
    assert all(len(line) == len(first.reading.header) for line in first.reading.table)
