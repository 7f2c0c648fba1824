"""Faults of learning values in other styles: several steps, copies in a vector, only what goes on."""

from pathlib import Path

import pytest
from watched import CORRIDOR, plant, run_watched

_HEAD = CORRIDOR[: CORRIDOR.index("random.seed(0)")]

SEVERAL_STEPS = (
    _HEAD
    + """
from collections import deque
random.seed(0)
torch.manual_seed(0)
env = Corridor()
def net():
    return nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 2))
online, frozen = net(), net()
frozen.load_state_dict(online.state_dict())
adam = torch.optim.Adam(online.parameters(), lr=1e-3)
N, GAMMA = 3, 0.9
memory, window = [], deque(maxlen=N)
def push(last, ended):
    total = sum(GAMMA**k * r for k, (_, _, r) in enumerate(window))
    power = len(window)
    memory.append((window[0][0], window[0][1], total, last, GAMMA**power * (1.0 - ended)))
obs, _ = env.reset(seed=0)
for t in range(700):
    action = random.randrange(2)
    after, reward, terminated, truncated, _ = env.step(action)
    window.append((obs, action, reward))
    if terminated or truncated:
        while window:
            push(after, terminated)
            window.popleft()
        obs, _ = env.reset()
    else:
        if len(window) == N:
            push(after, False)
        obs = after
    if t > 300:
        rows = random.sample(memory, 32)
        o, a, r, o2, d = (torch.tensor(np.array(part)) for part in zip(*rows))
        with torch.no_grad():
            best = online(o2).argmax(1)
            y = r.float() + d.float() * frozen(o2)[torch.arange(32), best]
        q = online(o)[torch.arange(32), a]
        loss = ((q - y) ** 2).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        if t % 40 == 0:
            frozen.load_state_dict(online.state_dict())
"""
)

_ENDS = """    if terminated or truncated:
        while window:
            push(after, terminated)
            window.popleft()
        obs, _ = env.reset()
    else:
        if len(window) == N:
            push(after, False)
        obs = after
"""

VECTOR = (
    _HEAD
    + """
torch.manual_seed(0)
COPIES = 4
envs = gymnasium.vector.SyncVectorEnv(
    [lambda: Corridor() for _ in range(COPIES)],
    autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP,
)
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 32), nn.ReLU())
        self.value, self.advantage = nn.Linear(32, 1), nn.Linear(32, 2)
    def forward(self, x):
        h = self.body(x)
        a = self.advantage(h)
        return self.value(h) + a - a.mean(dim=1, keepdim=True)
q, q_slow = Net(), Net()
q_slow.load_state_dict(q.state_dict())
adam = torch.optim.Adam(q.parameters(), lr=1e-3)
SIZE = 1000
buffer = {k: torch.zeros(SIZE, *s) for k, s in dict(o=(2,), n=(2,), a=(), r=(), d=()).items()}
at = 0
obs, _ = envs.reset(seed=3)
draw = torch.Generator().manual_seed(5)
for step in range(200):
    if torch.rand((), generator=draw) < 0.8:
        actions = torch.randint(0, 2, (COPIES,), generator=draw).numpy()
    else:
        with torch.no_grad():
            actions = q(torch.as_tensor(obs)).argmax(1).numpy()
    nxt, rewards, terms, truncs, infos = envs.step(actions)
    real = nxt.copy()
    for i in range(COPIES):
        if terms[i] or truncs[i]:
            real[i] = infos["final_obs"][i]
    for i in range(COPIES):
        j = at % SIZE
        buffer["o"][j] = torch.as_tensor(obs[i])
        buffer["n"][j] = torch.as_tensor(real[i])
        buffer["a"][j], buffer["r"][j], buffer["d"][j] = int(actions[i]), float(rewards[i]), float(terms[i])
        at += 1
    obs = nxt
    if step >= 60:
        rows = torch.randint(0, min(at, SIZE), (48,), generator=draw)
        b = {k: v[rows] for k, v in buffer.items()}
        with torch.no_grad():
            y = b["r"] + 0.97 * (1 - b["d"]) * q_slow(b["n"]).max(1)[0]
        qa = q(b["o"])
        p = qa.gather(1, b["a"].long().unsqueeze(1)).flatten()
        loss = nn.SmoothL1Loss()(p, y)
        adam.zero_grad()
        loss.backward()
        adam.step()
        for slow, fast in zip(q_slow.parameters(), q.parameters()):
            slow.data.mul_(0.98).add_(0.02 * fast.data)
"""
)

