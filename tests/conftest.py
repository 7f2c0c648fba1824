"""Which of many alike tests are run every time, and how Hypothesis is set."""

import pytest
from hypothesis import settings

# How long an example takes depends on what else the machine does.
settings.register_profile("modelwright", deadline=None)
settings.load_profile("modelwright")

_STRIDES = {
    **dict.fromkeys(
        (
            "doctor/test_acting_copies",
            "doctor/test_codes_and_parts",
            "doctor/test_generators",
            "doctor/test_graphs",
            "doctor/test_losses_of_policies",
            "doctor/test_mixed_batches",
            "doctor/test_plateaus",
            "doctor/test_priorities",
            "doctor/test_soft_policies",
            "doctor/test_stored_values",
            "doctor/test_tables_of_values",
            "doctor/test_unlearnt_rows",
            "doctor/test_value_distribution_styles",
        ),
        3,
    ),
    **dict.fromkeys(
        (
            "doctor/test_adversaries",
            "doctor/test_carrying_over",
            "doctor/test_drawn_actions",
            "doctor/test_joined_tables",
            "doctor/test_kept_states",
            "doctor/test_label_errors",
            "doctor/test_loop_styles",
            "doctor/test_pandas_columns",
            "doctor/test_pandas_rows",
            "doctor/test_policy_styles",
            "doctor/test_probes_estimators",
            "doctor/test_rows_of_tables",
            "doctor/test_schedules",
            "doctor/test_sequences",
            "doctor/test_series_of_classes",
            "doctor/test_stacked_critics",
            "doctor/test_table_rows",
            "doctor/test_target_codes",
            "doctor/test_target_units",
            "doctor/test_tutorial_agents",
            "doctor/test_windows",
            "doctor/test_worlds",
            "doctor/test_written_losses",
            "doctor/test_written_policies",
        ),
        5,
    ),
    **dict.fromkeys(
        (
            "algorithms/test_company",
            "algorithms/test_mlp",
            "algorithms/test_off_policy_twins",
            "algorithms/test_policy_gradient",
            "algorithms/test_ppo",
            "algorithms/test_qr_dqn",
            "algorithms/test_reinforcement",
            "doctor/test_acting",
            "doctor/test_exploration",
            "doctor/test_memory",
            "doctor/test_network_rows",
            "doctor/test_replay_sampling",
            "scrutiny/test_scrutiny",
        ),
        5,
    ),
    **dict.fromkeys(
        (
            "doctor/test_advantages",
            "doctor/test_contract",
            "doctor/test_estimators",
            "doctor/test_pairs",
            "doctor/test_probes_agents",
            "doctor/test_probes_supervised",
            "doctor/test_trials",
            "doctor/test_value_styles",
        ),
        9,
    ),
}
"""File -> one in how many of its parametrised tests is run every time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow all but every third, fifth or ninth of the tests in files that hold dozens alike."""
    seen: dict[str, int] = {}
    for item in items:
        name = f"{item.path.parent.name}/{item.path.stem}"
        if name in _STRIDES and "[" in item.name:
            at = seen[name] = seen.get(name, -1) + 1
            if at % _STRIDES[name]:
                item.add_marker(pytest.mark.slow)
