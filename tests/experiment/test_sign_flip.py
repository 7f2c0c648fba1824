import itertools
import math

import numpy as np
import pytest
from adastop import MultipleAgentsComparator
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from modelwright.base.errors import BadValue
from modelwright.experiment import sign_flip
from modelwright.experiment.rule import Rule, build_rule
from modelwright.experiment.sign_flip import SignFlipRule

Array = NDArray[np.float64]


def planned(looks: tuple[int, ...], alpha: float = 0.05) -> SignFlipRule:
    rule = build_rule(
        Rule(kind="group_sequential", looks=looks, test="sign_flip", spending="lan_demets_pocock"),
        seeds=looks[-1], alpha=alpha,
    )  # fmt: skip
    assert isinstance(rule, SignFlipRule)
    return rule


def twin(d: Array, looks: tuple[int, ...], spent: tuple[float, ...], effect: float) -> bool:
    """Tell whether `effect` is ruled out from below at any of the looks: the definition, path by path."""
    sizes = d - effect
    paths = list(itertools.product([1, -1], repeat=len(d)))
    crossed: set[tuple[int, ...]] = set()
    for seeds, level in zip(looks, spent, strict=True):
        sums = {
            path: math.fsum(s * x for s, x in zip(path[:seeds], sizes[:seeds], strict=True)) for path in paths
        }
        alive = [path for path in paths if path not in crossed]
        new = {
            path
            for path in alive
            if sum(sums[other] >= sums[path] for other in alive) + len(crossed) <= level * len(paths)
        }
        crossed |= new
    return paths[0] in crossed


@pytest.mark.parametrize("looks", [(6,), (7, 9), (6, 7, 8)])
@pytest.mark.parametrize("seed", range(3))
def test_the_sequential_test_agrees_with_its_definition(looks: tuple[int, ...], seed: int) -> None:
    spent = tuple(0.05 * (look / looks[-1]) for look in looks)
    rule = SignFlipRule(looks=looks, spent=spent, alpha=0.1)
    d = np.random.default_rng(seed).normal(0.6, 1.0, looks[-1])
    for effect in np.linspace(-1.2, 1.6, 8):
        found = rule.beyond(d[None], float(effect))[0]
        for at in range(len(looks)):
            expected = twin(d[: looks[at]], looks[: at + 1], spent[: at + 1], float(effect))
            assert found[at] == expected


def test_a_fixed_interval_is_hartigans_from_sorted_means_of_subsets() -> None:
    d = np.random.default_rng(4).normal(size=9)
    subsets = [np.mean(part) for size in range(1, 10) for part in itertools.combinations(d, size)]
    room = math.floor(0.025 * 2**9)
    limits = np.sort(subsets)[[room - 1, -room]]
    found = build_rule(Rule(test="sign_flip"), seeds=9, alpha=0.05).interval(d, 0)
    assert (found.low, found.high) == pytest.approx(tuple(limits), abs=1e-8)


@settings(max_examples=40)
@given(st.lists(st.integers(-4, 4), min_size=9, max_size=9), st.integers(0, 1))
def test_what_is_ruled_out_lies_below_the_limit_even_with_ties(values: list[int], look: int) -> None:
    rule, d = planned((7, 9)), np.array(values, dtype=float)
    found = rule.interval(d[: rule.looks[look]], look)
    if found.low == found.high:
        return
    for effect in np.linspace(-5, 5, 41):
        if abs(effect - found.low) > 1e-6:
            assert rule.beyond(d[None], float(effect))[0, look] == (effect < found.low)
        if abs(effect - found.high) > 1e-6:
            assert rule.short_of(d[None], float(effect))[0, look] == (effect > found.high)


@pytest.mark.parametrize("looks", [(6, 7, 8, 9, 10), (8, 12), (10, 16)])
def test_the_error_is_as_planned_for_symmetric_results_of_any_shape(looks: tuple[int, ...]) -> None:
    rule = planned(looks)
    generator = np.random.default_rng(8)
    experiments = 1_500
    sizes = generator.choice([0.01, 1.0, 30.0], size=(experiments, looks[-1])) * np.arange(1, looks[-1] + 1)
    d = sizes * generator.choice([-1.0, 1.0], size=sizes.shape)
    for crossed in (rule.beyond(d, 0.0), rule.short_of(d, 0.0)):
        assert (np.diff(crossed.astype(int), axis=1) >= 0).all()
        assert crossed[:, -1].mean() <= 0.025 + 3 * np.sqrt(0.025 / experiments)
        assert crossed[:, -1].mean() > 0.01


