"""What being watched costs: the same program watched and unwatched, one after the other, in turns.

Programs of the bank take seconds, and a part of the cost (imports, what is looked at first and at the end)
does not grow with the program. So each runs a second time, four times as long: what the further time costs
is what a long training costs.
"""

import json
import os
from collections.abc import Mapping, Sequence

from .execute import execute
from .mutant import Mutant
from .rows import Row

__all__ = ["LENGTHS", "WATCHED", "lasts", "longer", "pair"]

WATCHED = ("-m", "modelwright", "doctor", "--json")

LENGTHS = (1, 4)
"""Times as long as a program's own settings make it."""

_LONGER = {
    "a2c_cartpole": "--steps 3600",
    "amp_wine": "--epochs 160",
    "c51_acrobot": "--total-timesteps 32000",
    "cancer_binary": "--epochs 480 --patience 480",
    "char_transformer": "--steps 1200",
    "clinic_pipeline": "--epochs 12",
    "contrastive_digits": "--steps 2800",
    "ddpg_pendulum": "--total-steps 20000",
    "ddqn_lander": "--steps 32000",
    "demand_forecast": "--steps 1200",
    "diabetes_regression": "--epochs 160",
    "digits_cnn": "--epochs 72",
    "digits_mlp": "--epochs 160",
    "digits_vae": "--epochs 160",
    "dqn_cartpole": "--steps 32000",
    "dqn_pixels": "--steps 26000",
    "dqn_tutorial_mountain": "--num-episodes 720",
    "dueling_hill": "--episodes 180",
    "gan_ring": "--steps 6400",
    "gauge_tcn": "--epochs 40",
    "gru_sequences": "--steps 1800",
    "labels_hf": "--epochs 28",
    "lightning_digits": "--epochs 80",
    "masked_ppo_knapsack": "--steps 320",
    "per_dqn": "--steps 30000",
    "power_ridge": "--epochs 100",
    "ppo_cartpole": "--steps 122880",
    "ppo_continuous": "--iterations 200",
    "ppo_rooms": "--steps 144",
    "pqn_inventory": "--steps 1400",
    "qlearning_frozenlake": "--episodes 20000",
    "recurrent_maze": "--steps 1200",
    "reinforce_cartpole": "--episodes 640",
    "sac_discrete_catch": "--num_steps 26000",
    "sac_drone": "--steps 8800",
    "sarsa_taxi": "--episodes 16000",
    "sb3_cartpole": "--timesteps 120000",
    "spinup_arm": "--epochs 100",
    "tabular_embeddings": "--epochs 100",
    "td3_reach": "--max_timesteps 32000",
    "td3_tanks": "--steps 12000",
    "ticket_topics": "--epochs 32",
    "trainer_class": "--epochs 240",
    "transfer_digits": "--epochs 120",
    "unet_shapes": "--epochs 44",
}
"""Settings of programs that make them four times as long; the others have none that does."""


def lasts(program: str, length: int) -> bool:
    """Return whether a program can be made so many times as long."""
    return length == 1 or program in _LONGER


def longer(program: str, length: int) -> list[str]:
    """Return the words that make a program so many times as long as its own settings do."""
    return _LONGER[program].split() if length > 1 else []


def pair(
    mutant: Mutant, number: int, doctor: str, others: Mapping[str, Sequence[str]], length: int = 1
) -> Row:
    """Run a program plain, under the doctor and under others, at the same seed; odd pairs begin with plain.

    Wall times are of whole processes, from start to end: imports and the doctor's own start count too. Of
    the doctor's, the time that the program took under watch stands beside it: what is tried on copies comes
    after that, and has bounds of its own.

    Args:
        mutant: The program.
        number: Of the pair, which is its seed too.
        doctor: Hash of the doctor's code.
        others: Name of a peer -> words of Python's command line before the script's path.
        length: Times as long as its own settings make it, one of `LENGTHS`.
    """
    load = round(os.getloadavg()[0], 2)
    turns = [("plain", ()), ("doctor", WATCHED), *others.items()]
    after = longer(mutant.program.name, length)
    taken: dict[str, float] = {}
    for name, before in turns if number % 2 else reversed(turns):
        done = execute(mutant, number, before, after)
        taken[name] = round(done.seconds, 3)
        if name == "doctor":
            taken["watched"] = round(json.loads(done.out)["seconds"], 3)
    head = {
        "program": mutant.program.name,
        "pair": number,
        "length": length,
        "key": mutant.key,
        "doctor": doctor,
    }
    return head | {"seconds": taken, "load": load}
