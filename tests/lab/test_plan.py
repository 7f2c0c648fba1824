"""Plans: seeds, power and cost before the first run."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelwright.base.errors import BadValue, UnknownName, WorkerLost
from modelwright.base.seed import derive_seeds
from modelwright.experiment.betting import BettingRule
from modelwright.experiment.design import Design
from modelwright.experiment.sample_size import seeds_needed
from modelwright.lab.executor.job import Executor
from modelwright.lab.launch import Launch
from modelwright.lab.plan import plan as plan_module
from modelwright.lab.plan.cost import cumulative_seconds
from modelwright.lab.plan.page import show_plan
from modelwright.lab.plan.pilot import Cost, run_pilot
from modelwright.lab.plan.plan import PILOT, Plan, plan_design
from modelwright.lab.prepare import prepare_design
from modelwright.lab.project import Project
from modelwright.lab.run import run_design

NOISE = """\
import time

loaded = False

def train(rng, level: float = 0.5, spread: float = 0.05, seconds: float = 0.0, load: float = 0.0):
    global loaded
    if not loaded:
        time.sleep(load)
        loaded = True
    time.sleep(seconds)
    yield {"quality": level + spread * rng.normal()}

def unsteady(level: float = 0.5):
    yield {"quality": level + time.perf_counter_ns() % 1000 / 1e4}

def diverges(rng, share: float = 1.0, number: str = "nan"):
    yield {"quality": float(number) if rng.uniform() < share else rng.uniform()}

def raises():
    yield {"quality": 1 / 0}
