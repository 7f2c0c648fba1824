"""Which of the many planted programs are run every time."""

import pytest

_SAMPLED = (
    "test_advantages",
    "test_contract",
    "test_estimators",
    "test_network_rows",
    "test_pairs",
    "test_probes_agents",
    "test_probes_supervised",
    "test_trials",
    "test_value_styles",
)
_STRIDE = 6


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow all but every sixth of the programs in files that hold dozens of them."""
    seen: dict[str, int] = {}
    for item in items:
        name = item.path.stem
        if name in _SAMPLED and "[" in item.name:
            at = seen[name] = seen.get(name, -1) + 1
            if at % _STRIDE:
                item.add_marker(pytest.mark.slow)
