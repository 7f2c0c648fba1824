"""REINFORCE and A2C beside plain twins."""

import pytest
import torch
from drifting import drift
from policy_twin import A2CTwin, ReinforceTwin, distance

from modelwright.algorithms import a2c, reinforce
from modelwright.base.errors import BadValue
from modelwright.base.seed import derive_seeds

SEEDS = derive_seeds("policy", 2)
TWIN = {"reinforce": (reinforce, ReinforceTwin), "a2c": (a2c, A2CTwin)}
BOTH = {"width": 8, "report_every": 1, "evaluate_every": 1, "learning_rate": 3e-3}
CONFIG = {
    "reinforce": {"total_steps": 3 * 20 * 6, "copies": 3, "rollout": 20, **BOTH},
    "a2c": {
        "total_steps": 3 * 8 * 12,
        "copies": 3,
        "rollout": 8,
        "lam": 0.9,
        "entropy_coefficient": 0.02,
        **BOTH,
    },
}
OPTIONS = {
    "as it is": {},
    "raw advantages": {"normalize_advantage": False},
    "the other rule": {"optimizer": "rmsprop", "anneal": True},
    "adam": {"optimizer": "adam", "normalize_advantage": True},
    "no clip of the gradient": {"clip_norm": None, "gamma": 0.5},
    "one-step errors": {"gamma": 1.0, "value_coefficient": 1.0},
}
MISTAKES = {
    "reinforce": (
        "truncation taken for termination",
        "termination ignored",
        "start of the next episode for the end of this one",
        "no baseline",
        "entropy punished",
        "descent on the return",
    ),
    "a2c": (
        "truncation taken for termination",
        "termination ignored",
        "start of the next episode for the end of this one",
        "advantages run over the end of an episode",
        "gamma and lambda swapped",
        "gradient of the value through the advantage",
        "entropy punished",
        "descent on the return",
    ),
}
NEAR, FAR = 1e-5, 2e-4


@pytest.mark.parametrize("discrete", [True, False], ids=["discrete", "values"])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", TWIN)
def test_every_update_is_that_of_a_plain_twin(name, options, discrete):
    module, twin = TWIN[name]
    config = module.Config(**{**CONFIG[name], **OPTIONS[options]})
    assert distance(module, drift(discrete=discrete), SEEDS, config, twin) < NEAR


@pytest.mark.parametrize(
    ("name", "mistake"), [(name, mistake) for name in MISTAKES for mistake in MISTAKES[name]]
)
def test_a_twin_with_a_classic_mistake_parts_from_the_learner(name, mistake):
    module, twin = TWIN[name]
    # Standardised advantages do not notice that all of them are shifted.
    config = module.Config(**{**CONFIG[name], "normalize_advantage": False, "entropy_coefficient": 0.3})
    assert distance(module, drift(discrete=True), SEEDS[:1], config, twin, mistake) > FAR


def test_the_mean_log_probability_in_place_of_the_sum_is_noticed():
    config = a2c.Config(**CONFIG["a2c"])
    wrong = "log-probability averaged over components"
    assert distance(a2c, drift(discrete=False), SEEDS[:1], config, A2CTwin, wrong) > FAR


def test_the_step_of_the_record_tells_of_its_last_update():
    config = a2c.Config(**{**CONFIG["a2c"], "report_every": 5, "evaluate_every": 10})
    often = a2c.Config(**CONFIG["a2c"])
    all_steps = list(a2c.train(drift(discrete=True), SEEDS, often))
    steps = list(a2c.train(drift(discrete=True), SEEDS, config))
    assert [step.update for step in steps] == [5, 10, 12]
    assert [step.policy is not None for step in steps] == [False, True, True]
    for step in steps:
        same = all_steps[step.update - 1].metrics
        for name in set(same) - {"episode_return", "episode_length"}:
            torch.testing.assert_close(step.metrics[name], same[name], rtol=0, atol=0, equal_nan=True)


def test_standardising_one_step_is_refused():
    with pytest.raises(BadValue, match="at least two steps"):
        a2c.Config(copies=1, rollout=1, normalize_advantage=True)
