"""Decision trees against scikit-learn's, node by node; where they part, both questions are equally good."""

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from modelwright.algorithms import decision_tree
from modelwright.algorithms.decision_tree import Config
from modelwright.algorithms.parts.tree import Tree, best_split, grow, sort_rows
from modelwright.base.errors import BadValue
from modelwright.data.experience import Experience

BOUNDS = [{}, {"max_depth": 3}, {"min_samples_leaf": 5}, {"max_depth": 6, "min_samples_leaf": 3}]


def fit(cohort, **settings):
    *_, last = decision_tree.train(cohort.experience, cohort.seeds, Config(**settings))
    return last


def compare(ours, theirs, at=0, there=0):
    """Walk both trees; return how many nodes are equal and how many are parted by equally good questions."""
    feature, threshold = ours["feature"][at], ours["threshold"][at]
    assert ours["rows"][at] == theirs.n_node_samples[there]
    assert ours["impurity"][at] == pytest.approx(theirs.impurity[there], rel=1e-9, abs=1e-12)
    np.testing.assert_allclose(
        ours["value"][at], theirs.value[there].ravel()[: len(ours["value"][at])], rtol=1e-9, atol=1e-12
    )
    assert (feature < 0) == (theirs.feature[there] < 0)
    if feature < 0:
        return 1, 0
    same = feature == theirs.feature[there]
    if same and threshold == theirs.threshold[there]:
        branches = [
            compare(ours, theirs, *pair)
            for pair in (
                (ours["left"][at], theirs.children_left[there]),
                (ours["right"][at], theirs.children_right[there]),
            )
        ]
        return 1 + sum(one for one, _ in branches), sum(other for _, other in branches)

    def impurity_after(rows, impurity, left, right):
        return (rows[left] * impurity[left] + rows[right] * impurity[right]) / (rows[left] + rows[right])

    mine = impurity_after(ours["rows"], ours["impurity"], ours["left"][at], ours["right"][at])
    yours = impurity_after(
        theirs.n_node_samples, theirs.impurity, theirs.children_left[there], theirs.children_right[there]
    )
    assert mine == pytest.approx(yours, rel=1e-9, abs=1e-12)
    return 0, 1


@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
@pytest.mark.parametrize("criterion", ["gini", "entropy"])
@pytest.mark.parametrize("data", ["wine", "cancer", "digits"])
def test_trees_of_classes_are_scikit_learn_s_node_by_node(data, criterion, bounds, given):
    cohort = given(data, 2, ragged=True)
    state = fit(cohort, criterion=criterion, **bounds).model.state()
    equal = parted = 0
    for place, rows in enumerate(cohort.experience.rows):
        x = cohort.experience.features[rows].reshape(len(rows), -1)
        oracle = DecisionTreeClassifier(criterion=criterion, random_state=0, **bounds)
        oracle.fit(x, cohort.experience.target[rows])
        found = compare({name: values[place] for name, values in state.items()}, oracle.tree_)
        equal, parted = equal + found[0], parted + found[1]
    assert equal >= parted


@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
def test_trees_of_values_are_scikit_learn_s_node_by_node(bounds, given):
    cohort = given("diabetes", 3)
    last = fit(cohort, **bounds)
    state = last.model.state()
    for place, rows in enumerate(cohort.experience.rows):
        x, y = cohort.experience.features[rows], cohort.experience.target[rows]
        oracle = DecisionTreeRegressor(random_state=0, **bounds).fit(x, y)
        equal, parted = compare({name: values[place] for name, values in state.items()}, oracle.tree_)
        assert equal > 20 * parted or len(bounds) == 0
        if parted == 0:
            np.testing.assert_allclose(
                last.model.predict(cohort.tests())[place], oracle.predict(cohort.tests()[place]), rtol=1e-9
            )


