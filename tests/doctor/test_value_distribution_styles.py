"""Value distributions as programs write them: several steps, loops over atoms, quantiles."""

from pathlib import Path

import pytest
from watched import CORRIDOR, every_second_slow, plant, run_watched

_HEAD = CORRIDOR[: CORRIDOR.index("random.seed(0)")]

SEVERAL_STEPS = (
    _HEAD
    + """
from collections import deque
import torch.nn.functional as F
random.seed(0); np.random.seed(0); torch.manual_seed(0)
VMIN, VMAX, N, STEPS, GAMMA = -3.0, 3.0, 31, 3, 0.93
Z = torch.linspace(VMIN, VMAX, N)
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.feature = nn.Sequential(nn.Linear(2, 32), nn.ReLU())
        self.value, self.adv = nn.Linear(32, N), nn.Linear(32, 2 * N)
        self.register_buffer("support", Z.clone())
    def forward(self, x):
        return (self.dist(x) * self.support).sum(2)
    def dist(self, x):
        h = self.feature(x)
        a = self.adv(h).view(-1, 2, N)
        v = self.value(h).view(-1, 1, N)
        return F.softmax(v + a - a.mean(1, keepdim=True), dim=-1).clamp(min=1e-3)
online, target = Net(), Net()
target.load_state_dict(online.state_dict())
optimizer = torch.optim.Adam(online.parameters(), lr=1e-3)
env = Corridor()
memory, window = [], deque(maxlen=STEPS)
obs, _ = env.reset(seed=0)
def push(last, ended):
    total = sum(GAMMA**k * r for k, (_, _, r) in enumerate(window))
    memory.append((window[0][0], window[0][1], total, last, float(ended)))
for step in range(900):
    if random.random() < max(0.1, 1 - step / 500):
        action = random.randrange(2)
    else:
        with torch.no_grad():
            action = int(online(torch.from_numpy(obs)[None]).argmax())
    after, reward, terminated, truncated, _ = env.step(action)
    window.append((obs, action, reward))
    if len(window) == STEPS:
        push(after, terminated)
    if terminated or truncated:
        window.clear()
        obs, _ = env.reset()
    else:
        obs = after
    if step >= 100:
        rows = random.sample(memory, 32)
        o, a, r, o2, d = (torch.tensor(np.array(part)) for part in zip(*rows))
        r, d = r.float()[:, None], d.float()[:, None]
        with torch.no_grad():
            best = online(o2).argmax(1)
            after_dist = target.dist(o2)[range(32), best]
            t_z = (r + (1 - d) * GAMMA**STEPS * Z).clamp(VMIN, VMAX)
            b = (t_z - VMIN) / ((VMAX - VMIN) / (N - 1))
            l, u = b.floor().long(), b.ceil().long()
            offset = torch.arange(0, 32 * N, N)[:, None].expand(32, N)
            l[(u > 0) & (l == u)] -= 1
            u[(l < N - 1) & (l == u)] += 1
            proj = torch.zeros(32, N)
            proj.view(-1).index_add_(0, (l + offset).view(-1), (after_dist * (u.float() - b)).view(-1))
            proj.view(-1).index_add_(0, (u + offset).view(-1), (after_dist * (b - l.float())).view(-1))
        log_p = torch.log(online.dist(o)[range(32), a])
        loss = -(proj * log_p).sum(1).mean()
        optimizer.zero_grad(); loss.backward(); optimizer.step()
        if step % 50 == 0:
            target.load_state_dict(online.state_dict())
"""
)

LOOPS = (
    _HEAD
    + """
random.seed(0); np.random.seed(0); torch.manual_seed(0)
VMIN, VMAX, K, GAMMA = -2.0, 2.0, 25, 0.9
DZ = (VMAX - VMIN) / (K - 1)
z = [VMIN + i * DZ for i in range(K)]
def make():
    return nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 2 * K))
main_net, slow_net = make(), make()
slow_net.load_state_dict(main_net.state_dict())
opt = torch.optim.Adam(main_net.parameters(), lr=1e-3)
def probs(net, s):
    return torch.softmax(net(s).reshape(len(s), 2, K), dim=2)
def best(net, s):
    return (probs(net, s) * torch.tensor(z)).sum(2).argmax(1)
env = Corridor()
memory = []
obs, _ = env.reset(seed=0)
for step in range(700):
    if random.random() < max(0.1, 1 - step / 400):
        action = random.randrange(2)
    else:
        with torch.no_grad():
            action = int(best(main_net, torch.from_numpy(obs)[None]))
    after, reward, terminated, truncated, _ = env.step(action)
    memory.append((obs, action, reward, after, terminated))
    obs = env.reset()[0] if terminated or truncated else after
    if step >= 100:
        rows = random.sample(memory, 24)
        states = torch.tensor(np.array([row[0] for row in rows]))
        nexts = torch.tensor(np.array([row[3] for row in rows]))
        with torch.no_grad():
            chosen = best(main_net, nexts).numpy()
            p = probs(slow_net, nexts).numpy()
        m = np.zeros((24, K), np.float32)
        for i, (_, _, r, _, done) in enumerate(rows):
            if done:
                tz = min(VMAX, max(VMIN, r))
                b = (tz - VMIN) / DZ
                l, u = int(np.floor(b)), int(np.ceil(b))
                if l == u:
                    m[i, l] += 1.0
                else:
                    m[i, l] += u - b
                    m[i, u] += b - l
            else:
                for j in range(K):
                    tz = min(VMAX, max(VMIN, r + GAMMA * z[j]))
                    b = (tz - VMIN) / DZ
                    l, u = int(np.floor(b)), int(np.ceil(b))
                    if l == u:
                        m[i, l] += p[i, chosen[i], j]
                    else:
                        m[i, l] += p[i, chosen[i], j] * (u - b)
                        m[i, u] += p[i, chosen[i], j] * (b - l)
        logits = main_net(states).reshape(24, 2, K)[torch.arange(24), torch.tensor([row[1] for row in rows])]
        loss = nn.functional.cross_entropy(logits, torch.tensor(m))
        opt.zero_grad(); loss.backward(); opt.step()
        if step % 50 == 0:
            slow_net.load_state_dict(main_net.state_dict())
"""
)

