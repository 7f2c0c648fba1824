"""C51: learn the distribution of the return on a fixed grid of atoms; options: double targets, n steps.

    Z(s, a) = z_i with probability p_i(s, a) = softmax_i(network(s)_a),  z_i = v_min + i dz      (1)
    Q(s, a) = sum_i z_i p_i(s, a),     a* = argmax_a Q'(s', a)                                   (2)
    T z_j   = clip(R + gamma^m (1 - terminated) z_j, v_min, v_max),   b_j = (T z_j - v_min) / dz (3)
    m_i     = sum_j max(0, 1 - |b_j - i|) p'_j(s', a*)                                           (4)
    L       = -sum_i m_i log p_i(s, a)                                                           (5)

(4) splits the probability of every moved atom between its two neighbours on the grid, so that the mean stays
where it was unless (3) clips. R is the discounted sum of m <= n rewards; p' is a copy of the network that is
renewed every `target_every` updates; with `double`, (2) chooses a* by the network itself.

Source: Bellemare, Dabney and Munos 2017, algorithm 1; settings for CartPole are CleanRL's (101 atoms from
-100 to 100), the paper's for Atari are 51 from -10 to 10. Differs from CleanRL: (5) takes log-softmax, with
no bound on probabilities.

A healthy run: `loss` falls from log(atoms) and stays above the entropy of targets, `kl` falls towards 0,
`edge_mass` stays below 0.05 (else the grid is too narrow), `q_mean` approaches the discounted return.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelwright.algorithms.control.begin import begin
from modelwright.algorithms.control.distributional import DistributionLearner, Judgement
from modelwright.algorithms.control.greedy import Greedy
from modelwright.algorithms.control.off_policy import interact
from modelwright.base.errors import BadValue
from modelwright.base.seed import Seed
from modelwright.base.setting import setting
from modelwright.base.step import Step
from modelwright.data.environments.environment import Environment
from modelwright.data.environments.space import Discrete

__all__ = ["Config", "project", "train"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Greedy):
    """Distribution of the return on a grid."""

    atoms: int = setting(101, doc="Points of the grid.", low=2)
    v_min: float = setting(-100.0, doc="Smallest return on the grid.")
    v_max: float = setting(100.0, doc="Largest return on the grid.")

    def __post_init__(self) -> None:
        super(Config, self).__post_init__()
        with np.errstate(invalid="ignore"):
            rises = bool(np.isfinite(self.grid).all() and (np.diff(self.grid) > 0).all())
        if not rises:
            raise BadValue(
                "The points of c51's grid rise from c51.v_min to c51.v_max, in float32 too",
                got=f"v_min {self.v_min}, v_max {self.v_max}",
                next_step="give the range of discounted returns of the environment",
            )

    @property
    def grid(self) -> NDArray[np.float32]:
        """z_j, (atom,)."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.linspace(self.v_min, self.v_max, self.atoms).astype(np.float32)


def project(reward: Tensor, discount: Tensor, next_probability: Tensor, atoms: Tensor) -> Tensor:
    """Return equations (3) and (4), m (seed, batch, atom).

    Args:
        reward: (seed, batch) R.
        discount: (seed, batch) gamma^m, 0 where the task terminated.
        next_probability: (seed, batch, atom) p' of the action that is chosen.
        atoms: (atom,) z, evenly spaced and rising.
    """
    last = len(atoms) - 1
    moved = (reward[..., None] + discount[..., None] * atoms).clamp(atoms[0], atoms[-1])  # (3)
    b = ((moved - atoms[0]) / ((atoms[-1] - atoms[0]) / last)).clamp(max=last)  # rounding may lead beyond
    # Whole b needs no case of its own: all goes to one neighbour. What is no number gets some place.
    lower = b.floor().to(torch.int64).clamp(0, last - 1)
    to_upper = b - lower
    found = torch.zeros_like(next_probability)
    found.scatter_add_(-1, lower, (1.0 - to_upper) * next_probability)
    return found.scatter_add_(-1, lower + 1, to_upper * next_probability)  # (4)


def train(experience: Environment, seeds: Sequence[Seed], config: Config) -> Iterator[Step]:
    """Train networks on every seed's copies of an environment; one step a group of updates.

    Raises:
        BadValue: for actions that are values, observations that are images, or an environment that breaks its
            interface.
    """
    with begin("c51", experience, seeds, config.copies, actions=Discrete) as simulation:
        agent = DistributionLearner("c51", simulation, seeds, config, _Grid(config))
        yield from interact(simulation, config, agent.replay, agent.choose, agent.learn, agent)


class _Grid:
    """Equations (1), (2) and (5); a `Rule`."""

    def __init__(self, config: Config) -> None:
        self.numbers = config.atoms
        self._atoms = torch.from_numpy(config.grid)

    def mean(self, outputs: Tensor) -> Tensor:
        return (outputs.softmax(dim=-1) * self._atoms).sum(dim=-1)

    def judge(self, outputs: Tensor, following: Tensor, reward: Tensor, discount: Tensor) -> Judgement:
        target = project(reward, discount, following.softmax(dim=-1), self._atoms)
        log_p = outputs.log_softmax(dim=-1)
        loss = -(target * log_p).sum(dim=-1)  # (5)
        p = log_p.detach().exp()
        own = -(target * target.clamp(min=1e-30).log()).sum(dim=-1)
        return Judgement(
            loss=loss,
            value=(p * self._atoms).sum(dim=-1),
            target=(target * self._atoms).sum(dim=-1),
            signs={
                "kl": loss.detach() - own,
                "entropy": -(p * log_p.detach()).sum(dim=-1),
                "edge_mass": target[..., 0] + target[..., -1],
            },
        )
