"""Compose a design from YAML and command-line overrides. The only file that knows Hydra.

Designs are looked for as `experiments/NAME.yaml` in the project, then among those that ship with Modelwright.
Hydra merges files and overrides; the dataclasses (`Design`, `Launch`) are the schema and check every name and
value, so an override may name any setting whether or not the YAML writes it out.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import modelwright.experiments
from modelwright.base.configure import configure
from modelwright.base.errors import BadValue, SourceMissing, UnknownName
from modelwright.experiment.design import Design
from modelwright.lab.launch import Launch

__all__ = ["compose_design", "list_experiments", "shipped_folder"]


def shipped_folder() -> Path:
    """Return the folder of the designs that ship with Modelwright."""
    return Path(next(iter(modelwright.experiments.__path__)))


def list_experiments(root: Path) -> dict[str, Path]:
    """Return name -> file of every design that can be composed; the project's own come first."""
    found: dict[str, Path] = {}
    for folder in (root / "experiments", shipped_folder()):
        for file in sorted(folder.glob("*.yaml")):
            found.setdefault(file.stem, file)
    return found


def compose_design(name: str, overrides: Sequence[str] = (), *, root: Path) -> tuple[Design, Launch]:
    """Return the design called `name`, or that of a YAML file, with overrides applied.

    Args:
        name: Name of an experiment, or the path of a `.yaml` file.
        overrides: Hydra's grammar: `variants.convnet.width=64`, `rule.looks=[4,8]`, `~budget`.
        root: The project's folder.

    Raises:
        UnknownName: for an experiment or setting that does not exist, with the nearest.
        BadValue: for YAML or an override that cannot be read, and values outside their rule.
    """
    file = _find(name, root)
    values = _composed(file, overrides, root)
    values.setdefault("name", file.stem)
    launch_names = {field.name for field in dataclasses.fields(Launch)}
    launch = configure(Launch, {key: values.pop(key) for key in launch_names & set(values)}, where="launch")
    return Design.from_mapping(values), launch


def _find(name: str, root: Path) -> Path:
    if name.endswith((".yaml", ".yml")):
        file = root / name
        if not file.is_file():
            raise SourceMissing("A design's file exists", got=str(file))
        return file.resolve()
    known = list_experiments(root)
    if name not in known:
        raise UnknownName(
            "experiment",
            name,
            known,
            next_step=f"choose one of {', '.join(sorted(known))}, or write experiments/{name}.yaml",
        )
    return known[name].resolve()


def _composed(file: Path, overrides: Sequence[str], root: Path) -> dict[str, Any]:
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    if not file.read_text(encoding="utf-8", errors="replace").strip():
        raise BadValue("A design's file says what the design is", got=f"{file.name} is empty")
    for override in overrides:
        if "=" not in override and not override.startswith("~"):
            raise BadValue("An override is name=value", got=override, nearest=f"{override}=...")
    # Hydra keeps one global; put back what a program around us may have there.
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    folders = [folder for folder in (root / "experiments", shipped_folder()) if folder.is_dir()]
    search = "hydra.searchpath=[" + ",".join(f"'file://{folder}'" for folder in folders) + "]"
    try:
        with initialize_config_dir(config_dir=str(file.parent), version_base="1.3"):
            made = compose(file.stem, overrides=[search, *(_forced(item, folders) for item in overrides)])
            values = OmegaConf.to_container(made, resolve=True, throw_on_missing=True)
    except (HydraException, OmegaConfBaseException, YAMLError, ValueError) as error:
        first = str(error).strip().splitlines()
        raise BadValue(
            f"{file.name} and its overrides follow YAML's and Hydra's grammar",
            got=" ".join(first[:2]) if first else type(error).__name__,
            next_step="see https://hydra.cc/docs/advanced/override_grammar/basic",
        ) from error
    finally:
        GlobalHydra.instance().hydra = outer
    if not isinstance(values, Mapping):
        raise BadValue("A design's file maps names to values", got=type(values).__name__)
    return {str(key): value for key, value in cast("Mapping[Any, Any]", values).items()}


def _forced(override: str, folders: Sequence[Path]) -> str:
    """Let an override set what the YAML leaves out; unknown names are refused by the dataclasses."""
    key, _, _ = override.partition("=")
    is_group = any((folder / key).is_dir() for folder in folders)
    return override if override[0] in "+~" or is_group else f"++{override}"
