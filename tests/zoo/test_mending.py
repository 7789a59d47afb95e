"""The treated zoo: a fixed sample, what is measured is kept, ways that are what they say."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.zoo import mending
from benchmarks.zoo.diary import note
from benchmarks.zoo.entry import Entry, ill, well
from benchmarks.zoo.mended import BEST, outcomes, summary, table
from benchmarks.zoo.networks.plain import drawn as he
from benchmarks.zoo.networks.plain import stack
from benchmarks.zoo.plant import adam, biased, frozen, loud_readout
from benchmarks.zoo.sample import drawn, sick, with_known_fix
from benchmarks.zoo.split import entries
from benchmarks.zoo.tasks import task
from benchmarks.zoo.truth import known
from benchmarks.zoo.ways import WAYS, Careful, Treated, loader, share_after
from torch import nn

DROP = 2.1  # the twin's of digits is 2.1 to 2.2
LOUD, DEAD = (
    ill("a family", "digits", "initial_loss", {"loud": lambda seed: loud_readout(he(stack(2)), 1e4)}, fix="shrink_readout")[0],
    ill("a family", "digits", "dead_units", {"dead": lambda seed: biased(he(stack(3)), -5.0)}, fix="initialise")[0],
)


def test_the_sample_is_fixed_and_a_larger_one_holds_it() -> None:
    """The same networks at every call; more only adds; every family before any a second time; strengths even out."""
    ill_ones = with_known_fix(sick(entries("develop"), known()))
    few, many = drawn(ill_ones, 20), drawn(ill_ones, 40)
    families = {entry.family for entry in ill_ones}

    assert [entry.name for entry in few] == [entry.name for entry in drawn(reversed(ill_ones), 20)]
    assert many[:20] == few
    assert {entry.family for entry in many[: len(families)]} == families
    strengths = [sum(entry.strength == strength for entry in many) for strength in (1, 2, 3)]
    assert max(strengths) - min(strengths) <= 8


def test_only_the_sick_are_treated() -> None:
    """A network whose fault did no harm is not in the sample, nor one that nothing is known of."""
    truth: dict[str, Any] = {LOUD.name: {"truth": "at risk"}, DEAD.name: {"truth": "healthy"}}

    assert sick([LOUD, DEAD, *well("b", "digits", {"new": lambda seed: stack(1)})], truth) == [LOUD]
    assert with_known_fix([LOUD, replace(DEAD, fix=None)]) == [LOUD]


def test_a_loader_shows_each_sample_once() -> None:
    """The batches are a shuffled part of the training set without repetition, the same at every call."""
    work = task("digits")
    batches = loader(work)
    seen = torch.cat([inputs for inputs, _ in batches])

    assert len(batches) == len(work.targets) // work.batch_size
    assert len(torch.unique(seen, dim=0)) == len(torch.unique(work.inputs[_order(work)[: len(seen)]], dim=0))
    assert all(torch.equal(a[0], b[0]) for a, b in zip(batches, loader(work), strict=True))


def _order(work: Any) -> torch.Tensor:
    return torch.randperm(len(work.targets), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("way", [way for way in WAYS if way != "mend"])
def test_a_way_is_the_same_at_every_call(way: str) -> None:
    """The controls follow the network's seed and leave the global generator alone."""
    before = torch.get_rng_state()
    one, two = WAYS[way](DEAD), WAYS[way](DEAD)

    assert torch.equal(before, torch.get_rng_state())
    assert one.remedy == two.remedy
    assert one.model is not None
    assert two.model is not None
    assert all(torch.equal(a, b) for a, b in zip(one.model.state_dict().values(), two.model.state_dict().values(), strict=True))


def test_he_everywhere_has_hes_spread_and_unit_variance_has_unit_variance() -> None:
    """The two classic controls do what their papers say."""
    first = WAYS["He everywhere"](DEAD).model
    scaled = WAYS["unit variance"](DEAD).model
    assert isinstance(first, nn.Sequential)
    assert isinstance(scaled, nn.Sequential)
    inputs, _ = task("digits").preflight_batch()

    assert first[2].weight.std().item() == pytest.approx((2 / 64) ** 0.5, rel=0.05)  # 4,096 draws
    assert scaled[0](inputs).std().item() == pytest.approx(1, rel=1e-3)


