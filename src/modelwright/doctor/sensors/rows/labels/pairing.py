"""Whether rows and targets belong together."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.labels.relation import Relation, relation_of, standing_for
from modelwright.doctor.sensors.rows.source_lines import only_line_of
from modelwright.doctor.sensors.rows.study import Study
from modelwright.doctor.watch.place import Place

__all__ = ["check_pairing", "lost_relation"]

_ENOUGH = 100
_DRAWS = 99
_MOST_ROWS = 4000
_FEW = 0.2


def check_pairing(studies: Sequence[Study]) -> Iterator[Finding]:
    """Yield a finding where the last model learnt targets that belong to other rows.

    Either an earlier model learnt the same rows with the same targets in another order; or features say
    nothing of the targets as they were given, and the model nothing of those that were held out.
    """
    if not studies:
        return
    last = studies[-1]
    for earlier in studies[:-1]:
        if earlier.classes == last.classes and _in_another_order(earlier, last):
            yield _finding(
                last,
                f"{last.name} learns rows whose targets another model learnt in another order.",
                {"rows_learnt_from": len(last.rows)},
            )
            return
    found = list(_unrelated(last))
    yield from found or _related_in_one_part(last)


def _related_in_one_part(study: Study) -> Iterator[Finding]:
    """Inputs say much of targets of measured rows, and nothing of those that are learnt; or the reverse."""
    for each in reversed(study.held_out()):
        learnt, held = study.sheet, each.sheet
        if learnt is None or held is None or each.target is None or each.predicted is None:
            continue
        if len(each.target) != len(held) or len(study.target) != len(learnt):
            continue
        if len(each.predicted) != len(each.target) or _agree(
            each.target, each.predicted, study.classes, _FEW
        ):
            continue
        targets = standing_for(study.target, each.target, study.classes)
        numeric = np.flatnonzero(learnt.numeric)
        if targets is None or learnt.values.shape[1] != held.values.shape[1] or not len(numeric):
            continue
        relation = relation_of(learnt.values[:, numeric], targets[0], held.values[:, numeric], targets[1])
        if relation is not None and relation.lost_in:
            yield lost_relation(
                study.name, relation, study.place if relation.lost_in == "learnt" else each.place
            )
            return


def lost_relation(name: str, relation: Relation, place: Place | None) -> Finding:
    """Return what is said where inputs and targets go together in one part of the rows only.

    Args:
        name: Of the model.
        relation: Of inputs and targets.
        place: Of the line that gives the rows whose targets are others'.
    """
    lost, kept = (
        ("learns", "is measured on") if relation.lost_in == "learnt" else ("is measured on", "learns")
    )
    return _found(
        name,
        f"Of the rows that {name} {lost}, inputs say nothing of targets; of those that it "
        f"{kept}, they say much.",
        {
            "correlation_among_learnt_rows": relation.learnt[0],
            "correlation_among_measured_rows": relation.measured[0],
            "correlation_from_learnt_to_measured_rows": relation.across,
            "rows_learnt_from": relation.rows_learnt,
            "rows_measured": relation.rows_measured,
        },
        place,
    )


def _in_another_order(earlier: Study, last: Study) -> bool:
    if earlier.target.dtype.kind not in "biuf" or last.target.dtype.kind not in "biuf":
        return False
    _, mine, theirs = np.intersect1d(last.rows, earlier.rows, return_indices=True)
    if len(mine) < _ENOUGH or min(last.distinct, earlier.distinct) < 0.95:
        return False
    one, other = last.target[mine].astype(np.float64), earlier.target[theirs].astype(np.float64)
    if len(np.unique(other)) < 0.5 * len(other):
        return False  # classes may rightly be others: one against the rest
    values = np.unique(last.target.astype(np.float64))
    return bool((one == other).mean() < 0.2 and np.isin(other, values).mean() > 0.8)


def _unrelated(study: Study) -> Iterator[Finding]:
    held = [each for each in study.held_out() if each.target is not None and each.predicted is not None]
    if study.sheet is None or not held or len(study.rows) < 2 * _ENOUGH:
        return
    true = np.concatenate([each.target for each in held if each.target is not None])
    said = np.concatenate([each.predicted for each in held if each.predicted is not None])
    if len(true) != len(said) or len(true) < _ENOUGH // 2 or _agree(true, said, study.classes):
        return
    values = study.sheet.values.astype(np.float64)
    target = _columns_of(study.target, study.classes)
    if target is None:
        return
    step = -(-len(values) // _MOST_ROWS)
    values, target = values[::step], target[::step]
    base = _standard(values)
    observed = _strength(base, target)
    generator = np.random.default_rng(0)
    null = [_strength(base, target[generator.permutation(len(target))]) for _ in range(_DRAWS)]
    if observed > sorted(null)[int(0.9 * _DRAWS)]:
        return
    yield _finding(
        study,
        f"No feature says anything of the targets that {study.name} learns, nor do its predictions of "
        "those that are held out.",
        {
            "strength_of_the_relation": observed,
            "median_with_shuffled_targets": float(np.median(null)),
            "rows_learnt_from": len(study.rows),
            "rows_measured": len(true),
        },
    )


def _agree(true: NDArray[np.generic], said: NDArray[np.generic], classes: bool, least: float = 0.0) -> bool:
    """Return whether predictions follow what is true more than chance lets expect.

    Args:
        true: (row,)
        said: (row,)
        classes: Whether these are classes.
        least: A share of rows, or a correlation, beyond chance, that is as good as none.
    """
    if classes and true.dtype == said.dtype and said.dtype.kind != "f":
        found, codes = np.unique(np.concatenate([true, said]), return_inverse=True)
        one, other = codes[: len(true)], codes[len(true) :]
        shares = [np.bincount(each, minlength=len(found)) / len(each) for each in (one, other)]
        chance = float((shares[0] * shares[1]).sum())
        return bool(
            (one == other).mean() > chance + max(least, 2 * np.sqrt(chance * (1 - chance) / len(one)))
        )
    if true.dtype.kind not in "biuf" or said.dtype.kind not in "biuf":
        return True
    one, other = true.astype(np.float64), said.astype(np.float64)
    if one.std() == 0 or other.std() == 0:
        return True
    return bool(np.corrcoef(one, other)[0, 1] > max(least, 2 / np.sqrt(len(one))))


def _columns_of(target: NDArray[np.generic], classes: bool) -> NDArray[np.float64] | None:
    if not classes:
        return _standard(target.astype(np.float64)[:, None]) if target.dtype.kind in "biuf" else None
    found = np.unique(target)
    if not 2 <= len(found) <= 50:
        return None
    return _standard((target[:, None] == found).astype(np.float64))


def _standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    known = np.where(np.isfinite(values), values, np.nan)
    centred = known - np.nanmean(known, axis=0)
    return np.nan_to_num(centred / np.maximum(np.nanstd(known, axis=0), 1e-12))


def _strength(base: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    """Return the sum of squared correlations, times the number of rows: about one for each pair by chance."""
    return float(np.square(base.T @ target / len(base)).mean() * len(base))


def _finding(study: Study, title: str, evidence: dict[str, float]) -> Finding:
    return _found(study.name, title, evidence, study.place)


def _found(name: str, title: str, evidence: dict[str, float], place: Place | None) -> Finding:
    return Finding(
        kind="targets-of-other-rows",
        severity=Severity.WARNING,
        title=title,
        evidence=evidence,
        causes=(cause("features-shuffled-against-labels", only_line_of(place, ("shuffle",)) or place),),
        next_check="check that row i of the features has target i where fit() is called; look at what sorts, "
        "shuffles or joins one of them before",
        subject=name,
    )
