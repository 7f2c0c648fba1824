"""Texts, labels and groups that come as lists are heard like those of arrays."""

from pathlib import Path

import pytest
from watched import plant, run_watched

_TEXTS = """
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GroupKFold, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline

rng = np.random.default_rng(0)
words = [f"word{number}" for number in range(150)]
usual = [rng.dirichlet(np.full(150, 0.2)) for _ in range(3)]
labels = [int(each) for each in rng.integers(0, 3, 300)]
texts = [" ".join(rng.choice(words, 25, p=0.5 * usual[each] + 0.5 / 150)) for each in labels]
writers = [number % 20 for number in range(300)]
parts = train_test_split(texts, labels, test_size=0.3, random_state=0)
train_texts, test_texts, train_labels, test_labels = parts
vectorizer = TfidfVectorizer()
counts = vectorizer.fit_transform(train_texts)
model = LogisticRegression(max_iter=400).fit(counts, train_labels)
print(accuracy_score(test_labels, model.predict(vectorizer.transform(test_texts))))
"""
_BY_WRITER = """
table = vectorizer.transform(texts).toarray()
print(cross_val_score(LogisticRegression(), table, labels, groups=writers, cv=GroupKFold(3)).mean())
"""
_TUPLES = ("parts = train_test_split(texts, labels,", "parts = train_test_split(tuple(texts), tuple(labels),")


@pytest.mark.parametrize("program", [_TEXTS, plant(_TEXTS, _TUPLES), _TEXTS + _BY_WRITER])
def test_nothing_fails_where_rows_and_labels_are_lists(program: str, tmp_path: Path) -> None:
    assert not [each.title for each in run_watched(program, tmp_path).findings]


def test_texts_that_are_learnt_and_measured_are_named(tmp_path: Path) -> None:
    scored = "accuracy_score(test_labels, model.predict(vectorizer.transform(test_texts)))"
    same = "accuracy_score(train_labels, model.predict(vectorizer.transform(train_texts)))"
    assert "measured-on-training-rows" in run_watched(plant(_TEXTS, (scored, same)), tmp_path).kinds
