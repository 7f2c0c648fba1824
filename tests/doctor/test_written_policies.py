"""An actor and critic without torch's distributions, and one that keeps what it draws: faults named first."""

from pathlib import Path

import pytest
from watched import CORRIDOR, plant, run_watched

_WORLD = CORRIDOR[: CORRIDOR.index("random.seed(0)")]

ADVANTAGE = (
    _WORLD
    + """
class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 32), nn.Tanh())
        self.choice, self.worth = nn.Linear(32, 2), nn.Linear(32, 1)

    def forward(self, x):
        hidden = self.body(x)
        return self.choice(hidden), self.worth(hidden).squeeze(-1)


torch.manual_seed(0)
environment = Corridor()
agent = Agent()
optimizer = torch.optim.RMSprop(agent.parameters(), lr=2e-3)
observation, _ = environment.reset(seed=0)
for update in range(120):
    seen, actions, rewards, ends, breaks, nexts = [], [], [], [], [], []
    for _ in range(24):
        state = torch.from_numpy(observation)
        with torch.no_grad():
            action = int(torch.multinomial(agent(state)[0].softmax(-1), 1))
        following, reward, terminated, truncated, _ = environment.step(action)
        seen.append(state)
        actions.append(action)
        rewards.append(reward)
        ends.append(float(terminated))
        breaks.append(terminated or truncated)
        nexts.append(torch.from_numpy(following))
        observation = environment.reset()[0] if terminated or truncated else following
    with torch.no_grad():
        ahead = agent(torch.stack(nexts))[1]
        returns = torch.zeros(24)
        total = ahead[-1]
        for t in reversed(range(24)):
            total = ahead[t] if breaks[t] else total
            total = returns[t] = rewards[t] + 0.95 * (1 - ends[t]) * total
    logits, values = agent(torch.stack(seen))
    log_p = logits.log_softmax(dim=-1)
    taken = log_p.gather(-1, torch.tensor(actions)[:, None]).squeeze(-1)
    advantages = (returns - values).detach()
    entropy = -(log_p.exp() * log_p).sum(-1).mean()
    loss = -(taken * advantages).mean() + 0.5 * (returns - values).square().mean() - 0.01 * entropy
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
)
FAULTS = {
    "entropy punished": ([("- 0.01 * entropy", "+ 0.01 * entropy")], "entropy-sign-flipped"),
    "softmax over rows": (
        [("logits.log_softmax(dim=-1)", "logits.log_softmax(dim=0)")],
        "softmax-over-wrong-axis",
    ),
    "nothing but entropy": ([("taken * advantages", "taken.detach() * advantages")], "graph-detached"),
    "rows mixed inside": (
        [("return self.choice(hidden), ", "return self.choice(hidden - hidden.mean()), ")],
        "examples-mixed",
    ),
    "a square of advantages": (
        [
            (
                "advantages = (returns - values).detach()",
                "advantages = returns - (1.0 * values.detach()).reshape(24, 1)",
            )
        ],
        "silent-broadcast",
    ),
    "a column cut off": (
        [
            ("self.worth(hidden).squeeze(-1)", "self.worth(hidden)"),
            (
                "        ahead = agent(torch.stack(nexts))[1]",
                "        ahead = agent(torch.stack(nexts))[1].squeeze(-1)",
            ),
            ("advantages = (returns - values).detach()", "advantages = returns - values.detach()"),
            ("(returns - values).square()", "(returns - values.squeeze(-1)).square()"),
        ],
        "silent-broadcast",
    ),
    "cuts taken for ends": (
        [("float(terminated)", "float(terminated or truncated)")],
        "truncation-as-terminal",
    ),
}


def test_a_written_policy_has_nothing_wrong(tmp_path: Path) -> None:
    assert run_watched(ADVANTAGE, tmp_path).kinds == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_written_policy_is_named_first(fault: str, tmp_path: Path) -> None:
    edits, expected = FAULTS[fault]
    told = run_watched(plant(ADVANTAGE, *edits), tmp_path)
    assert told.kinds
    assert told.first_cause[0] == expected


def test_a_first_step_that_throws_a_policy_away_is_found(tmp_path: Path) -> None:
    told = run_watched(plant(ADVANTAGE, ("lr=2e-3", "lr=5.0"), ("range(120)", "range(60)")), tmp_path)
    found = [each for each in told.findings if each.kind == "first-step-throws-weights-away"]
    assert [each.causes[0].name for each in found] == ["learning-rate-too-high"]
    assert found[0].evidence["distance_over_size"] > 10


def test_a_first_adam_step_of_a_third_of_the_weights_is_found(tmp_path: Path) -> None:
    adam = (
        "torch.optim.RMSprop(agent.parameters(), lr=2e-3)",
        "torch.optim.Adam(agent.parameters(), lr=0.14)",
    )
    told = run_watched(plant(ADVANTAGE, adam, ("range(120)", "range(60)")), tmp_path)
    found = [each for each in told.findings if each.kind == "first-step-throws-weights-away"]
    assert [each.causes[0].name for each in found] == ["learning-rate-too-high"]
    assert found[0].evidence["distance_over_size"] < 1


_LATE_CUTS = (
    ("self.steps == 12", "self.steps == 3 and self.age > 700"),
    (
        "        self.steps += 1\n",
        "        self.steps += 1\n        self.age = getattr(self, 'age', 0) + 1\n",
    ),
)
_AFTER_RESET = (
    "    memory.append((observation, action, reward, following, terminated))\n"
    "    observation = environment.reset()[0] if terminated or truncated else following\n",
    "    after = environment.reset()[0] if terminated or truncated else following\n"
    "    memory.append((observation, action, reward, after, terminated))\n"
    "    observation = after\n",
)


def test_cuts_that_come_late_and_are_rare_are_looked_at(tmp_path: Path) -> None:
    program = plant(CORRIDOR, *_LATE_CUTS, _AFTER_RESET)
    told = run_watched(program, tmp_path)
    assert "next-observation-after-reset" in {each.name for f in told.findings for each in f.causes}
    assert run_watched(plant(CORRIDOR, *_LATE_CUTS), tmp_path).kinds == []
