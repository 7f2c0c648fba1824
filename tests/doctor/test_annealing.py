"""Learning rates that come to zero too early, planted in a program that learns digits."""

from pathlib import Path

from watched import DIGITS, plant, run_watched

_STEP = "        optimizer.step()\n"
_SLOW = "        optimizer.param_groups[0]['lr'] = 2e-3 * max(0.0, 1 - len(losses) / {})\n"


def test_a_rate_that_is_zero_for_half_of_the_steps_is_named_with_its_line(tmp_path: Path) -> None:
    told = run_watched(plant(DIGITS, (_STEP, _SLOW.format(40) + _STEP)), tmp_path)
    assert told.kinds == ["rate-of-zero"]
    assert told.first_cause == ("annealed-too-early", "optimizer.step()")


def test_a_rate_that_is_zero_at_the_very_end_is_not_called_wrong(tmp_path: Path) -> None:
    told = run_watched(plant(DIGITS, (_STEP, _SLOW.format(110) + _STEP)), tmp_path)
    assert told.kinds == []
