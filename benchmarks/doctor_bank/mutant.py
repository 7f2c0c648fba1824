"""What is run: every program of the bank as it is, with each fault, and in each odd but right variant."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from modelwright.base.fingerprint import sha256_hex
from modelwright.faults.plant import Fault, Program, plant, programs

__all__ = ["TUNING", "Mutant", "half_of", "mutants"]

TUNING = frozenset(
    {
        "a2c_cartpole",
        "cancer_binary",
        "char_transformer",
        "clinic_pipeline",
        "demand_forecast",
        "diabetes_regression",
        "digits_mlp",
        "dqn_cartpole",
        "per_dqn",
        "ppo_cartpole",
        "reinforce_cartpole",
        "sac_drone",
        "transfer_digits",
        # Opened after the doctor had been judged on them once, unseen: `doctor_first_sight.jsonl`.
        "amp_wine",
        "c51_acrobot",
        "churn_tables",
        "contrastive_digits",
        "ddpg_pendulum",
        "ddqn_lander",
        "digits_vae",
        "dueling_hill",
        "gan_ring",
        "gauge_tcn",
        "lightning_digits",
        "masked_ppo_knapsack",
        "ppo_rooms",
        "pqn_inventory",
        "qlearning_frozenlake",
        "recurrent_maze",
        "sac_discrete_catch",
        "sklearn_income",
        "spinup_arm",
        "tabular_embeddings",
        "td3_tanks",
    }
)
"""Programs on which the doctor is set; of the others only totals are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One text of a program.

    Attributes:
        program: The program that it comes from.
        kind: `base`, `fault` or `variant`.
        name: Of the fault or variant; `base` for the program itself.
        source: The text.
        key: Twelve hexadecimal digits of the text's hash.
        fault: The fault, where there is one.
    """

    program: Program
    kind: str
    name: str
    source: str
    key: str
    fault: Fault | None = None

    @property
    def acts(self) -> bool:
        """Whether the program learns by acting."""
        return self.program.family in ("value-based", "policy-gradient")

    @property
    def lines(self) -> frozenset[int]:
        """Lines, from 1, at which the fault is to be found."""
        if self.fault is None:
            return frozenset()
        text = self.fault.line
        return frozenset(at for at, line in enumerate(self.source.splitlines(), start=1) if text in line)


def half_of(program: str) -> str:
    """Return the half of the bank that a program belongs to."""
    return "tuning" if program in TUNING else "held-out"


def mutants(names: Sequence[str] = (), kinds: Sequence[str] = ("base", "fault", "variant")) -> list[Mutant]:
    """Return the texts of these programs (all where none is named), of these kinds."""
    chosen = [program for program in programs() if not names or program.name in names]
    return [mutant for program in chosen for mutant in _of(program) if mutant.kind in kinds]


def _of(program: Program) -> Iterator[Mutant]:
    yield _mutant(program, "base", "base", program.source)
    for fault in program.faults:
        yield _mutant(program, "fault", fault.name, plant(program.source, fault.edits), fault)
    for variant in program.variants:
        yield _mutant(program, "variant", variant.name, plant(program.source, variant.edits))


def _mutant(program: Program, kind: str, name: str, source: str, fault: Fault | None = None) -> Mutant:
    key = sha256_hex(source.encode())[:12]
    return Mutant(program=program, kind=kind, name=name, source=source, key=key, fault=fault)
