"""Settings of a model that were chosen by the score on the rows that are then told."""

from collections.abc import Iterator, Sequence

import numpy as np

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.study import Measurement, Study

__all__ = ["check_settings"]

_TRIED = 3
_LESS_IS_BETTER = ("_loss", "_error")


def check_settings(studies: Sequence[Study]) -> Iterator[Finding]:
    """Yield a finding where one class learnt with several settings, and the best one is measured again.

    All learnt the same rows, were measured on the same rows, and none on others. That the best is measured
    once more, after all of them, tells a choice from a table of results.

    Args:
        studies: What was learnt and measured, in order.
    """
    told = [(each, study) for study in studies for each in study.held_out() if each.scores]
    if not told:
        return
    last, final = max(told, key=lambda pair: pair[0].order)
    if not _is_alone(studies, final, last):
        return
    alike = [each for each in studies if each.name == final.name and np.array_equal(each.rows, final.rows)]
    for name, value in last.scores:
        firsts = [(_first(each, last, name), each) for each in alike]
        tried = [(one, each) for one, each in firsts if one is not None and one[0].order < last.order]
        if len({each.settings for _, each in tried}) < _TRIED:
            continue
        values = [one[1] for one, _ in tried]
        best = min(values) if name.endswith(_LESS_IS_BETTER) else max(values)
        chosen = [each for one, each in tried if one[1] == best]
        if value != best or len(chosen) != 1 or chosen[0].settings != final.settings:
            continue
        worst = max(values) if best == min(values) else min(values)
        yield _finding(final, tried[0][1], name, (best, worst), len(last.rows), len(tried))
        return


def _finding(
    final: Study, first: Study, name: str, values: tuple[float, float], measured: int, tried: int
) -> Finding:
    return Finding(
        kind="chosen-on-measured-rows",
        severity=Severity.WARNING,
        title=f"{tried} settings of {final.name} were compared by {name} on the rows that the best is then "
        "measured on, and no other rows are.",
        evidence={
            "settings": tried,
            "best": values[0],
            "worst": values[1],
            "rows_measured": measured,
            "rows_learnt_from": len(final.rows),
        },
        causes=(cause("settings-chosen-on-test", first.place),),
        next_check="choose settings by cross-validation of the training rows, and measure once on others",
        subject=final.name,
    )


def _first(study: Study, last: Measurement, name: str) -> tuple[Measurement, float] | None:
    """Return the first time that a model was measured on the rows, and its score then."""
    for each in study.measured:
        if np.array_equal(each.rows, last.rows) and name in dict(each.scores):
            return each, dict(each.scores)[name]
    return None


def _is_alone(studies: Sequence[Study], final: Study, last: Measurement) -> bool:
    """Return whether no model of the class was measured on other rows that were held out."""
    return all(
        np.array_equal(each.rows, last.rows)
        for study in studies
        if study.name == final.name
        for each in study.held_out()
    )