GOES_ON = (
    _HEAD
    + """
from collections import namedtuple
random.seed(1)
torch.manual_seed(1)
Transition = namedtuple("Transition", "state action next_state reward")
env = Corridor()
policy_net = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2))
target_net = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2))
target_net.load_state_dict(policy_net.state_dict())
optimizer = torch.optim.AdamW(policy_net.parameters(), lr=1e-3, amsgrad=True)
memory = []
def optimize():
    batch = Transition(*zip(*random.sample(memory, 32)))
    goes_on = torch.tensor([s is not None for s in batch.next_state])
    following = torch.cat([s for s in batch.next_state if s is not None])
    state, action, reward = torch.cat(batch.state), torch.cat(batch.action), torch.cat(batch.reward)
    values = policy_net(state).gather(1, action)
    nexts = torch.zeros(32)
    with torch.no_grad():
        nexts[goes_on] = target_net(following).max(1).values
    expected = (nexts * 0.99) + reward
    loss = nn.SmoothL1Loss()(values, expected.unsqueeze(1))
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_value_(policy_net.parameters(), 100)
    optimizer.step()
for episode in range(40):
    state, _ = env.reset(seed=episode)
    state = torch.tensor(state).unsqueeze(0)
    done = False
    while not done:
        if random.random() < 0.7:
            action = torch.tensor([[random.randrange(2)]])
        else:
            with torch.no_grad():
                action = policy_net(state).max(1).indices.view(1, 1)
        observation, reward, terminated, truncated, _ = env.step(action.item())
        done = terminated or truncated
        next_state = None if terminated else torch.tensor(observation).unsqueeze(0)
        memory.append(Transition(state, action, next_state, torch.tensor([reward])))
        state = torch.tensor(observation).unsqueeze(0)
        if len(memory) > 100:
            optimize()
            for name, value in policy_net.state_dict().items():
                target_net.state_dict()[name].lerp_(value, 0.02)
"""
)

