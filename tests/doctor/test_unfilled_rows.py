"""Memories that are drawn from where nothing was stored yet, and programs in which zeros mean something."""

from pathlib import Path

import pytest
from watched import CORRIDOR, plant, run_watched

MEMORY = (
    CORRIDOR[: CORRIDOR.index("random.seed(0)")]
    + """
random.seed(0)
torch.manual_seed(0)
draws = np.random.default_rng(0)
SIZE, ROWS = 1500, 32


class Memory:
    def __init__(self):
        self.seen, self.next = np.zeros((SIZE, 2), np.float32), np.zeros((SIZE, 2), np.float32)
        self.done, self.gain = np.zeros((SIZE, 1), np.int64), np.zeros((SIZE, 2), np.float32)
        self.stored = 0

    def store(self, seen, action, reward, following, ended):
        at = self.stored % SIZE
        self.seen[at], self.next[at], self.done[at], self.gain[at] = seen, following, action, (reward, ended)
        self.stored += 1

    def draw(self):
        at = draws.integers(0, min(self.stored, SIZE), ROWS)
        return [torch.from_numpy(part[at]) for part in (self.seen, self.done, self.gain, self.next)]


def network():
    return nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2))


learner, slow = network(), network()
slow.load_state_dict(learner.state_dict())
adam = torch.optim.Adam(learner.parameters(), lr=1e-3)
env, memory = Corridor(), Memory()
seen, _ = env.reset(seed=0)
for step in range(900):
    if random.random() < max(0.1, 1 - step / 500):
        action = random.randrange(2)
    else:
        with torch.no_grad():
            action = int(learner(torch.from_numpy(seen)[None]).argmax())
    following, reward, ended, cut, _ = env.step(action)
    memory.store(seen, action, reward, following, ended)
    seen = env.reset()[0] if ended or cut else following
    if step > 60:
        states, actions, gains, nexts = memory.draw()
        with torch.no_grad():
            goal = gains[:, 0] + 0.9 * (1 - gains[:, 1]) * slow(nexts).max(1).values
        loss = nn.functional.mse_loss(learner(states).gather(1, actions)[:, 0], goal)
        adam.zero_grad()
        loss.backward()
        adam.step()
        if step % 50 == 0:
            slow.load_state_dict(learner.state_dict())
"""
)

HEALTHY = {
    "rows that were stored": [],
    "zeros after an end": [
        (
            "memory.store(seen, action, reward, following, ended)",
            "after = 0 * following if ended else following"
            "\n    memory.store(seen, action, reward, after, ended)",
        ),
        ("goal = gains", "slow(states)\n            goal = gains"),
    ],
    "zeros that fill up": [
        (
            "for part in (self.seen, self.done, self.gain, self.next)]",
            "for part in (self.seen, self.done, self.gain, self.next)]\n\n"
            "    def filled(self):\n"
            "        parts = self.draw()\n"
            "        for part in parts:\n"
            "            part[ROWS - max(2, 20 - self.stored // 40) :] = 0\n"
            "        return parts",
        ),
        ("nexts = memory.draw()", "nexts = memory.filled()"),
    ],
    "as many rows left out all the time": [
        (
            "for part in (self.seen, self.done, self.gain, self.next)]",
            "for part in (self.seen, self.done, self.gain, self.next)]\n\n"
            "    def masked(self):\n"
            "        kept = torch.rand(ROWS, 1) < 0.7\n"
            "        return [part * kept for part in self.draw()]",
        ),
        ("nexts = memory.draw()", "nexts = memory.masked()"),
    ],
}


@pytest.mark.parametrize("name", HEALTHY)
def test_zeros_that_mean_something_are_not_spoken_of(name: str, tmp_path: Path) -> None:
    kinds = run_watched(plant(MEMORY, *HEALTHY[name]), tmp_path).kinds
    assert "unfilled-rows-drawn" not in kinds


@pytest.mark.parametrize("size", [1000, 1500, 3000])
def test_places_that_are_empty_are_found(size: int, tmp_path: Path) -> None:
    edits = [("min(self.stored, SIZE), ROWS", "SIZE, ROWS"), ("SIZE, ROWS = 1500", f"SIZE, ROWS = {size}")]
    told = run_watched(plant(MEMORY, *edits), tmp_path)
    assert "unfilled-rows-drawn" in told.kinds
    assert told.first_cause[0] == "sampled-unfilled-rows"
