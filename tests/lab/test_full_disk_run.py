"""A disk that fills up while an experiment runs, for real: on a small file system of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from here_executor import HereExecutor
from interrupted_project import assert_whole, make_design, make_project, outcome

from modelwright.base.errors import StoreFailed
from modelwright.lab.launch import Launch
from modelwright.lab.run import run_design


@pytest.fixture(scope="module")
def whole(here: HereExecutor, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    project = make_project(tmp_path_factory.mktemp("whole"))
    run_design(make_design(), project, executor=here)
    return outcome(project)


@pytest.fixture
def disk(tmp_path: Path) -> Generator[Path]:
    """A file system of 3 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux can mount a small file system")
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small file system can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def leave_free(disk: Path, kilobytes: int) -> Path:
    """Fill the disk but for so much."""
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(max(0, shutil.disk_usage(disk).free - kilobytes * 1024)))
    return ballast


@pytest.mark.parametrize("kilobytes", [120, 400])
def test_a_disk_that_is_full_stops_the_run_and_once_there_is_space_it_goes_on(disk, here, whole, kilobytes):
    project = make_project(disk / "project")
    ballast = leave_free(disk, kilobytes)
    with pytest.raises(StoreFailed, match="free space") as caught:
        run_design(make_design(), project, executor=here)
    assert caught.value.next_step
    with pytest.raises(StoreFailed, match="free space"):  # still full
        run_design(make_design(), project, executor=here)
    ballast.unlink()
    run_design(make_design(), project, executor=here)
    assert_whole(project, whole)


def test_a_disk_that_fills_up_under_workers_stops_them_and_loses_nothing(disk, whole):
    import psutil

    project = make_project(disk / "project")
    before = set(psutil.Process().children(recursive=True))
    ballast = leave_free(disk, 300)
    with pytest.raises(StoreFailed, match="free space"):
        run_design(make_design(), project, launch=Launch(workers=2))
    assert set(psutil.Process().children(recursive=True)) <= before
    ballast.unlink()
    run_design(make_design(), project, launch=Launch(workers=2))
    assert_whole(project, whole)
