"""The default executor keeps what every executor must."""

import pytest

from modelwright.lab.executor_check import EXECUTOR_CHECKS
from modelwright.lab.local import LocalExecutor


@pytest.mark.parametrize("check", EXECUTOR_CHECKS, ids=lambda check: check.__name__)
def test_the_local_executor_conforms(check, tmp_path):
    check(lambda: LocalExecutor(2), tmp_path)
