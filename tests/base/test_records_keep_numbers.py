"""Numbers in records: what a learner is given again is what it was given."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from modelwright.algorithms.learner import complete_config
from modelwright.base.fingerprint import canonical_json, fingerprint, jsonable
from modelwright.base.setting import Settings, setting


@pytest.mark.parametrize("value", [1, 1.0, 0.0, 0, 1e16, 10**16, 0.1, -3.0, 1e-300])
def test_a_number_comes_back_from_a_record_as_the_same_kind_of_number(value: float) -> None:
    back = json.loads(canonical_json({"value": value}))["value"]
    assert back == value
    assert type(back) is type(value)


def test_a_negative_zero_is_zero() -> None:
    assert canonical_json(-0.0) == canonical_json(0.0) == "0.0"


def test_a_whole_number_and_a_share_stay_two_settings_of_an_estimator() -> None:
    forest = {"learner": "sklearn.ensemble.RandomForestRegressor"}
    complete = complete_config(forest, root=Path.cwd())
    assert type(complete["max_features"]) is float
    assert complete_config(json.loads(canonical_json(complete)), root=Path.cwd()) == complete
    one = complete_config({**forest, "max_features": 1}, root=Path.cwd())
    assert fingerprint(one) != fingerprint(complete)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair(Settings):
    """A share that may be left out, and a count."""

    share: float | None = setting(None, doc="A share.")
    count: int = setting(1, doc="A count.")


def test_equal_settings_have_equal_records_however_their_numbers_were_written() -> None:
    assert jsonable(Pair(share=1)) == jsonable(Pair(share=1.0)) == {"share": 1.0, "count": 1}
    assert type(Pair(share=1).share) is float
    assert type(Pair(count=2).count) is int
