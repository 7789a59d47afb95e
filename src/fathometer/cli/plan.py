"""`fathometer plan`: how deep, how wide, how much data, at what cost?"""

from pathlib import Path
from typing import Annotated

import tyro

Changes = Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="FIELD=VALUE")]


def plan(
    flops: float | None = None,
    chips: int | None = None,
    hours: float | None = None,
    chip: str = "h100",
    utilisation: float | None = None,
    tokens: float | None = None,
    law: str = "besiroglu2024",
    shape: str = "gpt3",
    set: Changes = (),
    spec: Path | None = None,
    json: bool = False,
) -> int:
    """Plan a training run: what a budget buys in depth, width, data and loss, with error bars, and who disagrees.

    fathometer plan --flops 1e21
    fathometer plan --chips 64 --hours 72 --chip a100 --utilisation 0.35
    fathometer plan --flops 1e20 --tokens 1e9 --set context=4096 --spec plan.toml

    Exit code: 0 done, 2 error.

    Args:
        flops: The budget in floating-point operations.
        chips: So many chips; with hours a budget, alone the number that the memory is laid out for.
        hours: For so many hours.
        chip: Which chip: a100, h100, h100-pcie, h200, l4, l40s, mi300x, rtx-4090, t4, tpu-v4, tpu-v5p or v100.
        utilisation: The share of its operations that is used: 0.4 if left out.
        tokens: How many new tokens there are; beyond them data are read again, and count for less.
        law: The published law: besiroglu2024, hoffmann2022, hoffmann2022-rounded, gemstones2025 or kaplan2020.
        shape: Whose opinion on depth against width: gpt3, levine2020, liu2024, gemstones2025 or nanochat.
        set: Change a field of the network, like context=4096 or vocabulary=32000; may be given more than once.
        spec: Write the network to this file, for `fathometer preflight`.
        json: Print the plan as JSON, and nothing else.
    """
    from fathometer.cli.settings import read_settings
    from fathometer.files import check_path, write
    from fathometer.scaling import find_chip
    from fathometer.scaling import plan as make
    from fathometer.spec import Transformer
    from fathometer.spec.changes import change

    if spec is not None:
        check_path(spec)
    like = change(Transformer(context=2048, tied=False), read_settings(set))
    assert isinstance(like, Transformer)
    kind = find_chip(chip, utilisation)
    found = make(flops, chips=chips, hours=hours, chip=kind, tokens=tokens, law=law, shape=shape, like=like)
    if spec is not None:
        write(spec, found.to_toml())
    print(found.to_json() if json else found)
    if spec is not None and not json:
        print(f"\nThe network: {spec}. Look at it: fathometer preflight {spec} --full-size")
    return 0
