"""The data sets by name; a new one is a new file and one line here."""

from collections.abc import Callable

from fathometer.data.digits import Digits, digits
from fathometer.errors import unknown_name

DATASETS: dict[str, Callable[[], Digits]] = {"digits": digits}


def find_dataset(name: str) -> Digits:
    """Return the data set of that name, or raise with the nearest right one."""
    if name not in DATASETS:
        raise unknown_name("data set", name, DATASETS)
    return DATASETS[name]()
