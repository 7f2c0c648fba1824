"""Actions that tanh ends at -1 and 1, where the environment takes larger ones: wrong, unless meant."""

from pathlib import Path

import pytest
from test_pairs import SOFT, STEADY
from watched import plant, run_watched

_WIDE = ("env = Point()\n", "env = Point()\nenv.action_space = gymnasium.spaces.Box(-2, 4, (2,))\n")
_TRIED = ("env.np_random.uniform(-1, 1, 2).astype(np.float32)", "env.action_space.sample()")

FAULTS = {
    "drawn": (SOFT, [_WIDE, _TRIED]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_policy_that_cannot_give_what_was_tried_is_named(fault: str, tmp_path: Path) -> None:
    program, edits = FAULTS[fault]
    told = run_watched(plant(program, *edits), tmp_path)
    found = [each for each in told.findings if each.kind == "actions-out-of-reach"]
    assert [cause.name for each in found for cause in each.causes] == ["action-not-scaled"]


VARIANTS = {
    "small ones are tried, too": (SOFT, [_WIDE]),
    "as large as the environment's": (SOFT, [_TRIED]),
    "scaled at the step": (SOFT, [_WIDE, _TRIED, ("env.step(action)", "env.step(1.0 + 3.0 * action)")]),
    "scaled by the policy": (
        SOFT,
        [
            _WIDE,
            _TRIED,
            (
                "return y_t, log_prob.sum(1, keepdim=True)",
                "return 3 * y_t + 1, log_prob.sum(1, keepdim=True)",
            ),
        ],
    ),
    "no bounds": (
        SOFT,
        [
            (
                "env = Point()\n",
                "env = Point()\nenv.action_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,))\n",
            ),
            _TRIED,
        ],
    ),
    "a deterministic policy": (STEADY, []),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_policy_that_is_scaled_or_means_to_act_less_is_not(variant: str, tmp_path: Path) -> None:
    program, edits = VARIANTS[variant]
    assert "actions-out-of-reach" not in run_watched(plant(program, *edits), tmp_path).kinds


_NOISY = [
    ("env = Point()\n", "env = Point()\nenv.action_space = gymnasium.spaces.Box(-2, 2, (2,))\n"),
    (
        "rng.normal(0, 0.3, 2)\n",
        "rng.normal(0, 0.3, 2)\n    if step < 120:\n        action = 2 * rng.uniform(-1, 1, 2)\n",
    ),
    ("np.clip(action, -1, 1)", "np.clip(action, -2, 2)"),
]
_MEASURED = """
actor[2].weight.data *= 9
actor[2].bias.data *= 0
other = Point()
other.action_space = env.action_space
for episode in range(150):
    obs, over = other.reset(seed=episode)[0], False
    while not over:
        obs, _, term, trunc, _ = other.step(actor(torch.tensor(obs)).detach().numpy())
        over = term or trunc
"""


@pytest.mark.parametrize("scaled", [False, True])
def test_a_policy_that_ends_at_one_is_named_where_noise_hides_it(scaled: bool, tmp_path: Path) -> None:
    program = plant(STEADY, *_NOISY) + _MEASURED
    if scaled:
        program = program.replace("actor(torch.tensor(obs))", "(2 * actor(torch.tensor(obs)))")
    assert ("actions-out-of-reach" in run_watched(program, tmp_path).kinds) is not scaled
