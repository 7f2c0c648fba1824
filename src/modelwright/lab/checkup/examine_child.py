"""Probes what a factory makes: `python -m modelwright.lab.checkup.examine_child FOLDER PIPE NAME SECONDS`.

What is known is written to the pipe before each probe and at the end, a JSON object a line. Where it was
asked wrongly, the error is left in FOLDER.
"""

import json
import os
import pickle
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelwright.base.errors import ModelwrightError
from modelwright.base.finding import Cause, Finding, Severity
from modelwright.base.fingerprint import jsonable

__all__ = ["main"]


def main(words: list[str]) -> None:
    """Examine; see the module."""
    folder, pipe, name, seconds = Path(words[0]), int(words[1]), words[2], float(words[3])
    os.set_inheritable(pipe, False)

    def tell(about: str, so_far: Any, looks_at: str = "", *, is_whole: bool = False) -> None:
        record = {"about": about, "looks_at": looks_at, "is_whole": is_whole, **so_far}
        os.write(pipe, json.dumps(record).encode() + b"\n")

    nothing = {"findings": [], "checked": [], "unchecked": [], "seconds": {}}
    tell("", nothing, f"making what {name} makes")
    try:
        made = _make(name)
    except ModelwrightError as error:
        (folder / "error.pkl").write_bytes(pickle.dumps(error))
        return
    if isinstance(made, Finding):
        tell("", {**nothing, "findings": [made.record()]}, is_whole=True)
        return
    from modelwright.doctor.probes.all import make_probes
    from modelwright.doctor.probes.examination import examine
    from modelwright.lab.checkup.courses import side_by_side

    if made.agent is not None:
        _make_ready(pipe)
    about = _about(made)
    try:
        found = examine(
            made,
            make_probes(),
            seconds,
            lambda looks_at, so_far: tell(about, jsonable(so_far), looks_at),
            side_by_side,
        )
    except ModelwrightError as error:
        (folder / "error.pkl").write_bytes(pickle.dumps(error))
        return
    tell(about, jsonable(found), is_whole=True)


def _make(name: str) -> Any:
    """Return the subject, or a finding about a factory that raises."""
    from modelwright.data.locate import locate_function

    factory, _ = locate_function(name, root=Path.cwd(), what="factory")
    import psutil

    from modelwright.doctor.probes.origin import raised_at
    from modelwright.doctor.probes.reading import read_factory

    try:
        subject = read_factory(factory, name)
    except ModelwrightError:
        raise
    except Exception as error:
        place, what = raised_at(error), f"{type(error).__name__}: {error}"[:200]
        file, line = (place.file, place.line) if place else (None, None)
        return Finding(
            kind="program-raised",
            severity=Severity.SEVERE,
            title=f"The factory ended with an error: {what}",
            evidence={"error": type(error).__name__, "message": str(error)},
            causes=(Cause(what=what, file=file, line=line),),
            next_check=f"look at {place}" if place else "call the factory by hand",
        )
    return replace(subject, memory=int(0.8 * psutil.virtual_memory().available))


def _make_ready(pipe: int) -> None:
    """Leave accelerators, which copies of a process cannot share, and import what each would import anew."""
    import torch

    if torch.cuda.is_available():
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        os.set_inheritable(pipe, True)
        os.execv(
            sys.executable, [sys.executable, "-m", "modelwright.lab.checkup.examine_child", *sys.argv[1:]]
        )
    torch.set_num_threads(1)
    torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])


def _about(subject: Any) -> str:
    parts: list[str] = []
    if subject.model is not None:
        count = sum(each.numel() for each in subject.model.parameters() if hasattr(each, "numel"))
        parts.append(f"{type(subject.model).__name__} of {count:,} parameters, {subject.size / 1e6:,.1f} MB")
    if subject.estimator is not None:
        parts.append(type(subject.estimator).__name__)
    if subject.agent is not None:
        parts.append("an agent")
    if subject.table is not None:
        parts.append(f"{subject.table.count:,} rows")
    if subject.sample is not None:
        total = subject.sample.total
        parts.append(
            f"{subject.sample.count:,} of {total:,} rows" if total else f"{subject.sample.count:,} rows"
        )
    return "; ".join(parts)


if __name__ == "__main__":
    main(sys.argv[1:])
