"""What can be scrutinised: one file a family, each with inputs, reference and known mistakes.

Importing this package is cheap: it holds names only.
"""

from importlib import import_module
from types import MappingProxyType
from typing import cast

from modelwright.algorithms.scrutiny.subject import Subject
from modelwright.base.errors import UnknownName

__all__ = ["ALIASES", "SUBJECTS", "find_subject"]

_HERE = "modelwright.algorithms.scrutiny.subjects"

SUBJECTS = MappingProxyType(
    {
        "returns:discounted": ("returns", "discounted returns, with and without a bootstrap"),
        "returns:gae": ("advantages", "generalised advantages and the returns that belong to them"),
        "returns:n_step": ("n_step", "n-step targets, of one stretch or at every step"),
        "dqn:td_target": ("targets", "targets of Q-learning with a target network"),
        "dqn:double_q_target": ("targets", "targets of double Q-learning"),
        "td3:target": ("targets", "targets from the smaller of two critics"),
        "ppo:loss": ("policy", "the clipped policy loss, alone or with value loss and entropy"),
        "ppo:value_loss": ("policy", "the value loss, clipped or not"),
        "ppo:normalize": ("normalization", "advantages with mean 0 and deviation 1"),
        "sac:log_prob": ("squashed", "log density of a tanh-squashed normal action"),
        "sac:critic_loss": ("soft", "both critics' loss against the soft target"),
        "sac:actor_loss": ("soft", "the actor's loss against the smaller critic"),
        "sac:temperature_loss": ("soft", "the temperature's loss against the target entropy"),
        "c51:project": ("atoms", "a shifted distribution put back on its atoms"),
        "qr_dqn:quantile_loss": ("quantiles", "the quantile Huber loss"),
        "layers:cross_entropy": ("cross_entropy", "softmax cross-entropy, and its gradient"),
        "mlp:backpropagation": ("backpropagation", "gradients of a net with one hidden layer"),
        "gradient_boosting:step": ("boosting", "residuals, leaf values and scores of one round"),
        "k_means:step": ("clusters", "one round of Lloyd: nearest centre, then new centres"),
        "q_learning:update": ("tables", "one update of a table of Q by Q-learning"),
        "sarsa:update": ("tables", "one update of a table of Q by SARSA"),
    }
)
"""Name as typed -> the file that holds it, and what it is."""

ALIASES = MappingProxyType(
    {
        "ppo:gae": "returns:gae",
        "a2c:gae": "returns:gae",
        "reinforce:returns": "returns:discounted",
        "dqn:n_step": "returns:n_step",
    }
)
"""Other names of the same."""


def find_subject(name: str) -> Subject:
    """Return the subject called `name`.

    Raises:
        UnknownName: with the nearest.
    """
    true = ALIASES.get(name, name)
    if true not in SUBJECTS:
        raise UnknownName("subject of scrutiny", name, [*SUBJECTS, *ALIASES])
    module = import_module(f"{_HERE}.{SUBJECTS[true][0]}")
    (found,) = (each for each in cast("tuple[Subject, ...]", module.SUBJECTS) if each.name == true)
    return found
