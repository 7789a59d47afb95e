"""Which of 24 blocks could go? Chosen against random ones, before and after healing; drawn into docs/blocks.png."""

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fathometer.contract import split_batch
from fathometer.figures import band_chart, save
from fathometer.instruments import unchanged
from fathometer.lenses import REFERENCES, train_reference
from fathometer.lenses.bypass import without_cache
from fathometer.lenses.lesions import blind_loss, loss_without, mean_loss
from fathometer.lenses.removal import without_blocks
from fathometer.lenses.shrink import HEALING, removal_order
from fathometer.runs import train

NAME = "english-24"
RUNS = Path(__file__).parents[1] / "runs" / "look"
PICTURE = Path(__file__).parents[1] / "docs" / "blocks.png"
MOST, COUNTS, HEALED = 10, (0, 1, 2, 4, 6, 8, 10), (4, 8)
ORDERS, HEALED_ORDERS = 8, 3  # random ones
HEAL = replace(HEALING, steps=40, batch_size=8, seed=1)
WINDOWS = 16  # of a batch
Row = dict[str, Any]


def blocks() -> list[Row]:
    """Return one row for each number of blocks dropped: the loss without the chosen ones, without random ones, and both healed.

    Blocks are chosen on other held-out text than they are judged on. The interval is that of the paired difference, random less
    chosen, over windows and random orders drawn anew.
    """
    model = train_reference(NAME, folder=RUNS / f"{NAME}-0", progress=_say)
    batches = list(islice(REFERENCES[NAME].dataset().held_out(WINDOWS), 7))
    choosing, judging = batches[:1], batches[1:]
    order, _, points = removal_order(model, choosing, most=MOST)
    draw = np.random.default_rng(0)
    random_orders = [draw.permutation(len(points))[:MOST].tolist() for _ in range(ORDERS)]
    curves = {
        "chosen": [_by_batch(model, judging, points, order)],
        "random": [_by_batch(model, judging, points, one) for one in random_orders],
    }
    rows = list[Row]()
    for place, count in enumerate(COUNTS):
        chosen, random = curves["chosen"][0][place], np.stack([curve[place] for curve in curves["random"]])
        low, high = _interval(random - chosen, draw) if count else (0.0, 0.0)
        row = {
            "dropped": count,
            "chosen": float(chosen.mean()),
            "random": [float(value) for value in random.mean(1)],
            "low": low,
            "high": high,
        }
        rows.append(
            {**row, "healed": None, "random_healed": None, "healed_low": None, "healed_high": None, "blind": blind_loss(judging)}
        )
        if count in HEALED:
            rows[-1] |= _healed(model, points, [order, *random_orders[:HEALED_ORDERS]], count, judging, draw)
    _draw(rows)
    return rows


def _by_batch(model: Any, batches: list[Any], points: Any, order: list[int]) -> Any:
    """Return the losses `(count, batch)`."""
    with unchanged(model), torch.no_grad(), without_cache(model):
        model.eval()
        curves = [[loss_without(model, [batch], points, order[:count], None) for count in COUNTS] for batch in batches]
    return np.array(curves).T


def _healed(model: Any, points: Any, orders: list[list[int]], count: int, judging: list[Any], draw: Any) -> Row:
    """Return the losses after the same short training, of the chosen ones and of the random ones."""
    data, losses = REFERENCES[NAME].dataset(), []
    for order in orders:
        smaller = without_blocks(model, [points[place] for place in order[:count]], split_batch(judging[0])[0])
        healed = train(smaller, HEAL, data=data, progress=lambda step, total, loss: None).model
        with torch.no_grad():
            losses.append([mean_loss(healed, [batch]) for batch in judging])
    found = np.array(losses)
    low, high = _interval(found[1:] - found[0], draw)
    means = found.mean(1).tolist()
    return {"healed": means[0], "random_healed": means[1:], "healed_low": low, "healed_high": high}


def _interval(differences: Any, draw: Any) -> tuple[float, float]:
    """Return the 95% interval of the mean of differences `(order, batch)`, with orders and batches drawn anew."""
    orders, batches = differences.shape
    means = [differences[draw.integers(orders, size=orders)][:, draw.integers(batches, size=batches)].mean() for _ in range(2000)]
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def _draw(rows: list[Row]) -> None:
    def points(key: str) -> list[tuple[float, list[float]]]:
        return [(row["dropped"], row[key] if isinstance(row[key], list) else [row[key]]) for row in rows if row[key] is not None]

    names = {"chosen": "chosen", "random": "random", "healed": "chosen, healed", "random_healed": "random, healed"}
    chart = band_chart(
        [(label, points(key)) for key, label in names.items()],
        title="Loss of a 24-block transformer without some of its blocks",
        subtitle="median and range over random orders",
        axis="blocks dropped",
        log=(False, True),
        reference=(rows[0]["blind"], "knows no input"),
    )
    save(chart, PICTURE)


def _say(step: int, total: int, loss: float) -> None:
    if step % 50 == 0:
        print(f"{NAME}: step {step}/{total}, loss {loss:.3f}", flush=True)
