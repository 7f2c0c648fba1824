"""Compose a design from YAML and command-line overrides. The only file that knows Hydra.

Designs are looked for as `experiments/NAME.yaml` in the project, then among those that ship with Modelwright.
Hydra merges files and overrides; the dataclasses (`Design`, `Launch`) are the schema and check every name and
value, so an override may name any setting whether or not the YAML writes it out.

Hydra's loader is used without `hydra.initialize` and `hydra.compose`, which work on a global that belongs to
the program around us, and which take the search path as an override, where not every folder's name can be
written down.
"""

import dataclasses
import re
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import modelwright.experiments
from modelwright.base.configure import configure
from modelwright.base.errors import BadValue, ModelwrightError, SourceMissing, UnknownName, nearest_name
from modelwright.experiment.design import Design
from modelwright.lab.launch import Launch

__all__ = ["compose_design", "list_experiments", "shipped_folder"]

_LARGEST = 2**20
_GRAMMAR = "https://hydra.cc/docs/advanced/override_grammar/basic"
_LOCK = threading.Lock()


def shipped_folder() -> Path:
    """Return the folder of the designs that ship with Modelwright."""
    return Path(next(iter(modelwright.experiments.__path__)))


def list_experiments(root: Path) -> dict[str, Path]:
    """Return name -> file of every design that can be composed; the project's own come first."""
    found: dict[str, Path] = {}
    for folder in (root / "experiments", shipped_folder()):
        for file in sorted(folder.glob("*.yaml")):
            if file.is_file():
                found.setdefault(file.stem, file)
    return found


def compose_design(name: str, overrides: Sequence[str] = (), *, root: Path) -> tuple[Design, Launch]:
    """Return the design called `name`, or that of a YAML file, with overrides applied.

    Args:
        name: Name of an experiment, or the path of a `.yaml` file.
        overrides: Hydra's grammar: `variants.convnet.width=64`, `rule.looks=[4,8]`, `~budget`.
        root: The project's folder.

    Raises:
        UnknownName: for an experiment, file or setting that does not exist, with the nearest.
        SourceMissing: for a path at which there is no file that can be read.
        BadValue: for YAML or an override that cannot be read, and values outside their rule.
    """
    if isinstance(overrides, str):
        raise BadValue("Overrides are a list of texts", got=overrides, nearest=f"[{overrides!r}]")
    file = _find(name, root.absolute())
    values = _composed(file, list(overrides), root.absolute())
    values.setdefault("name", file.stem)
    for key in values:
        if key not in _settings():
            raise UnknownName("setting of a design or its launch", key, _settings())
    launch_names = {field.name for field in dataclasses.fields(Launch)} & set(values)
    launch = configure(Launch, {key: values.pop(key) for key in launch_names}, where="launch")
    return Design.from_mapping(values), launch


def _settings() -> list[str]:
    return [field.name for kind in (Design, Launch) for field in dataclasses.fields(kind)]


# ---- files ----


def _find(name: str, root: Path) -> Path:
    if name.endswith(".yaml"):
        # Not resolved: a link has the name and the neighbours of the place where it stands.
        file = root / name
        if not file.is_file():
            raise SourceMissing(
                "A design's file exists",
                got=f"{file} is a folder" if file.is_dir() else str(file),
                nearest=nearest_name(
                    file.name, [near.name for near in file.parent.glob("*.yaml") if near.is_file()]
                ),
            )
        return file
    known = list_experiments(root)
    if name in known:
        return known[name]
    for place in (root / name, root / "experiments" / f"{name}.yml"):
        if place.suffix == ".yml" and place.is_file():
            raise BadValue("A design's file ends in .yaml", got=place.name, nearest=f"{place.stem}.yaml")
    plain = name and "/" not in name and "\\" not in name
    beside = f"{name}.yaml" if name and (root / f"{name}.yaml").is_file() else None
    error = UnknownName(
        "experiment",
        name,
        known,
        next_step=f"choose one of {', '.join(sorted(known))}"
        + (f", or write experiments/{name}.yaml" if plain else ", or give the path of a .yaml file"),
    )
    if beside is None:
        raise error
    raise UnknownName(error.rule, name, [beside], next_step=f"say {beside}")


