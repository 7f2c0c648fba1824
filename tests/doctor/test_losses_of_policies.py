"""Losses that grow: no sign of anything where they are means of advantages, and one where they are errors."""

from pathlib import Path

import pytest
from watched import plant, run_watched

# Prompts and answers of one word: the reward is told, and the loss begins at zero, as ratios begin at one.
ANSWERS = """
import copy

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
policy = nn.Sequential(nn.Embedding(6, 16), nn.Tanh(), nn.Linear(16, 6))
reference = copy.deepcopy(policy).requires_grad_(False)
adam = torch.optim.Adam(policy.parameters(), lr=1e-2)
for update in range(80):
    prompts = torch.randint(6, (8,)).repeat_interleave(8)
    with torch.no_grad():
        answers = torch.multinomial(F.softmax(policy(prompts), dim=-1), 1)
        old = F.log_softmax(policy(prompts), dim=-1).gather(1, answers)
        wanted = F.log_softmax(reference(prompts), dim=-1).gather(1, answers)
    reward = (answers.squeeze(1) == (prompts + 1) % 6).float().view(8, 8)
    advantage = (reward - reward.mean(1, keepdim=True)).view(-1, 1)
    new = F.log_softmax(policy(prompts), dim=-1).gather(1, answers)
    distance = torch.exp(wanted - new) - (wanted - new) - 1
    loss = -(torch.exp(new - old) * advantage - 0.05 * distance).mean()
    adam.zero_grad()
    loss.backward()
    adam.step()
"""

DRAWN = (
    (
        "        answers = torch.multinomial(F.softmax(policy(prompts), dim=-1), 1)\n"
        "        old = F.log_softmax(policy(prompts), dim=-1).gather(1, answers)\n"
        "        wanted = F.log_softmax(reference(prompts), dim=-1).gather(1, answers)\n",
        "        pass\n    said = torch.distributions.Categorical(logits=policy(prompts))\n"
        "    answers = said.sample()\n",
    ),
    ("    reward = (answers.squeeze(1) ==", "    reward = (answers =="),
    (
        "    advantage = (reward - reward.mean(1, keepdim=True)).view(-1, 1)\n"
        "    new = F.log_softmax(policy(prompts), dim=-1).gather(1, answers)\n"
        "    distance = torch.exp(wanted - new) - (wanted - new) - 1\n"
        "    loss = -(torch.exp(new - old) * advantage - 0.05 * distance).mean()\n",
        "    loss = -(said.log_prob(answers) * (10 * update / 80 + reward.view(-1))).mean()\n",
    ),
)


@pytest.mark.parametrize("edits", [(), DRAWN], ids=["ratios", "own draws"])
def test_a_loss_of_a_policy_may_grow(edits: tuple[tuple[str, str], ...], tmp_path: Path) -> None:
    assert "loss-grows" not in run_watched(plant(ANSWERS, *edits), tmp_path).kinds


def test_an_error_that_grows_is_named(tmp_path: Path) -> None:
    loss = "    loss = -(torch.exp(new - old) * advantage - 0.05 * distance).mean()\n"
    error = "    loss = (1 + update) * F.cross_entropy(policy(prompts), torch.randint(6, prompts.shape))\n"
    assert "loss-grows" in run_watched(plant(ANSWERS, (loss, error)), tmp_path).kinds


CLIPPED = plant(
    ANSWERS,
    (
        "    new = F.log_softmax(policy(prompts), dim=-1).gather(1, answers)\n",
        "    for again in range(2):\n"
        "        new = F.log_softmax(policy(prompts), dim=-1).gather(1, answers)\n",
    ),
    (
        "    distance = torch.exp(wanted - new) - (wanted - new) - 1\n"
        "    loss = -(torch.exp(new - old) * advantage - 0.05 * distance).mean()\n"
        "    adam.zero_grad()\n    loss.backward()\n    adam.step()\n",
        "        ratio = torch.exp(new - old)\n"
        "        bounded = ratio.clamp(0.8, 1.2)\n"
        "        gain = torch.min(ratio * advantage, bounded * advantage)\n"
        "        loss = -(gain - 0.05 * (torch.exp(wanted - new) - (wanted - new) - 1)).mean()\n"
        "        adam.zero_grad()\n        loss.backward()\n        adam.step()\n",
    ),
)
_ERRORS = [
    (
        "        old = F.log_softmax(policy(prompts), dim=-1).gather(1, answers)\n",
        "        old = F.cross_entropy(policy(prompts), answers.squeeze(1), reduction='none')[:, None]\n",
    ),
    (
        "        new = F.log_softmax(policy(prompts), dim=-1).gather(1, answers)\n",
        "        new = F.cross_entropy(policy(prompts), answers.squeeze(1), reduction='none')[:, None]\n",
    ),
    ("torch.exp(new - old)", "torch.exp(old - new)"),
    ("(torch.exp(wanted - new) - (wanted - new) - 1)", "(wanted + new)"),
]

FAULTS = {
    "old over new": ([("torch.exp(new - old)", "torch.exp(old - new)")], "ratio-inverted"),
    "the larger one": ([("torch.min(ratio", "torch.max(ratio")], "clip-wrong-side"),
    "new over old, of errors": (
        [*_ERRORS[:2], _ERRORS[3]],
        "ratio-inverted",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_clipped_objective_without_an_environment_is_read(fault: str, tmp_path: Path) -> None:
    edits, expected = FAULTS[fault]
    told = run_watched(plant(CLIPPED, *edits), tmp_path)
    assert told.kinds
    assert told.first_cause[0] == expected


@pytest.mark.parametrize("edits", [[], _ERRORS], ids=["as it is", "of errors"])
def test_a_right_clipped_objective_is_not_called_wrong(edits: list[tuple[str, str]], tmp_path: Path) -> None:
    assert not run_watched(plant(CLIPPED, *edits), tmp_path).kinds
