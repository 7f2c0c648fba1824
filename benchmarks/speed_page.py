"""The page of `speed.py`, made of what it stored."""

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["write_page"]

AIMS = {"ppo": "10 (20)", "dqn": "10 (20)", "sac": "1.5", "verdict": "10"}
NAMES = {"ppo": "PPO", "dqn": "DQN", "sac": "SAC"}


def write_page(stored: Mapping[str, Any], file: Path, middle: Callable[[Sequence[float]], float]) -> None:
    """Write the page as Markdown."""
    lines = [
        "# Speed of the reinforcement learners",
        "",
        "`python benchmarks/speed.py` makes this page and says how peers are installed. 16 seeds of ours",
        "(two processes, eight seeds each) against two processes of a peer, one seed each: the same two",
        "cores, one thread a process, same networks, settings and steps, in turns; medians (and range).",
        "",
        f"Machine: {_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}.",
        "",
        "| learner | environment | steps a seed | ours, steps/s | CleanRL x 2 | Stable-Baselines3 x 2 | "
        "ratio to CleanRL | wanted | load |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in ("ppo", "dqn", "sac"):
        if name not in stored:
            continue
        entry = stored[name]
        rounds: dict[str, list[float]] = entry["rounds"]
        shown = [
            f"{middle(rounds[who]):,.0f} ({min(rounds[who]):,.0f} to {max(rounds[who]):,.0f})"
            if rounds[who]
            else "-"
            for who in ("ours", "CleanRL", "Stable-Baselines3")
        ]
        ratio = f"**{middle(rounds['ours']) / middle(rounds['CleanRL']):.1f}**" if rounds["CleanRL"] else "-"
        cells = [NAMES[name], entry["environment"], f"{entry['steps']:,}", *shown, ratio, AIMS[name]]
        lines.append(f"| {' | '.join(cells)} | {entry['load']:.1f} |")
    if "verdict" in stored:
        lines += _verdict(stored["verdict"])
    if "profile" in stored:
        lines += _profile(stored["profile"])
    file.write_text("\n".join(lines) + "\n")


def _verdict(entry: Mapping[str, Any]) -> list[str]:
    text = f"`modelwright run cartpole`, in a new project: {entry['ours']:.0f} s from command to verdict"
    if "CleanRL" in entry:
        ratio = entry["CleanRL"] / entry["ours"]
        text += (
            f"; CleanRL's `ppo.py`, 16 seeds of each variant with the same number of steps, two at a time, "
            f"{entry['CleanRL']:.0f} s: **{ratio:.1f}** times as long (wanted: {AIMS['verdict']})"
        )
    return ["", "## From a hypothesis to a verdict", "", text + "."]


def _profile(entry: Mapping[str, Any]) -> list[str]:
    learners = {name: found for name, found in entry.items() if isinstance(found, dict)}
    parts = list(next(iter(learners.values()))["shares"])
    lines = [
        "",
        "## Where the time goes",
        "",
        f"One process, {entry['seeds']} seeds. Operations are those of torch's matrix products, counted",
        "while training; the limit is how many steps a second they would allow at the "
        f"{entry['operations a second'] / 1e9:.0f} billion",
        "operations a second that a batched product of 128 x 128 reaches on this core.",
        "",
        f"| learner | steps/s | {' | '.join(parts)} | operations a step | limit, steps/s | reached |",
        "|---" * (len(parts) + 5) + "|",
    ]
    for name, found in learners.items():
        shares = " | ".join(f"{found['shares'][part]:.0%}" for part in parts)
        lines.append(
            f"| {name} | {found['steps a second']:,.0f} | {shares} | {found['operations a step']:,.0f} | "
            f"{found['limit']:,.0f} | {found['steps a second'] / found['limit']:.0%} |"
        )
    return lines


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
