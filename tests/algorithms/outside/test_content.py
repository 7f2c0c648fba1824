"""The digest of a fitted object: equal for equal numbers in any process, different for any change."""

import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

from modelwright.algorithms.outside.content import content_digest
from modelwright.data.locate import locate_function

MAKERS = {
    "forest": lambda: RandomForestClassifier(5, random_state=0),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=3, random_state=0),
    "histograms": lambda: HistGradientBoostingClassifier(max_iter=3, random_state=0),
    "svm": lambda: SVC(),
    "bayes": lambda: GaussianNB(),
    "neighbours": lambda: KNeighborsClassifier(),
    "perceptron": lambda: MLPClassifier(5, max_iter=2, random_state=0),
    "search": lambda: GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 1e-3]}, cv=3),
}
SCRIPT = """
import sys, warnings
sys.path.insert(0, sys.argv[1])
warnings.simplefilter("ignore")
from test_content import MAKERS, digest
print({name: digest(name).hex() for name in MAKERS})
"""


def digest(name, change=0.0):
    features, target = load_wine(return_X_y=True)
    features = features.copy()
    features[::3, 0] += change
    return content_digest(MAKERS[name]().fit(features, target)).tobytes()


@pytest.mark.filterwarnings("ignore")
def test_fits_of_the_same_rows_in_two_processes_have_one_digest(request):
    here = {name: digest(name).hex() for name in MAKERS}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(request.path.parent)], capture_output=True, text=True, check=True
    )
    assert eval(done.stdout) == here
    assert len(set(here.values())) == len(here)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MAKERS)
def test_other_rows_give_another_digest(name):
    assert digest(name) != digest(name, change=0.7)


def test_every_number_counts():
    model = LogisticRegression()
    model.coef_ = np.ones((2, 3))
    before = content_digest(model).tobytes()
    model.coef_[1, 2] = np.nextafter(1.0, 2.0)
    assert content_digest(model).tobytes() != before


def test_objects_that_hold_themselves_and_equal_strings_are_no_trouble():
    loop = {"name": "ab", "more": ["ab"]}
    loop["self"] = loop
    other = {"name": "".join(["a", "b"]), "more": ["".join(["a", "b"])]}
    other["self"] = other
    assert np.array_equal(content_digest(loop), content_digest(other))


def test_durations_are_left_out_and_other_keys_are_not():
    assert np.array_equal(
        content_digest({"a": 1, "mean_fit_time": 0.2}), content_digest({"a": 1, "mean_fit_time": 0.3})
    )
    assert not np.array_equal(content_digest({"estimates": 1}), content_digest({"estimates": 2}))


@pytest.mark.parametrize("key", ["time", "lead_time", "time_constant_", "times"])
def test_times_that_are_no_durations_of_work_count(key):
    assert not np.array_equal(content_digest({key: 1.0}), content_digest({key: 2.0}))


def test_what_a_function_keeps_of_the_one_that_made_it_counts():
    def player(table, *, lock=None):
        again = lambda at: again(at - 1) if at < 0 else (table[at], lock)  # noqa: E731
        return SimpleNamespace(act=again, other=lambda at, row=table: row[at])

    lock = threading.Lock()
    digests = [
        content_digest(player(table, lock=lock)).tobytes()
        for table in (np.zeros(3), np.zeros(3), np.eye(3)[0], np.eye(3)[1])
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


_TENSORS = """
import sys
import torch
from modelwright.algorithms.outside.content import content_digest
junk = [torch.zeros(each + 1) for each in range(int(sys.argv[1]))]
torch.manual_seed(int(sys.argv[2]))
model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3)).to(torch.bfloat16)
held = [model, model[0].weight.detach()[:, 1:], torch.empty(0), torch.tensor(1j)]
print(content_digest(held).tobytes().hex())
"""


def test_tensors_of_the_same_numbers_in_two_processes_have_one_digest():
    pytest.importorskip("torch")
    digests = [
        subprocess.run(
            [sys.executable, "-c", _TENSORS, *words], capture_output=True, text=True, check=True
        ).stdout
        for words in (("0", "1"), ("99", "1"), ("0", "2"))
    ]
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


def test_the_place_of_a_user_s_file_is_no_part_of_what_its_objects_hold(tmp_path):
    text = "class Line:\n    pass\n\ndef make():\n    line = Line()\n    line.kind = Line\n    return line\n"
    digests = set()
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "mine.py").write_text(text)
        make, _ = locate_function("mine.py:make", root=tmp_path / place)
        digests.add(content_digest(make()).tobytes())
    assert len(digests) == 1
