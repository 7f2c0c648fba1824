"""What scikit-learn's metrics were given of a network's answers: the rows, what is true, and the scores."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.rows.answers import cuts, is_part
from modelwright.doctor.sensors.rows.input_table import input_table
from modelwright.doctor.sensors.rows.learner import Evaluation, Learner
from modelwright.doctor.sensors.rows.scores.target_units import units_of
from modelwright.doctor.sensors.rows.sheet import Sheet, values_of
from modelwright.doctor.sensors.rows.study import Measurement, Study
from modelwright.doctor.watch.sensor import Estimation

__all__ = ["Evaluations", "measurements_of"]

_MOST_CALLS, _MOST_CELLS, _MOST_ROWS = 400, 4_000_000, 50_000
_MOST_CLASSES, _MOST_ENDS, _MOST_KEPT = 64, 40, 4
_FEWEST = 20
_NEAR = 1e-5


class Evaluations:
    """Keeps the newest answers of networks, and finds them again in what metrics are given."""

    def __init__(self) -> None:
        self._calls: deque[tuple[Learner, Any, Any]] = deque()
        self._cells = 0

    def ask(self, learner: Learner, args: tuple[Any, ...], said: Any) -> None:
        """Take note of what a network was asked, and said, without gradients.

        Args:
            learner: The network.
            args: What it was called with.
            said: (row,) or (row, number).
        """
        if said.dim() > 2 or (said.dim() == 2 and said.shape[1] > _MOST_CLASSES):
            return
        self._calls.append((learner, args, said.detach()))
        self._cells += _size(args)
        while len(self._calls) > _MOST_CALLS or (self._cells > _MOST_CELLS and len(self._calls) > 1):
            self._cells -= _size(self._calls.popleft()[1])

    def keep(self, learners: Sequence[Learner]) -> None:
        """Let go of what all other networks were asked."""
        kept = [each for each in self._calls if any(each[0] is learner for learner in learners)]
        self._calls = deque(kept)
        self._cells = sum(_size(args) for _, args, _ in kept)

    def score(self, estimation: Estimation) -> None:
        """Hear a metric: of a network's answers, keep it beside the rows that it was asked about."""
        true, said = values_of(estimation.given), estimation.target
        if (
            true is None
            or said is None
            or not _FEWEST <= len(true) <= _MOST_ROWS
            or true.dtype.kind not in "biuf"
        ):
            return
        for calls in self._runs(len(true)):
            output = _joined(calls)
            told = _given(said, output) if output is not None else None
            if told is None:
                continue
            learner = calls[0][0]
            form, given = told
            key = id(calls[0][2]), id(calls[-1][2])
            found = next((each for each in learner.evaluations if each.key == key), None)
            if found is None:
                args = [(each[1], int(each[2].shape[0])) for each in calls]
                found = Evaluation(key, args, [each[2] for each in calls], true, form, estimation.place)
                learner.evaluations = [*learner.evaluations[1 - _MOST_KEPT :], found]
            value = estimation.output
            number = float(value) if isinstance(value, float | np.floating) else float("nan")
            found.scores.append((estimation.name, number))
            found.ranked.append((estimation.name, form, given, true, number, estimation.place))
            return

    def _runs(self, rows: int) -> Iterator[list[tuple[Learner, Any, Any]]]:
        """Yield calls of one network in a row that are about so many rows, the newest first."""
        calls = list(self._calls)
        for end in range(len(calls), max(0, len(calls) - _MOST_ENDS), -1):
            count, begin = 0, end
            while begin and count < rows and calls[begin - 1][0] is calls[end - 1][0]:
                begin -= 1
                count += int(calls[begin][2].shape[0])
            if count == rows:
                yield calls[begin:end]


