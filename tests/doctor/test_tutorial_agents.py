"""Agents as tutorials write them: returns of several steps, all in functions; faults named first."""

from pathlib import Path

import pytest
from watched import CORRIDOR, plant, run_watched

_WORLD = CORRIDOR[: CORRIDOR.index("random.seed(0)")]

STEPS = (
    _WORLD
    + """
GAMMA, STEPS, TAU = 0.95, 3, 0.02
random.seed(0)
torch.manual_seed(0)


def network():
    return nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2))


policy = network()
target = network()
target.load_state_dict(policy.state_dict())
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-3)
memory, losses = [], []


def choose(state, step):
    if random.random() < max(0.1, 1 - step / 500):
        return random.randrange(2)
    with torch.no_grad():
        return int(policy(state).argmax())


def push(window, following):
    total = sum(GAMMA**k * reward for k, (_, _, reward) in enumerate(window))
    memory.append((window[0][0], window[0][1], total, following, GAMMA ** len(window)))


def learn():
    rows = random.sample(memory, 64)
    states, actions, totals, nexts, discounts = zip(*rows)
    goes_on = torch.tensor([each is not None for each in nexts])
    worth = torch.zeros(64)
    with torch.no_grad():
        worth[goes_on] = target(torch.cat([each for each in nexts if each is not None])).max(1).values
    goal = torch.tensor(totals) + torch.tensor(discounts) * worth
    value = policy(torch.cat(states)).gather(1, torch.tensor(actions)[:, None])
    loss = nn.functional.smooth_l1_loss(value, goal[:, None])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    for mine, its in zip(target.parameters(), policy.parameters()):
        mine.data.copy_(TAU * its.data + (1.0 - TAU) * mine.data)
    losses.append(loss.item())


environment, step = Corridor(), 0
while step < 1400:
    seen, _ = environment.reset(seed=step)
    state, window, over = torch.from_numpy(seen)[None], [], False
    while not over:
        action = choose(state, step)
        seen, reward, terminated, truncated, _ = environment.step(action)
        step, over = step + 1, terminated or truncated
        following = None if terminated else torch.from_numpy(seen)[None]
        window.append((state, action, reward))
        if len(window) == STEPS:
            push(window, following)
            window.pop(0)
        state = torch.from_numpy(seen)[None]
        if step > 200 and step % 2 == 0:
            learn()
    while window:
        push(window, following)
        window.pop(0)
model = policy
"""
)

POLICY = (
    _WORLD
    + """
torch.manual_seed(0)


class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.spread = nn.Parameter(torch.zeros(2))
        self.body = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 2))

    def choices(self, seen):
        return torch.distributions.Categorical(logits=self.body(seen) + self.spread)


def train():
    agent, environment, losses = Agent(), Corridor(), []
    optimizer = torch.optim.Adam(agent.parameters(), lr=1e-2)
    for update in range(40):
        states, actions, gains = [], [], []
        for _ in range(4):
            seen, _ = environment.reset()
            over, rewards = False, []
            while not over:
                with torch.no_grad():
                    action = agent.choices(torch.from_numpy(seen)).sample()
                following, reward, terminated, truncated, _ = environment.step(int(action))
                over = terminated or truncated
                states.append(seen)
                actions.append(action)
                rewards.append(reward)
                seen = following
            gains += [sum(rewards[at:]) for at in range(len(rewards))]
        logs = agent.choices(torch.tensor(np.array(states))).log_prob(torch.stack(actions))
        gain = torch.tensor(gains)
        loss = -(logs * (gain - gain.mean()) / gain.std()).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


losses = train()
"""
)

FAULTS = {
    "a target that is the network itself": (
        STEPS,
        [("target = network()\ntarget.load_state_dict(policy.state_dict())\n", "target = policy\n")],
        "target-aliases-online",
        "mine.data.copy_(",
    ),
    "cuts taken for ends": (
        STEPS,
        [("None if terminated else", "None if over else")],
        "truncation-as-terminal",
        "environment.step(action)",
    ),
    "only the newest are drawn": (
        STEPS,
        [("random.sample(memory, 64)", "memory[-64:]")],
        "newest-only-sampled",
        "gather",
    ),
    "an action that was not taken is stored": (
        STEPS,
        [("append((state, action,", "append((state, choose(state, step),")],
        "critic-sees-wrong-action",
        "environment.step(",
    ),
    "a parameter that no optimizer has": (
        POLICY,
        [("Adam(agent.parameters()", "Adam(agent.body.parameters()")],
        "parameters-missing-from-optimizer",
        "torch.optim.Adam(",
    ),
    "the first observation for ever": (
        POLICY,
        [("                seen = following\n", "")],
        "observation-not-advanced",
        "environment.step(",
    ),
}


_NOW_AND_THEN = plant(
    STEPS,
    ("        mine.data.copy_(TAU * its.data + (1.0 - TAU) * mine.data)\n", "        pass\n"),
    (
        "        step, over = step + 1, terminated or truncated\n",
        "        step, over = step + 1, terminated or truncated\n"
        "        kept = target.state_dict()\n"
        "        for key, weight in policy.state_dict().items():\n"
        "            kept[key] = weight.clone() if step % 50 == 0 else kept[key]\n"
        "        target.load_state_dict(kept)\n",
    ),
)


@pytest.mark.parametrize("program", [STEPS, POLICY, _NOW_AND_THEN], ids=["values", "policy", "copied"])
def test_a_tutorials_agent_has_nothing_wrong(program: str, tmp_path: Path) -> None:
    assert run_watched(program, tmp_path).findings == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_tutorials_agent_is_named_first(fault: str, tmp_path: Path) -> None:
    program, edits, name, line = FAULTS[fault]
    found, text = run_watched(plant(program, *edits), tmp_path).first_cause
    assert found == name
    assert line in text
