"""A small experiment in an environment of the user's, with a learner of the user's; and what came of it."""

from pathlib import Path
from typing import Any

from interrupted_project import repeatable

from modelwright.experiment.design import Design
from modelwright.lab.project import Project

__all__ = ["DESIGN", "WORLD", "make_project", "outcome", "small"]

WORLD = '''
import gymnasium
import numpy as np


class Corridor(gymnasium.Env):
    """Walk from a random place to the right end; every step costs one, the end gives ten."""

    observation_space = gymnasium.spaces.Discrete(6)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = int(self.np_random.integers(0, 4)), 0
        return self.place, {}

    def step(self, action):
        slip = self.np_random.random() < 0.2
        self.place = max(0, self.place + (1 if (action == 1) != slip else -1))
        self.steps += 1
        at_end = self.place == 5
        return self.place, 10.0 if at_end else -1.0, at_end, self.steps == 30, {}
'''

LEARNERS = """
import numpy as np


class Table:
    def __init__(self, values):
        self.values = values

    def act(self, observation):
        return int(self.values[observation].argmax())


def q_learning(environment, rng, episodes=30, rate=0.5, explore=0.2, every=10):
    values = np.zeros((environment.observation_space.n, environment.action_space.n))
    for episode in range(1, episodes + 1):
        place, _ = environment.reset()
        total, over = 0.0, False
        while not over:
            chosen = rng.integers(2) if rng.random() < explore else values[place].argmax()
            after, reward, ended, cut, _ = environment.step(int(chosen))
            goal = reward + (0.0 if ended else 0.9 * values[after].max())
            values[place, chosen] += rate * (goal - values[place, chosen])
            place, total, over = after, total + reward, ended or cut
        step = {"episode_return": total, "environment_steps": float(episode)}
        yield {**step, "policy": Table(values.copy())} if episode % every == 0 else step


def still(environment):
    yield {"episode_return": -30.0, "policy": Table(np.array([[1.0, 0.0]] * 6))}


def lost(environment):
    yield {"episode_return": float("nan"), "policy": Table(np.array([[0.0, 1.0]] * 6))}


def silent(environment):
    yield {"episode_return": 0.0}


def rows(features, target):
    yield {"score": 0.0}


def both(environment, features):
    yield {"score": 0.0}


def wrong(environment):
    yield {"episode_return": 0.0, "policy": Wrong()}


class Wrong:
    def act(self, observation):
        return "left"
"""

DESIGN: dict[str, Any] = {
    "name": "corridor",
    "question": {
        "hypothesis": "Learning by trial finds the end of the corridor sooner than standing still.",
        "metric": "return",
        "smallest_effect": 2.0,
        "low": -30.0,
        "high": 10.0,
    },
    "environment": {"name": "world.py:Corridor"},
    "evaluation": {"episodes": 6},
    "variants": {
        "learning": {"learner": "learners.py:q_learning"},
        "timid": {"learner": "learners.py:q_learning", "explore": 0.0, "rate": 0.1},
    },
    "seeds": 4,
    "rule": {"kind": "group_sequential", "looks": [3, 4]},
}
"""Two looks."""


def small(**changes: Any) -> Design:
    """Return the design with some settings changed."""
    return Design.from_mapping({**DESIGN, **changes})


def make_project(root: Path) -> Project:
    """Return a project with the world and the learners."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "world.py").write_text(WORLD)
    (root / "learners.py").write_text(LEARNERS)
    return Project.find(root, journal=Path(".modelwright"))


def outcome(project: Project, name: str = "corridor") -> dict[str, Any]:
    """Return all of the record that must be the same however it came about."""
    with project.open_journal(read_only=True) as journal:
        rows = [row for row in journal.runs(experiment=name) if row.status in ("finished", "failed")]
        ends = {row.run: journal.entries(kind="run.finished", run=row.run)[-1].body["body"] for row in rows}
        return {
            "trials": {
                (row.variant, row.seed_index): (row.trial, row.score, ends[row.run]["state"]) for row in rows
            },
            "looks": [entry.body for entry in journal.entries(kind="look")],
            "verdict": [entry.body for entry in journal.entries(kind="verdict")],
            "metrics": {
                (row.variant, row.seed_index): repeatable(journal.read_metrics(row.run)) for row in rows
            },
        }