QUANTILES = (
    _HEAD
    + """
random.seed(0); np.random.seed(0); torch.manual_seed(0)
N, GAMMA = 20, 0.9
class QNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2 * N))
    def forward(self, x):
        return self.net(x).view(-1, 2, N)
q, q_target = QNet(), QNet()
q_target.load_state_dict(q.state_dict())
opt = torch.optim.Adam(q.parameters(), lr=1e-3)
tau = ((torch.arange(N) + 0.5) / N).view(1, N, 1)
env = Corridor()
memory = []
obs, _ = env.reset(seed=0)
for step in range(900):
    with torch.no_grad():
        action = int(q(torch.from_numpy(obs)[None]).mean(2).argmax())
    if random.random() < max(0.1, 1 - step / 500):
        action = random.randrange(2)
    after, reward, terminated, truncated, _ = env.step(action)
    memory.append((obs, action, reward, after, terminated))
    obs = env.reset()[0] if terminated or truncated else after
    if step >= 100:
        o, a, r, o2, d = (torch.tensor(np.array(part)) for part in zip(*random.sample(memory, 32)))
        with torch.no_grad():
            nxt = q_target(o2)
            best = nxt.mean(2).argmax(1)
            goal = r.float()[:, None] + GAMMA * (1 - d.float())[:, None] * nxt[torch.arange(32), best]
        said = q(o)[torch.arange(32), a]
        u = goal.unsqueeze(1) - said.unsqueeze(2)
        huber = torch.where(u.abs() <= 1, 0.5 * u**2, u.abs() - 0.5)
        loss = ((tau - (u.detach() < 0).float()).abs() * huber).mean(2).sum(1).mean()
        opt.zero_grad(); loss.backward(); opt.step()
        if step % 50 == 0:
            q_target.load_state_dict(q.state_dict())
"""
)

DRAWN_QUANTILES = (
    _HEAD
    + """
random.seed(0); np.random.seed(0); torch.manual_seed(0)
N, GAMMA = 16, 0.9
class Iqn(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.phi, self.head = nn.Linear(2, 32), nn.Linear(16, 32), nn.Linear(32, 2)
    def forward(self, x, n):
        taus = torch.rand(len(x), n)
        waves = torch.cos(torch.arange(16) * np.pi * taus[..., None])
        mixed = torch.relu(self.body(x))[:, None] * torch.relu(self.phi(waves))
        return self.head(mixed), taus
local, frozen = Iqn(), Iqn()
frozen.load_state_dict(local.state_dict())
opt = torch.optim.Adam(local.parameters(), lr=1e-3)
env = Corridor()
memory = []
obs, _ = env.reset(seed=0)
for step in range(900):
    with torch.no_grad():
        action = int(local(torch.from_numpy(obs)[None], 32)[0].mean(1).argmax())
    if random.random() < max(0.1, 1 - step / 500):
        action = random.randrange(2)
    after, reward, terminated, truncated, _ = env.step(action)
    memory.append((obs, action, reward, after, terminated))
    obs = env.reset()[0] if terminated or truncated else after
    if step >= 100:
        o, a, r, o2, d = (torch.tensor(np.array(part)) for part in zip(*random.sample(memory, 32)))
        with torch.no_grad():
            best = frozen(o2, 32)[0].mean(1).argmax(1)
            nxt = frozen(o2, N)[0].gather(2, best[:, None, None].expand(32, N, 1)).transpose(1, 2)
            goal = r.float()[:, None, None] + GAMMA * (1 - d.float())[:, None, None] * nxt
        quantiles, taus = local(o, N)
        said = quantiles.gather(2, a[:, None, None].expand(32, N, 1))
        u = goal - said
        huber = torch.where(u.abs() <= 1, 0.5 * u**2, u.abs() - 0.5)
        loss = ((taus[..., None] - (u.detach() < 0).float()).abs() * huber).sum(1).mean(1).mean()
        opt.zero_grad(); loss.backward(); opt.step()
        if step % 50 == 0:
            frozen.load_state_dict(local.state_dict())
"""
)

