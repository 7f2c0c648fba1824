"""Small training programs under watch, in this process; and the same program with a fault planted."""

import runpy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.sensors.all import make_sensors
from modelwright.doctor.watch.torch_watch import TorchWatch
from modelwright.doctor.watch.watch import Watch

__all__ = ["DIGITS", "Told", "plant", "run_watched"]

DIGITS = """
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
images, labels = load_digits(return_X_y=True)
images = (images / 16.0).astype("float32")
parts = train_test_split(images, labels, test_size=0.2, random_state=0)
seen, held_out, seen_labels, held_out_labels = (torch.tensor(part) for part in parts)
batches = DataLoader(TensorDataset(seen, seen_labels), batch_size=64, shuffle=True)
validation = DataLoader(TensorDataset(held_out, held_out_labels), batch_size=64)
model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
criterion = nn.CrossEntropyLoss()
losses = []
for epoch in range(5):
    model.train()
    for x, y in batches:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        right = sum((model(x).argmax(dim=1) == y).sum().item() for x, y in validation)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What came of a watched program: what was found, and the program's own variables."""

    findings: Sequence[Finding]
    variables: dict[str, Any]

    @property
    def kinds(self) -> list[str]:
        """Kinds of the findings that need action."""
        return [each.kind for each in self.findings if each.severity is not Severity.INFO]

    @property
    def first_cause(self) -> tuple[str, str]:
        """The likeliest cause of the first finding: its name, and the text of its line."""
        cause = self.findings[0].causes[0]
        assert cause.name
        if cause.file is None or cause.line is None:
            return cause.name, ""
        return cause.name, Path(cause.file).read_text().splitlines()[cause.line - 1].strip()


def plant(program: str, *edits: tuple[str, str]) -> str:
    """Return the program with each old text, which occurs once, replaced by the new."""
    for old, new in edits:
        assert program.count(old) == 1, f"{program.count(old)} times: {old}"
        program = program.replace(old, new)
    return program


def run_watched(program: str, folder: Path) -> Told:
    """Run a program from its text under watch."""
    path = folder / "program.py"
    path.write_text(program)
    watch = Watch(make_sensors)
    instrument = TorchWatch(watch)
    instrument.start()
    try:
        variables = runpy.run_path(str(path))
    finally:
        findings = watch.findings()
        instrument.stop()
    return Told(findings=findings, variables=variables)
