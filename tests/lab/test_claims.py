"""Each claim of the lesson has a setting of its own that the page can show."""

import pytest

from fathometer.lab.claims import CLAIMS, claims_table
from fathometer.lab.setting import read_setting


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_stands_as_it_is_asked_for(claim: str) -> None:
    """Nothing of a claim's setting is changed on its way through the door, so its row is found again."""
    setting = CLAIMS[claim]

    assert read_setting(setting.to_dict()) == setting


def test_no_two_claims_are_measured_by_one_setting() -> None:
    """A measurement fills one row."""
    settings = [tuple(sorted(row["setting"].items())) for row in claims_table()]

    assert len(set(settings)) == len(CLAIMS)
