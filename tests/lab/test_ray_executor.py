"""The Ray executor on a real cluster of two nodes, one of which is killed."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from interrupted_project import repeatable

from modelwright.base.errors import BadValue, SourceMissing, WorkerLost
from modelwright.experiment.design import Design
from modelwright.lab.executor import ray_cluster, ray_worker
from modelwright.lab.executor.check import EXECUTOR_CHECKS
from modelwright.lab.executor.check_jobs import CheckJobs
from modelwright.lab.executor.choice import open_executor
from modelwright.lab.executor.job import Finished, Progress, Started
from modelwright.lab.executor.local import LocalExecutor
from modelwright.lab.executor.ray_cluster import RayExecutor
from modelwright.lab.launch import Launch
from modelwright.lab.project import Project
from modelwright.lab.run import run_design

pytest.importorskip("ray", reason="Ray is not installed: pip install 'modelwright[ray]'")
pytestmark = pytest.mark.ray

_NODE = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False, "num_gpus": 0}

_SLOW = """
import os, time
from pathlib import Path
import numpy as np

class Line:
    def __init__(self, weights):
        self.weights = weights
    def predict(self, rows):
        return rows @ self.weights[1:] + self.weights[0]

def descend(features, target, seed, rng, marks, rate=0.1, updates=20, pause=0.1):
    Path(marks, seed.key).write_text(str(os.getpid()))
    rows = np.c_[np.ones(len(features)), features]
    weights = np.zeros(rows.shape[1])
    for _ in range(updates):
        time.sleep(pause)
        picked = rng.integers(len(rows), size=64)
        error = rows[picked] @ weights - target[picked]
        weights = weights - rate * rows[picked].T @ error / 64
        yield {"train_loss": float(error @ error) / 64, "model": Line(weights)}
"""


# ---- without a cluster ----


def test_a_missing_ray_is_said_with_the_way_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SourceMissing, match=r"pip install 'modelwright\[ray\]'"):
        open_executor(Launch(executor="ray"))


@pytest.mark.parametrize("address", ["ray://head:10001", "", "  "])
def test_an_address_that_cannot_stream_is_refused(address):
    with pytest.raises(BadValue, match="as a driver"):
        RayExecutor(workers=None, threads=1, address=address)


def test_a_number_of_threads_below_one_is_refused():
    with pytest.raises(BadValue, match="threads"):
        RayExecutor(workers=1, threads=0, address="auto")


# ---- a cluster of our own ----

_LAUNCH = """
import json, os, signal, sys
from pathlib import Path
import psutil
from modelwright.lab.executor.check_jobs import CheckJobs
from modelwright.lab.executor.ray_cluster import RayExecutor

