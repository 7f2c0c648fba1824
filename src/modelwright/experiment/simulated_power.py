"""Power and expected seeds of any stopping rule, by simulation with a generator of one's own.

A formula exists for one look at normal differences. For a schedule of looks, for a betting confidence
sequence, or for differences that are skewed, the rule itself is run on made-up experiments.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue

__all__ = ["Decide", "Draw", "SimulatedPower", "simulate_power"]


class Decide(Protocol):
    """A stopping rule, for many experiments at once."""

    def __call__(self, differences: NDArray[np.float64], /) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return what the rule would have done.

        Args:
            differences: (experiment, seed), in the order in which the seeds would have been run.

        Returns:
            Seeds used (experiment,), whole numbers from 1 to the number of seeds; and whether the
            claim was supported (experiment,), of type bool.
        """
        ...


class Draw(Protocol):
    """A source of differences between seeds with mean 0 and standard deviation 1."""

    def __call__(self, generator: np.random.Generator, shape: tuple[int, int], /) -> NDArray[np.float64]:
        """Return numbers of shape (experiment, seed), drawn from `generator` alone."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedPower:
    """What a stopping rule does when an effect is true.

    Attributes:
        power: Share of the experiments that ended "supported".
        power_error: Monte Carlo standard error of `power`.
        expected_seeds: Mean number of seeds used.
        expected_seeds_error: Monte Carlo standard error of `expected_seeds`.
        experiments: How many experiments were simulated.
    """

    power: float
    power_error: float
    expected_seeds: float
    expected_seeds_error: float
    experiments: int


def _normal(generator: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    return generator.standard_normal(shape)


def simulate_power(
    decide: Decide,
    *,
    seeds: int,
    effect: float,
    spread: float,
    generator: np.random.Generator,
    experiments: int = 10_000,
    inflation: float = 0.0,
    draw: Draw = _normal,
) -> SimulatedPower:
    """Return the power and the expected seeds of the rule `decide`.

    The difference of seed i in one experiment is effect + spread (sqrt(inflation) u + e_i), with u normal
    and shared by all seeds of the experiment, so the variance of the mean is spread^2 (1/n + inflation).

    Args:
        decide: The rule; see `Decide`.
        seeds: Most seeds that the rule may use.
        effect: True mean difference, in the metric's unit; 0 (or the margin) gives the false "supported".
        spread: Standard deviation of the differences between seeds, above 0.
        generator: Source of all randomness.
        experiments: How many to simulate, at least 100.
        inflation: Nadeau and Bengio's rho, 0 where seeds are independent.
        draw: Where the e_i come from; standard normal where left out.

    Raises:
        BadValue: for a value outside its rule, or a rule that returns something else than it should.
    """
    if seeds < 1 or experiments < 100:
        raise BadValue(
            "A simulation needs at least 1 seed and 100 experiments",
            got=f"seeds={seeds}, experiments={experiments}",
        )
    if not math.isfinite(effect) or not 0 < spread < math.inf or not 0 <= inflation < math.inf:
        raise BadValue(
            "effect is finite, spread above 0 and inflation at least 0",
            got=f"effect={effect}, spread={spread}, inflation={inflation}",
        )
    shape = (experiments, seeds)
    noise = draw(generator, shape)
    if noise.shape != shape or not np.isfinite(noise).all():
        raise BadValue(f"draw returns finite numbers of shape {shape}", got=f"shape {noise.shape}")
    if inflation > 0:
        noise = noise + math.sqrt(inflation) * generator.standard_normal((experiments, 1))
    used, supported = _checked(decide(effect + spread * noise), seeds, experiments)

    power = float(supported.mean())
    return SimulatedPower(
        power=power,
        power_error=math.sqrt(power * (1 - power) / experiments),
        expected_seeds=float(used.mean()),
        expected_seeds_error=float(used.std(ddof=1)) / math.sqrt(experiments),
        experiments=experiments,
    )


def _checked(
    answer: tuple[NDArray[Any], NDArray[Any]], seeds: int, experiments: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    used, supported = (np.asarray(part) for part in answer)
    if used.shape != (experiments,) or supported.shape != (experiments,) or supported.dtype != np.bool_:
        raise BadValue(
            "A rule returns seeds used and supported (bool), one of each per experiment",
            got=f"{used.dtype} {used.shape} and {supported.dtype} {supported.shape}",
        )
    if not np.issubdtype(used.dtype, np.integer) or used.min() < 1 or used.max() > seeds:
        raise BadValue(
            f"A rule uses a whole number of seeds from 1 to {seeds}",
            got=f"{used.dtype} from {used.min()} to {used.max()}",
        )
    return used, supported