def test_the_share_after_is_the_truth_of_the_treated_network() -> None:
    """As it was it does not train; with He's start it does, by the sweep that truth is made by."""
    assert share_after(DEAD, Treated(None), DROP) < 0.5
    assert share_after(DEAD, WAYS["He everywhere"](DEAD), DROP) >= 0.9


def test_a_remedy_of_the_rate_is_trained_at_the_usual_rates() -> None:
    """What was sick by its optimizer stays sick with it, and trains where the remedy gives the rate free."""
    entry = replace(well("a family", "digits", {"slow": lambda seed: he(stack(2))})[0], optimizer=adam(1e-8))

    assert share_after(entry, Treated(None), DROP) < 0.5
    assert share_after(entry, Treated(None, new_rate=True), DROP) >= 0.9
    assert share_after(entry, Treated(entry.model(), clip=1.0, warmup=20, new_rate=True), DROP) >= 0.9


def test_careful_steps_are_clipped_and_warmed_up() -> None:
    """Each of the first steps has its share of the rate, and a gradient no longer than the limit."""
    model = nn.Linear(1, 1, bias=False)
    careful, rates, norms = Careful(model, 0.1, 1.0, 4), list[float](), list[float]()
    for _ in range(6):
        model.weight.grad = torch.tensor([[50.0]])
        careful.step()
        rates.append(careful.param_groups[0]["lr"])
        norms.append(model.weight.grad.norm().item())

    assert rates == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1, 0.1])
    assert norms == pytest.approx([1.0] * 6, rel=1e-5)  # the limit's own epsilon is 1e-6


@pytest.fixture
def as_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Say that both networks fail, and how far their twin comes."""
    truth: dict[str, Any] = {entry.name: {"share": 0.1, "truth": "will not train"} for entry in (LOUD, DEAD)}
    monkeypatch.setattr(mending, "known", lambda: truth | {"twin of digits": {"drop": DROP}})


@pytest.mark.usefixtures("as_known", "as_a_user_has_it")
def test_two_networks_from_end_to_end(tmp_path: Path) -> None:
    """mend mends both; each way has its row; a second run reads the file, measures nothing and notes nothing."""
    path, said, noted = tmp_path / "kept.jsonl", list[object](), list[object]()
    ask = {"chosen": [LOUD, DEAD], "path": path, "say": said.append, "diary": lambda *words: noted.append(words)}
    rows = mending.run("develop", ("mend", "He everywhere"), **ask)
    size = path.stat().st_size

    assert [(row["network"], row["way"]) for row in rows] == [
        (entry.name, way) for entry in (LOUD, DEAD) for way in ("mend", "He everywhere")
    ]
    assert [row["truth"] for row in rows if row["way"] == "mend"] == ["healthy", "healthy"]
    assert all(row["remedy"] in row["tried"] for row in rows if row["way"] == "mend")
    assert (len(said), len(noted)) == (4, 1)
    assert mending.run("develop", ("mend", "He everywhere"), **ask) == rows
    assert (path.stat().st_size, len(said), len(noted)) == (size, 4, 1)


@pytest.mark.usefixtures("as_known")
def test_a_run_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was kept before the stop is not measured again; a changed twin makes it stale; old code is said and forgotten."""
    path, asked, said = tmp_path / "kept.jsonl", list[str](), list[str]()

    def way(entry: Entry) -> Treated:
        asked.append(entry.name)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return Treated(None)

    monkeypatch.setitem(mending.WAYS, "mend", way)
    ask: dict[str, Any] = {"chosen": [LOUD, DEAD], "path": path, "say": said.append, "diary": lambda *words: None}
    with pytest.raises(KeyboardInterrupt):
        mending.run("develop", ("mend",), **ask)
    mending.run("develop", ("mend",), **ask)
    assert asked == [LOUD.name, DEAD.name, DEAD.name]

    kept = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    path.write_text(json.dumps(kept[0] | {"drop": 1.0}) + "\n" + json.dumps(kept[1] | {"code": "older"}) + "\n", encoding="utf-8")
    mending.run("develop", ("mend",), **ask)
    assert asked[3:] == [LOUD.name]
    assert said[-1].startswith("1 networks were mended by other code")
    assert mending.forget(path=path) == 1
    assert [name for name, _ in mending.read(path)] == [LOUD.name]


