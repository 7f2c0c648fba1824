"""The doctor beside libraries that own the loop, and plain torch as few write it: scripts in `frameworks/`.

Healthy, a script ends without a finding that needs action and with the numbers of the unwatched run. With a
fault planted, the fault is named first, at its line.
"""

import contextlib
import importlib.util
import io
import logging
import runpy
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from watched import plant

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.doctor import Doctor

FOLDER = Path(__file__).parent / "frameworks"
NEEDS = {
    "accelerated": "accelerate",
    "clean": "stable_baselines3",
    "lightning": "lightning",
    "sb3": "stable_baselines3",
    "trainer": "transformers",
}

FAST = """
    lightning_manual
    odd checkpointed
    odd distilled
    odd empty_batches
    odd functional
    odd lbfgs
    odd per_parameter
    odd sparse
    odd threads
    odd two_losses
    sb3 a2c
"""
SLOW = """
    accelerated
    clean_dqn
    clean_ppo
    clean_td3
    compiled aot_eager
    compiled eager
    distributed 1
    lightning_fabric
    lightning_fit
    lightning_precision
    lightning_transfer
    odd averaged
    odd contrastive
    odd penalty
    odd recurrent
    sb3 dqn
    sb3 dqn_tau
    sb3 ppo
    sb3 ppo_pendulum
    sb3 processes
    sb3 sac
    sb3 td3
    scaled
    trainer_bert
    trainer_gpt
"""