"""

MINE: dict[str, Any] = {
    "name": "mine",
    "question": {
        "hypothesis": "one is better than two",
        "metric": "quality",
        "reported": True,
        "direction": "maximize",
        "smallest_effect": 0.1,
        "low": 0,
        "high": 1,
    },
    "data": {"kind": "sklearn", "name": "wine"},
    "variants": {
        "one": {"learner": "mine.py:train", "level": 0.6, "spread": 0.08},
        "two": {"learner": "mine.py:train"},
    },
    "seeds": 12,
    "rule": {"kind": "group_sequential", "looks": [4, 8, 12]},
}

Planner = Callable[..., Plan]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "mine.py").write_text(NOISE)
    return Project.find(tmp_path, journal=Path("record"))


@pytest.fixture
def plan(project: Project, here: Executor, monkeypatch: pytest.MonkeyPatch) -> Planner:
    monkeypatch.setattr(plan_module, "open_executor", lambda launch: here)

    def planner(base: Mapping[str, Any] = MINE, *, pilot: int = 4, **settings: Any) -> Plan:
        return plan_design(Design.from_mapping({**base, **settings}), project, pilot=pilot)

    return planner


def question(**settings: Any) -> dict[str, Any]:
    return {**MINE["question"], **settings}


def variants(one: Mapping[str, Any], two: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {"one": one, "two": two or {"learner": "mine.py:train"}}


def pilots(project: Project) -> list[Mapping[str, Any]]:
    with project.open_journal(read_only=True) as journal:
        return [entry.body for entry in journal.entries(kind=PILOT)]


def said(plan: Plan) -> str:
    from rich.console import Console

    console = Console(width=200, no_color=True)
    with console.capture() as captured:
        console.print(show_plan(plan))
    return captured.get()


# ---- the pilot ----


def test_a_pilot_registers_nothing_and_is_entered_once(project: Project, plan: Planner) -> None:
    made = plan()
    with project.open_journal(read_only=True) as journal:
        kinds = [entry.kind for entry in journal.entries()]
        assert journal.registrations() == []
        assert journal.runs() == []
    assert kinds.count(PILOT) == 1
    (body,) = pilots(project)
    assert body["name"] == "mine"
    assert {name: len(scores) for name, scores in body["scores"].items()} == {"one": 4, "two": 4}
    assert made.registered == 12


def test_a_plan_does_not_show_what_the_pilot_found(project: Project, plan: Planner) -> None:
    made = plan()
    (body,) = pilots(project)
    means = {name: float(np.mean(scores)) for name, scores in body["scores"].items()}
    numbers = [*means.values(), means["one"] - means["two"], *body["scores"]["one"], *body["scores"]["two"]]
    text = json.dumps(made.record()) + said(made)
    assert not [number for number in numbers if f"{abs(number):.4f}"[:6] in text]


def test_pilot_seeds_and_splits_are_others_than_the_designs(project: Project, here: Executor) -> None:
    seen: list[Any] = []

    class Watching:
        slots = 1

        def run(self, workload: Any, jobs: Any) -> Any:
            seen.extend(jobs)
            yield from here.run(workload, jobs)

        def close(self) -> None:
            pass

    for fixed in (False, True):
        seen.clear()
        settings = {"split": {"fixed": fixed}, "scope": "this_test_set" if fixed else "other_splits"}
        prepared = prepare_design(Design.from_mapping({**MINE, **settings}), project)
        run_pilot(prepared, Watching(), 4, threads=1)
        own_seeds = {seed.key for seed in derive_seeds(prepared.root, 10_000)}
        own_splits = {part.identity for part in prepared.parts}
        assert {seed.key for job in seen for seed in job.seeds}.isdisjoint(own_seeds)
        assert {part.identity for job in seen for part in job.parts}.isdisjoint(own_splits)
        assert len({part.identity for job in seen for part in job.parts}) == (1 if fixed else 4)


@pytest.mark.parametrize(
    ("pilot", "says"), [(1, "at least 2"), (0, "at least 2"), (-3, "at least 2"), (1001, "1000")]
)
def test_a_pilot_has_a_sensible_number_of_seeds(
    pilot: int, says: str, plan: Planner, project: Project
) -> None:
    with pytest.raises(BadValue, match=says):
        plan(pilot=pilot)
    with pytest.raises(BadValue, match="whole number"):
        plan(pilot=2.5)
    assert not project.journal_folder.exists()


def test_a_design_that_names_its_spread_needs_one_pilot_seed(plan: Planner) -> None:
    made = plan(spread=0.07, pilot=1)
    assert (made.spread, made.spread_from) == (0.07, "the design")
    with pytest.raises(BadValue, match="a seed"):
        plan(spread=0.07, pilot=0)


def test_the_spread_is_an_upper_limit_of_the_pilots(plan: Planner, project: Project) -> None:
    from scipy.stats import chi2

    made = plan(pilot=6)
    scores = pilots(project)[0]["scores"]
    found = np.std(np.array(scores["one"]) - np.array(scores["two"]), ddof=1)
    assert made.spread == pytest.approx(found * np.sqrt(5 / chi2.ppf(0.2, 5)))
    assert made.spread > found


def test_a_learner_that_raises_ends_the_plan_and_leaves_a_trace(plan: Planner, project: Project) -> None:
    with pytest.raises(WorkerLost, match="ZeroDivisionError"):
        plan(variants=variants({"learner": "mine.py:raises"}))
    assert pilots(project)[0]["error"]["error"] == "WorkerLost"
    assert plan().registered == 12


@pytest.mark.parametrize("number", ["nan", "1e300"])
def test_a_learner_that_diverges_ends_the_plan(number: str, plan: Planner) -> None:
    unbounded = question(low=None, high=None)
    diverging = variants({"learner": "mine.py:diverges", "number": number})
    with pytest.raises(BadValue, match="finite results"):
        plan(variants=diverging, question=unbounded)
    with pytest.raises(BadValue, match="finite results"):
        plan(variants=diverging, question=unbounded, spread=0.1, pilot=1)


def test_an_accepted_divergence_counts_as_the_worst_value(plan: Planner, project: Project) -> None:
    made = plan(
        variants=variants({"learner": "mine.py:diverges", "share": 0.5}), accept=["diverged-trial"], pilot=8
    )
    scores = pilots(project)[0]["scores"]["one"]
    assert None in scores
    assert any(score is not None for score in scores)
    assert made.spread > 0.2


def test_the_same_difference_at_all_seeds_is_no_estimate(plan: Planner) -> None:
    flat = {"learner": "mine.py:train", "spread": 0.0}
    with pytest.raises(BadValue, match="the same difference at all 4 seeds") as caught:
        plan(variants=variants({**flat, "level": 0.7}, flat))
    assert "set the design's spread" in str(caught.value)
    made = plan(variants=variants({**flat, "level": 0.7}, flat), spread=0.1)
    assert any("same number at all 4 seeds" in warning for warning in made.warnings)


def test_a_sign_flip_rule_that_cannot_decide_is_refused_before_the_pilot(
    plan: Planner, project: Project
) -> None:
    with pytest.raises(BadValue, match="Nearest: look 1 at 6 seeds"):
        plan(rule={"test": "sign_flip"}, seeds=5)
    assert pilots(project) == []


def test_a_wrong_learner_is_refused_before_the_pilot(plan: Planner) -> None:
    with pytest.raises(UnknownName, match="Nearest: train"):
        plan(variants=variants({"learner": "mine.py:trian"}))


# ---- seeds and power ----


def test_power_is_that_of_the_t_test(plan: Planner) -> None:
    from statsmodels.stats.power import TTestPower

    made = plan(rule={"kind": "fixed"}, spread=0.15, seeds=14)
    assert [prospect.effect for prospect in made.prospects] == pytest.approx([0.0, 0.1, 0.2])
    for prospect in made.prospects:
        exact = TTestPower().power(prospect.effect / 0.15, 14, 0.025, alternative="larger")
        assert prospect.supported == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 10_000))
        assert prospect.seeds == 14
    assert made.needed == seeds_needed(0.1, 0.15, 0.8, 0.05, 0.0, largest=10_000)


def test_several_comparisons_need_more_seeds(plan: Planner) -> None:
    three = {
        name: {"learner": "mine.py:train", "level": level}
        for name, level in zip("abc", (0.7, 0.6, 0.5), strict=True)
    }
    settings: dict[str, Any] = {"variants": three, "spread": 0.15, "question": question(smallest_effect=0.08)}
    one = plan(spread=0.15, question=question(smallest_effect=0.08))
    both = plan(**settings, compare=[["a", "b"], ["a", "c"]])
    assert both.needed == seeds_needed(0.08, 0.15, 0.8, 0.025, 0.0, largest=10_000)
    assert both.needed > one.needed
    assert both.prospects[1].supported < one.prospects[1].supported


def test_no_number_of_seeds_may_be_enough(plan: Planner) -> None:
    made = plan(scope="new_data", spread=0.5, question=question(smallest_effect=0.01))
    assert made.needed is None
    assert made.obstacle
    assert "No number of seeds is enough" in said(made)


def test_the_same_plan_comes_out_twice(plan: Planner) -> None:
    one, two = plan(), plan()
    assert (one.prospects, one.spread, one.needed) == (two.prospects, two.spread, two.needed)


# ---- warnings ----

BETTING = {"kind": "confidence_sequence"}


def test_a_betting_rule_that_can_never_be_narrow_enough_is_told(plan: Planner) -> None:
    made = plan(rule=BETTING, seeds=20, spread=0.05)
    (warning,) = [text for text in made.warnings if "narrower" in text]
    seeds = int(warning.partition("It takes about ")[2].split(" ")[0])
    assert BettingRule(looks=(20,), alpha=0.05, low=-1, high=1).narrowest > 0.1
    assert BettingRule(looks=(seeds,), alpha=0.05, low=-1, high=1).narrowest <= 0.1
    assert BettingRule(looks=(int(0.97 * seeds),), alpha=0.05, low=-1, high=1).narrowest > 0.1
    assert warning in said(made).replace("Warning: ", "")
    assert warning in made.record()["warnings"]


@pytest.mark.slow
def test_a_betting_rule_with_seeds_and_bounds_enough_is_not(plan: Planner) -> None:
    wide = plan(rule=BETTING, seeds=30, spread=0.05, question=question(smallest_effect=0.9))
    tight = plan(rule={**BETTING, "low": -0.3, "high": 0.3, "looks": [100, 200]}, seeds=200, spread=0.02)
    assert not [text for made in (wide, tight) for text in made.warnings if "narrower" in text]


def test_draws_beyond_a_betting_rules_bounds_do_not_end_the_plan(plan: Planner) -> None:
    made = plan(rule=BETTING, seeds=10, spread=0.9, question=question(smallest_effect=0.8))
    assert 0 <= made.prospects[0].supported <= 0.05


def test_too_little_power_is_told_and_enough_is_not(plan: Planner) -> None:
    assert any("probability 0." in text for text in plan(spread=0.5).warnings)
    assert plan(spread=0.04).warnings == ()


def test_a_budget_that_is_too_small_is_told(plan: Planner) -> None:
    slow = variants({"learner": "mine.py:train", "seconds": 0.05, "spread": 0.08})
    assert any("budget is 0.3 s" in text for text in plan(variants=slow, budget={"seconds": 0.3}).warnings)
    assert not any("budget" in text for text in plan(variants=slow, budget={"seconds": 300}).warnings)


def test_a_learner_that_does_not_follow_its_seed_is_told(plan: Planner) -> None:
    made = plan(variants=variants({"learner": "mine.py:unsteady"}), spread=0.05)
    assert [text.split(" ")[0] for text in made.warnings if "other than its seed" in text] == ["one"]


def test_a_severe_finding_is_told_before_the_first_run(project: Project, plan: Planner) -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=80)
    rows = "\n".join(f"{a:.5f},{b:.5f},{b * 2:.5f}" for a, b in zip(x, random.normal(size=80), strict=True))
    (project.root / "leak.csv").write_text(f"a,leak,y\n{rows}\n")
    data = {"kind": "csv", "path": "leak.csv", "target": "y"}
    made = plan(data=data, spread=0.05)
    severe = [finding.kind for finding in made.findings if finding.severity == "severe"]
    assert severe
    assert any(f"accept=[{severe[0]}]" in text for text in made.warnings)
    assert not any("invalid" in text for text in plan(data=data, spread=0.05, accept=severe).warnings)


# ---- cost ----


def naive_seconds(
    costs: Mapping[str, Cost], looks: tuple[int, ...], slots: int, cuts: int
) -> tuple[list[float], list[float]]:
    """Deal jobs to the slot that is free first, minute by minute."""
    walls, trainings, wall, trained, before = [], [], 0.0, 0.0, 0
    for now in looks:
        busy = np.zeros(slots)
        for cost in costs.values():
            for part in np.array_split(np.arange(now - before), min(cuts, now - before)):
                busy[busy.argmin()] += cost.fixed + cost.each * len(part)
                trained += cost.fixed + cost.each * len(part)
        wall, before = wall + busy.max(), now
        walls.append(wall)
        trainings.append(trained)
    return walls, trainings


@pytest.mark.parametrize(("slots", "cuts"), [(1, 1), (2, 2), (3, 3), (16, 16), (2, 1), (4, 2)])
@pytest.mark.parametrize("looks", [(12,), (4, 8, 12), (3, 4, 11), tuple(range(2, 9))])
def test_the_schedule_costs_what_a_naive_dealer_finds(slots: int, cuts: int, looks: tuple[int, ...]) -> None:
    costs = {"a": Cost(fixed=1.0, each=0.5), "b": Cost(fixed=0.0, each=2.0), "c": Cost(fixed=3.0, each=0.0)}
    wall, trained = cumulative_seconds(costs, looks, slots, cuts)
    walls, trainings = naive_seconds(costs, looks, slots, cuts)
    assert wall == pytest.approx(walls)
    assert trained == pytest.approx(trainings)


def test_loading_a_library_is_counted_once(plan: Planner) -> None:
    slow = {"learner": "mine.py:train", "level": 0.6, "seconds": 0.04, "load": 1.5}
    made = plan(variants=variants(slow), spread=0.04)
    assert made.start_seconds > 1.5
    assert 0.04 < made.seconds["one"] < 1.5
    # Counted with every cohort of the three looks, it would be 4.5 s beside what the 12 seeds take.
    assert 12 * 0.04 < made.training_seconds < 3.0 + 12 * sum(made.seconds.values())


def test_what_a_seed_adds_to_a_cohort_is_told_apart_from_what_a_cohort_takes(plan: Planner) -> None:
    made = plan(variants=variants({"learner": "mine.py:train", "level": 0.6, "seconds": 0.2}), spread=0.04)
    assert 0.15 < made.seconds_more["one"] < 0.5
    assert made.seconds_more["two"] < 0.15
    assert made.seconds["one"] > made.seconds["two"]


def test_cost_grows_with_the_effect_that_is_hard_to_see(plan: Planner) -> None:
    slow = variants({"learner": "mine.py:train", "level": 0.6, "seconds": 0.03})
    easy, hard = plan(variants=slow, spread=0.01), plan(variants=slow, spread=0.5)
    assert easy.expected_seconds - easy.start_seconds < 0.7 * (easy.most_seconds - easy.start_seconds)
    assert hard.expected_seconds - hard.start_seconds > 0.85 * (hard.most_seconds - hard.start_seconds)


def test_the_page_and_the_record_hold_the_whole_plan(plan: Planner) -> None:
    made = plan(spread=0.15)
    text = said(made)
    for words in (
        "Plan of mine",
        "looks at 4, 8, 12",
        "0.15, from the design",
        "Where the true effect is 0.1,",
        "one",
        "two",
    ):
        assert words in text
    assert text.rstrip().endswith("Next: modelwright run mine")
    assert json.loads(json.dumps(made.record()))["needed"] == made.needed
    assert text.count("Warning: ") == len(made.warnings) > 0


@pytest.mark.slow
def test_the_plan_of_a_real_run_is_right_within_a_factor_of_two(tmp_path: Path) -> None:
    design = Design.from_mapping(
        {
            **MINE,
            "name": "wines",
            "question": {
                "hypothesis": "a forest beats a tree",
                "metric": "accuracy",
                "smallest_effect": 0.05,
            },
            "split": {"kind": "stratified", "test": 0.3},
            "variants": {
                "forest": {"learner": "sklearn.ensemble.RandomForestClassifier", "n_estimators": 60},
                "tree": {"learner": "sklearn.tree.DecisionTreeClassifier"},
            },
            "rule": {"kind": "fixed"},
            "spread": 0.5,
        }
    )
    project = Project.find(tmp_path, journal=Path("record"))
    made = plan_design(design, project, launch=Launch(workers=2))
    began = time.monotonic()
    result = run_design(design, project, launch=Launch(workers=2))
    took = time.monotonic() - began
    assert result.looks[-1].seeds == 12
    assert made.most_seconds / 2 < took < 2 * made.most_seconds
