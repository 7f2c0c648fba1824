"""A change planted on each side of a lineage is named, on the right side, and in a sensible order."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelwright.base.errors import BadValue
from modelwright.lab.lineage.difference import RANKS, UNLIKELY, Difference
from modelwright.lab.lineage.environment import Distribution, EnvironmentRecord, record_environment
from modelwright.lab.lineage.executed import Executed
from modelwright.lab.lineage.explanation import explain
from modelwright.lab.lineage.files import LeftOut
from modelwright.lab.lineage.hardware import Blas, Gpu, HardwareRecord, record_hardware
from modelwright.lab.lineage.package import PackageRecord, record_package
from modelwright.lab.lineage.record import Lineage
from modelwright.lab.lineage.source import SourceRecord, Submodule, snapshot_source
from modelwright.lab.lineage.threads import pinned_environment


def source(**changes: Any) -> SourceRecord:
    files = {"train.py": "a1", "conf.yaml": "b1", "README.md": "c1"} | changes.pop("files", {})
    files = {path: content for path, content in files.items() if content is not None}
    return SourceRecord(**{"kind": "git", "tree": str(sorted(files.items())), "files": files} | changes)


def distribution(name: str, version: str, content: str | None = "h", note: str = "") -> Distribution:
    return Distribution(name=name, version=version, content=content, note=note)


ENVIRONMENT = EnvironmentRecord(
    python="3.11.7",
    implementation="CPython",
    compiler="GCC 12.2.0",
    system="Linux 6.1.0",
    libc="glibc 2.36",
    distributions=(
        distribution("numpy", "2.4.0"),
        distribution("rich", "13.7"),
        distribution("own", "1", None, "editable"),
    ),
    variables={"OMP_NUM_THREADS": "1"},
)
OPENBLAS = Blas(
    library="openblas",
    file="libopenblas-1.so",
    version="0.3.30",
    core="SkylakeX",
    threads=1,
    layer="pthreads",
)
HARDWARE = HardwareRecord(
    architecture="x86_64",
    cpu="Xeon A",
    flags=("avx", "avx2", "ibrs"),
    physical_cores=2,
    logical_cores=4,
    memory=16 * 2**30,
    gpus=(),
    blas=(OPENBLAS,),
    torch={"version": "2.13.0", "threads": 1, "deterministic": False},
)
LINEAGE = Lineage(
    source=source(),
    package=PackageRecord(version="0.1.0", files={"base/metric.py": "m1"}),
    config={"variants": {"net": {"width": 64, "rate": 0.1}}, "seeds": 10, "note": None, "flag": True},
    data={
        "identity": "d1",
        "origin": {"name": "digits", "files": {"digits.csv": "f1"}},
        "rows": 1797,
        "columns": 64,
        "transformations": [{"name": "scale", "by": 16}, {"name": "drop", "column": "id"}],
        "splits": ["s0", "s1"],
    },
    environment=ENVIRONMENT,
    hardware=HARDWARE,
)


def the_only(differences: tuple[Difference, ...]) -> Difference:
    assert len(differences) == 1, [item.sentence for item in differences]
    return differences[0]


def with_files(files: dict[str, str | None]) -> Lineage:
    return replace(LINEAGE, source=source(files=files))


def with_config(**changes: Any) -> Lineage:
    return replace(LINEAGE, config={**LINEAGE.config, **changes})


def with_data(**changes: Any) -> Lineage:
    return replace(LINEAGE, data={**LINEAGE.data, **changes})


def with_environment(**changes: Any) -> Lineage:
    return replace(LINEAGE, environment=replace(ENVIRONMENT, **changes))


def with_hardware(**changes: Any) -> Lineage:
    return replace(LINEAGE, hardware=replace(HARDWARE, **changes))


def with_distributions(*found: Distribution) -> Lineage:
    kept = {item.name: item for item in ENVIRONMENT.distributions} | {item.name: item for item in found}
    return with_environment(distributions=tuple(kept[name] for name in sorted(kept)))


PLANTED: dict[str, tuple[Lineage, str, str, object, object]] = {
    "source file changed": (with_files({"train.py": "a2"}), "code", "train.py", "a1", "a2"),
    "source file new": (with_files({"new.py": "n"}), "code", "new.py", None, "n"),
    "source file gone": (with_files({"train.py": None}), "code", "train.py", "a1", None),
    "large file changed": (
        replace(
            LINEAGE, source=source(left_out=(LeftOut(path="big.bin", size=9, sha256="x", reason="large"),))
        ),
        "code", "big.bin", None, "x",
    ),
    "submodule appeared": (
        replace(LINEAGE, source=source(submodules=(Submodule(path="vendor", commit="abc", source=None),))),
        "code", "vendor", None, "abc, not checked out",
    ),
    "package changed": (
        replace(LINEAGE, package=PackageRecord(version="0.1.0", files={"base/metric.py": "m2"})),
        "code", "modelwright/base/metric.py", "m1", "m2",
    ),
    "config value": (
        with_config(variants={"net": {"width": 32, "rate": 0.1}}), "config", "variants.net.width", 64, 32
    ),
    "config key new": (with_config(extra=1), "config", "extra", None, 1),
    "config none to number": (with_config(note=3), "config", "note", None, 3),
    "config true to one": (with_config(flag=1), "config", "flag", True, 1),
    "data identity": (with_data(identity="d2"), "data", "identity", "d1", "d2"),
    "data file": (
        with_data(origin={"name": "digits", "files": {"digits.csv": "f2"}}),
        "data", "origin.files.digits.csv", "f1", "f2",
    ),
    "row count": (with_data(rows=1700), "data", "rows", 1797, 1700),
    "transformation changed": (
        with_data(transformations=[{"name": "scale", "by": 255}, {"name": "drop", "column": "id"}]),
        "data", "transformations[0].by", 16, 255,
    ),
    "split": (with_data(splits=["s0", "s9"]), "data", "splits[1]", "s1", "s9"),
    "distribution version": (
        with_distributions(distribution("numpy", "2.3.0")), "environment", "numpy", "2.4.0", "2.3.0"
    ),
    "distribution content": (
        with_distributions(distribution("numpy", "2.4.0", "other")), "environment", "numpy", "h", "other"
    ),
    "distribution new": (with_distributions(distribution("jax", "1")), "environment", "jax", None, "1"),
    "distribution now editable": (
        with_distributions(distribution("rich", "13.7", None, "editable")),
        "environment", "rich", "13.7 (as released)", "13.7 (editable)",
    ),
    "variable": (
        with_environment(variables={"OMP_NUM_THREADS": "4"}), "environment", "OMP_NUM_THREADS", "1", "4"
    ),
    "variable unset": (with_environment(variables={}), "environment", "OMP_NUM_THREADS", "1", None),
    "python": (with_environment(python="3.12.0"), "environment", "python", "3.11.7", "3.12.0"),
    "libc": (with_environment(libc="musl 1.2"), "environment", "libc", "glibc 2.36", "musl 1.2"),
    "cpu": (with_hardware(cpu="Xeon B"), "hardware", "cpu", "Xeon A", "Xeon B"),
    "flags": (
        with_hardware(flags=("avx", "avx512f", "ibrs")), "hardware", "cpu flags", ["avx2"], ["avx512f"]
    ),
    "blas threads": (
        with_hardware(blas=(replace(OPENBLAS, threads=2),)), "hardware", "openblas threads", 1, 2
    ),
    "blas core": (
        with_hardware(blas=(replace(OPENBLAS, core="Haswell"),)),
        "hardware", "openblas core", "SkylakeX", "Haswell",
    ),
    "torch setting": (
        with_hardware(torch={"version": "2.13.0", "threads": 1, "deterministic": True}),
        "hardware", "torch deterministic", False, True,
    ),
    "gpu": (
        with_hardware(gpus=(Gpu(name="H100", driver="550", memory=81559),)),
        "hardware", "gpus", [], [{"name": "H100", "driver": "550", "memory": 81559}],
    ),
    "memory": (with_hardware(memory=8 * 2**30), "hardware", "memory", 16 * 2**30, 8 * 2**30),
}  # fmt: skip


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_change_is_the_one_that_is_named(planted: str) -> None:
    now, side, what, was, is_now = PLANTED[planted]
    found = the_only(explain(LINEAGE, now))
    assert (found.side, found.what, found.recorded, found.now) == (side, what, was, is_now)
    # True and 1 are equal in Python; the record must keep them apart all the same.
    assert json.dumps([found.recorded, found.now]) == json.dumps([was, is_now])
    assert what in found.sentence or side == "hardware"
    back = the_only(explain(now, LINEAGE))
    assert (back.side, back.what) == (side, what)
    assert json.dumps(found.record())


def test_equal_lineages_have_no_difference() -> None:
    assert explain(LINEAGE, LINEAGE) == ()
    assert explain(LINEAGE, Lineage.from_record(json.loads(json.dumps(LINEAGE.record())))) == ()


NOISE: dict[str, Lineage] = {
    "another commit of the same files": replace(
        LINEAGE, source=source(commit="c2", branch="side", dirty=False)
    ),
    "a little more memory": with_hardware(memory=16 * 2**30 + 2**20),
    "one written as one point zero": with_config(seeds=10.0),
    "a mapping in another order": replace(LINEAGE, config=dict(reversed(LINEAGE.config.items()))),
    "tuples for lists": with_data(splits=("s0", "s1")),
}


@pytest.mark.parametrize("noise", NOISE)
def test_noise_is_left_out(noise: str) -> None:
    assert explain(LINEAGE, NOISE[noise]) == ()


def test_two_editable_installs_of_one_version_cannot_be_told_apart_and_are_not_named() -> None:
    assert explain(LINEAGE, with_distributions(distribution("own", "1", None, "editable"))) == ()


def test_the_likeliest_reason_comes_first() -> None:
    now = Lineage(
        source=source(files={"train.py": "a2", "README.md": "c2", "conf.yaml": "b2"}),
        package=PackageRecord(version="0.1.1", files={"base/metric.py": "m2"}),
        config={**LINEAGE.config, "seeds": 11},
        data={**LINEAGE.data, "identity": "d2", "rows": 3},
        environment=with_environment(
            system="Linux 6.2",
            python="3.12",
            distributions=(
                distribution("numpy", "9"),
                distribution("rich", "9"),
                ENVIRONMENT.distributions[2],
            ),
        ).environment,
        hardware=replace(HARDWARE, cpu="Xeon B", blas=(replace(OPENBLAS, threads=8),), memory=2**30),
    )
    assert [item.what for item in explain(LINEAGE, now)] == [
        "seeds", "identity", "rows", "train.py", "modelwright/base/metric.py", "conf.yaml", "numpy",
        "openblas threads", "cpu", "python", "rich", "README.md", "system", "memory",
    ]  # fmt: skip


def test_ranks_are_distinct_so_that_the_order_is_decided_by_kind() -> None:
    assert len(set(RANKS.values())) == len(RANKS)


def test_what_nothing_executed_ranks_behind_what_ran() -> None:
    now = replace(
        LINEAGE,
        source=source(files={"train.py": "a2", "a_plot.py": "n"}),
        package=PackageRecord(version="0.1.0", files={"base/metric.py": "m2", "a_page.py": "n"}),
    )
    ran = Executed(
        files=frozenset({"train.py"}), package=frozenset({"base/metric.py"}), modules=frozenset({"numpy"})
    )
    found = explain(LINEAGE, now, executed=ran)
    assert [item.what for item in found] == [
        "train.py", "modelwright/base/metric.py", "a_plot.py", "modelwright/a_page.py",
    ]  # fmt: skip
    assert found[-1].rank >= UNLIKELY > found[-2].rank
    known = explain(LINEAGE, with_distributions(distribution("ruff", "9")), executed=ran)
    assert the_only(known).rank >= UNLIKELY  # it is installed here, and no module of it was imported
    used = explain(LINEAGE, with_distributions(distribution("numpy", "9")), executed=ran)
    assert the_only(used).rank == RANKS["numeric distribution"]


def test_one_number_of_threads_is_one_difference() -> None:
    then = replace(LINEAGE, environment=replace(ENVIRONMENT, variables=pinned_environment(1)))
    now = replace(
        LINEAGE,
        environment=replace(ENVIRONMENT, variables=pinned_environment(2)),
        hardware=replace(HARDWARE, blas=(replace(OPENBLAS, threads=2),)),
    )
    found = the_only(explain(then, now))
    assert (found.side, found.what, found.recorded, found.now) == ("environment", "threads", "1", "2")
    capped = replace(now, hardware=replace(HARDWARE, blas=(replace(OPENBLAS, threads=3),)))
    assert [item.what for item in explain(then, capped)] == ["threads", "openblas threads"]


def test_a_variable_ranks_before_what_it_does_to_a_library() -> None:
    now = replace(
        with_environment(variables={"OMP_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Haswell"}),
        hardware=replace(HARDWARE, blas=(replace(OPENBLAS, core="Haswell"),)),
    )
    assert [item.what for item in explain(LINEAGE, now)] == ["OPENBLAS_CORETYPE", "openblas core"]


def test_variables_that_libraries_set_themselves_are_left_out() -> None:
    idle = {"KMP_INIT_AT_FORK": "FALSE", "TORCHINDUCTOR_CACHE_DIR": "/var/cache"}
    now = with_environment(variables={"OMP_NUM_THREADS": "1", **idle})
    assert explain(LINEAGE, now) == ()


def test_another_release_of_modelwright_is_one_difference() -> None:
    files = {f"base/part{number}.py": "1" for number in range(9)}
    then = replace(LINEAGE, package=PackageRecord(version="0.1.0", files=files))
    now = replace(LINEAGE, package=PackageRecord(version="0.2.0", files=dict.fromkeys(files, "2")))
    found = the_only(explain(then, now))
    assert (found.side, found.what) == ("code", "modelwright")
    assert "0.1.0 to 0.2.0, 9 files" in found.sentence


def test_another_file_of_the_same_rows_is_no_explanation_and_other_rows_name_both_hashes() -> None:
    rewritten = the_only(
        explain(LINEAGE, with_data(origin={"name": "digits", "files": {"digits.csv": "f2"}}))
    )
    assert rewritten.rank >= UNLIKELY
    one, other = "0a" * 32, "1b" * 32
    found = explain(with_data(identity=one), with_data(identity=other))
    assert found[0].sentence == "the identity of the data's rows was 0a0a0a0a0a0a and is 1b1b1b1b1b1b"


def test_the_design_s_own_data_file_is_data_and_not_code() -> None:
    then = replace(LINEAGE, source=source(files={"mine/rows.csv": "1"}, folder="mine"))
    origin = {"kind": "csv", "path": "rows.csv", "sha256": "1"}
    then = replace(then, data={**LINEAGE.data, "origin": origin})
    now = replace(then, source=source(files={"mine/rows.csv": "2"}, folder="mine"))
    now = replace(now, data={**then.data, "identity": "d2", "origin": {**origin, "sha256": "2"}})
    assert [(item.side, item.what) for item in explain(then, now)] == [
        ("data", "identity"),
        ("data", "origin.sha256"),
    ]


def test_a_file_outside_the_launched_folder_counts_less_than_one_inside() -> None:
    files = {"mine/a.py": "1", "yours/b.py": "1"}
    recorded = replace(LINEAGE, source=source(files=files, folder="mine"))
    now = replace(LINEAGE, source=source(files={"mine/a.py": "2", "yours/b.py": "2"}, folder="mine"))
    assert [item.what for item in explain(recorded, now)] == ["mine/a.py", "yours/b.py"]
    assert explain(recorded, now)[0].rank < explain(recorded, now)[1].rank


def test_a_change_inside_a_submodule_is_named_by_its_file() -> None:
    inner = source(files={"core.py": "1"})
    recorded = replace(LINEAGE, source=source(submodules=(Submodule(path="lib", commit="a", source=inner),)))
    changed = source(files={"core.py": "2"})
    now = replace(LINEAGE, source=source(submodules=(Submodule(path="lib", commit="a", source=changed),)))
    assert the_only(explain(recorded, now)).what == "lib/core.py"


def test_source_recorded_in_two_ways_says_so_and_compares_names() -> None:
    archive = SourceRecord(kind="archive", files={"train.py": "sha256", "new.py": "x", "conf.yaml": "y"})
    found = explain(LINEAGE, replace(LINEAGE, source=archive))
    assert {item.what for item in found} == {"way of recording", "new.py", "README.md"}
    assert all(item.side == "code" for item in found)


def test_another_build_of_a_library_is_one_change_and_one_that_is_merely_loaded_counts_little() -> None:
    rebuilt = with_hardware(blas=(replace(OPENBLAS, file="libopenblas-2.so", version="0.3.31"),))
    assert {item.what for item in explain(LINEAGE, rebuilt)} == {"openblas file", "openblas version"}
    openmp = Blas(library="openmp", file="libgomp.so.1", version="", core="", threads=1, layer="")
    also = the_only(explain(LINEAGE, with_hardware(blas=(OPENBLAS, openmp))))
    assert (also.what, also.now) == ("openmp", "libgomp.so.1")
    assert also.rank > RANKS["distribution"]


def test_what_a_worker_had_loaded_for_other_variants_is_no_difference() -> None:
    openmp = Blas(library="openmp", file="libgomp.so.1", version="", core="", threads=1, layer="")
    crowded = with_hardware(blas=(OPENBLAS, openmp))
    assert explain(crowded, with_hardware(torch=None)) == ()
    assert the_only(explain(with_hardware(torch=None), LINEAGE)).sentence == "torch is loaded and was not"
    mkl = replace(openmp, library="mkl", file="libmkl.so")
    swapped = explain(crowded, with_hardware(blas=(OPENBLAS, mkl)))
    assert {item.what for item in swapped} == {"openmp", "mkl"}


def test_a_number_that_is_not_finite_in_a_configuration_is_refused() -> None:
    with pytest.raises(BadValue, match="finite"):
        explain(LINEAGE, with_config(seeds=float("nan")))


def plant_file(top: Path, lineage: Lineage) -> Lineage:
    (top / "train.py").write_text("print(2)\n")
    return replace(lineage, source=snapshot_source(top))


def plant_variable(_: Path, lineage: Lineage) -> Lineage:
    return replace(lineage, environment=record_environment())


@pytest.mark.parametrize(
    ("side", "plant", "what"), [("code", plant_file, "train.py"), ("environment", plant_variable, "MKL_CBWR")]
)
def test_a_change_to_the_real_machine_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    side: str,
    plant: Callable[[Path, Lineage], Lineage],
    what: str,
) -> None:
    (tmp_path / "train.py").write_text("print(1)\n")
    recorded = Lineage(
        source=snapshot_source(tmp_path),
        package=record_package(),
        config={"seeds": 3},
        data={"identity": "d"},
        environment=record_environment(),
        hardware=record_hardware(),
    )
    recorded = Lineage.from_record(json.loads(json.dumps(recorded.record())))
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    now = plant(tmp_path, recorded)
    found = the_only(explain(recorded, now))
    assert (found.side, found.what) == (side, what)
    assert recorded.identity != now.identity


def test_a_change_of_threads_on_the_real_machine_is_named() -> None:
    from threadpoolctl import threadpool_limits

    from modelwright.lab.lineage.threads import pinned_threads

    with pinned_threads(1):
        recorded = replace(LINEAGE, hardware=record_hardware())
        with threadpool_limits(2, user_api="blas"):
            now = replace(LINEAGE, hardware=record_hardware())
    found = explain(recorded, now)
    assert found
    assert all(item.side == "hardware" and item.what.endswith("threads") for item in found)
