"""Faults of policy gradients, planted in two small programs: held to what their environments did."""

from pathlib import Path

import pytest
from policies import EPISODES, VECTOR
from watched import plant, run_watched

_MASK = "going = 1.0 - ends[t]"
_FLAT = "    advantages, returns = advantages.flatten(), returns.flatten()\n"
_NORMALISED = (
    "    advantages = (advantages - advantages.mean({axis}, keepdim=True)) / "
    "(advantages.std({axis}, keepdim=True) + 1e-8)\n"
)
_SHARED = (
    (
        "self.critic = nn.Sequential(nn.Linear(2, 16)",
        "trunk = nn.Linear(2, 16)\n        self.critic = nn.Sequential(trunk",
    ),
    ("self.actor = nn.Sequential(nn.Linear(2, 16)", "self.actor = nn.Sequential(trunk"),
)

FAULTS = {
    "no mask of ends": (VECTOR, [(_MASK, "going = 1.0")], "terminal-mask-missing", "delta = "),
    "cut episodes taken for ended ones": (
        VECTOR,
        [("reward[i] += GAMMA *", "reward[i] += 0.0 *")],
        "truncation-as-terminal",
        _MASK,
    ),
    "the mask of the step before": (
        VECTOR,
        [(_MASK, "going = 1.0 - (ends[t] if t == T - 1 else ends[t - 1] if t else torch.zeros(4))")],
        "gae-done-off-by-one",
        "going = 1.0 -",
    ),
    "sums that go on past ends": (
        VECTOR,
        [("LAMBDA * going * total", "LAMBDA * total")],
        "return-not-reset-at-done",
        "",
    ),
    "nothing after the rollout": (
        VECTOR,
        [("following = agent.critic(now).squeeze(-1)", "following = torch.zeros(4)")],
        "bootstrap-missing",
        "",
    ),
    "targets without values": (
        VECTOR,
        [("returns = advantages + torch.stack(values)", "returns = advantages.clone()")],
        "returns-without-values",
        "",
    ),
    "the policy's loss turned round": (
        VECTOR,
        [("loss = policy_loss +", "loss = -policy_loss +")],
        "policy-loss-sign",
        "",
    ),
    "the last reward's order": (
        EPISODES,
        [("all_returns += returns[::-1]", "all_returns += returns")],
        "returns-in-wrong-order",
        "",
    ),
    "a return without its first reward": (
        EPISODES,
        [
            (
                "            ahead = reward + 0.95 * ahead\n            returns.append(ahead)",
                "            returns.append(ahead)\n            ahead = reward + 0.95 * ahead",
            )
        ],
        "reward-off-by-one",
        "",
    ),
    "cut episodes of one environment": (
        EPISODES,
        [("0.0 if terminated else critic(torch.as_tensor(state)).item()", "0.0")],
        "truncation-as-terminal",
        "",
    ),
    "a value after the end": (
        EPISODES,
        [("0.0 if terminated else critic", "critic")],
        "terminal-mask-missing",
        "",
    ),
    "the sign of episodes": (
        EPISODES,
        [("-(torch.stack(kept) * weights).sum()", "(torch.stack(kept) * weights).sum()")],
        "policy-loss-sign",
        "policy_loss = (torch.stack(kept) * weights).sum()",
    ),
    "gradients through advantages": (
        EPISODES,
        [("goals - values.detach()", "goals - values")],
        "advantages-not-detached",
        "policy_loss = -(torch.stack(kept) * weights).sum()",
    ),
    "the ratio turned round": (
        VECTOR,
        [("log_ratio = new_log_prob - log_probs[rows]", "log_ratio = log_probs[rows] - new_log_prob")],
        "ratio-inverted",
        "log_ratio = log_probs[rows] - new_log_prob",
    ),
    "the more hopeful bound": (
        VECTOR,
        [("-torch.min(ratio * a", "-torch.max(ratio * a")],
        "clip-wrong-side",
        "policy_loss = -torch.max(ratio * a, bounded * a).mean()",
    ),
    "bounds that bind nothing": (
        VECTOR,
        [("torch.clamp(ratio, 0.8, 1.2)", "torch.clamp(ratio, -9.0, 11.0)")],
        "clip-coefficient-too-large",
        "bounded = torch.clamp(ratio, -9.0, 11.0)",
    ),
    "environments compared with each other at each step": (
        VECTOR,
        [
            ("a = (a - a.mean()) / (a.std() + 1e-8)", "pass"),
            (_FLAT, _NORMALISED.format(axis=1) + _FLAT),
        ],
        "advantage-normalised-over-wrong-axis",
        "advantages = (advantages - advantages.mean(1",
    ),
    "each environment by itself": (
        VECTOR,
        [
            ("a = (a - a.mean()) / (a.std() + 1e-8)", "pass"),
            (_FLAT, _NORMALISED.format(axis=0) + _FLAT),
        ],
        "advantage-normalised-over-wrong-axis",
        "advantages = (advantages - advantages.mean(0",
    ),
    "values that leave the policy nothing of the norm": (
        VECTOR,
        [("0.5 * value_loss", "60.0 * value_loss")],
        "value-loss-weight-too-high",
        "60.0 * value_loss",
    ),
    "values that outweigh the policy in what both share": (
        VECTOR,
        [
            *_SHARED,
            ("0.5 * value_loss", "60.0 * value_loss"),
        ],
        "value-loss-weight-too-high",
        "60.0 * value_loss",
    ),
    "a mean over an action's numbers": (
        VECTOR,
        [("policy.log_prob(action).sum(-1)", "policy.log_prob(action).mean(-1)")],
        "log-prob-not-summed",
        "log_ratio = new_log_prob - log_probs[rows]",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_of_policy_gradients_is_named_first(fault: str, tmp_path: Path) -> None:
    program, edits, name, line = FAULTS[fault]
    told = run_watched(plant(program, *edits), tmp_path)
    assert told.kinds
    found, text = told.first_cause
    assert found == name
    assert line in text


VARIANTS = {
    "as it is": (VECTOR, []),
    "episodes as they are": (EPISODES, []),
    "advantages as they are": (VECTOR, [("a = (a - a.mean()) / (a.std() + 1e-8)", "pass")]),
    "a discount of one": (VECTOR, [("GAMMA, LAMBDA = 24, 0.97, 0.9", "GAMMA, LAMBDA = 24, 1.0, 0.95")]),
    "one step ahead": (VECTOR, [("GAMMA, LAMBDA = 24, 0.97, 0.9", "GAMMA, LAMBDA = 24, 0.97, 0.0")]),
    "a gain that is made larger": (
        VECTOR,
        [
            ("lr=3e-3)", "lr=3e-3, maximize=True)"),
            (
                "loss = policy_loss + 0.5 * value_loss - 0.01 * entropy.mean()",
                "loss = 0.01 * entropy.mean() - policy_loss - 0.5 * value_loss",
            ),
        ],
    ),
    "a tenth of the reward": (
        VECTOR,
        [("torch.as_tensor(reward).float()", "0.1 * torch.as_tensor(reward).float()")],
    ),
    "a trunk that values and policy share": (VECTOR, [*_SHARED, ("0.5 * value_loss", "2.0 * value_loss")]),
    "a large weight where nothing is shared": (
        VECTOR,
        [
            ("0.5 * value_loss", "60.0 * value_loss"),
            ("        nn.utils.clip_grad_norm_(agent.parameters(), 0.5)", "        pass"),
        ],
    ),
    "sums in place of means": (
        VECTOR,
        [
            *_SHARED,
            ("bounded * a).mean()", "bounded * a).sum()"),
            ("pow(2).mean()", "pow(2).sum()"),
            ("lr=3e-3", "lr=1e-3"),
        ],
    ),
    "advantages normalised over the whole rollout": (
        VECTOR,
        [
            ("a = (a - a.mean()) / (a.std() + 1e-8)", "pass"),
            (_FLAT, _FLAT + "    advantages = (advantages - advantages.mean()) / advantages.std()\n"),
        ],
    ),
    "a loss as the larger of two": (
        VECTOR,
        [("-torch.min(ratio * a, bounded * a).mean()", "torch.max(-ratio * a, -bounded * a).mean()")],
    ),
    "a step for nothing after each end": (
        VECTOR,
        [("LIMIT = 9", "LIMIT = 10**6"), ("SAME_STEP", "NEXT_STEP")],
    ),
    "no baseline": (EPISODES, [("goals - values.detach()", "goals")]),
    "normalised returns": (
        EPISODES,
        [("weights = goals - values.detach()", "weights = (goals - goals.mean()) / goals.std()")],
    ),
    "one return for the whole episode": (
        EPISODES,
        [
            ("all_returns += returns[::-1]", "all_returns += [returns[-1]] * len(returns)"),
            ("0.0 if terminated else critic(torch.as_tensor(state)).item()", "0.0"),
        ],
    ),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_only_looks_odd_in_policy_gradients_is_not_called_wrong(variant: str, tmp_path: Path) -> None:
    program, edits = VARIANTS[variant]
    assert run_watched(plant(program, *edits), tmp_path).findings == []