folder = Path(sys.argv[1])
made = CheckJobs(folder)
before = dict(os.environ)
def nobody(*_): pass
signal.signal(signal.SIGTERM, nobody)
executor = RayExecutor(workers=1, threads=1, address="auto")
job = made.job("fall", "fall", folder=str(made.marks))
kinds = [type(message).__name__ for message in executor.run(made.workload, [job])]
import ray
started = [one.pid for one in psutil.Process().children(recursive=True)]
session = ray._private.worker._global_node.get_session_dir_path()
executor.close()
executor.close()
told = {
    "kinds": kinds,
    "started": len(started),
    "left": [pid for pid in started if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"],
    "session_left": os.path.exists(session),
    "connected": ray.is_initialized(),
    "handler": signal.getsignal(signal.SIGTERM) is nobody,
    "environment": sorted(k for k in {*before, *os.environ} if before.get(k) != os.environ.get(k)),
}
print(json.dumps(told), flush=True)
stream = executor.run(made.workload, [made.job("beat", "beat", file=str(folder / "beats"))])
next(stream)
children = psutil.Process().children(recursive=True)
# The two agents of a node notice only after a minute that they are alone; they hold and train nothing.
agents = [one.pid for one in children if "Agent" in one.cmdline()[0]]
print(json.dumps([agents, [one.pid for one in children if one.pid not in agents]]), flush=True)
for message in stream:
    pass
"""


@pytest.mark.slow
def test_a_cluster_started_here_is_quiet_and_leaves_nothing_even_when_the_launcher_is_killed(tmp_path):
    # A folder of Ray's own, so that no cluster of the machine is found; its sockets allow only a short path.
    rays = tempfile.mkdtemp(prefix="mw-", dir="/tmp")
    environment = {**os.environ, "RAY_TMPDIR": rays}
    environment.pop("RAY_ADDRESS", None)
    launcher = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", _LAUNCH, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    agents = []
    try:
        assert launcher.stdout is not None
        first = launcher.stdout.readline()
        if not first:
            pytest.fail(launcher.communicate()[1])
        told = json.loads(first)
        kinds = [kind for kind in told["kinds"] if kind != "Progress"]
        assert kinds[-3:] == ["Lost", "Started", "Finished"]
        assert told["started"] > 2
        assert told["left"] == []
        assert not told["session_left"]
        assert not told["connected"]
        assert told["handler"]
        assert set(told["environment"]) <= {"RAY_AUTH_MODE", "RAY_CLIENT_MODE"}  # Ray's memory
        agents, pids = json.loads(launcher.stdout.readline())
        assert len(agents) <= 2 < len(pids)
        launcher.send_signal(signal.SIGKILL)
        output, errors = launcher.communicate()
        assert (output, errors) == ("", "")
        _wait_until(lambda: not any(_lives(pid) for pid in pids), "the cluster ends with its launcher")
        beats = (tmp_path / "beats").stat().st_size
        time.sleep(0.5)
        assert (tmp_path / "beats").stat().st_size == beats
    finally:
        launcher.kill()
        launcher.wait()
        for pid in agents:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(rays, ignore_errors=True)


@pytest.mark.parametrize("address", ["127.0.0.1:9", "nonsense", "127.0.0.1:", "no.such.host.invalid:6379"])
def test_an_address_where_nobody_answers_is_said(address, tmp_path):
    executor = RayExecutor(workers=1, threads=1, address=address)
    made = CheckJobs(tmp_path)
    with pytest.raises(WorkerLost, match="answers at the address"):
        next(iter(executor.run(made.workload, [made.job("fit", "fit")])))
    executor.close()


# ---- a cluster of two nodes ----


@pytest.fixture(scope="module")
def cluster() -> Iterator[object]:
    """Two nodes of one CPU each; this process is connected to the first, as a user would be."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    quick = {
        "health_check_initial_delay_ms": 0,
        "health_check_period_ms": 500,
        "health_check_failure_threshold": 4,
    }
    made = Cluster(initialize_head=True, head_node_args={**_NODE, "_system_config": quick})
    try:
        made.add_node(**_NODE)
        yield made
    finally:
        logs = made.head_node.get_session_dir_path()
        made.shutdown()
        shutil.rmtree(logs, ignore_errors=True)
        del os.environ["RAY_USAGE_STATS_ENABLED"]


@pytest.fixture(scope="module")
def connected(cluster) -> Iterator[object]:
    import ray

    ray.init(address=cluster.address, configure_logging=False, log_to_driver=False)
    yield cluster
    ray.shutdown()


def test_a_cluster_is_joined_by_its_address_and_lives_on(cluster, tmp_path):
    import ray

    made = CheckJobs(tmp_path)
    executor = open_executor(Launch(executor="ray", address=cluster.address))
    messages = list(executor.run(made.workload, [made.job("fit", "fit")]))
    assert isinstance(messages[-1], Finished)
    assert ray.is_initialized()
    executor.close()
    assert not ray.is_initialized()
    assert all(node.any_processes_alive() for node in cluster.list_all_nodes())


@pytest.mark.parametrize("check", EXECUTOR_CHECKS, ids=lambda check: check.__name__)
def test_the_ray_executor_conforms(check, connected, tmp_path):
    check(lambda: RayExecutor(workers=2, threads=1, address="auto"), tmp_path)


def test_a_connection_of_the_users_is_left_open(connected, tmp_path):
    import ray

    job = ray.get_runtime_context().get_job_id()
    made = CheckJobs(tmp_path)
    executor = RayExecutor(workers=None, threads=1, address="auto")
    jobs = [made.job("one", "fit"), made.job("two", "fit", first=2)]
    assert sum(isinstance(message, Finished) for message in executor.run(made.workload, jobs)) == 2
    executor.close()
    assert ray.is_initialized()
    assert ray.get_runtime_context().get_job_id() == job


