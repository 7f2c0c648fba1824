"""Settings that are chosen by the score that is then told."""

from pathlib import Path

import pytest
from watched import plant, run_watched

_Edits = tuple[tuple[str, str], ...]
_MIXES = """
import numpy as np
from sklearn.metrics import mean_absolute_error
from sklearn.linear_model import Lasso, Ridge
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsRegressor

rng = np.random.default_rng(11)
mixes = rng.gamma(3.0, 1.0, (420, 9))
strength = mixes @ rng.normal(size=9) + rng.normal(0, 0.8, 420)
learnt, held, y_learnt, y_held = train_test_split(mixes, strength, test_size=0.25, random_state=2)
learnt, chosen_on, y_learnt, y_chosen_on = train_test_split(learnt, y_learnt, test_size=0.25, random_state=2)


def error_of(alpha, rows, target):
    return mean_absolute_error(target, Ridge(alpha=alpha).fit(learnt, y_learnt).predict(rows))


alphas = (0.01, 1.0, 30.0, 900.0)
best = min(alphas, key=lambda each: error_of(each, chosen_on, y_chosen_on))
print(best, error_of(best, held, y_held))
"""
_ON_TEST = "error_of(each, chosen_on, y_chosen_on)", "error_of(each, held, y_held)"
_KEPT = """fitted = [Ridge(alpha=each).fit(learnt, y_learnt) for each in alphas]
errors = [mean_absolute_error(y_held, each.predict(held)) for each in fitted]
best = fitted[int(np.argmin(errors))]
print(mean_absolute_error(y_held, best.predict(held)))
"""
_LAST_LINES = _MIXES[_MIXES.index("best = min") :]


@pytest.mark.parametrize(
    "edits", [(_ON_TEST,), ((_LAST_LINES, _KEPT),)], ids=["fitted once more", "the best is kept"]
)
def test_settings_that_the_told_score_chose_are_found(
    edits: tuple[tuple[str, str], ...], tmp_path: Path
) -> None:
    told = run_watched(plant(_MIXES, *edits), tmp_path)
    assert told.kinds == ["chosen-on-measured-rows"]
    assert told.first_cause[0] == "settings-chosen-on-test"


@pytest.mark.parametrize(
    "edits",
    [
        (),
        ((_LAST_LINES, "for each in alphas:\n    print(each, error_of(each, held, y_held))\n"),),
        (
            (
                _LAST_LINES,
                "print([error_of(a, held, y_held) for a in alphas], error_of(1.7, held, y_held))\n",
            ),
        ),
        (
            (
                _LAST_LINES,
                "for each in (Ridge(), Lasso(alpha=0.1), KNeighborsRegressor()):\n"
                "    print(mean_absolute_error(y_held, each.fit(learnt, y_learnt).predict(held)))\n"
                "print(mean_absolute_error(y_held, Ridge().fit(learnt, y_learnt).predict(held)))\n",
            ),
        ),
    ],
    ids=["on validation rows", "a table", "a table and the usual setting", "a table of classes"],
)
def test_tables_and_choices_on_other_rows_are_well(
    edits: tuple[tuple[str, str], ...], tmp_path: Path
) -> None:
    assert run_watched(plant(_MIXES, *edits), tmp_path).kinds == []
