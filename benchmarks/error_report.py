"""The cells of the error-rate benchmark and the page that shows them."""

import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy

__all__ = ["ALPHA", "ErrorCell", "SavingCell", "report"]

ALPHA = 0.05
"""Error rate of every simulated design; half of it on each side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorCell:
    """Error rates of one rule on results of one shape; true effects lie exactly on the thresholds.

    Attributes:
        rule: The rule's name.
        results: The shape of the results.
        looks: Number of seeds at each look.
        experiments: How many were simulated.
        false_supported: Share with a lower limit above the margin at any look, true effect = margin.
        false_refuted: Share with an upper limit below the margin at any look, true effect = margin.
        false_equivalent: Share inside the smallest effect at any look, true effect = smallest effect.
        allowed: What each may be at most where the rule's assumption holds.
        guaranteed: Whether it holds exactly: t for normal results, sign-flip for symmetric differences,
            betting for bounded ones.
    """

    rule: str
    results: str
    looks: tuple[int, ...]
    experiments: int
    false_supported: float
    false_refuted: float
    false_equivalent: float
    allowed: float
    guaranteed: bool

    @property
    def worst(self) -> float:
        """The largest of the three."""
        return max(self.false_supported, self.false_refuted, self.false_equivalent)

    @property
    def noise(self) -> float:
        """Monte Carlo standard error of a rate that is as large as allowed."""
        return float(np.sqrt(self.allowed * (1 - self.allowed) / self.experiments))

    @property
    def passes(self) -> bool:
        """Whether no rate exceeds what is allowed by more than three standard errors."""
        return self.worst <= self.allowed + 3 * self.noise

    @property
    def holds(self) -> bool:
        """Whether it passes; where nothing is guaranteed, whether each rate is at most alpha at least."""
        return self.passes or (not self.guaranteed and self.worst <= ALPHA)


@dataclass(frozen=True, slots=True, kw_only=True)
class SavingCell:
    """Seeds used by a sequential rule against a fixed design of equal power.

    Attributes:
        rule: The rule's name.
        looks: Number of seeds at each look.
        effect: Smallest effect in standard deviations of the paired differences; the margin is 0.
        power: Share supported when the true effect is the smallest effect.
        fixed: Seeds of the fixed design that has this power at this effect: a t interval where differences
            are normal, an exact sign test where they are +1 or -1.
        seeds: Mean number of seeds used when the true effect is 0, 1 and 2 times the smallest effect.
    """

    rule: str
    looks: tuple[int, ...]
    effect: float
    power: float
    fixed: int
    seeds: tuple[float, float, float]

    @property
    def savings(self) -> tuple[float, ...]:
        """Share of seeds saved at 0, 1 and 2 times the smallest effect."""
        return tuple(1 - used / self.fixed for used in self.seeds)

    @property
    def passes(self) -> bool:
        """Whether at least 30% are saved at twice the smallest effect."""
        return self.savings[2] >= 0.30


def _looks(looks: tuple[int, ...]) -> str:
    if len(looks) > 2 and set(np.diff(looks)) == {1}:
        return f"{looks[0]} to {looks[-1]}, each"
    return ", ".join(map(str, looks))


def _rule_word(cell: ErrorCell | SavingCell) -> str:
    return cell.rule.split(", looks at")[0].replace(f" at {cell.looks[-1]} seeds", "")


def error_table(cells: list[ErrorCell]) -> list[str]:
    """Return a Markdown table, one row per rule and shape."""
    lines = [
        "| rule | looks at | results | false supported | false refuted | false equivalent | allowed | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for cell in cells:
        rates = (cell.false_supported, cell.false_refuted, cell.false_equivalent)
        shown = " | ".join(f"{rate:.4f}" for rate in rates)
        mark = "PASS" if cell.passes else ("over alpha/2" if cell.holds else "FAIL")
        lines.append(
            f"| {_rule_word(cell)} | {_looks(cell.looks)} | {cell.results} | {shown} "
            f"| {cell.allowed:g} | {mark} |"
        )
    return lines


def saving_table(cells: list[SavingCell]) -> list[str]:
    """Return a Markdown table, one row per rule."""
    lines = [
        "| rule | looks at | smallest effect (sd) | power | fixed design | mean seeds at 0x | at 1x | at 2x "
        "| saved at 2x | |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for cell in cells:
        used = " | ".join(f"{seeds:.1f}" for seeds in cell.seeds)
        lines.append(
            f"| {_rule_word(cell)} | {_looks(cell.looks)} | {cell.effect:.2f} | {cell.power:.2f} "
            f"| {cell.fixed} | {used} | {cell.savings[2]:.0%} | {'PASS' if cell.passes else 'FAIL'} |"
        )
    return lines


def processor() -> str:
    """Return the CPU's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def report(
    experiments: int,
    seconds: float,
    errors: list[ErrorCell],
    lopsided: list[ErrorCell],
    naive: list[ErrorCell],
    savings: list[SavingCell],
    bets: SavingCell,
) -> str:
    """Return the whole page."""
    worst = max(errors, key=lambda cell: cell.worst)
    noise = errors[0].noise
    passed, held = sum(cell.passes for cell in errors), sum(cell.holds for cell in errors)
    sure = [cell for cell in errors if cell.guaranteed]
    lines = [
        "# Error rates and savings of the stopping rules",
        "",
        f"`python benchmarks/error_rates.py --experiments {experiments}`: {seconds:.0f} s of one core of "
        f"{processor()}; Python {platform.python_version()}, NumPy {np.__version__}, SciPy "
        f"{scipy.__version__}.",
        "",
        f"Designs have alpha = {ALPHA:g}: an interval may miss in each direction with probability at most "
        f"alpha / 2 = {ALPHA / 2:g} over all looks together. True effects lie exactly on the thresholds, the "
        "hardest case, and every look counts, also after one that would have stopped. Differences are paired "
        f"by seed. {experiments:,} experiments a cell; the Monte Carlo standard error of a rate of "
        f"{ALPHA / 2:g} is {noise:.4f}, and PASS means at most {ALPHA / 2:g} plus three of them. "
        f"*over alpha/2* is more than that and at most alpha = {ALPHA:g}, for t on results that are not "
        "normal, where nothing is guaranteed; all else is FAIL.",
        "",
        f"**{passed} of {len(errors)} cells hold alpha / 2, {held} hold alpha; the largest rate is "
        f"{worst.worst:.4f}** ({_rule_word(worst)}, {worst.results}). Of the {len(sure)} cells in which the "
        f"rule's assumption holds exactly, {sum(cell.passes for cell in sure)} hold alpha / 2; their largest "
        f"rate is {max(cell.worst for cell in sure):.4f}.",
        "",
        "## Arms of the same shape",
        "",
        *error_table(errors),
        "",
        "## Where the assumption fails: arms of different shape",
        "",
        "Where one arm is steady and the other uniform or U-shaped, differences are symmetric with light "
        "tails: sign-flip holds, and t errs too often with the fewest seeds; from about ten on it holds.",
        "",
        "Otherwise differences are not symmetric, and neither t nor sign-flip promises anything. Few seeds "
        "miss the long tail, so the error is one-sided: an arm with rare large losses is called better, one "
        "with rare large gains worse. More seeds and a later first look mend t only slowly. The betting "
        "rule keeps its promise wherever bounds are known, at the price of wide intervals. Where a learner "
        "may fail outright on some seeds, use `rule.kind=confidence_sequence`, and read the share of "
        "failures beside the mean.",
        "",
        *error_table(lopsided),
        "",
        "## Without a rule: a 95% t interval after every seed",
        "",
        *error_table(naive),
        "",
        "## Seeds used, against a fixed t design of equal power",
        "",
        "Normal differences, margin 0, true effect 0, 1 and 2 times the smallest effect; experiments stop at "
        "the first decision, *equivalent* and *refuted* included. PASS means at least 30% fewer at 2x.",
        "",
        *saving_table(savings),
        "",
        "The betting rule assumes less than t and needs more seeds where t is right. Where differences are "
        "+1 or -1, so that its bounds are tight, against the exact sign test:",
        "",
        *saving_table([bets]),
        "",
    ]
    return "\n".join(lines)
