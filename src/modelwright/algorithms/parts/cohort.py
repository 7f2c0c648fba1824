"""Streams of steps side by side: parts of a cohort that cannot share one array are still one cohort."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue
from modelwright.base.seed import Seed
from modelwright.base.step import Model, Policy, Step
from modelwright.data.experience import Experience

__all__ = ["join_steps", "split_by_rows"]


def split_by_rows(
    experience: Experience,
    seeds: Sequence[Seed],
    train: Callable[[Experience, Sequence[Seed]], Iterator[Step]],
    *,
    needed: bool,
) -> Iterator[Step]:
    """Train seeds with equally many rows together, and the groups side by side.

    Where a learner takes all rows at once, seeds with different numbers of rows do not fit into one array,
    and filling up would change the sums of the shorter ones with the company that they keep.

    Args:
        experience: Rows of all seeds.
        seeds: All seeds.
        train: Trains some of them.
        needed: Whether to split at all.
    """
    counts = [len(rows) if needed else 0 for rows in experience.rows]
    places = [
        [place for place, count in enumerate(counts) if count == wanted] for wanted in sorted(set(counts))
    ]
    if len(places) == 1:
        return train(experience, seeds)
    return join_steps(
        [train(part_of(experience, own), [seeds[place] for place in own]) for own in places], places
    )


def part_of(experience: Experience, places: Sequence[int]) -> Experience:
    """Return the experience of the seeds at these places."""
    return Experience(
        features=experience.features,
        target=experience.target,
        rows=tuple(experience.rows[place] for place in places),
        task=experience.task,
        classes=experience.classes,
        columns=experience.columns,
    )


def join_steps(streams: Sequence[Iterator[Step]], places: Sequence[Sequence[int]]) -> Iterator[Step]:
    """Pull all streams in turn and yield one step per round.

    A stream that has ended, or lacks a metric that others have, counts as NaN and as absent. The model or
    the policy, where every stream has offered one, is offered in the rounds in which any stream offers its
    own; an ended stream keeps its last.

    Args:
        streams: One per part of the cohort.
        places: For each stream, the places of its seeds in the cohort; together 0 to n - 1.
    """
    size = sum(len(own) for own in places)
    models: list[Model | None] = [None] * len(streams)
    policies: list[Policy | None] = [None] * len(streams)
    running = dict(enumerate(streams))
    update = 0
    while running:
        metrics: dict[str, NDArray[np.float64]] = {}
        absent: dict[str, NDArray[np.bool_]] = {}
        offered = False
        for part in list(running):
            step = next(running[part], None)
            if step is None:
                del running[part]
                continue
            update = max(update, step.update)
            if step.model is not None:
                models[part], offered = step.model, True
            if step.policy is not None:
                policies[part], offered = step.policy, True
            for name, values in step.metrics.items():
                own = list(places[part])
                metrics.setdefault(name, np.full(size, np.nan))[own] = values
                missing = step.absent.get(name, np.zeros(len(own), dtype=np.bool_))
                absent.setdefault(name, np.ones(size, dtype=np.bool_))[own] = missing
        if running:
            known = [model for model in models if model is not None]
            acting = [policy for policy in policies if policy is not None]
            yield Step(
                update=update,
                metrics=metrics,
                model=JoinedModel(known, places) if offered and len(known) == len(models) else None,
                policy=JoinedPolicy(acting, places) if offered and len(acting) == len(policies) else None,
                absent={name: flags for name, flags in absent.items() if flags.any()},
            )


class JoinedModel:
    """Models of the parts of a cohort as one.

    Attributes:
        probabilistic: Whether all of them predict probabilities; see `fitted.FittedModel`.
    """

    def __init__(self, models: Sequence[Model], places: Sequence[Sequence[int]]) -> None:
        self._models = models
        self._places = places
        self.probabilistic = all(getattr(model, "probabilistic", True) for model in models)

    def predict(self, features: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Predict for each seed; see `base.step.Model`."""
        size = sum(len(own) for own in self._places)
        if len(features) != size:
            raise BadValue(
                "Predicting takes one array of rows per seed", got=f"{len(features)} for {size} seeds"
            )
        found: dict[int, NDArray[Any]] = {}
        for model, own in zip(self._models, self._places, strict=True):
            found |= dict(zip(own, model.predict([features[place] for place in own]), strict=True))
        return [found[place] for place in range(size)]

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return every learnt number, name -> (seed, *shape)."""
        return _joined_state([model.state() for model in self._models], self._places)


class JoinedPolicy:
    """Policies of the parts of a cohort as one."""

    def __init__(self, policies: Sequence[Policy], places: Sequence[Sequence[int]]) -> None:
        self._policies = policies
        self._places = [list(own) for own in places]

    def act(self, observation: NDArray[Any]) -> NDArray[Any]:
        """Act for each seed; see `base.step.Policy`."""
        parts = zip(self._policies, self._places, strict=True)
        chosen = [policy.act(observation[own]) for policy, own in parts]
        return np.concatenate(chosen)[np.argsort(np.concatenate(self._places))]

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return every learnt number, name -> (seed, *shape)."""
        return _joined_state([policy.state() for policy in self._policies], self._places)


def _joined_state(
    states: Sequence[Mapping[str, NDArray[Any]]], places: Sequence[Sequence[int]]
) -> Mapping[str, NDArray[Any]]:
    order = np.argsort(np.concatenate([list(own) for own in places]))
    return {name: np.concatenate([state[name] for state in states])[order] for name in states[0]}
