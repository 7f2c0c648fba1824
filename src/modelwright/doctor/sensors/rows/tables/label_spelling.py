"""Classes that are told apart by their spelling alone."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.study import Study
from modelwright.doctor.sensors.rows.tables.ledger import Ledger, Made, at_labels
from modelwright.doctor.watch.place import Place

__all__ = ["check_spelling"]

_MOST_TEXTS = 60
_ENOUGH = 5


def check_spelling(studies: Sequence[Study], ledger: Ledger) -> Iterator[Finding]:
    """Yield a finding where the same class is written in two ways, and one of them counts as another class.

    Args:
        studies: What was learnt and measured.
        ledger: What pandas was asked.
    """
    for study in reversed(studies):
        if not study.classes:
            continue
        target = study.target
        if target.dtype.kind in "OUS":
            texts, counts = np.unique(target.astype(str), return_counts=True)
            twins = _twins(texts.tolist())
            if twins and counts.min() >= _ENOUGH:
                yield _finding(twins[0], dict(zip(texts.tolist(), counts.tolist(), strict=True)), study.place)
                return
        for made in ledger.of("compare"):
            if isinstance(made.target, str) and _is_target(made, study):
                yield from _of_comparison(made)
                return


def _is_target(made: Made, study: Study) -> bool:
    """Return whether what a comparison gave, or its contrary, is what a model learnt."""
    labels = study.target_labels if study.target_labels is not None else study.labels
    target = study.target
    if target.dtype.kind not in "biuf" or len(np.unique(target)) != 2 or labels is None:
        return False
    places = at_labels(made.output.index, labels)
    if places is None:
        return False
    said: NDArray[np.bool_] = made.output.to_numpy(dtype=bool, na_value=False)[places]
    positive = target == target.max()
    return bool((said == positive).all() or (said == ~positive).all())


def _of_comparison(made: Made) -> Iterator[Finding]:
    counts = made.given.value_counts()
    if not 2 < len(counts) <= _MOST_TEXTS:
        return
    shown = {str(text): int(count) for text, count in counts.items()}
    alike = [text for text in shown if text != made.target and _plain(text) == _plain(made.target)]
    if made.target in shown and alike and sum(shown[text] for text in alike) >= _ENOUGH:
        yield _finding((made.target, alike[0]), shown, made.place)


def _twins(texts: Sequence[str]) -> list[tuple[str, str]]:
    """Return pairs of texts that differ in spaces, in a last stop or in small and large letters only."""
    known: dict[str, str] = {}
    found: list[tuple[str, str]] = []
    for text in texts:
        first = known.setdefault(_plain(text), text)
        if first != text:
            found.append((first, text))
    return found


def _plain(text: str) -> str:
    """Return a text without what spellings differ in; single letters keep their size."""
    bare = " ".join(text.split()).rstrip(".")
    return bare.casefold() if len(bare) > 1 else bare


def _finding(twins: tuple[str, str], counts: dict[str, int], place: Place | None) -> Finding:
    return Finding(
        kind="labels-spelt-in-two-ways",
        severity=Severity.SEVERE,
        title=f"Rows labelled {twins[1]!r} are learnt as another class than those labelled {twins[0]!r}.",
        evidence={"labels": counts, "written_alike": list(twins)},
        causes=(cause("label-spelling-lost", place), cause("class-conditional-label-noise", place)),
        next_check="strip spaces and stops, and write all labels in small letters, before they are compared",
        subject=twins[0],
    )