def _check_text(file: Path) -> None:
    """Refuse a file that cannot be YAML, before anything tries to parse it."""
    try:
        size = file.stat().st_size
        content = file.read_bytes() if size <= _LARGEST else b""
    except OSError as error:
        raise SourceMissing("A design's file can be read", got=str(error)) from error
    if size > _LARGEST:
        raise BadValue(
            f"A design's file has at most {_LARGEST // 2**20} MiB",
            got=f"{file.name} has {size / 2**20:.1f} MiB",
            next_step="name the file of the design; data are named by its data.path",
        )
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise BadValue(
            "A design's file is text in UTF-8",
            got=f"{file.name}: byte 0x{content[error.start]:02x} in line {line}",
            next_step="save it as UTF-8",
        ) from error
    if not text.strip():
        raise BadValue("A design's file says what the design is", got=f"{file.name} is empty")
    # Hydra would take these for its own and drop them without a word.
    if re.search(r"""(?m)^["']?hydra["']?\s*:""", text):
        raise BadValue(
            "A design holds its own settings, not Hydra's",
            got=f"hydra: in {file.name}",
            next_step="leave it out",
        )


# ---- Hydra ----


def _composed(file: Path, overrides: list[str], root: Path) -> dict[str, Any]:
    from omegaconf import OmegaConf

    _check_text(file)
    folders = [file.parent, *(each for each in (root / "experiments", shipped_folder()) if each.is_dir())]
    folders = list(dict.fromkeys(folders))
    with _LOCK, _version_base(), _explained(file):
        forced = [_forced(item, folders) for item in overrides]
        made = _load(file.stem, forced, folders)
        values: Any = OmegaConf.to_container(made, resolve=True, throw_on_missing=True)
    if not isinstance(values, Mapping):
        raise BadValue("A design's file maps names to values", got=type(values).__name__)
    _check_keys("", cast("Mapping[Any, Any]", values))
    return dict(cast("Mapping[str, Any]", values))


def _load(name: str, overrides: list[str], folders: Sequence[Path]) -> Any:
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
    from hydra.core.plugins import Plugins
    from hydra.types import RunMode
    from omegaconf import open_dict

    Plugins.instance()  # registers what reads files
    path = ConfigSearchPathImpl()
    path.append("hydra", "pkg://hydra.conf")
    for at, folder in enumerate(folders):
        path.append("main" if at == 0 else f"folder {at}", f"file://{folder}")
    path.append("schema", "structured://")
    made: Any = ConfigLoaderImpl(config_search_path=path).load_configuration(
        config_name=name,
        overrides=["hydra.job.name=modelwright", *overrides],
        run_mode=RunMode.RUN,
        from_shell=False,
    )
    with open_dict(made):
        del made["hydra"]
    return made


@contextmanager
def _version_base() -> Generator[None, None, None]:
    """Read files by the rules of Hydra 1.3, and put back those of a program around us."""
    from hydra.version import VersionBase, setbase

    holder = VersionBase.instance()
    outer: Any = holder.version_base
    setbase("1.3")
    try:
        yield
    finally:
        holder.version_base = outer


def _forced(text: str, folders: Sequence[Path]) -> str:
    """Let an override set what the YAML leaves out; unknown names are refused by the dataclasses."""
    override = _parsed(text)
    key = str(override.key_or_group)
    if key == "hydra" or key.startswith(("hydra.", "hydra/")):
        raise UnknownName("setting of a design or its launch", key, _settings())
    if override.is_sweep_override():
        key, _, value = text.partition("=")
        raise BadValue(
            "An override gives one value",
            got=text,
            nearest=f"{key}=[{value}]" if override.is_choice_sweep() and "(" not in value else None,
            next_step="write a list as [4,8]; several designs are several runs, each under a name of its own",
        )
    if text[0] in "+~":
        return text
    is_group = any((folder / key).is_dir() for folder in folders) or override.package is not None
    return text if is_group and not isinstance(override.value(), dict) else f"++{text}"


