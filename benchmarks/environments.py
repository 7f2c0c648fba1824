"""Steps a second of environments as rows of one array, beside Gymnasium's own.

The peers are what Gymnasium offers for 64 copies in one process: its `SyncVectorEnv`, and the vector
environment of its own that CartPole has. All get the same random actions in the same process, in turns, on
one thread, and begin new episodes where one ends. Run as `python benchmarks/environments.py`; it writes
`benchmarks/results/environments.md` in about half a minute.
"""

import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from modelwright.base.seed import derive_seeds
from modelwright.data.environments.environment import BATCHED, Environment
from modelwright.data.environments.space import Discrete

SEEDS, COPIES = derive_seeds("benchmark", 16), 4
ROWS = len(SEEDS) * COPIES
TURNS, SECONDS = 3, 0.2
RESULT = Path(__file__).parent / "results" / "environments.md"
HEAD = ("| environment | rows | one by one | sync | own | faster |", "|---|--:|--:|--:|--:|--:|")
PAGE = f"""# Environments as rows

Written by `python benchmarks/environments.py`. Steps of single environments a second of processor time on one
thread, {ROWS} copies ({len(SEEDS)} seeds of {COPIES}), random actions, median of {TURNS} turns. *Rows* is
Modelwright's version, *one by one* its adapter around Gymnasium's environments, *sync* Gymnasium's
`SyncVectorEnv`, and *own* the vector environment that Gymnasium has of it, whose rows share one random
source: a row's numbers depend there on how many there are. The last column compares rows with the faster of
Gymnasium's.
"""


def measure(step: Callable[[int], object]) -> float:
    """Return steps of single environments a second of processor time, over at least `SECONDS`."""
    done, start = 0, time.process_time()
    while (spent := time.process_time() - start) < SECONDS:
        for turn in range(10):
            step(turn)
        done += 10 * ROWS
    return done / spent


def actions_of(space: Any) -> NDArray[Any]:
    """Return ten rounds of random actions, (round, seed, copy, *action)."""
    rng, lead = np.random.default_rng(0), (10, len(SEEDS), COPIES)
    if isinstance(space, Discrete):
        return rng.integers(space.n, size=lead)
    return rng.uniform(space.low, space.high, (*lead, *space.shape)).astype(np.float32)


def compare(name: str) -> dict[str, float]:
    """Return steps a second of each way to step 64 copies of an environment."""
    ours = {
        "rows": Environment(name=name).simulate(SEEDS, COPIES),
        "one by one": Environment(name=name, batched=False).simulate(SEEDS, COPIES),
    }
    peers: dict[str, Any] = {"sync": gymnasium.make_vec(name, num_envs=ROWS, vectorization_mode="sync")}
    if gymnasium.spec(name).vector_entry_point is not None:
        peers["own"] = gymnasium.make_vec(name, num_envs=ROWS, vectorization_mode="vector_entry_point")
    actions = actions_of(ours["rows"].action_space)
    flat = actions.reshape(10, ROWS, *actions.shape[3:])
    steps: dict[str, Callable[[int], object]] = {}
    for way, simulation in ours.items():
        steps[way] = lambda turn, simulation=simulation: simulation.step(actions[turn])
    for way, peer in peers.items():
        peer.reset(seed=0)
        steps[way] = lambda turn, peer=peer: peer.step(flat[turn])
    turns = [{way: measure(step) for way, step in steps.items()} for _ in range(TURNS)]
    return {way: statistics.median(turn[way] for turn in turns) for way in steps}


def processor() -> str:
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), "?")


def main() -> None:
    """Measure and write the page."""
    started, lines = time.monotonic(), []
    for name in BATCHED:
        found = compare(name)
        own = f"{found['own']:,.0f}" if "own" in found else ""
        faster = found["rows"] / max(found["sync"], found.get("own", 0.0))
        lines.append(
            f"| {name} | {found['rows']:,.0f} | {found['one by one']:,.0f} | {found['sync']:,.0f} | {own} "
            f"| {faster:.1f} x |"
        )
        print(lines[-1])
    where = (
        f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}, "
        f"Gymnasium {gymnasium.__version__}; it took {time.monotonic() - started:.0f} s."
    )
    RESULT.write_text("\n".join([PAGE, where, "", *HEAD, *lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
