"""Words that views share."""

from typing import Any

import pytest

from modelwright.experiment.design import Design
from modelwright.lab.wording import describe_rule

BASE: dict[str, Any] = {
    "name": "ruled",
    "question": {"hypothesis": "One is better.", "metric": "accuracy", "smallest_effect": 0.1},
    "data": {"kind": "sklearn", "name": "wine"},
    "variants": {name: {"learner": "mlp"} for name in ("one", "two", "three")},
    "compare": [["one", "two"], ["three", "two"]],
    "seeds": 12,
}
RULES = [
    {"kind": "fixed"},
    {"kind": "fixed", "test": "sign_flip"},
    {"kind": "group_sequential", "looks": [4, 8, 12]},
    {"kind": "group_sequential", "looks": [6, 12], "spending": "obrien_fleming"},
    {"kind": "group_sequential", "looks": [11, 12], "spending": "lan_demets_pocock", "test": "sign_flip"},
    {"kind": "confidence_sequence"},
    {"kind": "confidence_sequence", "looks": [5, 12]},
    {"kind": "confidence_sequence", "low": -0.5, "high": 0.25},
]


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("correction", ["holm", "bonferroni"])
@pytest.mark.parametrize("pairs", [1, 2])
def test_a_rule_has_the_name_that_it_has_when_it_is_built(
    rule: dict[str, Any], correction: str, pairs: int
) -> None:
    variants = {name: BASE["variants"][name] for pair in BASE["compare"][:pairs] for name in pair}
    design = Design.from_mapping(
        {
            **BASE,
            "rule": rule,
            "correction": correction,
            "compare": BASE["compare"][:pairs],
            "variants": variants,
        }
    )
    assert describe_rule(design) == design.shared_rule(scope_inflation=0.0).name