def test_jobs_too_large_for_every_node_are_said_after_some_patience(connected, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_cluster, "_PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(ray_cluster, "_GLANCE_SECONDS", 0.3)
    made = CheckJobs(tmp_path)
    executor = RayExecutor(workers=None, threads=3, address="auto")
    with pytest.raises(WorkerLost, match=r"1, 1 CPUs.*Nearest: threads=1"):
        list(executor.run(made.workload, [made.job("fit", "fit")]))
    executor.close()


def test_a_node_with_other_code_is_refused_before_it_trains(connected, tmp_path, monkeypatch):
    made = CheckJobs(tmp_path)
    monkeypatch.setattr(ray_worker, "_package", lambda: frozenset({("lab/training.py", "0" * 64)}))
    executor = RayExecutor(workers=None, threads=1, address="auto")
    with pytest.raises(SourceMissing, match=r"has the code of the launching machine.*differ"):
        list(executor.run(made.workload, [made.job("fit", "fit")]))
    executor.close()


class _Saboteur:
    """Kills a node when a job has made its first steps on it."""

    def __init__(self, cluster, node, marks: Path) -> None:
        self._inner = RayExecutor(workers=2, threads=1, address="auto")
        self._cluster, self._node, self._marks = cluster, node, marks
        self.messages: list[object] = []
        self.slots = 2

    def run(self, workload, jobs):
        seeds = {job.identity: job.seeds for job in jobs}
        for message in self._inner.run(workload, jobs):
            self.messages.append(message)
            yield message
            if isinstance(message, Progress) and self._node is not None:
                mark = self._marks / seeds[message.job][0].key
                raylet = self._node.all_processes["raylet"][0].process.pid
                if mark.exists() and psutil.Process(int(mark.read_text())).ppid() == raylet:
                    self._cluster.remove_node(self._node, allow_graceful=False)
                    self._node = None

    def close(self) -> None:
        self._inner.close()


@pytest.mark.slow
def test_a_node_killed_amid_its_trials_changes_neither_results_nor_verdict(connected, tmp_path):
    root, marks = tmp_path / "project", tmp_path / "marks"
    root.mkdir()
    marks.mkdir()
    (root / "slow.py").write_text(_SLOW)
    design = Design.from_mapping(
        {
            "name": "nodes",
            "question": {"hypothesis": "faster is better", "metric": "rmse", "smallest_effect": 5.0},
            "data": {"kind": "sklearn", "name": "diabetes"},
            "variants": {
                "fast": {"learner": "slow.py:descend", "marks": str(marks), "rate": 0.3},
                "slow": {"learner": "slow.py:descend", "marks": str(marks), "rate": 0.1},
                "tree": {"learner": "sklearn.tree.ExtraTreeRegressor", "max_depth": 3},
            },
            "compare": [["fast", "slow"], ["fast", "tree"]],
            "seeds": 3,
        }
    )
    launch = Launch(workers=2)
    local = LocalExecutor(2)
    here = Project.find(root, journal=tmp_path / "here")
    there = Project.find(root, journal=tmp_path / "there")
    one = run_design(design, here, launch=launch, executor=local)
    local.close()
    for mark in marks.iterdir():
        mark.unlink()
    (victim,) = connected.worker_nodes
    saboteur = _Saboteur(connected, victim, marks)
    other = run_design(design, there, launch=launch, executor=saboteur)
    saboteur.close()

    lost = [message for message in saboteur.messages if type(message).__name__ == "Lost"]
    assert lost, "the node was killed in the middle of a trial"
    assert one.verdict.record() == other.verdict.record()
    assert [look.record() for look in one.looks] == [look.record() for look in other.looks]
    told, expected = _results(there), _results(here)
    assert len(expected) == 9
    assert told == expected
    with there.open_journal(read_only=True) as journal:
        statuses = [row.status for row in journal.runs()]
        assert statuses.count("finished") == 9  # none lost, none twice
        assert set(statuses) == {"finished", "interrupted"}
        assert journal.verify().ok
    starts = sum(isinstance(message, Started) for message in saboteur.messages)
    assert starts == 6 + len(lost)


def _results(project: Project) -> dict[str, tuple[object, ...]]:
    """Return trial -> what it came to, for finished trials."""
    results: dict[str, tuple[object, ...]] = {}
    with project.open_journal(read_only=True) as journal:
        for row in journal.runs(status="finished"):
            body = journal.entries(kind="run.finished", run=row.run)[-1].body["body"]
            assert row.trial not in results
            values = repr(repeatable(journal.read_metrics(row.run)))  # as text: a NaN equals nothing
            results[row.trial] = (row.score, values, body["state"], body["updates"])
    return results


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _wait_until(condition, rule: str, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, rule
        time.sleep(0.1)