@pytest.mark.usefixtures("as_known")
def test_a_way_that_fails_has_mended_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a way raises is kept as a row with the share of the network as it was."""

    def fails(entry: Entry) -> Treated:
        raise ZeroDivisionError("inside")

    monkeypatch.setitem(mending.WAYS, "mend", fails)
    (row,) = mending.run("develop", ("mend",), chosen=[LOUD], path=tmp_path / "kept.jsonl", diary=lambda *words: None)

    assert (row["share"], row["truth"], row["remedy"]) == (0.1, "will not train", "none")
    assert row["said"] == "ZeroDivisionError: inside"


@pytest.mark.usefixtures("as_known")
def test_a_remedy_that_breaks_the_network_has_not_mended_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A treated network that cannot be trained counts as one that fails, with the reason."""
    monkeypatch.setitem(mending.WAYS, "mend", lambda entry: Treated(nn.Linear(3, 3), "clip", 3))
    (row,) = mending.run("develop", ("mend",), chosen=[DEAD], path=tmp_path / "kept.jsonl", diary=lambda *words: None)

    assert (row["share"], row["truth"], row["remedy"]) == (-1.0, "will not train", "clip")
    assert row["said"].startswith("RuntimeError")


def made(way: str, network: str, is_well: bool, **more: Any) -> dict[str, Any]:
    """Return a row by hand."""
    truth = "healthy" if is_well else "at risk"
    row = {"way": way, "network": network, "truth": truth, "remedy": "initialise", "invasiveness": 1, "advice": []}
    return row | {"treating_seconds": 2.0} | more


def test_the_table_pairs_each_way_with_ours() -> None:
    """Of ten networks mend mends nine, He six of them and the tenth: nine to seven, and pairs of three to one."""
    ours = [made("mend", f"n{k}", k != 9) for k in range(10)]
    he_rows = [made("He everywhere", f"n{k}", k > 2, invasiveness=2) for k in range(10)]
    lines = {line[0]: line for line in table(ours + he_rows)}

    assert lines["mend"][1:] == ("9 of 10 = 90.0% (59.6% to 98.2%)", "1.0", "–")
    assert lines["He everywhere"][1].startswith("7 of 10")
    assert lines["He everywhere"][2:] == ("2.0", "3 : 1, p = 0.62")


def test_the_best_of_the_fixed_ways_is_what_an_oracle_would_take() -> None:
    """It trains where any of the three does; advice is counted apart from what was proved."""
    rows = [made("mend", "n0", True), made("mend", "n1", False, remedy="none", invasiveness=0, advice=["put_norm_first"])]
    for way, right in (("He everywhere", (1, 0)), ("unit variance", (0, 0)), ("a residual", (0, 1))):
        rows += [made(way, f"n{k}", bool(right[k])) for k in range(2)]

    assert outcomes(rows)[BEST] == {"n0": True, "n1": True}
    told = summary(rows)
    assert "of those in which mend proved a remedy: 1 of 1" in told
    assert "nothing proved: 1, of them with advice in words: 1" in told


def test_the_diary_grows_by_one_dated_line_for_each_run(tmp_path: Path) -> None:
    """Nothing is overwritten; each line says when, what, and which rates came out."""
    path = tmp_path / "runs.jsonl"
    note("zoo_mend", "scored", "one\ntwo", path)
    note("zoo_mend", "develop", "three", path)
    first, second = map(json.loads, path.read_text(encoding="utf-8").splitlines())

    assert (first["part"], first["rates"], second["rates"]) == ("scored", ["one", "two"], ["three"])
    assert first["date"][:2] == "20"


def test_a_frozen_network_is_drawn_anew_only_where_it_may_move() -> None:
    """The random remedy works on networks with frozen parameters, too."""
    entry = ill("a family", "digits", "frozen_parameters", {"still": lambda seed: frozen(he(stack(4)), 1)}, fix="unfreeze")[0]

    assert WAYS["random remedy"](entry).model is not None
