"""What is judged of the rows of networks, with the checks that estimators' rows get."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding
from modelwright.doctor.sensors.rows.columns.far_codes import check_far_codes
from modelwright.doctor.sensors.rows.columns.imputed_alike import check_imputed
from modelwright.doctor.sensors.rows.columns.mixed_axes import check_mixed_axes
from modelwright.doctor.sensors.rows.columns.scale_identity import check_scales
from modelwright.doctor.sensors.rows.evaluations import measurements_of
from modelwright.doctor.sensors.rows.isolated import isolated
from modelwright.doctor.sensors.rows.labels.changing_targets import check_changing_targets
from modelwright.doctor.sensors.rows.labels.label_codes import check_label_codes
from modelwright.doctor.sensors.rows.labels.pairing import check_pairing
from modelwright.doctor.sensors.rows.learner import Learner
from modelwright.doctor.sensors.rows.parts.mixed_batches import check_mixed_batches
from modelwright.doctor.sensors.rows.parts.overlapping_windows import check_overlap
from modelwright.doctor.sensors.rows.parts.prepared_alike import check_prepared_alike
from modelwright.doctor.sensors.rows.scores.differences import Differences
from modelwright.doctor.sensors.rows.scores.hard_labels import check_hard_labels
from modelwright.doctor.sensors.rows.scores.reversed_scores import check_reversed_scores
from modelwright.doctor.sensors.rows.scores.target_units import check_target_units
from modelwright.doctor.sensors.rows.scores.tried_thresholds import check_thresholds
from modelwright.doctor.sensors.rows.study import Study
from modelwright.doctor.sensors.rows.table_checks import check_table
from modelwright.doctor.sensors.rows.tables.group_statistics import check_group_statistics
from modelwright.doctor.sensors.rows.tables.ledger import Ledger
from modelwright.doctor.watch.failure import SENSOR_FAILED
from modelwright.doctor.watch.place import Place

__all__ = ["Score", "check_networks"]

_ENOUGH = 40
_NEARLY_ALL = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """A metric that was given numbers.

    Attributes:
        name: Of the metric.
        true: (row,)
        said: (row,)
        place: Of the user's line.
    """

    name: str
    true: NDArray[Any]
    said: NDArray[Any]
    place: Place | None


def check_networks(
    learners: Sequence[Learner],
    scaled_at: Place | None,
    counted: tuple[Learner, Place | None] | None = None,
    scores: Sequence[Score] = (),
    differences: Differences | None = None,
) -> Iterator[Finding]:
    """Yield what is wrong with the rows that networks learnt from and were measured on.

    Args:
        learners: Networks with their rows.
        scaled_at: Where a scaler of scikit-learn was fitted last, if one was.
        counted: A network of which nothing was asked but how often it is right, and where.
        scores: Metrics that were given numbers.
        differences: Of columns and arrays, after networks were asked.
    """
    seen: set[str] = set()
    for found in _all_of(learners, scaled_at, counted, scores, differences):
        if found.kind not in seen or found.kind == SENSOR_FAILED:
            seen.add(found.kind)
            yield found


def _all_of(
    learners: Sequence[Learner],
    scaled_at: Place | None,
    counted: tuple[Learner, Place | None] | None,
    scores: Sequence[Score],
    differences: Differences | None,
) -> Iterator[Finding]:
    for learner in reversed(learners):
        yield from isolated(check_scales, learner, scaled_at)
        yield from isolated(check_label_codes, learner)
        yield from isolated(check_imputed, learner)
        yield from isolated(check_overlap, learner)
        if not _is_given_draws(learner, learners):
            yield from isolated(check_mixed_axes, learner)
            yield from isolated(check_prepared_alike, learner)
        if not learner.bootstraps:
            yield from isolated(check_changing_targets, learner)
            yield from isolated(check_mixed_batches, learner)
    for learner in reversed(learners):
        study = None if learner.within or learner.bootstraps else learner.study(_ENOUGH)
        if study is not None:
            if counted is not None and counted[0] is learner:
                _count(study, counted[1])
            yield from isolated(check_target_units, _scored(study, learner, scores))
            if differences is not None:
                yield from isolated(differences.check, study)
            yield from isolated(check_pairing, [study])
            study.measured += measurements_of(learner, study)
            yield from isolated(check_group_statistics, [study], Ledger())
            for check in (check_hard_labels, check_reversed_scores, check_thresholds):
                yield from isolated(check, [study])
            yield from check_table([study])
            return
    for learner in reversed(learners):  # what needs no targets
        values = learner.learnt.rows.values
        if not learner.within and len(values) >= _ENOUGH:
            names = tuple(f"column {at}" for at in range(values.shape[1]))
            yield from isolated(check_far_codes, values, names, learner.place)
            return


def _is_given_draws(learner: Learner, learners: Sequence[Learner]) -> bool:
    """Return whether its rows never come again, and those of another network of the program do."""
    return not _comes_again(learner) and any(_comes_again(each) for each in learners)


def _comes_again(learner: Learner) -> bool:
    return bool((learner.learnt.rows.counts > 1).any())


def _scored(study: Study, learner: Learner, scores: Sequence[Score]) -> list[Study]:
    """Return the study with what metrics were given of the network's own answers, as it gave them."""
    own = learner.asked.second.astype(np.float32)
    found = [
        replace(
            study.measured[-1],
            target=each.true,
            predicted=each.said,
            scores=[(each.name, np.nan)],
            score_place=each.place,
        )
        for each in scores
        if each.true.dtype.kind in "iuf"
        and len(each.true) == len(each.said)
        and np.isin(each.said.astype(np.float32), own).mean() > _NEARLY_ALL
    ]
    return [] if study.classes or not found else [replace(study, measured=found)]


def _count(study: Study, place: Place | None) -> None:
    """Write down how often the network is right where it is measured."""
    for measured in study.measured:
        if study.classes and measured.target is not None and measured.predicted is not None:
            measured.scores.append(("accuracy", float((measured.target == measured.predicted).mean())))
            measured.score_place = place
