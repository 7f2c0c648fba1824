import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from modelwright.base.errors import BadValue, UnknownName
from modelwright.experiment.rule import Rule, StoppingRule, build_rule
from modelwright.experiment.spending import SPENDINGS

RULES = [
    Rule(),
    Rule(test="sign_flip"),
    Rule(kind="group_sequential", looks=(6, 9, 12), spending="pocock"),
    Rule(kind="group_sequential", looks=(4, 8, 12), spending="lan_demets_obrien_fleming"),
    Rule(kind="group_sequential", looks=(8, 10, 12), test="sign_flip"),
    Rule(kind="confidence_sequence", low=-40.0, high=40.0),
    Rule(kind="confidence_sequence", looks=(5, 12), low=-40.0, high=40.0),
]


def built(rule: Rule, seeds: int = 12, alpha: float = 0.05) -> StoppingRule:
    return build_rule(rule, seeds=seeds, alpha=alpha)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.kind}-{rule.test}-{len(rule.looks)}")
class TestEveryRule:
    def test_ends_at_all_seeds_and_says_what_it_does_and_assumes(self, rule: Rule) -> None:
        it = built(rule)
        assert it.looks[-1] == 12
        assert all(len(text) > 10 for text in (it.name, it.description, it.assumption))
        assert it.description.endswith(".")

    @settings(max_examples=15)
    @given(data=st.data())
    def test_moves_and_turns_with_the_differences(self, rule: Rule, data: st.DataObject) -> None:
        it = built(rule)
        look = data.draw(st.integers(0, len(it.looks) - 1))
        d = np.array(data.draw(st.lists(st.floats(-9, 9), min_size=it.looks[look], max_size=it.looks[look])))
        here, tolerance = it.interval(d, look), 1e-6
        turned = it.interval(-d, look)
        assert turned.low == pytest.approx(-here.high, abs=tolerance)
        assert turned.high == pytest.approx(-here.low, abs=tolerance)
        assert here.estimate == pytest.approx(d.mean(), abs=1e-9)
        assert here == it.interval(d.tolist(), look)
        if rule.kind != "confidence_sequence":  # its bounds would have to move too
            moved = it.interval(d + 3.0, look)
            assert moved.low == pytest.approx(here.low + 3, abs=tolerance)
            assert moved.high == pytest.approx(here.high + 3, abs=tolerance)

    def test_gives_a_wider_interval_at_a_smaller_error(self, rule: Rule) -> None:
        d = np.random.default_rng(3).normal(1.0, 2.0, 12)
        try:
            careful = built(rule, alpha=0.02)
        except BadValue:
            careful = built(rule, alpha=0.04)
        bold = built(rule, alpha=0.2)
        last = len(bold.looks) - 1
        assert careful.interval(d, last).low < bold.interval(d, last).low
        assert careful.interval(d, last).high > bold.interval(d, last).high

    def test_refuses_differences_that_are_not_those_of_the_look(self, rule: Rule) -> None:
        it = built(rule)
        for wrong in (np.zeros(11), np.zeros(13), np.full(12, np.nan)):
            with pytest.raises(BadValue):
                it.interval(wrong, len(it.looks) - 1)
        with pytest.raises(BadValue, match="planned looks"):
            it.interval(np.zeros(12), len(it.looks))

    def test_settles_equal_differences_without_dividing_by_their_spread(self, rule: Rule) -> None:
        found = built(rule).interval(np.full(12, 0.1), len(built(rule).looks) - 1)
        assert found.low <= 0.1 + 1e-9
        assert found.high >= 0.1 - 1e-9

    def test_touches_no_global_random_state(self, rule: Rule) -> None:
        before = np.random.get_state()[1].copy()  # noqa: NPY002 - the state that must stay untouched
        built(rule).interval(np.linspace(-1, 2, 12), len(built(rule).looks) - 1)
        assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


@settings(max_examples=50)
@given(st.lists(st.floats(-100, 100), min_size=3, max_size=40), st.sampled_from([0.01, 0.05, 0.2]))
def test_a_fixed_t_interval_is_that_of_scipy(values: list[float], alpha: float) -> None:
    d = np.array(values)
    if np.ptp(d) < 1e-6:
        return
    found = build_rule(Rule(), seeds=d.size, alpha=alpha).interval(d, 0)
    oracle = stats.ttest_1samp(d, 0.0).confidence_interval(1 - alpha)
    assert found.low == pytest.approx(oracle.low, rel=1e-9, abs=1e-9)
    assert found.high == pytest.approx(oracle.high, rel=1e-9, abs=1e-9)
    assert found.level == 1 - alpha


