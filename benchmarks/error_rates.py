"""How often the stopping rules err, looked at at every look, and how many seeds they save; simulated.

    python benchmarks/error_rates.py [--experiments 10000] [--json]

Writes benchmarks/results/error_rates.md. Every cell has its own random stream, so cells can be run alone.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from error_report import ALPHA, ErrorCell, SavingCell, report
from modelwright.base.fingerprint import sha256_hex
from modelwright.base.seed import Seed
from modelwright.experiment.betting import BettingRule
from modelwright.experiment.decisions import decide_many
from modelwright.experiment.rule import Rule, StoppingRule, build_rule
from modelwright.experiment.sample_size import paired_t_power
from modelwright.experiment.sign_flip import SignFlipRule
from modelwright.experiment.student import StudentRule

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], Array]
RESULTS = Path(__file__).parent / "results" / "error_rates.md"


def _two_arms(arm: Draw) -> Draw:
    """Return differences between two arms of the same shape."""
    return lambda generator, shape: arm(generator, shape) - arm(generator, shape)


def _peaks(gap: float) -> Draw:
    def draw(generator: np.random.Generator, shape: tuple[int, int]) -> Array:
        return gap * generator.integers(0, 2, shape) + generator.standard_normal(shape)

    return draw


def _accuracy(generator: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Accuracy on 360 test rows of a learner that is right on 95 in 100."""
    return generator.binomial(360, 0.95, shape) / 360


def _collapse(generator: np.random.Generator, shape: tuple[int, int]) -> Array:
    """A score between 0 and 1 of a learner that fails outright on one seed in five."""
    good, bad = generator.beta(95, 5, shape), generator.beta(2, 18, shape)
    return np.where(generator.random(shape) < 0.2, bad, good)


UNBOUNDED: dict[str, Draw] = {
    "normal": _two_arms(lambda generator, shape: generator.standard_normal(shape)),
    "skewed: exponential": _two_arms(lambda generator, shape: generator.standard_exponential(shape)),
    "skewed: lognormal": _two_arms(lambda generator, shape: generator.lognormal(0.0, 1.0, shape)),
    "two peaks, 3 sd apart": _two_arms(_peaks(3.0)),
    "two peaks, 6 sd apart": _two_arms(_peaks(6.0)),
}
BOUNDED: dict[str, Draw] = {
    "bounded: beta(8, 2)": _two_arms(lambda generator, shape: generator.beta(8.0, 2.0, shape)),
    "bounded, skewed: beta(1/2, 3)": _two_arms(lambda generator, shape: generator.beta(0.5, 3.0, shape)),
    "bounded: accuracy on 360 rows": _two_arms(_accuracy),
    "bounded, two peaks: 1 seed in 5 fails": _two_arms(_collapse),
}

# Symmetric, but with lighter tails than the normal: few seeds show too small a spread too often.
LIGHT: dict[str, Draw] = {
    "one arm uniform, the other steady": lambda generator, shape: generator.uniform(-1.0, 1.0, shape),
    "one arm U-shaped (beta(1/2, 1/2)), the other steady": lambda generator, shape: (
        2 * generator.beta(0.5, 0.5, shape) - 1
    ),
}
# Differences that are not symmetric, or hardly continuous: arms of different shape. All have mean 0.
LOPSIDED: dict[str, Draw] = {
    "candidate skewed (exponential), baseline steady": lambda generator, shape: (
        generator.standard_exponential(shape) - 1
    ),
    "baseline skewed (exponential), candidate steady": lambda generator, shape: (
        1 - generator.standard_exponential(shape)
    ),
    "candidate lognormal, baseline steady": lambda generator, shape: (
        generator.lognormal(0.0, 1.0, shape) - np.exp(0.5)
    ),
    "baseline fails on 1 seed in 10": lambda generator, shape: np.clip(
        (generator.random(shape) < 0.1) - 0.1 + generator.normal(0.0, 0.02, shape), -1, 1
    ),
    "candidate fails on 1 seed in 10": lambda generator, shape: np.clip(
        0.1 - (generator.random(shape) < 0.1) + generator.normal(0.0, 0.02, shape), -1, 1
    ),
    "all-or-nothing results (each arm 0 or 1)": lambda generator, shape: (
        generator.integers(0, 2, shape) - generator.integers(0, 2, shape)
    ).astype(np.float64),
}


def planned(rule: Rule, seeds: int) -> StoppingRule:
    """Return the rule at the error rate of this benchmark."""
    return build_rule(rule, seeds=seeds, alpha=ALPHA)


def _sequential(looks: Iterable[int], spending: str, test: str = "t") -> StoppingRule:
    chosen = tuple(looks)
    rule = Rule(kind="group_sequential", looks=chosen, spending=spending, test=test)  # pyright: ignore[reportArgumentType]
    return planned(rule, chosen[-1])


