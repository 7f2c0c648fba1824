"""How many environment steps a second the reinforcement learners do, beside CleanRL and Stable-Baselines3.

The question that an experiment asks is how long many seeds take, so 16 seeds of ours, as two processes of
one thread with eight seeds each, stand against two processes of the peer, one seed each, on the same two
cores: same networks, same settings, same number of steps of each seed, in turns. Imports are not counted on
either side.

    python benchmarks/speed.py ppo dqn sac verdict profile     all of it, half an hour
    python benchmarks/speed.py ppo                             one part

Peers run in environments of their own; where one is missing the page has a dash in its place.

    python -m venv build/peers/cleanrl
    build/peers/cleanrl/bin/pip install torch==2.13.0 gymnasium==0.29.1 pygame tyro tensorboard "numpy<2"
    git clone https://github.com/vwxyzjn/cleanrl build/peers/cleanrl/src
    python -m venv build/peers/sb3 && build/peers/sb3/bin/pip install torch==2.13.0 stable-baselines3

CleanRL at HEAD (fe8d8a0) does not log returns on Gymnasium 1.x and its DQN dies there, hence 0.29. Another
folder than build/peers is given by --peers. Results are kept in `benchmarks/results/speed.json`, part by
part; `benchmarks/results/speed.md` is made of that.
"""

import argparse
import json
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from modelwright.algorithms import REINFORCEMENT
from modelwright.base.configure import configure
from modelwright.base.seed import derive_seeds
from modelwright.data.environments.environment import Environment
from profile_learners import profile_learners
from speed_page import write_page

RESULTS = Path(__file__).parent / "results"
SEEDS, PROCESSES = 16, 2
CHILD = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True, kw_only=True)
class Race:
    """One learner against its peers.

    Attributes:
        learner: Ours; its defaults are CleanRL's.
        environment: The environment.
        steps: Steps of each seed.
        config: Our settings that are not the defaults.
        cleanrl: CleanRL's file and its arguments.
        sb3: Stable-Baselines3's class and arguments, the same settings as far as it has them.
        rounds: How often, in turns.
    """

    learner: str
    environment: str
    steps: int
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])
    cleanrl: Sequence[str]
    sb3: str
    rounds: int = 3


RACES = {
    "ppo": Race(
        learner="ppo",
        environment="CartPole-v1",
        steps=50_000,
        cleanrl=["cleanrl/ppo.py"],
        sb3=(
            "PPO('MlpPolicy', make_vec_env('CartPole-v1', 4), n_steps=128, batch_size=128, n_epochs=4, "
            "learning_rate=2.5e-4, ent_coef=0.01, clip_range_vf=0.2, device='cpu')"
        ),
    ),
    "dqn": Race(
        learner="dqn",
        environment="CartPole-v1",
        # Before 10,000 steps nobody learns: they shall not be a large part.
        steps=100_000,
        cleanrl=["cleanrl/dqn.py"],
        sb3=(
            "DQN('MlpPolicy', 'CartPole-v1', learning_rate=2.5e-4, buffer_size=10000, learning_starts=10000, "
            "batch_size=128, train_freq=10, target_update_interval=500, exploration_fraction=0.5, "
            "policy_kwargs={'net_arch': [120, 84]}, device='cpu')"
        ),
    ),
    "sac": Race(
        learner="sac",
        environment="Pendulum-v1",
        steps=3_000,
        cleanrl=["cleanrl/sac_continuous_action.py", "--learning-starts", "1000"],
        sb3=(
            "SAC('MlpPolicy', 'Pendulum-v1', learning_starts=1000, batch_size=256, learning_rate=3e-4, "
            "policy_kwargs={'net_arch': [256, 256]}, device='cpu')"
        ),
        rounds=2,
    ),
}


# ---- ours ----


def _train(name: str, first: int, count: int, ready: Any, done: Any) -> None:
    import torch

    torch.set_num_threads(1)
    race = RACES[name]
    module = import_module(REINFORCEMENT[race.learner])
    config = configure(module.Config, {"total_steps": race.steps, **race.config}, where=race.learner)
    seeds = derive_seeds("benchmarks/speed", count, start=first)
    # A step of one update, thrown away: what is loaded late is loaded now, as imports are.
    small = {"total_steps": 600, "learning_starts": 500} if race.learner != "ppo" else {"total_steps": 512}
    warm = configure(module.Config, {**race.config, **small}, where=race.learner)
    for _ in module.train(Environment(name=race.environment), seeds[:1], warm):
        pass
    ready.wait()
    *_, last = module.train(Environment(name=race.environment), seeds, config)
    done.put(float(last.metrics["environment_steps"].sum()))


