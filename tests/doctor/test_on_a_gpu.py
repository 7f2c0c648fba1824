"""What lies on a GPU is heard as what lies on the processor is, and a watched program comes to no harm.

The device is pretended (`pretend_gpu`), and so that it needs no GPU each program has a process of its own.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from watched import DIGITS, every_second_slow, plant

MOVED = [
    ("import torch\n", "import sys\n\nimport torch\n\nif sys.argv[1] != 'cpu':\n    import pretend_gpu\n"),
    ("nn.Linear(32, 10))", "nn.Linear(32, 10)).to(sys.argv[1])"),
    (
        "    for x, y in batches:\n",
        "    for x, y in batches:\n        x, y = x.to(sys.argv[1]), y.to(sys.argv[1])\n",
    ),
    (
        "sum((model(x).argmax(dim=1) == y).sum().item()",
        "sum((model(x.to(sys.argv[1])).argmax(dim=1).cpu() == y).sum().item()",
    ),
    (" for x, y in validation)\n", " for x, y in validation)\nprint(losses[-1], right, file=sys.stderr)\n"),
]

MOVED_DIGITS = plant(DIGITS, *MOVED)

VALUES = """
import random
import sys

import gymnasium
import numpy as np
import torch
from torch import nn

if sys.argv[1] != "cpu":
    import pretend_gpu
device = sys.argv[1]
random.seed(0)
torch.manual_seed(0)
env = gymnasium.make("CartPole-v1")
values, target = (nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2)).to(device) for _ in range(2))
target.load_state_dict(values.state_dict())
optimizer = torch.optim.Adam(values.parameters(), lr=1e-3)
memory = []
seen, _ = env.reset(seed=0)
for step in range(1200):
    with torch.no_grad():
        greedy = int(values(torch.as_tensor(seen, device=device)).argmax())
    action = random.randrange(2) if random.random() < max(0.1, 1 - step / 600) else greedy
    following, reward, ended, cut, _ = env.step(action)
    memory.append((seen, action, reward, following, float(ended)))
    seen = env.reset()[0] if ended or cut else following
    if step > 200:
        batch = zip(*random.sample(memory, 32))
        s, a, r, n, e = (torch.as_tensor(np.array(each), dtype=torch.float32).to(device) for each in batch)
        with torch.no_grad():
            aim = r + 0.98 * target(n).max(dim=1).values * (1 - e)
        loss = nn.functional.mse_loss(values(s).gather(1, a.long()[:, None])[:, 0], aim)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if step % 100 == 0:
        target.load_state_dict(values.state_dict())
print(loss.item(), file=sys.stderr)
"""

FAULTS = [
    (MOVED_DIGITS, ("        optimizer.zero_grad()\n", ""), "gradients-kept-across-steps"),
    (MOVED_DIGITS, ("    model.eval()\n", ""), "measured-in-training-mode"),
    (MOVED_DIGITS, ("lr=2e-3", "lr=float('inf')"), "loss-not-finite"),
    (VALUES, (" * (1 - e)", ""), "targets-differ-from-experience"),
    (VALUES, ("[:, None])[:, 0], aim", "[:, None]), aim"), "shapes-spread"),
    (VALUES, ("    if step % 100 == 0:", "    if step < 0:"), "target-network-never-follows"),
]


def ended(program: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = folder / "program.py"
    path.write_text(program)
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, *words[:-1], str(path), words[-1]]
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)


def told(program: str, folder: Path, device: str) -> tuple[list[dict[str, Any]], str]:
    process = ended(program, folder, "-m", "modelwright", "doctor", "--json", device)
    said = json.loads(process.stdout)["findings"]
    return said, process.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("program", [MOVED_DIGITS, VALUES])
def test_a_healthy_program_is_left_alone(program: str, tmp_path: Path) -> None:
    findings, last = told(program, tmp_path, "pretendgpu")
    assert findings == []
    assert last == ended(program, tmp_path, "pretendgpu").stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("number", every_second_slow([str(each) for each in range(len(FAULTS))]))
def test_a_fault_is_found_as_on_the_processor(number: str, tmp_path: Path) -> None:
    program, fault, kind = FAULTS[int(number)]
    there, here = (told(plant(program, fault), tmp_path, device)[0] for device in ("pretendgpu", "cpu"))
    kinds = [each["kind"] for each in there]
    assert kind in kinds
    assert kinds == [each["kind"] for each in here]