def measurements_of(learner: Learner, study: Study) -> Iterator[Measurement]:
    """Yield evaluations of a network as measurements of its study."""
    for each in learner.evaluations:
        tables = [input_table(args, rows) for args, rows in each.asked]
        known = [table for table in tables if table is not None]
        if len(known) < len(tables) or any(not learner.learnt.rows.fits(table.shape[1]) for table in known):
            continue
        values = np.concatenate(known)
        told = _told(each, study)
        if told is None:
            continue
        true, said = told
        rows = learner.learnt.rows.places(values)
        fresh = np.flatnonzero(rows < 0)
        if len(learner.asked.rows):
            rows[fresh] = learner.asked.rows.places(values[fresh])
        rows[fresh] = np.where(rows[fresh] < 0, fresh + len(learner.asked.rows), rows[fresh])
        rows[fresh] += len(learner.learnt.rows)
        measured = Measurement(
            rows=rows,
            lineage=frozenset(),
            place=each.place,
            sheet=Sheet(values, None, None, np.ones(values.shape[1], bool), {}),
            target=true,
            predicted=said,
            scores=each.scores,
            score_place=each.place,
            output=each.output,
        )
        for ranked in each.ranked:
            measured.rank(*ranked)
        yield measured


def _told(each: Evaluation, study: Study) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Return what is true, in the unit that was learnt, and what was said; None where these do not meet."""
    if not study.classes:
        if each.output.ndim > 1:
            return None
        given = next((ranked[2] for ranked in each.ranked if ranked[2].dtype.kind == "f"), None)
        units = None if given is None or np.array_equal(given, each.output) else units_of(given, each.output)
        true = each.true.astype(np.float64)
        return (true if units is None else units.back(true)), each.output.astype(np.float64)
    if (each.true != np.rint(each.true)).any():
        return None
    true = each.true.astype(np.int64)
    if not np.isin(true, study.target).all():
        return None
    bounded = each.output.min() >= 0 and each.output.max() <= 1
    said = each.output.argmax(axis=1) if each.output.ndim == 2 else each.output > (0.5 if bounded else 0.0)
    return true, said.astype(np.int64)


def _size(args: tuple[Any, ...]) -> int:
    return sum(int(each.numel()) for each in args if hasattr(each, "numel"))


def _joined(calls: list[tuple[Learner, Any, Any]]) -> Any:
    import torch

    parts = [each[2] for each in calls]
    if any(each.shape[1:] != parts[0].shape[1:] for each in parts):
        return None
    whole = torch.cat(parts).float().cpu()
    return whole[:, 0] if whole.dim() == 2 and whole.shape[1] == 1 else whole


def _given(said: Any, output: Any) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Return probabilities, or numbers, and what a metric was given of them; None where it was given else.

    Args:
        said: What the metric was given: (row,), or (row, class).
        output: (row,) or (row, class) a tensor.
    """
    forms = [output, output.sigmoid()] if output.dim() == 1 else [output.softmax(1), output.exp(), output]
    if output.dim() == 2:
        forms.append(output.sigmoid())
    if hasattr(said, "detach"):
        said = said.detach().cpu()
    try:
        plain = np.asarray(said)
    except (TypeError, ValueError):
        return None
    for form in (each.numpy() for each in forms):
        given = _nearly(plain, form)
        if given is not None:
            return form, given
    bounded = forms[1] if output.dim() == 1 else forms[0]
    form = bounded.numpy()
    one = values_of(plain)
    if one is None:
        return None
    if is_part(one, form) or cuts(one, form):
        return form, one
    return None


def _nearly(said: NDArray[Any], form: NDArray[Any]) -> NDArray[Any] | None:
    """Return the part of numbers that something is, but for how they were rounded."""
    if said.dtype.kind != "f" or len(said) != len(form):
        return None
    if said.ndim == 2 and said.shape[1] == 1:
        said = said[:, 0]
    columns = [form] if said.ndim == form.ndim else list(form.T) if form.ndim == 2 and said.ndim == 1 else []
    for each in columns:
        if each.shape == said.shape and np.abs(each - said).max() <= _NEAR * max(
            1.0, float(np.abs(each).max())
        ):
            return each
    return None