# fmt: off
FAULTS = {
    # Lightning
    "lightning_manual, gradients of one are kept":
        ("        judge.zero_grad()\n", "", "zero-grad-missing", ""),
    "lightning_manual, gradients of the other are kept":
        ("            make.zero_grad()\n", "", "zero-grad-missing", ""),
    "lightning_fit, a softmax before the loss":
        ("return self.head(self.body(x))", "return self.head(self.body(x)).softmax(dim=1)",
         "softmax-before-cross-entropy", "loss = nn.functional.cross_entropy(self(x), y)"),
    "lightning_fit, the optimizer has the head only":
        ("AdamW(self.parameters()", "AdamW(self.head.parameters()", "parameters-missing-from-optimizer", "AdamW"),
    "lightning_fit, random layers are frozen":
        ("self.head = nn.Linear(64, 10)", "self.head = nn.Linear(64, 10)\n        self.body.requires_grad_(False)",
         "layers-frozen", ""),
    "lightning_fit, labels are shuffled":
        ("torch.tensor(labels))", "torch.tensor(labels)[torch.randperm(len(labels))])",
         "features-shuffled-against-labels", ""),
    "lightning_fit, the rate is far too high":
        ("lr=3e-3", "lr=30.0", "learning-rate-too-high", ""),
    "lightning_fit, a schedule of epochs steps with batches":
        ('"lr_scheduler": schedule', '"lr_scheduler": {"scheduler": schedule, "interval": "step"}',
         "scheduler-stepped-per-batch", ""),
    "lightning_fit, the body is cut off":
        ("self.head(self.body(x))", "self.head(self.body(x).detach())", "graph-detached", "self.head(self.body(x)"),
    "lightning_fit, it learns in evaluation mode":
        ("        loss = nn", "        self.eval()\n        loss = nn", "train-mode-not-restored", "self.eval()"),
    "lightning_precision, a column meets a row":
        ("return nn.functional.mse_loss(self.net(x).squeeze(1), y)", "return nn.functional.mse_loss(self.net(x), y)",
         "silent-broadcast", "return nn.functional.mse_loss(self.net(x)"),
    "lightning_fabric, gradients are kept":
        ("        optimizer.zero_grad()\n", "", "zero-grad-missing", "fabric.backward(loss)"),
    "lightning_fabric, measured in training mode":
        ("    model.eval()\n", "", "eval-mode-missing", "right = sum"),
    # Accelerate and Transformers
    "accelerated, gradients are kept":
        ("            optimizer.zero_grad()\n", "", "zero-grad-missing", "accelerator.backward(loss)"),
    "trainer_bert, a random body is frozen":
        ("with tempfile", "model.bert.requires_grad_(False)\nwith tempfile", "layers-frozen", ""),
    # Stable-Baselines3 and CleanRL
    "sb3 dqn, a wrapper exchanges ends and cuts":
        ("    return gymnasium.make(task)\n", """    return Exchanged(gymnasium.make(task))


class Exchanged(gymnasium.Wrapper):
    def step(self, action):
        observation, reward, terminated, truncated, told = self.env.step(action)
        return observation, reward, truncated, terminated, told
""", "terminated-truncated-swapped", "observation, reward, truncated"),
    "sb3 dqn, the target network never follows":
        ("target_update_interval=200", "target_update_interval=10**9", "target-never-updated", ""),
    "sb3 sac, tau and its rest are exchanged":
        ("        **settings,\n    )\n    steps = 1000\nelif name == \"proc", "        tau=0.99,\n        **settings,\n    )\n    steps = 1000\nelif name == \"proc",
         "tau-swapped", ""),
    "sb3 ppo, entropy is punished":
        ("n_steps=128,", "n_steps=128, ent_coef=-0.01,", "entropy-sign-flipped", ""),
    "clean_dqn, no mask of ends":
        (" * (1 - data.dones.flatten())", "", "terminal-mask-missing", "td_target = "),
    "clean_ppo, entropy is punished":
        ("pg_loss - 0.01 * entropy", "pg_loss + 0.01 * entropy", "entropy-sign-flipped", "+ 0.01 * entropy"),
    # Plain torch
    "scaled, clipped while scaled":
        ("        scaler.unscale_(optimizer)\n", "", "clip-before-unscale", "nn.utils.clip_grad_norm_"),
    "compiled eager, gradients are kept":
        ("        optimizer.zero_grad()\n", "", "zero-grad-missing", "loss.backward()"),
    "distributed 1, gradients are kept":
        ("            optimizer.zero_grad()\n", "", "zero-grad-missing", "cross_entropy(model(x), y).backward()"),
    "odd lbfgs, gradients are kept":
        ("            optimizer.zero_grad()\n            loss = loss_of(model(x), y)\n            loss.backward()\n            return",
         "            loss = loss_of(model(x), y)\n            loss.backward()\n            return",
         "zero-grad-missing", "loss.backward()"),
}
# fmt: on
"""Script and what is wrong -> old text, new text, cause, text of its line."""
FAST_FAULTS = ("lightning_manual, gradients of one are kept", "odd lbfgs, gradients are kept")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Leave warnings and logs of other libraries to them."""
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def result_of(path: Path, words: Sequence[str]) -> str:
    """Run a script as `__main__` and return the line in which it tells its numbers."""
    needed = NEEDS.get(path.stem.split("_")[0])
    if needed is not None and importlib.util.find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed")
    out, before = io.StringIO(), sys.argv
    sys.argv = [str(path), *words]
    try:
        with contextlib.redirect_stdout(out):
            runpy.run_path(str(path), run_name="__main__")
    finally:
        sys.argv = before
    (line,) = (line for line in out.getvalue().splitlines() if line.startswith("RESULT"))
    return line


def action(findings: Sequence[Finding]) -> list[Finding]:
    return [each for each in findings if each.severity is not Severity.INFO]


@pytest.mark.parametrize(
    "script",
    [
        *map(str.strip, FAST.strip().splitlines()),
        *(pytest.param(line.strip(), marks=pytest.mark.slow) for line in SLOW.strip().splitlines()),
    ],
)
def test_a_healthy_script_is_found_well_and_keeps_its_numbers(script: str) -> None:
    name, *words = script.split()
    path = FOLDER / f"{name}.py"
    alone = result_of(path, words)
    with Doctor() as doctor:
        watched = result_of(path, words)
    assert [each.title for each in action(doctor.findings())] == []
    assert [(each.title, each.evidence) for each in doctor.findings() if each.kind == "sensor-failed"] == []
    assert doctor.steps > 10
    assert watched == alone


@pytest.mark.parametrize(
    "fault",
    [each if each in FAST_FAULTS else pytest.param(each, marks=pytest.mark.slow) for each in FAULTS],
)
def test_a_planted_fault_is_named_first(fault: str, tmp_path: Path) -> None:
    old, new, cause, line = FAULTS[fault]
    name, *words = fault.partition(",")[0].split()
    path = tmp_path / f"{name}.py"
    path.write_text(plant((FOLDER / f"{name}.py").read_text(), (old, new)))
    with Doctor() as doctor:
        result_of(path, words)
    found = action(doctor.findings())
    assert found, "nothing was found"
    first = found[0].causes[0]
    assert first.name == cause
    if line:
        assert first.file == str(path)
        assert first.line is not None
        assert line in path.read_text().splitlines()[first.line - 1]
