"""Whether rows and targets belong together."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.source_lines import only_line_of
from modelwright.doctor.sensors.rows.study import Study

__all__ = ["check_pairing"]

_ENOUGH = 100
_DRAWS = 99
_MOST_ROWS = 4000


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
    yield from _unrelated(last)


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


def _agree(true: NDArray[np.generic], said: NDArray[np.generic], classes: bool) -> bool:
    """Return whether predictions follow what is true more than chance lets expect."""
    if classes and true.dtype == said.dtype and said.dtype.kind != "f":
        found, codes = np.unique(np.concatenate([true, said]), return_inverse=True)
        one, other = codes[: len(true)], codes[len(true) :]
        shares = [np.bincount(each, minlength=len(found)) / len(each) for each in (one, other)]
        chance = float((shares[0] * shares[1]).sum())
        return bool((one == other).mean() > chance + 2 * np.sqrt(chance * (1 - chance) / len(one)))
    if true.dtype.kind not in "biuf" or said.dtype.kind not in "biuf":
        return True
    one, other = true.astype(np.float64), said.astype(np.float64)
    if one.std() == 0 or other.std() == 0:
        return True
    return bool(np.corrcoef(one, other)[0, 1] > 2 / np.sqrt(len(one)))


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
    return Finding(
        kind="targets-of-other-rows",
        severity=Severity.WARNING,
        title=title,
        evidence=evidence,
        causes=(
            cause("features-shuffled-against-labels", only_line_of(study.place, ("shuffle",)) or study.place),
        ),
        next_check="check that row i of the features has target i where fit() is called; look at what sorts, "
        "shuffles or joins one of them before",
        subject=study.name,
    )
