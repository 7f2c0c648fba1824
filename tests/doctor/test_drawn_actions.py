"""Actions as they were drawn, and environments side by side: faults planted, and what only looks odd."""

from pathlib import Path

import pytest
from policies import VECTOR
from watched import plant, run_watched

_DRAW = "            action = policy.sample()\n"
_RETURN = "return action, policy.log_prob(action).sum(-1)"
_EARLY = f"            {_RETURN}, policy.entropy().sum(-1), self.critic(x).squeeze(-1)\n"
_ASKED = "log_prob(action)"
_STEP = "envs.step(action.numpy())"

_CHOICES = (
    VECTOR.replace("Box(-1, 1, (2,))", "Discrete(3)")
    .replace("np.clip(np.sum(action), -1, 1)", "action - 1")
    .replace(
        "policy = torch.distributions.Normal(self.actor(x), self.log_std.exp())",
        "policy = torch.distributions.Categorical(logits=self.mask(self.actor(x), x, action is None))",
    )
    .replace("nn.Linear(16, 2))\n        self.log_std", "nn.Linear(16, 3))\n        self.log_std")
    .replace(
        "policy.log_prob(action).sum(-1), policy.entropy().sum(-1)",
        "policy.log_prob(action), policy.entropy()",
    )
    .replace(
        "    def act(self",
        "    def mask(self, logits, x, acts):\n"
        "        forbidden = torch.stack([x[:, 0] < 0, x[:, 0] > 9, x[:, 0] > 0], 1)\n"
        "        return logits.masked_fill(forbidden, -1e8)\n\n"
        "    def act(self",
    )
)

FAULTS = {
    "the action that is kept is the clipped one": (
        VECTOR,
        [(_DRAW, _DRAW.replace("sample()", "sample().clamp(-1, 1)"))],
        "log-prob-of-clipped-action",
        _ASKED,
    ),
    "a logarithm that is undone twice": (
        VECTOR,
        [
            (
                "self.actor(x), self.log_std.exp())",
                "self.actor(x), self.log_std.exp().expand(len(x), 2).exp())",
            )
        ],
        "exponentiated-twice",
        _ASKED,
    ),
    "observations of other rows in the update": (
        VECTOR,
        [("torch.cat(obs), torch.cat(actions)", "torch.stack(obs, 1).flatten(0, 1), torch.cat(actions)")],
        "log-prob-of-other-rows",
        "ratio = log_ratio.exp()",
    ),
    "no mask in the update": (
        _CHOICES,
        [("return logits.masked_fill(forbidden, -1e8)", "return logits.masked_fill(forbidden & acts, -1e8)")],
        "mask-in-sampling-only",
        _ASKED,
    ),
    "the mask of another step in the update": (
        _CHOICES,
        [
            (
                "masked_fill(forbidden, -1e8)",
                "masked_fill(forbidden if acts else forbidden.roll(4, 0), -1e8)",
            )
        ],
        "mask-off-by-one",
        _ASKED,
    ),
    "old log-probabilities in another order": (
        VECTOR,
        [("torch.cat(log_probs)\n", "torch.stack(log_probs, 1).flatten()\n")],
        "log-prob-of-other-rows",
        "ratio = log_ratio.exp()",
    ),
    "old log-probabilities are means": (
        VECTOR,
        [(_DRAW, _DRAW + _EARLY.replace("sum", "mean", 1))],
        "log-prob-not-summed",
        "ratio = log_ratio.exp()",
    ),
    "new log-probabilities are means": (
        VECTOR,
        [(_RETURN, _RETURN.replace("sum", "mean")), (_DRAW, _DRAW + _EARLY)],
        "log-prob-not-summed",
        "ratio = log_ratio.exp()",
    ),
    "one seed for all environments": (
        VECTOR,
        [("envs.reset(seed=0)", "envs.reset(seed=[7, 7, 7, 7])")],
        "environments-with-one-seed",
        "envs.reset(seed=[7, 7, 7, 7])",
    ),
}

VARIANTS = {
    "only the environment gets clipped actions": (
        VECTOR,
        [(_STEP, "envs.step(action.clamp(-1, 1).numpy())")],
    ),
    "masks everywhere": (_CHOICES, []),
    "a normal distribution of all numbers together": (
        VECTOR,
        [
            (
                "torch.distributions.Normal(self.actor(x), self.log_std.exp())",
                "torch.distributions.MultivariateNormal(self.actor(x), scale_tril=self.log_std.exp().diag())",
            ),
            (
                "policy.log_prob(action).sum(-1), policy.entropy().sum(-1)",
                "policy.log_prob(action), policy.entropy()",
            ),
        ],
    ),
    "no mask": (_CHOICES, [("return logits.masked_fill(forbidden, -1e8)", "return logits")]),
    "seeds far from each other": (VECTOR, [("envs.reset(seed=0)", "envs.reset(seed=[7, 70, 700, 7000])")]),
    "all begin at the same place": (
        VECTOR,
        [("self.np_random.uniform(-1, 1), 0", "0.25, 0"), ("envs.reset(seed=0)", "envs.reset(seed=[7] * 4)")],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_of_actions_is_named_with_its_line(fault: str, tmp_path: Path) -> None:
    program, edits, name, line = FAULTS[fault]
    told = run_watched(plant(program, *edits), tmp_path)
    assert told.kinds
    found, text = told.first_cause
    assert found == name
    assert line in text


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_only_looks_odd_in_actions_is_not_called_wrong(variant: str, tmp_path: Path) -> None:
    program, edits = VARIANTS[variant]
    assert run_watched(plant(program, *edits), tmp_path).findings == []