def test_new_data_widens_the_interval_as_nadeau_and_bengio_say() -> None:
    d = np.random.default_rng(0).normal(0.1, 0.2, 10)
    found = build_rule(Rule(), seeds=10, alpha=0.05, scope_inflation=0.25).interval(d, 0)
    half = stats.t.isf(0.025, 9) * np.sqrt(d.var(ddof=1) * (1 / 10 + 0.25))
    assert found.width / 2 == pytest.approx(half, rel=1e-10)


@pytest.mark.parametrize("inflation", [0.11, 0.25, 1.0])
def test_repeated_looks_stay_within_their_error_when_training_sets_overlap(inflation: float) -> None:
    # Differences that share a part of variance inflation / (1 + inflation): Nadeau and Bengio's model.
    rule = build_rule(
        Rule(kind="group_sequential", looks=(3, 6, 9, 12, 15), spending="pocock"),
        seeds=15, alpha=0.05, scope_inflation=inflation,
    )  # fmt: skip
    generator = np.random.default_rng(5)
    d = generator.standard_normal((100_000, 15)) + np.sqrt(inflation) * generator.standard_normal(
        (100_000, 1)
    )
    false = rule.beyond(d, 0.0).any(axis=1).mean()
    assert false <= 0.025 + 3 * np.sqrt(0.025 / 100_000)
    assert false > 0.012


