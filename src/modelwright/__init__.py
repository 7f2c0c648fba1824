"""Modelwright: from a registered question to a verdict, from a verdict to a watched service.

    import modelwright as mw

    result = mw.run("digits", "seeds=8")
    print(result.verdict.sentence)
    mw.load("digits").trials

Names are imported when they are first used, so that `import modelwright` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelwright.base import errors as errors
    from modelwright.base.finding import Finding as Finding
    from modelwright.base.finding import Severity as Severity
    from modelwright.base.seed import Seed as Seed
    from modelwright.base.step import Step as Step
    from modelwright.data.dataset import Dataset as Dataset
    from modelwright.data.environments.environment import Environment as Environment
    from modelwright.data.experience import Experience as Experience
    from modelwright.data.source import Source as Source
    from modelwright.data.split import SplitPlan as SplitPlan
    from modelwright.doctor.callbacks.lightning_doctor import LightningDoctor as LightningDoctor
    from modelwright.doctor.callbacks.stable_baselines_doctor import (
        StableBaselinesDoctor as StableBaselinesDoctor,
    )
    from modelwright.doctor.doctor import Doctor as Doctor
    from modelwright.experiment.design import Budget as Budget
    from modelwright.experiment.design import Design as Design
    from modelwright.experiment.evaluation import Evaluation as Evaluation
    from modelwright.experiment.interval import Interval as Interval
    from modelwright.experiment.look import Look as Look
    from modelwright.experiment.question import Question as Question
    from modelwright.experiment.rule import Rule as Rule
    from modelwright.experiment.verdict import Outcome as Outcome
    from modelwright.experiment.verdict import Verdict as Verdict
    from modelwright.journal.journal import Journal as Journal
    from modelwright.lab.launch import Launch as Launch
    from modelwright.lab.load import load as load
    from modelwright.lab.project import Project as Project
    from modelwright.lab.workbench import compose as compose
    from modelwright.lab.workbench import plan as plan
    from modelwright.lab.workbench import rerun as rerun
    from modelwright.lab.workbench import run as run
    from modelwright.lab.workbench import scrutinize as scrutinize

__all__ = [
    "Budget",
    "Dataset",
    "Design",
    "Doctor",
    "Environment",
    "Evaluation",
    "Experience",
    "Finding",
    "Interval",
    "Journal",
    "Launch",
    "Look",
    "Outcome",
    "Project",
    "Question",
    "Rule",
    "Seed",
    "Severity",
    "Source",
    "SplitPlan",
    "Step",
    "Verdict",
    "compose",
    "errors",
    "load",
    "plan",
    "rerun",
    "run",
    "scrutinize",
]

# The callbacks are not in __all__: their libraries are imported with them, and may be missing.
_HOMES = {
    "Budget": "modelwright.experiment.design",
    "Dataset": "modelwright.data.dataset",
    "Design": "modelwright.experiment.design",
    "Doctor": "modelwright.doctor.doctor",
    "Environment": "modelwright.data.environments.environment",
    "Evaluation": "modelwright.experiment.evaluation",
    "Experience": "modelwright.data.experience",
    "Finding": "modelwright.base.finding",
    "Interval": "modelwright.experiment.interval",
    "Journal": "modelwright.journal.journal",
    "Launch": "modelwright.lab.launch",
    "LightningDoctor": "modelwright.doctor.callbacks.lightning_doctor",
    "Look": "modelwright.experiment.look",
    "Outcome": "modelwright.experiment.verdict",
    "Project": "modelwright.lab.project",
    "Question": "modelwright.experiment.question",
    "Rule": "modelwright.experiment.rule",
    "Seed": "modelwright.base.seed",
    "Severity": "modelwright.base.finding",
    "Source": "modelwright.data.source",
    "SplitPlan": "modelwright.data.split",
    "StableBaselinesDoctor": "modelwright.doctor.callbacks.stable_baselines_doctor",
    "Step": "modelwright.base.step",
    "Verdict": "modelwright.experiment.verdict",
    "compose": "modelwright.lab.workbench",
    "errors": "modelwright.base",
    "load": "modelwright.lab.load",
    "plan": "modelwright.lab.workbench",
    "rerun": "modelwright.lab.workbench",
    "run": "modelwright.lab.workbench",
    "scrutinize": "modelwright.lab.workbench",
}


if not TYPE_CHECKING:  # a type checker shall see a wrong name

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if name == "errors":
            value: Any = import_module("modelwright.base.errors")
        else:
            value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