def test_probabilities_are_scikit_learn_s_where_no_two_questions_are_equally_good(given):
    cohort = given("digits", 2)
    last = fit(cohort, max_depth=3)
    for place, rows in enumerate(cohort.experience.rows):
        x = cohort.experience.features.reshape(-1, 64)
        oracle = DecisionTreeClassifier(max_depth=3, random_state=0)
        oracle.fit(x[rows], cohort.experience.target[rows])
        np.testing.assert_allclose(
            last.model.predict(cohort.tests())[place],
            oracle.predict_proba(x[cohort.held_out[place]]),
            atol=1e-12,
        )


def naive_split(values, answers, least):
    """Try every split of every feature in the plainest way and return the least weighted variance."""
    best = np.inf
    for column, given in zip(values, answers, strict=True):
        for place in range(least, len(column) - least + 1):
            if column[place] > column[place - 1]:
                parts = given[:place], given[place:]
                best = min(best, sum(len(part) * part.var() for part in parts))
    return best


@pytest.mark.parametrize("least", [1, 3])
def test_no_split_is_better_than_the_one_taken(least):
    random = np.random.default_rng(0)
    for rows in (2, 5, 6, 7, 30):
        table = random.integers(0, 5, size=(rows, 3)).astype(np.float32)
        order = sort_rows(table)
        answers = random.normal(size=rows)[order]
        values = np.take_along_axis(table.T, order, axis=1)
        found = best_split(values, answers[None], least)
        wanted = naive_split(values, answers, least)
        if found is None:
            assert wanted == np.inf
            continue
        given = answers[found[0]]
        parts = given[: found[1]], given[found[1] :]
        assert sum(len(part) * part.var() for part in parts) == pytest.approx(wanted)


def test_a_tree_is_read_as_it_was_grown():
    random = np.random.default_rng(1)
    table, answers = random.normal(size=(60, 4)).astype(np.float32), random.normal(size=(60, 2))
    tree: Tree = grow(
        table, answers, sort_rows(table), criterion="squared_error", max_depth=4, min_samples_leaf=3
    )
    leaf = tree.leaf(table)
    assert (tree.feature[leaf] < 0).all()
    for node in np.unique(leaf):
        assert tree.rows[node] == (leaf == node).sum() >= 3
        np.testing.assert_allclose(tree.value[node], answers[leaf == node].mean(axis=0))
    assert tree.depth.max() <= 4
    assert tree.leaves == len(np.unique(leaf))


def test_the_metrics_are_what_they_say(given):
    cohort = given("wine", 2)
    whole, stump = fit(cohort), fit(cohort, max_depth=1)
    assert (whole.metrics["train_accuracy"] == 1).all()
    assert (whole.metrics["train_impurity"] == 0).all()
    assert (stump.metrics["leaves"] == 2).all()
    assert (stump.metrics["depth"] == 1).all()
    assert (stump.metrics["smallest_leaf"] > 10).all()
    for place, rows in enumerate(cohort.experience.rows):
        oracle = DecisionTreeClassifier(max_depth=1, random_state=0)
        oracle.fit(cohort.experience.features[rows], cohort.experience.target[rows])
        leaves = oracle.tree_.impurity[1:] @ oracle.tree_.n_node_samples[1:] / len(rows)
        assert stump.metrics["train_impurity"][place] == pytest.approx(leaves)


def test_equal_rows_and_constant_answers_end_in_one_leaf(given):
    cohort = given("wine", 1)
    for features, target in (
        (np.ones((9, 2), np.float32), np.arange(9) % 3),
        (np.arange(18, dtype=np.float32).reshape(9, 2), np.ones(9, np.int64)),
    ):
        same = Experience(
            features=features,
            target=target,
            rows=(np.arange(9),),
            task="classification",
            classes=cohort.experience.classes,
        )
        (step,) = decision_tree.train(same, cohort.seeds, Config())
        assert step.metrics["leaves"][0] == 1
        expected = np.bincount(target, minlength=3) / 9
        np.testing.assert_allclose(step.model.predict([features])[0], np.tile(expected, (9, 1)))


def test_entropy_of_values_is_refused(given):
    cohort = given("diabetes", 1)
    with pytest.raises(BadValue, match="impurity of classes"):
        fit(cohort, criterion="entropy")