@pytest.mark.parametrize(
    ("options", "unused"),
    [
        ({"looks": (8,)}, "looks"),
        ({"spending": "pocock"}, "spending"),
        ({"low": 0.0}, "low"),
        ({"kind": "group_sequential", "looks": (8,), "high": 1.0}, "high"),
        ({"kind": "confidence_sequence", "test": "sign_flip"}, "test"),
        ({"kind": "confidence_sequence", "spending": "pocock"}, "spending"),
    ],
)
def test_an_option_that_the_kind_does_not_use_is_refused(options: dict[str, object], unused: str) -> None:
    with pytest.raises(BadValue, match=rf"does not use rule\.{unused}"):
        Rule(**options)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("field", "name", "nearest"),
    [
        ("kind", "group-sequential", "group_sequential"),
        ("test", "signflip", "sign_flip"),
        ("spending", "obrien", "obrien_fleming"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(field: str, name: str, nearest: str) -> None:
    with pytest.raises(UnknownName, match=nearest):
        Rule(**{field: name})  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("looks", [(6, 4), (4, 4), (1, 4), (4.5, 6), (True, 6)])
def test_looks_that_do_not_grow_in_whole_seeds_are_refused(looks: tuple[int, ...]) -> None:
    with pytest.raises(BadValue, match="looks"):
        Rule(kind="group_sequential", looks=looks)


def test_looks_end_at_all_seeds() -> None:
    rule = Rule(kind="group_sequential", looks=(4, 8))
    with pytest.raises(BadValue, match=r"Nearest: \[4, 8, 12\]"):
        built(rule)
    with pytest.raises(BadValue, match="last look"):
        built(rule, seeds=6)
    with pytest.raises(BadValue, match=r"rule.looks=\[3, 6, 9, 12\]"):
        built(Rule(kind="group_sequential"))


def test_a_t_interval_of_two_seeds_is_refused_while_planning() -> None:
    with pytest.raises(BadValue, match="at least 3 seeds"):
        built(Rule(kind="group_sequential", looks=(2, 12)))
    with pytest.raises(BadValue, match="at least 3 seeds"):
        built(Rule(), seeds=2)


def test_a_sign_flip_look_with_too_few_seeds_is_refused_with_level_and_number() -> None:
    with pytest.raises(
        BadValue, match=r"look 1 at 5 seeds, which must reach one-sided level 0\.025.*6 seeds"
    ):
        built(Rule(test="sign_flip"), seeds=5)
    built(Rule(test="sign_flip"), seeds=6)
    early = Rule(kind="group_sequential", looks=(4, 8, 12), test="sign_flip")
    with pytest.raises(BadValue, match="look 1 at 4 seeds") as refusal:
        built(early)
    needed = int(str(refusal.value.nearest).split()[-2])
    built(Rule(kind="group_sequential", looks=(needed, 12), test="sign_flip"))
    with pytest.raises(BadValue):
        built(Rule(kind="group_sequential", looks=(needed - 1, 12), test="sign_flip"))


def test_a_sign_flip_test_of_very_many_seeds_is_refused() -> None:
    with pytest.raises(BadValue, match="at most 1,000 seeds"):
        built(Rule(test="sign_flip"), seeds=1_001)


def test_rules_serve_hundreds_of_seeds() -> None:
    d = np.random.default_rng(0).normal(0.1, 1.0, 200)
    t = built(Rule(), seeds=200).interval(d, 0)
    flips = built(Rule(test="sign_flip"), seeds=200).interval(d, 0)
    assert (flips.low, flips.high) == pytest.approx((t.low, t.high), abs=0.015)
    many = built(Rule(kind="group_sequential", looks=(10, 100, 200)), seeds=200).interval(d, 2)
    assert many.low < t.low < t.high < many.high


def test_a_sign_flip_look_that_no_number_of_seeds_can_save_says_so() -> None:
    with pytest.raises(BadValue, match="however many seeds"):
        built(Rule(test="sign_flip"), seeds=20, alpha=1e-5)


@pytest.mark.parametrize("rule", [RULES[1], RULES[4], RULES[5]])
def test_rules_for_independent_seeds_refuse_to_speak_of_new_data(rule: Rule) -> None:
    with pytest.raises(BadValue, match="new data") as refusal:
        build_rule(rule, seeds=12, alpha=0.05, scope_inflation=0.2)
    assert "rule.test=t" in str(refusal.value)


def test_a_confidence_sequence_takes_bounds_from_the_rule_before_those_of_the_metric() -> None:
    plain = Rule(kind="confidence_sequence")
    with pytest.raises(BadValue, match="needs bounds"):
        built(plain)
    from_metric = build_rule(plain, seeds=12, alpha=0.05, bounds=(-1.0, 1.0))
    own = build_rule(
        Rule(kind="confidence_sequence", low=-0.1, high=0.1), seeds=12, alpha=0.05, bounds=(-1.0, 1.0)
    )
    d = np.full(12, 0.05)
    assert own.interval(d, 10).width < from_metric.interval(d, 10).width
    with pytest.raises(BadValue, match=r"below rule.high"):
        built(Rule(kind="confidence_sequence", low=1.0, high=-1.0))


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, -0.1, float("nan")])
def test_an_impossible_error_rate_is_refused(alpha: float) -> None:
    with pytest.raises(BadValue, match="alpha"):
        built(Rule(), alpha=alpha)


def test_impossible_seeds_and_overlaps_are_refused() -> None:
    for seeds in (1, 0, -3, 2.0, True):
        with pytest.raises(BadValue, match="at least 2 seeds"):
            build_rule(Rule(), seeds=seeds, alpha=0.05)  # pyright: ignore[reportArgumentType]
    for overlap in (-0.1, float("inf"), float("nan")):
        with pytest.raises(BadValue, match="scope_inflation"):
            build_rule(Rule(), seeds=5, alpha=0.05, scope_inflation=overlap)


@pytest.mark.parametrize("spending", SPENDINGS)
def test_one_look_of_a_sequential_rule_is_the_fixed_rule(spending: str) -> None:
    d = np.random.default_rng(1).normal(size=9)
    for test in ("t", "sign_flip"):
        one = Rule(kind="group_sequential", looks=(9,), spending=spending, test=test)  # pyright: ignore[reportArgumentType]
        fixed = built(Rule(test=test), seeds=9).interval(d, 0)  # pyright: ignore[reportArgumentType]
        found = built(one, seeds=9).interval(d, 0)
        assert (found.low, found.high) == pytest.approx((fixed.low, fixed.high))


def test_looks_may_be_a_list_and_a_tiny_alpha_is_refused_before_any_run() -> None:
    assert Rule(kind="group_sequential", looks=[4, 6]).looks == (4, 6)  # pyright: ignore[reportArgumentType]
    with pytest.raises(BadValue, match="alpha"):
        build_rule(Rule(), seeds=5, alpha=1e-300)