def ours(name: str) -> float:
    """Return environment steps a second of all seeds together."""
    context = multiprocessing.get_context("spawn")
    ready, done = context.Barrier(PROCESSES + 1), context.Queue()
    share = SEEDS // PROCESSES
    workers = [
        context.Process(target=_train, args=(name, place * share, share, ready, done))
        for place in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    ready.wait()
    begun = time.perf_counter()
    total = sum(done.get() for _ in workers)
    seconds = time.perf_counter() - begun
    for worker in workers:
        worker.join()
    return total / seconds


# ---- peers ----


def together(commands: Sequence[Sequence[str]], folder: Path, more: Mapping[str, str]) -> list[str]:
    """Run commands side by side and return what each printed."""
    running = [
        subprocess.Popen(
            list(command),
            cwd=folder,
            env={**CHILD, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for command in commands
    ]
    printed = [process.communicate()[0] for process in running]
    for process, text in zip(running, printed, strict=True):
        if process.returncode:
            raise SystemExit(f"A peer failed: {process.args}\n{text[-2000:]}")
    return printed


def run_cleanrl(peers: Path, files: Sequence[Sequence[str]]) -> list[str]:
    """Run CleanRL's files with their arguments side by side and return what each printed."""
    source = peers / "cleanrl" / "src"
    python = str(peers / "cleanrl" / "bin" / "python")
    commands = [[python, str(source / file), *more, "--no-cuda"] for file, *more in files]
    # They write curves below the folder that they run in.
    with tempfile.TemporaryDirectory() as place:
        return together(commands, Path(place), {"PYTHONPATH": str(source)})


def cleanrl(race: Race, peers: Path) -> float | None:
    """Return the sum of the steps a second that two runs of CleanRL report of themselves."""
    if not (peers / "cleanrl" / "src").is_dir():
        return None
    given = [*race.cleanrl, "--env-id", race.environment, "--total-timesteps", str(race.steps), "--seed"]
    printed = run_cleanrl(peers, [[*given, str(seed)] for seed in (1, 2)])
    return sum(float(re.findall(r"SPS: (\d+)", text)[-1]) for text in printed)


def sb3(race: Race, peers: Path) -> float | None:
    """Return the sum of the steps a second of two runs of Stable-Baselines3."""
    python = peers / "sb3" / "bin" / "python"
    if not python.exists():
        return None
    code = (
        "import time, torch, warnings; warnings.simplefilter('ignore'); torch.set_num_threads(1)\n"
        "from stable_baselines3 import DQN, PPO, SAC\n"
        "from stable_baselines3.common.env_util import make_vec_env\n"
        f"model = {race.sb3}\n"
        f"begun = time.perf_counter(); model.learn({race.steps})\n"
        "print('SPS:', model.num_timesteps / (time.perf_counter() - begun))\n"
    )
    printed = together([[str(python), "-c", code]] * 2, peers, {})
    return sum(float(re.findall(r"SPS: ([\d.]+)", text)[-1]) for text in printed)


def race(name: str, peers: Path) -> dict[str, Any]:
    """Run one learner and its peers in turns."""
    rounds: dict[str, list[float]] = {"ours": [], "CleanRL": [], "Stable-Baselines3": []}
    for turn in range(RACES[name].rounds):
        for who, found in (
            ("ours", ours(name)),
            ("CleanRL", cleanrl(RACES[name], peers)),
            ("Stable-Baselines3", sb3(RACES[name], peers) if turn == 0 else None),
        ):
            if found is not None:
                rounds[who].append(found)
                print(f"{name} {who}: {found:,.0f} steps a second", flush=True)
    entry: dict[str, Any] = {"environment": RACES[name].environment, "steps": RACES[name].steps}
    return {**entry, "rounds": rounds, "load": os.getloadavg()[0]}


# ---- from a hypothesis to a verdict ----


def verdict(peers: Path) -> dict[str, Any]:
    """Time `modelwright run cartpole` in a new project against CleanRL's 16 seeds of both variants."""
    with tempfile.TemporaryDirectory() as place:
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "modelwright", "run", "cartpole", "--json"],
            cwd=place,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        mine = time.perf_counter() - begun
    said = json.loads(done.stdout)
    print(f"verdict ours: {mine:.1f} s", flush=True)
    entry: dict[str, Any] = {"ours": mine, "outcome": said, "load": os.getloadavg()[0]}
    if (peers / "cleanrl" / "src").is_dir():
        given = ["cleanrl/ppo.py", "--env-id", "CartPole-v1", "--total-timesteps", "50000", "--seed"]
        begun = time.perf_counter()
        for seed in range(16):
            pair = [[*given, str(seed), flag] for flag in ("--norm-adv", "--no-norm-adv")]
            run_cleanrl(peers, pair)
        entry["CleanRL"] = time.perf_counter() - begun
        print(f"verdict CleanRL: {entry['CleanRL']:.1f} s", flush=True)
    return entry


def main() -> None:
    """Run what is asked for and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parts = [*RACES, "verdict", "profile"]
    parser.add_argument("parts", nargs="*", choices=[[], *parts], help="all if none")
    parser.add_argument("--peers", type=Path, default=Path("build/peers"), help="folder of the peers")
    parser.add_argument("--page", action="store_true", help="only write the page again")
    given = parser.parse_args()
    file = RESULTS / "speed.json"
    stored: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    for part in [] if given.page else given.parts or parts:
        if part in RACES:
            stored[part] = race(part, given.peers.absolute())
        elif part == "verdict":
            stored[part] = verdict(given.peers.absolute())
        else:
            stored[part] = profile_learners()
        file.write_text(json.dumps(stored, indent=1) + "\n")
    write_page(stored, RESULTS / "speed.md", statistics.median)


if __name__ == "__main__":
    main()