HEALTHY = {
    "several steps, dueling, double": (SEVERAL_STEPS, []),
    "without a double choice": (
        SEVERAL_STEPS,
        [("best = online(o2).argmax(1)", "best = target(o2).argmax(1)")],
    ),
    "loops over atoms, cross-entropy of logits": (LOOPS, []),
    "rewards cut to their sign": (
        LOOPS,
        [("memory.append((obs, action, reward, after", "memory.append((obs, action, np.sign(reward), after")],
    ),
    "rewards made ten times as large": (
        LOOPS,
        [("memory.append((obs, action, reward, after", "memory.append((obs, action, 10 * reward, after")],
    ),
    "atoms that no return reaches": (
        LOOPS,
        [("VMIN, VMAX, K, GAMMA = -2.0, 2.0", "VMIN, VMAX, K, GAMMA = -9.0, 9.0")],
    ),
    "no target network": (
        QUANTILES,
        [
            ("nxt = q_target(o2)", "nxt = q(o2)"),
            ("            q_target.load_state_dict(q.state_dict())", "            pass"),
        ],
    ),
    "quantiles": (QUANTILES, []),
    "quantiles, rows by quantiles": (
        QUANTILES,
        [
            ("goal.unsqueeze(1) - said.unsqueeze(2)", "goal.t().unsqueeze(-1) - said"),
            ("view(1, N, 1)", "view(1, N)"),
            (".mean(2).sum(1).mean()\n", ".mean()\n"),
        ],
    ),
    "drawn quantiles": (DRAWN_QUANTILES, []),
}

_LOST = """            l[(u > 0) & (l == u)] -= 1
            u[(l < N - 1) & (l == u)] += 1
"""

FAULTS = {
    "several steps, no mask": (
        SEVERAL_STEPS,
        [("(1 - d) * GAMMA**STEPS", "GAMMA**STEPS")],
        "terminal-mask-missing",
    ),
    "several steps, discounted as one": (
        SEVERAL_STEPS,
        [("GAMMA**STEPS * Z", "GAMMA * Z")],
        "discount-power-wrong",
    ),
    "several steps, by the network that learns": (
        SEVERAL_STEPS,
        [("after_dist = target.dist(o2)", "after_dist = online.dist(o2)")],
        "target-uses-online",
    ),
    "shares on an atom lost": (
        SEVERAL_STEPS,
        [(_LOST, ""), ("-3.0, 3.0, 31", "-1.0, 1.0, 21")],
        "probabilities-not-summing-to-one",
    ),
    "loops, no mask": (LOOPS, [("            if done:", "            if False:")], "terminal-mask-missing"),
    "loops, atoms too near": (
        LOOPS,
        [
            ("VMIN, VMAX, K, GAMMA = -2.0, 2.0", "VMIN, VMAX, K, GAMMA = -0.05, 0.05"),
            ("env = Corridor()", "env = gymnasium.wrappers.TransformReward(Corridor(), lambda r: r - 1.0)"),
        ],
        "value-support-too-narrow",
    ),
    "loops, turned rewards": (
        LOOPS,
        [("r + GAMMA * z[j]", "-r + GAMMA * z[j]"), ("max(VMIN, r))", "max(VMIN, -r))")],
        "reward-sign-flipped",
    ),
    "softmax over actions": (
        SEVERAL_STEPS,
        [("keepdim=True), dim=-1)", "keepdim=True), dim=1)")],
        "softmax-over-wrong-axis",
    ),
    "quantiles, no mask": (QUANTILES, [("(1 - d.float())[:, None] * nxt", "nxt")], "terminal-mask-missing"),
    "quantiles of the best action": (
        QUANTILES,
        [("said = q(o)[torch.arange(32), a]", "said = q(o)[torch.arange(32), q(o).mean(2).argmax(1)]")],
        "gathered-wrong-action",
    ),
    "quantiles, cuts taken for ends": (
        QUANTILES,
        [("reward, after, terminated))", "reward, after, terminated or truncated))")],
        "truncation-as-terminal",
    ),
    "drawn quantiles, no mask": (
        DRAWN_QUANTILES,
        [("GAMMA * (1 - d.float())[:, None, None] * nxt", "GAMMA * nxt")],
        "terminal-mask-missing",
    ),
    "drawn quantiles of the network that learns": (
        DRAWN_QUANTILES,
        [("frozen(o2, N)[0].gather", "local(o2, N)[0].gather")],
        "target-uses-online",
    ),
}


@pytest.mark.parametrize("name", every_second_slow(HEALTHY))
def test_distributions_without_a_fault_are_not_spoken_of(name: str, tmp_path: Path) -> None:
    program, edits = HEALTHY[name]
    assert run_watched(plant(program, *edits), tmp_path).kinds == []


@pytest.mark.parametrize("name", every_second_slow(FAULTS))
def test_a_fault_of_distributions_is_named_first(name: str, tmp_path: Path) -> None:
    program, edits, cause = FAULTS[name]
    assert run_watched(plant(program, *edits), tmp_path).first_cause[0] == cause
