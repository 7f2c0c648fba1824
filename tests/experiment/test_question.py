"""What a question knows of its metric."""

import pytest

from modelwright.experiment.question import Question


def reported(direction: str, low: float | None, high: float | None) -> Question:
    return Question(
        hypothesis="better",
        metric="reward",
        reported=True,
        direction=direction,  # pyright: ignore[reportArgumentType]
        low=low,
        high=high,
        smallest_effect=1.0,
    )


@pytest.mark.parametrize(("metric", "worst"), [("accuracy", 0.0), ("rmse", None), ("r2", None)])
def test_the_worst_value_of_a_metric_is_the_bound_on_its_bad_side(metric: str, worst: float | None) -> None:
    assert Question(hypothesis="better", metric=metric, smallest_effect=0.1).worst == worst


@pytest.mark.parametrize(
    ("direction", "low", "high", "worst"),
    [
        ("maximize", -5.0, 7.0, -5.0),
        ("minimize", -5.0, 7.0, 7.0),
        ("maximize", 0.0, None, 0.0),
        ("minimize", None, 0.0, 0.0),
        ("maximize", None, 7.0, None),
        ("minimize", -5.0, None, None),
    ],
)
def test_a_reported_metric_has_the_worst_value_that_its_question_gives(
    direction: str, low: float | None, high: float | None, worst: float | None
) -> None:
    assert reported(direction, low, high).worst == worst