FAULTS = {
    "several steps: a discount of one step": (
        SEVERAL_STEPS,
        [("power = len(window)", "power = 1")],
        "discount-power-wrong",
    ),
    "several steps: no mask of ends": (
        SEVERAL_STEPS,
        [(" * (1.0 - ended)))", "))")],
        "terminal-mask-missing",
    ),
    "several steps: cut taken for ended": (
        SEVERAL_STEPS,
        [("push(after, terminated)", "push(after, True)")],
        "truncation-as-terminal",
    ),
    "several steps: the window runs on into the next episode": (
        SEVERAL_STEPS,
        [
            (
                _ENDS,
                """    if len(window) == N:
        push(after, terminated)
    obs = env.reset()[0] if terminated or truncated else after
""",
            )
        ],
        "return-not-reset-at-done",
    ),
    "several steps: rewards discounted from the end": (
        SEVERAL_STEPS,
        [("GAMMA**k * r for", "GAMMA ** (len(window) - 1 - k) * r for")],
        "discount-power-wrong",
    ),
    "several steps: bootstraps a step too early": (
        SEVERAL_STEPS,
        [("push(after, False)", "push(obs, False)")],
        "next-observation-wrong",
    ),
    "several steps: the target's network is the one that learns": (
        SEVERAL_STEPS,
        [("frozen(o2)[", "online(o2)[")],
        "target-uses-online",
    ),
    "several steps: networks swapped": (
        SEVERAL_STEPS,
        [("best = online(o2)", "best = frozen(o2)"), ("* frozen(o2)[", "* online(o2)[")],
        "double-q-networks-swapped",
    ),
    "vector: cut taken for ended": (
        VECTOR,
        [("float(terms[i])", "float(terms[i] or truncs[i])")],
        "truncation-as-terminal",
    ),
    "vector: the first observation of the next episode": (
        VECTOR,
        [('infos["final_obs"][i]', "nxt[i]")],
        "next-observation-after-reset",
    ),
    "vector: the largest value is learnt": (
        VECTOR,
        [('p = qa.gather(1, b["a"].long().unsqueeze(1)).flatten()', "p = qa.max(1)[0]")],
        "gathered-wrong-action",
    ),
    "vector: a column of rewards meets a row of values": (VECTOR, [("r=()", "r=(1,)")], "silent-broadcast"),
    "vector: the observation stays": (VECTOR, [("    obs = nxt\n", "")], "observation-not-advanced"),
    "vector: no mask of ends": (VECTOR, [(' * (1 - b["d"])', "")], "terminal-mask-missing"),
    "vector: gradients through the target": (
        VECTOR,
        [
            ("        with torch.no_grad():\n            y =", "        if True:\n            y ="),
            ("* q_slow(b", "* q(b"),
        ],
        "target-not-detached",
    ),
    "vector: the reward of the step before": (
        VECTOR,
        [
            ("    at = 0\n", "")
            if False
            else ("obs, _ = envs.reset(seed=3)", "obs, _ = envs.reset(seed=3)\nlast = np.zeros(COPIES)"),
            ("float(rewards[i]), float", "float(last[i]), float"),
            ("    obs = nxt\n", "    obs, last = nxt, rewards\n"),
        ],
        "reward-off-by-one",
    ),
    "vector: the target is its own network": (
        VECTOR,
        [("q, q_slow = Net(), Net()", "q = q_slow = Net()")],
        "target-aliases-online",
    ),
    "goes on: ended ones go on": (GOES_ON, [("None if terminated else ", "")], "terminal-mask-missing"),
    "goes on: cut ones do not": (
        GOES_ON,
        [("None if terminated else", "None if done else")],
        "truncation-as-terminal",
    ),
    "goes on: the state is written in place": (
        GOES_ON.replace("np.array([self.place, 1.0], np.float32)", "self.write()").replace(
            "    def step(self, action):",
            "    kept = np.zeros(2, np.float32)\n    def write(self):\n"
            "        self.kept[:] = self.place, 1.0\n        return self.kept\n    def step(self, action):",
        ),
        [
            ("state = torch.tensor(state).unsqueeze(0)", "state = torch.from_numpy(state).unsqueeze(0)"),
            ("else torch.tensor(observation)", "else torch.from_numpy(observation)"),
            ("        state = torch.tensor(observation)", "        state = torch.from_numpy(observation)"),
        ],
        "observation-aliased",
    ),
}

VARIANTS = {
    "several steps": (SEVERAL_STEPS, []),
    "several steps: one step": (SEVERAL_STEPS, [("N, GAMMA = 3", "N, GAMMA = 1")]),
    "several steps: a discount of one": (SEVERAL_STEPS, [("GAMMA = 3, 0.9", "GAMMA = 3, 1.0")]),
    "several steps: no double": (SEVERAL_STEPS, [("best = online(o2)", "best = frozen(o2)")]),
    "vector": (VECTOR, []),
    "vector: ended rows hold the next episode's first": (
        VECTOR,
        [("if terms[i] or truncs[i]:", "if truncs[i]:")],
    ),
    "vector: rewards of a tenth": (VECTOR, [("float(rewards[i])", "0.1 * float(rewards[i])")]),
    "vector: rewards clipped": (VECTOR, [("float(rewards[i])", "float(np.sign(rewards[i]))")]),
    "vector: shaped at the end": (
        VECTOR,
        [("float(rewards[i])", "(-10.0 if terms[i] else float(rewards[i]))")],
    ),
    "vector: actions the other way round": (VECTOR, [("envs.step(actions)", "envs.step(1 - actions)")]),
    "goes on": (GOES_ON, []),
}


@pytest.mark.filterwarnings("ignore:Using a target size")  # one of the faults
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named_first_in_every_style(fault: str, tmp_path: Path) -> None:
    program, edits, expected = FAULTS[fault]
    told = run_watched(plant(program, *edits), tmp_path)
    assert told.kinds
    assert told.first_cause[0] == expected


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_only_looks_odd_is_not_called_wrong_in_any_style(variant: str, tmp_path: Path) -> None:
    program, edits = VARIANTS[variant]
    assert run_watched(plant(program, *edits), tmp_path).findings == []
