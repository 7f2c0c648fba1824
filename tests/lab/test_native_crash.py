"""Native code of the user's that crashes: where it was is said, by the command and by a lost worker."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CRASHING = """
import ctypes
import sys

import gymnasium
import numpy as np


class Crashing(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (3,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, early):
        self.early = early

    def reset(self, *, seed=None, options=None):
        return np.zeros(3, np.float32), {}

    def step(self, action):
        if self.early or "modelwright.lab.executor.worker" in sys.orig_argv:
            ctypes.string_at(0)
        return np.zeros(3, np.float32), 0.0, True, False, {}
"""


@pytest.mark.parametrize("early", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_where_native_code_crashed_is_said(early: bool, tmp_path: Path) -> None:
    (tmp_path / "native.py").write_text(CRASHING)
    (tmp_path / "crash.yaml").write_text(
        "name: crash\n"
        "question: {hypothesis: It crashes., metric: return, smallest_effect: 1.0, low: -1.0, high: 1.0}\n"
        f"environment: {{name: 'native.py:Crashing', settings: {{early: {str(early).lower()}}}}}\n"
        "evaluation: {episodes: 1}\n"
        "variants: {one: {learner: ppo, total_steps: 2048}, two: {learner: a2c, total_steps: 2048}}\n"
        "seeds: 4\n"
        "rule: {kind: group_sequential, looks: [3, 4]}\n"
    )
    ended = subprocess.run(
        [sys.executable, "-m", "modelwright", "run", "crash.yaml"],
        cwd=tmp_path,
        env={**os.environ, "MODELWRIGHT_JOURNAL": str(tmp_path / ".modelwright")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == (-11 if early else 3)
    assert "native.py" in ended.stderr
    assert "in step" in ended.stderr
    if not early:
        assert "killed by SIGSEGV" in ended.stderr
