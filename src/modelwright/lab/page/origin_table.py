"""Lineage as tables: source, data, software, hardware, and what was used."""

from collections.abc import Mapping
from typing import Any

from modelwright.lab.lineage.environment import EnvironmentRecord
from modelwright.lab.lineage.hardware import HardwareRecord
from modelwright.lab.lineage.source import SourceRecord
from modelwright.lab.page.number import general, show_bytes, show_count, show_joules, show_seconds
from modelwright.lab.page.origin import Origin, Used

__all__ = ["describe_origin", "describe_usage", "transformation_text"]

Rows = list[tuple[str, str]]


def describe_origin(origin: Origin) -> list[tuple[str, Rows]]:
    """Return (title, rows of name and words) for each part of a lineage."""
    lineage = origin.lineage
    package = [
        (
            "modelwright",
            f"{lineage.package.version}, {show_count(len(lineage.package.files), 'source file')}",
        ),
        ("its content", lineage.package.identity),
    ]
    return [
        ("Source", _source(lineage.source) + package),
        (
            "Environment" if lineage.data["origin"].get("kind") == "environment" else "Data",
            _data(lineage.data),
        ),
        ("Software", _software(lineage.environment)),
        ("Hardware", _hardware(lineage.hardware, origin.threads)),
    ]


def _source(source: SourceRecord) -> Rows:
    rows: Rows = []
    if source.kind == "git":
        changed = {True: "with changes that are not committed", False: "as committed", None: ""}[source.dirty]
        rows += [
            (
                "git commit",
                f"{source.commit or 'none yet'}" + (f" on {source.branch}" if source.branch else ""),
            ),
            ("work tree", f"{changed}; recorded as git tree {source.tree}"),
        ]
        if source.folder:
            rows.append(("folder", source.folder))
    else:
        rows += [("archive", f"sha256 {source.archive_sha256}"), ("why not git", source.reason)]
    rows.append(("files", show_count(len(source.files), "file")))
    if source.left_out:
        names = ", ".join(file.path for file in source.left_out[:5])
        rows.append(("left out, by hash only", f"{show_count(len(source.left_out), 'file')}: {names}"))
    if source.submodules:
        rows.append(("submodules", ", ".join(module.path for module in source.submodules)))
    return rows


def _data(data: Mapping[str, Any]) -> Rows:
    rows: Rows = [("identity", f"sha256 {data['identity']}")]
    origin: Mapping[str, Any] = data["origin"]
    rows += [(f"origin: {key}", _plain(value)) for key, value in origin.items()]
    if "evaluation" in data:
        return [
            *rows,
            ("evaluation", f"{show_count(data['evaluation']['episodes'], 'episode')} of each seed"),
        ]
    steps = [transformation_text(step) for step in data["transformations"]]
    rows.append(("transformations", "; ".join(steps) or "none"))
    return rows


def _plain(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(general(item) for item in value)  # pyright: ignore[reportUnknownVariableType]
    return general(value)


def transformation_text(step: Mapping[str, Any]) -> str:
    """Return one step from the raw table to the data set in words."""
    arguments = ", ".join(f"{key} {_plain(value)}" for key, value in step["arguments"].items())
    text = step["name"].replace("_", " ") + (f" ({arguments})" if arguments else "")
    for what in ("rows", "columns"):
        before, after = step[what]
        if before != after:
            text += f", {before:,} to {after:,} {what}"
    return text


def _software(environment: EnvironmentRecord) -> Rows:
    return [
        ("python", f"{environment.implementation} {environment.python}, built with {environment.compiler}"),
        ("system", ", ".join(part for part in (environment.system, environment.libc) if part)),
        (
            "variables",
            ", ".join(f"{key}={value}" for key, value in environment.variables.items()) or "none that matter",
        ),
    ]


def _hardware(hardware: HardwareRecord, threads: Mapping[str, Any]) -> Rows:
    cores = f"{hardware.physical_cores or '?'} cores, {hardware.logical_cores} hardware threads"
    rows: Rows = [
        ("processor", f"{hardware.cpu} ({hardware.architecture}), {cores}"),
        ("memory", show_bytes(hardware.memory)),
        ("accelerators", "; ".join(f"{gpu.name}, driver {gpu.driver}" for gpu in hardware.gpus) or "none"),
    ]
    for library in hardware.blas:
        words = [library.version, library.core and f"kernels for {library.core}", library.layer]
        words.append(show_count(library.threads, "thread"))
        rows.append((library.library, ", ".join(word for word in words if word) + f" ({library.file})"))
    if "count" in threads:
        loose: list[str] = threads.get("not_held") or []
        held = f"pinned to {threads['count']} while running"
        rows.append(("numerical threads", held + (f"; not held: {', '.join(loose)}" if loose else "")))
    if hardware.torch is not None:
        chosen = ("version", "cpu_capability", "matmul_precision", "deterministic", "cuda")
        words = [f"{key.replace('_', ' ')} {general(hardware.torch.get(key))}" for key in chosen]
        rows.append(("torch", ", ".join(words)))
    return rows


def describe_usage(used: Used, trials: int) -> Rows:
    """Return what all runs used together, as (name, words)."""
    if used.runs == 0:
        return [("used", "nothing on record: no run has ended by itself")]
    rows: Rows = [
        ("wall time", f"{show_seconds(used.wall_seconds)} of training, summed over workers"),
        ("processor time", show_seconds(used.cpu_seconds)),
        ("peak memory", f"{show_bytes(used.peak_memory)} in one worker, {used.peak_basis}"),
    ]
    if used.gpu_seconds:
        rows.append(("GPU time", show_seconds(used.gpu_seconds)))
    rows += [(f"energy, {label}", f"{show_joules(joules)}; {basis}") for label, joules, basis in used.energy]
    if used.runs < trials:
        rows.append(("counted", f"{used.runs} of {trials} runs; the others ended early and left no figures"))
    return rows