def t_rules() -> list[StoppingRule]:
    """Return the t rules that are measured: fixed, and every spending over 3 to 30 seeds."""
    fixed = [planned(Rule(), seeds) for seeds in (3, 5, 10, 30)]
    spendings = ("pocock", "obrien_fleming", "lan_demets_pocock", "lan_demets_obrien_fleming")
    schedules = (range(3, 7), range(3, 11), range(3, 31))
    return fixed + [_sequential(looks, spending) for looks in schedules for spending in spendings]


def sign_flip_rules() -> list[StoppingRule]:
    """Return the sign-flip rules that are measured."""
    return [
        planned(Rule(test="sign_flip"), 6),
        planned(Rule(test="sign_flip"), 10),
        _sequential((7, 8, 9, 10), "pocock", "sign_flip"),
        _sequential((7, 8, 9, 10), "lan_demets_pocock", "sign_flip"),
        _sequential((9, 10, 11, 12), "lan_demets_obrien_fleming", "sign_flip"),
        _sequential((10, 11, 12), "obrien_fleming", "sign_flip"),
        _sequential((8, 12, 20, 30), "lan_demets_pocock", "sign_flip"),
    ]


def betting_rules() -> list[StoppingRule]:
    """Return the confidence sequences that are measured, looked at after every seed."""
    return [planned(Rule(kind="confidence_sequence", low=-1.0, high=1.0), seeds) for seeds in (3, 10, 30)]


def naive_rule(last: int) -> StoppingRule:
    """Return what people do without a rule: a 95% t interval after every seed from the third."""
    looks = tuple(range(3, last + 1))
    return StudentRule(looks=looks, levels=(ALPHA / 2,) * len(looks), alpha=ALPHA)


def measure_errors(
    rule: StoppingRule, name: str, draw: Draw, experiments: int, *, same_shape: bool = True
) -> ErrorCell:
    """Return one cell; the true effect is 0, and thresholds lie there and two smallest effects away."""
    generator = Seed(sha256_hex(f"error rates/{rule.name}/{name}".encode())).generator("results")
    d = draw(generator, (experiments, rule.looks[-1]))
    smallest = 1.5 * float(d.std())
    refuted = rule.short_of(d, 0.0)
    hit = refuted.any(axis=1)
    equivalent = refuted[hit] & rule.beyond(d[hit], -2 * smallest) if hit.any() else refuted[hit]
    return ErrorCell(
        rule=rule.name,
        results=name,
        looks=rule.looks,
        experiments=experiments,
        false_supported=float(rule.beyond(d, 0.0).any(axis=1).mean()),
        false_refuted=float(hit.mean()),
        false_equivalent=float(equivalent.any(axis=1).sum() / experiments),
        allowed=ALPHA / 2,
        guaranteed=isinstance(rule, BettingRule)
        or (isinstance(rule, SignFlipRule) and same_shape)
        or (isinstance(rule, StudentRule) and name == "normal"),
    )


def measure_saving(rule: StoppingRule, effect: float, experiments: int) -> SavingCell:
    """Return how many seeds a rule uses at 0, 1 and 2 times an effect, in standard deviations."""
    generator = Seed(sha256_hex(f"savings/{rule.name}/{effect}".encode())).generator("results")
    noise = generator.standard_normal((experiments, rule.looks[-1]))
    ends = [decide_many(rule, noise + k * effect, margin=0.0, smallest_effect=effect) for k in (0, 1, 2)]
    power = float(ends[1].supported.mean())
    fixed = next(n for n in range(3, 10_000) if paired_t_power(effect, 1.0, n, ALPHA) >= power)
    used = tuple(float(end.seeds.mean()) for end in ends)
    return SavingCell(
        rule=rule.name,
        looks=rule.looks,
        effect=effect,
        power=power,
        fixed=fixed,
        seeds=(used[0], used[1], used[2]),
    )


def error_cells(experiments: int) -> list[ErrorCell]:
    """Return the cells in which each rule's assumption holds, at least nearly (t)."""
    both = UNBOUNDED | BOUNDED
    cells = [measure_errors(rule, name, both[name], experiments) for rule in t_rules() for name in both]
    cells += [
        measure_errors(rule, name, both[name], experiments) for rule in sign_flip_rules() for name in both
    ]
    cells += [
        measure_errors(rule, name, BOUNDED[name], experiments) for rule in betting_rules() for name in BOUNDED
    ]
    hard = "all-or-nothing results (each arm 0 or 1)"
    return cells + [measure_errors(rule, hard, LOPSIDED[hard], experiments) for rule in betting_rules()]