def _parsed(text: str) -> Any:
    if not isinstance(cast("object", text), str):
        raise BadValue("An override is a text", got=text)
    body = text.lstrip("+~")
    key, equals, value = body.partition("=")
    if not key.strip() or not (equals or text.startswith("~")):
        raise BadValue("An override is name=value", got=text, nearest=f"{body}=..." if key.strip() else None)
    parsed = _try_parse(text)
    if parsed is None:
        head = text[: len(text) - len(body)] + key.strip()
        quoted = value.strip().strip("'\"").replace("'", "\\'")
        tries = [f"{head}={value.strip()}", f"{head}='{quoted}'"]
        raise BadValue(
            "An override is name=value in Hydra's grammar",
            got=text,
            nearest=next((each for each in tries if _try_parse(each) is not None), None),
            next_step="quote text that is more than plain words, and all of it once more for the shell, "
            f"\"name='text'\"; see {_GRAMMAR}",
        )
    return parsed


def _try_parse(text: str) -> Any:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    # Its parser raises its own errors, and a few of Python's where it is surprised.
    try:
        return OverridesParser.create().parse_override(text)
    except Exception:
        return None


def _check_keys(place: str, values: Any) -> None:
    if isinstance(values, Mapping):
        for key, value in cast("Mapping[Any, Any]", values).items():
            if not isinstance(key, str):
                raise BadValue(
                    f"Names{f' in {place}' if place else ''} are text",
                    got=f"{key!r}, which YAML takes for another kind",
                    next_step="put the name in quotes",
                )
            _check_keys(f"{place}.{key}" if place else key, value)
    elif isinstance(values, list):
        for at, value in enumerate(cast("list[Any]", values)):
            _check_keys(f"{place}[{at}]", value)


# ---- errors ----


@contextmanager
def _explained(file: Path) -> Generator[None, None, None]:
    """Say what Hydra, OmegaConf and PyYAML refuse in our words."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        yield
    except ModelwrightError:
        raise
    except YAMLError as error:
        raise _yaml_error(file, error) from error
    except (HydraException, OmegaConfBaseException, ValueError, AssertionError) as error:
        raise _hydra_error(file, error) from error
    except (RecursionError, OSError) as error:
        raise _hydra_error(file, error) from error


def _yaml_error(file: Path, error: Exception) -> BadValue:
    mark: Any = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or str(error).strip().splitlines()[0])
    name, line = (file.name, "") if mark is None else (Path(str(mark.name)).name, f"line {mark.line + 1}: ")
    next_step = "mend that line"
    if "\\t" in problem:
        next_step = "indent with spaces: YAML allows no tabs there"
    elif "duplicate key" in problem:
        next_step = "keep one of the two"
    elif mark is not None and "{" in problem:
        next_step = 'mend that line; inside { } an interpolation stands in quotes: "${name}"'
    return BadValue(f"{name} is YAML", got=line + problem, next_step=next_step)


def _hydra_error(file: Path, error: Exception) -> BadValue | UnknownName:
    from hydra.errors import MissingConfigException
    from omegaconf.errors import InterpolationKeyError, MissingMandatoryValue

    cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
    key = str(getattr(cause, "full_key", "") or "")
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    if isinstance(error, MissingConfigException):
        missing = str(error.missing_cfg_file or lines[0])
        group, _, part = missing.rpartition("/")
        options = [str(each) for each in error.options or ()]
        files = (each for folder in (file.parent, shipped_folder()) for each in folder.glob("*.yaml"))
        options = options or ([] if group else sorted({each.stem for each in files} - {file.stem}))
        what = f"file in the folder {group}" if group else f"file that {file.name} can be made of"
        return UnknownName(what, part.removesuffix(".yaml"), options)
    if isinstance(cause, MissingMandatoryValue):
        return BadValue(f"{file.name} leaves {key} open (???)", got="no value", next_step=f"add {key}=VALUE")
    if isinstance(cause, InterpolationKeyError):
        return BadValue(
            f"An interpolation in {file.name} names a value that is there",
            got=str(cause).strip().splitlines()[0],
            next_step="write the whole dotted name, ${question.margin}",
        )
    if lines[0].startswith("Could not delete"):
        key = lines[0].partition("'")[2].partition("'")[0]
        return BadValue(
            f"~NAME takes away what {file.name} sets",
            got=lines[0],
            nearest=nearest_name(key, _settings()),
            next_step="leave it out: what the file does not set has its default",
        )
    if isinstance(error, RecursionError):
        lines = ["values inside one another without end"]
    return BadValue(
        f"{file.name} and its overrides make one design",
        got=" ".join(dict.fromkeys(lines[:2])),
        next_step=f"see {_GRAMMAR} and https://hydra.cc/docs/advanced/defaults_list",
    )
