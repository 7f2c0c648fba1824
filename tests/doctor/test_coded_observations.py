"""Agents in a world whose observations say where they come from: what they store is stepped again."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from agents import DQN, PPO, TD3, Reinforce, factory
from gymnasium.utils.env_checker import check_env
from tabular_agents import QLearning, tabular

from modelwright.doctor.probes.agents.coded.coded_course import take_coded_course
from modelwright.doctor.probes.agents.coded.coded_world import (
    CodedWorld,
    make_coded,
    moments_of,
    sights_of,
    steps_again,
)
from modelwright.doctor.probes.agents.coded.stored import stored_in
from modelwright.doctor.probes.agents.coded.stored_steps import judge_stored
from modelwright.doctor.probes.examination import examine
from modelwright.doctor.probes.limit import Limit
from modelwright.doctor.probes.reading import read_factory

SECONDS = 6.0


def causes_of(make: Callable[..., Any], *, forces: bool = False) -> list[tuple[str, str]]:
    found = take_coded_course(make, Limit(SECONDS), forces=forces).findings
    return [(each.kind, each.causes[0].name) for each in found if each.severity != "info"]


# ---- the world ----


def test_every_moment_has_an_observation_of_its_own_that_says_it() -> None:
    moments = np.array([(c, e, t) for c in (0, 7, 62) for e in (0, 1, 4094) for t in range(15)])
    sights = sights_of(moments)
    assert len(np.unique(sights, axis=0)) == len(moments)
    assert (moments_of(sights) == moments).all()
    wrong = sights.copy()
    wrong[:, 4] += 1 / 4096
    for other in (wrong, np.zeros_like(sights), np.full_like(sights, np.nan), 1e30 * sights):
        assert (moments_of(other) == -1).all()


@pytest.mark.parametrize("forces", [False, True])
def test_a_step_from_a_saved_state_is_the_step_that_was_taken(forces: bool) -> None:
    world = make_coded(forces=forces)
    world.action_space.seed(3)
    sight, _ = world.reset()
    lengths: list[int] = []
    ends = np.zeros(2, int)
    for _ in range(500):
        action = world.action_space.sample()
        after, reward, terminated, truncated, _ = world.step(action)
        done = np.asarray(action, np.float64 if forces else np.int64).reshape((1, 2) if forces else 1)
        again = steps_again(moments_of(sight[None]), done)
        assert (sights_of(again.after)[0] == after).all()
        assert (again.rewards[0], again.terminated[0], again.truncated[0]) == (reward, terminated, truncated)
        if terminated or truncated:
            lengths.append(int(moments_of(after[None])[0, 2]))
            ends += terminated, truncated
            after, _ = world.reset()
        sight = after
    assert min(lengths) >= 4
    assert max(lengths) <= 11
    assert (ends > 10).all()


def test_it_is_an_environment_as_gymnasium_wants_it() -> None:
    world = CodedWorld()
    assert world.reset()[0].dtype == np.float32
    check_env(make_coded(forces=True).unwrapped, skip_render_check=True)


# ---- agents ----


@pytest.mark.parametrize(
    ("make", "forces"),
    [
        (factory(DQN), False),
        (factory(DQN, n=3), False),
        (factory(PPO), False),
        (factory(Reinforce), False),
        (tabular(QLearning), False),
        (factory(TD3), True),
        (factory(PPO), True),
    ],
)
def test_a_sound_agent_raises_nothing(make: Callable[..., Any], forces: bool) -> None:
    assert causes_of(make, forces=forces) == []


@pytest.mark.parametrize(
    "mistake",
    ["next-observation-after-reset", "terminal-mask-missing", "greedy-inverted", "reward-sign-flipped"],
)
def test_what_the_watch_hears_of_an_agent_is_passed_on(mistake: str) -> None:
    assert mistake in {name for _, name in causes_of(factory(DQN, mistake))}


def test_cuts_that_are_stored_as_ends_are_found_in_the_memory() -> None:
    assert ("stored-steps-differ", "terminated-truncated-swapped") in causes_of(
        factory(DQN, "terminated-truncated-swapped")
    )


@pytest.mark.parametrize("algorithm", ["DQN", "A2C", "SAC"])
def test_models_of_stable_baselines_raise_nothing_and_their_memories_are_read(algorithm: str) -> None:
    sb3 = pytest.importorskip("stable_baselines3")
    more = {} if algorithm == "A2C" else {"learning_starts": 50}

    def make(environment: Any) -> Any:
        return getattr(sb3, algorithm)("MlpPolicy", environment, seed=0, **more)

    course = take_coded_course(make, Limit(SECONDS), forces=algorithm == "SAC")
    assert [each for each in course.findings if each.severity != "info"] == []
    assert any("stored transitions" in each for each in course.checked) == (algorithm != "A2C")


# ---- memories of many forms ----

COUNT = 300


@dataclass
class Row:
    state: Any
    action: int
    reward: float
    next_state: Any
    done: bool


def episodes(mistake: str) -> list[tuple[Any, int, float, Any, bool]]:
    """Return what an agent stores that acts at random."""
    world, random = make_coded(forces=False), np.random.default_rng(0)
    rows: list[tuple[Any, int, float, Any, bool]] = []
    seen, last, before, action = world.reset()[0], 0.0, False, 0
    for _ in range(COUNT):
        kept, action = action, int(random.integers(2))
        after, reward, terminated, truncated, _ = world.step(action)
        ended = terminated or truncated
        follows = world.reset()[0] if ended else after
        row = [seen, action, float(reward), after, terminated]
        if mistake == "gae-done-off-by-one":
            row[4] = before
        if mistake == "next-observation-after-reset":
            row[3] = follows
        if mistake == "observation-aliased":
            row[0] = after
        if mistake == "reward-off-by-one":
            row[2] = last
        if mistake == "gathered-wrong-action":
            row[1] = kept
        if mistake == "terminated-truncated-swapped":
            row[4] = truncated
        rows.append((row[0], row[1], row[2], row[3], row[4]))
        seen, last, before = follows, float(reward), ended
    if mistake == "next-observation-wrong":
        nexts = [rows[(at + 9) % COUNT][3] for at in range(COUNT)]
        rows = [(*row[:3], other, row[4]) for row, other in zip(rows, nexts, strict=True)]
    return rows


class Arrays:
    def __init__(self, rows: list[Any]) -> None:
        self.size, self.at = 500, len(rows)
        for name, width in (("obs", 5), ("act", 0), ("rew", 0), ("obs2", 5), ("done", 0)):
            setattr(self, f"{name}_buf", np.zeros((self.size, width) if width else self.size, np.float32))
        for at, row in enumerate(rows):
            self.obs_buf[at], self.act_buf[at], self.rew_buf[at] = row[:3]
            self.obs2_buf[at], self.done_buf[at] = row[3:]


class Tensors:
    def __init__(self, rows: list[Any]) -> None:
        columns = [torch.as_tensor(np.array(each), dtype=torch.float32) for each in zip(*rows, strict=True)]
        self.data = dict(zip(("s", "a", "r", "s2", "d"), columns, strict=True))
        self.data["a"], self.data["r"] = self.data["a"][:, None], 0.1 * self.data["r"][:, None]


class Lists:
    def __init__(self, rows: list[Any]) -> None:
        self.states, self.actions, self.rewards, self.after, self.dones = map(list, zip(*rows, strict=True))


class Agent:
    def __init__(self, memory: Any) -> None:
        self.memory, self.network = memory, torch.nn.Linear(5, 2)


FORMS: dict[str, Callable[[list[Any]], Any]] = {
    "tuples": lambda rows: deque(rows, maxlen=1000),
    "records": lambda rows: [Row(*row) for row in rows],
    "mappings": lambda rows: [dict(zip("sarnd", row, strict=True)) for row in rows],
    "tensors in tuples": lambda rows: [
        (torch.tensor(r[0])[None], *r[1:3], torch.tensor(r[3])[None], r[4]) for r in rows
    ],
    "arrays": Arrays,
    "tensors": Tensors,
    "lists": Lists,
}

MISTAKES = (
    "gae-done-off-by-one",
    "gathered-wrong-action",
    "next-observation-after-reset",
    "next-observation-wrong",
    "observation-aliased",
    "reward-off-by-one",
    "terminated-truncated-swapped",
)


@pytest.mark.parametrize("form", FORMS)
def test_a_memory_is_read_in_whatever_form_it_is_kept(form: str) -> None:
    found, count = judge_stored(stored_in(Agent(FORMS[form](episodes("")))), None)
    assert (found, count) == ([], COUNT)


@pytest.mark.parametrize("form", ["tuples", "arrays", "tensors"])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_what_is_stored_is_named(mistake: str, form: str) -> None:
    found, _ = judge_stored(stored_in(Agent(FORMS[form](episodes(mistake)))), None)
    assert [each.causes[0].name for each in found] == [mistake]


def test_one_flag_for_ends_and_cuts_says_nothing_against_what_follows_them() -> None:
    rows = [
        (*row[:4], bool(done))
        for row, done in zip(episodes("next-observation-after-reset"), ended(), strict=True)
    ]
    assert judge_stored(stored_in(Agent(deque(rows))), None)[0] == []


def ended() -> list[bool]:
    rows = episodes("gae-done-off-by-one")
    return [bool(row[4]) for row in rows[1:]] + [False]


def test_what_is_no_memory_is_none() -> None:
    class Odd:
        def __init__(self) -> None:
            self.me, self.nothing, self.text = self, None, "words" * 20
            self.ragged = [np.zeros(at) for at in range(40)]
            self.wide = np.random.default_rng(0).random((400, 5)).astype(np.float32)
            self.mixed = [(1, "a"), *[(2,)] * 40]

    assert stored_in(Odd()) == []
    assert judge_stored([], None) == ([], 0)


def test_an_agent_that_needs_other_observations_is_not_held_to_it() -> None:
    class Picky:
        def __init__(self, environment: Any) -> None:
            self.env = environment

        def act(self, observation: Any) -> int:
            return 0

        def learn(self, steps: int) -> None:
            if self.env.reset()[0].max() != 1:
                raise ValueError("one number is 1")

    course = take_coded_course(Picky, Limit(5.0))
    assert course.findings == ()
    assert "ValueError: one number is 1" in course.unchecked[0]


@pytest.mark.slow
def test_an_examination_says_what_was_stepped_again() -> None:
    made = examine(read_factory(factory(DQN)), (), 60.0)
    assert any("stored transitions, stepped again" in each for each in made.checked)
    assert [each for each in made.findings if each.severity != "info"] == []