def lopsided_cells(experiments: int) -> list[ErrorCell]:
    """Return the cells in which t promises nothing, and sign-flip only where differences are symmetric."""
    rules = [
        planned(Rule(), 3),
        planned(Rule(), 5),
        planned(Rule(), 10),
        planned(Rule(), 30),
        _sequential(range(3, 7), "lan_demets_pocock"),
        _sequential(range(3, 31, 3), "lan_demets_pocock"),
        _sequential((10, 15, 20, 25, 30), "lan_demets_pocock"),
        planned(Rule(test="sign_flip"), 10),
        _sequential((7, 8, 9, 10), "lan_demets_pocock", "sign_flip"),
    ]
    cells = [
        measure_errors(rule, name, draw, experiments, same_shape=name in LIGHT)
        for name, draw in (LIGHT | LOPSIDED).items()
        for rule in rules
    ]
    bounded = LIGHT | {
        name: draw for name, draw in LOPSIDED.items() if "fails" in name or "all-or-nothing" in name
    }
    bets = betting_rules()[2]
    return cells + [measure_errors(bets, name, draw, experiments) for name, draw in bounded.items()]


def naive_cells(experiments: int) -> list[ErrorCell]:
    """Return what peeking without a rule does."""
    return [
        measure_errors(naive_rule(last), "normal", UNBOUNDED["normal"], experiments) for last in (5, 10, 30)
    ]


def saving_cells(experiments: int) -> list[SavingCell]:
    """Return the savings of rules of several lengths; effects give a power of about 80%."""
    plans: list[tuple[StoppingRule, float]] = [
        (_sequential((4, 6, 8, 10), "lan_demets_pocock"), 1.2),
        (_sequential((4, 6, 8, 10), "lan_demets_obrien_fleming"), 1.15),
        (_sequential((4, 7, 10, 13, 16), "lan_demets_pocock"), 0.9),
        (_sequential((4, 7, 10, 13, 16), "pocock"), 0.9),
        (_sequential((6, 12, 18, 24, 30), "lan_demets_pocock"), 0.62),
        (_sequential((6, 12, 18, 24, 30), "pocock"), 0.62),
        (_sequential((6, 12, 18, 24, 30), "lan_demets_obrien_fleming"), 0.58),
        (_sequential((6, 12, 18, 24, 30), "obrien_fleming"), 0.58),
        (_sequential((8, 11, 14, 20), "lan_demets_pocock", "sign_flip"), 0.8),
        (_sequential((8, 12, 16, 22, 30), "lan_demets_pocock", "sign_flip"), 0.62),
    ]
    return [measure_saving(rule, effect, experiments) for rule, effect in plans]


def betting_saving(experiments: int) -> SavingCell:
    """Return the confidence sequence's use of seeds where its bounds are tight: wins and losses of a duel.

    Differences are +1 or -1. The fixed design is an exact sign test, which needs no more than that either.
    """
    rule = planned(Rule(kind="confidence_sequence", low=-1.0, high=1.0), 30)
    generator = Seed(sha256_hex(b"savings/betting")).generator("results")
    smallest, draws = 0.45, generator.random((experiments, 30))
    ends = [
        decide_many(
            rule, np.where(draws < (1 + k * smallest) / 2, 1.0, -1.0), margin=0.0, smallest_effect=smallest
        )
        for k in (0, 1, 2)
    ]
    power = float(ends[1].supported.mean())
    fixed = next(n for n in range(6, 10_000) if _sign_test_power((1 + smallest) / 2, n) >= power)
    used = [float(end.seeds.mean()) for end in ends]
    return SavingCell(
        rule=rule.name + ", results +1 or -1",
        looks=rule.looks,
        effect=smallest / float(np.sqrt(1 - smallest**2)),
        power=power,
        fixed=fixed,
        seeds=(used[0], used[1], used[2]),
    )


def _sign_test_power(share: float, seeds: int) -> float:
    """Return the power of the one-sided exact sign test at level alpha / 2 for a share of wins."""
    least = binom.isf(ALPHA / 2, seeds, 0.5) + 1
    return float(binom.sf(least - 1, seeds, share))


def main(arguments: list[str]) -> int:
    """Run everything, write the table, and return 0 if every promised cell passes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiments", type=int, default=10_000, help="simulated experiments in each cell")
    parser.add_argument("--json", action="store_true", help="print the cells as JSON instead of a summary")
    options = parser.parse_args(arguments)
    start = time.process_time()
    errors = error_cells(options.experiments)
    lopsided = lopsided_cells(options.experiments)
    naive = naive_cells(options.experiments)
    savings = saving_cells(options.experiments)
    bets = betting_saving(options.experiments)
    seconds = time.process_time() - start
    promised = all(cell.holds for cell in errors) and all(cell.passes for cell in savings)
    if options.json:
        blocks = {"errors": errors, "lopsided": lopsided, "naive": naive, "savings": [*savings, bets]}
        plain = {
            name: [asdict(cell) | {"passes": cell.passes} for cell in cells] for name, cells in blocks.items()
        }
        print(json.dumps({"experiments": options.experiments, "passes": promised, **plain}))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(report(options.experiments, seconds, errors, lopsided, naive, savings, bets))
    if not options.json:
        held, worst = sum(cell.holds for cell in errors), max(cell.worst for cell in errors)
        print(f"{held} of {len(errors)} error cells hold; worst {worst:.4f}")
        print(f"{sum(cell.passes for cell in savings)} of {len(savings)} savings pass; {seconds:.0f} s")
    return 0 if promised else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
