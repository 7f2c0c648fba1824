"""Value distributions (C51) in a world of its own: their loss is no entropy, their faults have names."""

from pathlib import Path
from typing import Any

import pytest
import torch
from watched import CORRIDOR, plant, run_watched

from modelwright.doctor.sensors.acting.policy.written_entropies import WrittenEntropies
from modelwright.doctor.watch.sensor import Operation

ATOMS = (
    CORRIDOR[: CORRIDOR.index("random.seed(0)")]
    + """
random.seed(0)
torch.manual_seed(0)
ATOMS, SUPPORT = 21, torch.linspace(-2.0, 2.0, 21)
STEP = float(SUPPORT[1] - SUPPORT[0])


def network():
    net = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2 * ATOMS))
    nn.init.zeros_(net[2].bias)
    nn.init.orthogonal_(net[2].weight, 0.01)  # all shares alike at first, as in a large network
    return net


def shares(net, seen):
    return net(seen).view(-1, 2, ATOMS).softmax(-1)


online, target = network(), network()
target.load_state_dict(online.state_dict())
optimizer = torch.optim.Adam(online.parameters(), lr=1e-3)
environment = Corridor()
memory, losses = [], []
observation, _ = environment.reset(seed=0)
for step in range(900):
    if random.random() < max(0.1, 1 - step / 500):
        action = random.randrange(2)
    else:
        with torch.no_grad():
            action = int((shares(online, torch.from_numpy(observation)[None]) @ SUPPORT).argmax())
    following, reward, terminated, truncated, _ = environment.step(action)
    memory.append((observation, action, reward, following, terminated))
    observation = environment.reset()[0] if terminated or truncated else following
    if step >= 100:
        rows = random.sample(memory, 32)
        states, actions, rewards, nexts, ends = (torch.tensor(np.array(part)) for part in zip(*rows))
        with torch.no_grad():
            after = shares(target, nexts)
            after = after[torch.arange(32), (after @ SUPPORT).argmax(1)]
            moved = rewards.float()[:, None] + 0.95 * (1 - ends.float())[:, None] * SUPPORT
            place = (moved.clamp(-2, 2) + 2) / STEP
            low = place.floor().clamp(0, ATOMS - 2)
            goal = torch.zeros(32, ATOMS)
            goal.scatter_add_(1, low.long(), after * (low + 1 - place))
            goal.scatter_add_(1, low.long() + 1, after * (place - low))
        chosen = shares(online, states)[torch.arange(32), actions]
        loss = -(goal * chosen.clamp(1e-5, 1).log()).sum(-1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step % 50 == 0:
            target.load_state_dict(online.state_dict())
model = online
"""
)

FAULTS = {
    "a target that is never brought up": (
        [("        if step % 50 == 0:\n            target.load_state_dict(online.state_dict())\n", "")],
        "target-never-updated",
    ),
    "no mask of ends": (
        [("0.95 * (1 - ends.float())[:, None] * SUPPORT", "0.95 * SUPPORT")],
        "terminal-mask-missing",
    ),
    "the distribution of the best action": (
        [
            (
                "chosen = shares(online, states)[torch.arange(32), actions]",
                "chosen = shares(online, states)\n"
                "        chosen = chosen[torch.arange(32), (chosen @ SUPPORT).argmax(1)]",
            )
        ],
        "gathered-wrong-action",
    ),
    "gradients never cleared": ([("        optimizer.zero_grad()\n", "")], "zero-grad-missing"),
}


def heard(of: WrittenEntropies, name: str, result: torch.Tensor) -> Any:
    return of.heard(Operation(name=name, args=(), kwargs={}, result=result, place=None, inside=False, step=0))


@pytest.mark.parametrize(("fixed", "sign"), [(True, None), (False, -1.0)])
def test_a_cross_entropy_is_no_entropy_though_both_are_alike_where_shares_are(
    fixed: bool, sign: float
) -> None:
    shares = (1e-3 * torch.randn(32, 21)).requires_grad_().softmax(-1)
    entropies = WrittenEntropies()
    heard(entropies, "softmax", shares)
    weights = torch.full((32, 21), 1 / 21) if fixed else shares
    found = heard(entropies, "sum", (weights * shares.log()).sum(-1))
    assert (found and found[1]) == sign


def test_a_network_of_value_distributions_has_nothing_wrong(tmp_path: Path) -> None:
    assert run_watched(ATOMS, tmp_path).findings == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_value_distributions_is_named_first(fault: str, tmp_path: Path) -> None:
    edits, name = FAULTS[fault]
    assert run_watched(plant(ATOMS, *edits), tmp_path).first_cause[0] == name