def test_sampled_paths_keep_the_level_given_the_sizes() -> None:
    # The share of sign patterns of one fixed set of sizes that the rule rejects, over the drawn paths.
    rule = build_rule(Rule(test="sign_flip"), seeds=18, alpha=0.1)
    generator = np.random.default_rng(2)
    sizes = generator.lognormal(size=18)
    d = sizes * generator.choice([-1.0, 1.0], size=(2_000, 18))
    assert rule.beyond(d, 0.0).mean() == pytest.approx(0.05, abs=3 * np.sqrt(0.05 / 2_000))


def test_beyond_fourteen_seeds_the_limits_are_close_to_the_exact_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    d = np.random.default_rng(6).normal(1.0, 1.0, 16)
    rule = build_rule(Rule(test="sign_flip"), seeds=16, alpha=0.05)
    sampled = rule.interval(d, 0)
    monkeypatch.setattr(sign_flip, "_ALL_SIGNS", 16)
    sign_flip._signs.cache_clear()  # pyright: ignore[reportPrivateUsage]
    exact = rule.interval(d, 0)
    sign_flip._signs.cache_clear()  # pyright: ignore[reportPrivateUsage]
    assert sampled.low == pytest.approx(exact.low, abs=0.05 * exact.width)
    assert sampled.high == pytest.approx(exact.high, abs=0.05 * exact.width)


def test_the_drawn_paths_are_the_same_in_every_process_and_hold_the_observed_one() -> None:
    signs = sign_flip._signs(20)  # pyright: ignore[reportPrivateUsage]
    assert (signs[:, 0] == 1).all()
    assert len(np.unique(signs[:14].T, axis=0)) == 2**14
    assert abs(signs[14:].mean()) < 0.02
    assert signs[14, 1:9].tolist() == [-1, -1, 1, 1, 1, -1, 1, -1]
    assert not (signs[14] == signs[15]).all()


def test_a_clear_difference_is_seen_as_early_as_adastop_sees_it() -> None:
    generator = np.random.default_rng(0)
    candidate, baseline = generator.normal(5.0, 1.0, 24), generator.normal(0.0, 1.0, 24)
    # AdaStop in groups of 6 over 4 looks, two-sided: the idea that this rule carries over to pairs.
    oracle = MultipleAgentsComparator(n=6, K=4, B=5_000, alpha=0.05, seed=1)
    oracle.partial_compare({"candidate": candidate[:6], "baseline": baseline[:6]}, verbose=False)
    assert set(oracle.decisions.values()) == {"larger"}
    rule = planned((8, 12, 18, 24))
    assert rule.beyond((candidate - baseline)[None], 0.0)[0, 0]


def test_without_a_difference_neither_adastop_nor_the_rule_decides() -> None:
    generator = np.random.default_rng(3)
    candidate, baseline = generator.normal(0.0, 1.0, 24), generator.normal(0.0, 1.0, 24)
    oracle = MultipleAgentsComparator(n=6, K=4, B=5_000, alpha=0.05, seed=1)
    for look in range(1, 5):
        oracle.partial_compare(
            {"candidate": candidate[: 6 * look], "baseline": baseline[: 6 * look]}, verbose=False
        )
    assert set(oracle.decisions.values()) == {"equal"}
    d = (candidate - baseline)[None]
    assert not planned((8, 12, 18, 24)).beyond(d, 0.0).any()
    assert not planned((8, 12, 18, 24)).short_of(d, 0.0).any()


def test_a_look_that_comes_too_early_is_told_the_number_even_beyond_the_last_look() -> None:
    with pytest.raises(BadValue, match="look 1 at 6 seeds") as caught:
        build_rule(Rule(kind="group_sequential", test="sign_flip", looks=(3, 4, 5)), seeds=5, alpha=0.05)
    needed = Rule(kind="group_sequential", test="sign_flip", looks=(6, 7))
    assert build_rule(needed, seeds=7, alpha=0.05).looks == (6, 7)
    assert "plan more seeds" not in str(caught.value)


@pytest.mark.parametrize("seeds", [30, 900])
def test_a_level_below_what_is_counted_is_no_matter_of_seeds(seeds: int) -> None:
    with pytest.raises(BadValue, match="however many seeds") as caught:
        build_rule(Rule(test="sign_flip"), seeds=seeds, alpha=1e-4)
    assert "plan" not in str(caught.value.next_step)
