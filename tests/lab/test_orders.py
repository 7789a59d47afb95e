"""What may be asked of a worker."""

import pytest

from fathometer.errors import SpecError
from fathometer.lab.orders import KINDS, Order, read_order
from fathometer.lab.setting import Setting


def test_an_order_comes_back_as_it_was() -> None:
    """What a worker reads is what the server wrote."""
    order = Order("train", Setting(depth=3), remedy=(2, "initialise"), trained=False)

    assert read_order(order.to_dict()) == order


@pytest.mark.parametrize(
    "table",
    [
        3,
        {"kind": "shell"},
        {"kind": ["train"]},
        {"command": "ls"},
        {"trained": "yes"},
        {"target": "/etc/passwd"},
        {"residual": "none"},
        {"remedy": 3},
        {"remedy": {"place": -1, "name": "x"}},
        {"remedy": {"place": True, "name": "x"}},
        {"remedy": {"place": 1, "name": "x" * 81}},
        {"kind": "train", "setting": {"depth": 1000, "width": 512, "steps": 2000}},
    ],
)
def test_a_wrong_order_is_refused(table: object) -> None:
    """What is no order, names what there is not, or would take hours, is refused."""
    with pytest.raises(SpecError):
        read_order(table)


def test_every_kind_of_work_is_bounded() -> None:
    """No kind of work is without a limit of time and of memory, and each has its function."""
    from fathometer.lab.work.catalogue import WORK

    assert set(WORK) == set(KINDS)
    assert all(0 < limits.seconds <= 600 and limits.memory_bytes <= 4 * 2**30 for limits in KINDS.values())
