"""Read what a factory gives: model, loss, data and optimizer by name or by kind, an estimator, an agent."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import nn

from modelwright.base.errors import BadValue
from modelwright.doctor.probes.agents.agent import DISCOUNTS
from modelwright.doctor.probes.drawing import draw_sample, is_data
from modelwright.doctor.probes.estimators.table import read_table
from modelwright.doctor.probes.sample import Sample
from modelwright.doctor.probes.subject import Subject

__all__ = ["read_factory"]

NAMES: Mapping[str, tuple[str, ...]] = {
    "model": ("model", "net", "network", "module"),
    "loss": ("loss", "criterion", "loss_fn", "loss_function", "loss_func"),
    "optimizer": ("optimizer", "optimiser", "optim"),
    "data": ("data", "train", "training", "train_data", "train_loader", "loader", "dataset", "train_dataset"),
    "validation": (
        "validation",
        "valid",
        "val",
        "test",
        "val_loader",
        "val_data",
        "test_loader",
        "val_dataset",
    ),
    "estimator": ("estimator", "pipeline", "classifier", "regressor"),
    "causal": ("causal",),
}
"""Part -> what it may be called."""

WANTED = (
    "a mapping or object with model, loss and data (and optimizer, validation); a tuple of them; "
    "a Dataset or DataLoader; (estimator, X, y); or, where it takes an environment, an agent"
)


def read_factory(factory: Callable[..., Any], name: str = "") -> Subject:
    """Return what a factory makes, in one form.

    Args:
        factory: Called without arguments; with an environment where it has an argument without a default,
            and with a number of steps where it has two.
        name: As the user named it, for messages.

    Raises:
        BadValue: where what it makes is nothing that can be examined.
    """
    if _wants_environment(factory):
        return Subject(agent=factory, factory=name)
    return _read(factory, name)


def _read(factory: Callable[[], Any], name: str) -> Subject:
    parts = _parts(factory(), name)
    data, estimator = parts.get("data"), parts.get("estimator")
    if data is None:
        raise BadValue(
            f"{name or 'The factory'} gives data to examine things on",
            got=" and ".join(parts),
            nearest='return {"model": model, "loss": loss, "data": (X, y)}',
            next_step="docs/examine.md says what a factory may return",
        )
    if estimator is not None and "model" not in parts:
        return _of_estimator(estimator, data, parts.get("validation"), factory, name)
    sample = draw_sample(data)
    held_out = draw_sample(parts["validation"], "validation") if parts.get("validation") is not None else None
    _check(parts)
    return Subject(
        model=parts.get("model"),
        loss=parts.get("loss"),
        optimizer=parts.get("optimizer"),
        sample=_beside(sample, parts.get("model")),
        held_out=None if held_out is None else _beside(held_out, parts.get("model")),
        causal=parts.get("causal"),
        again=lambda: _read(factory, name),
        factory=name,
    )


def _of_estimator(
    estimator: Any, data: Any, validation: Any, factory: Callable[[], Any], name: str
) -> Subject:
    return Subject(
        estimator=estimator,
        table=read_table(data),
        held_out_table=None if validation is None else read_table(validation, "validation"),
        again=lambda: _read(factory, name),
        factory=name,
    )


def _wants_environment(factory: Callable[..., Any]) -> bool:
    try:
        parameters = list(inspect.signature(factory).parameters.values())
    except (TypeError, ValueError):
        return False
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [
        each
        for each in parameters
        if each.default is each.empty and each.kind in places and each.name not in DISCOUNTS
    ]
    if len(needed) > 2:
        raise BadValue(
            "A factory takes nothing, or an environment for an agent, or that and a number of steps",
            got=f"arguments {', '.join(each.name for each in needed)}",
            next_step="give the others defaults, or wrap it",
        )
    return bool(needed)


def _parts(made: Any, name: str) -> dict[str, Any]:
    """Return the parts by their names here."""
    if isinstance(made, Mapping):
        return _named(cast("Mapping[str, Any]", made), name)
    if _is_agent(made):
        raise BadValue(
            "A factory of agents takes the environment",
            got=f"a {type(made).__name__} of a factory without arguments",
            nearest="def make(environment): ...",
        )
    if isinstance(made, nn.Module) or _is_estimator(made):
        return {_kind(made): made}
    if isinstance(made, list | tuple) and not (hasattr(made, "_fields") and hasattr(made, "model")):
        return _placed(cast("Sequence[Any]", made), name)
    if any(hasattr(made, each) for each in (*NAMES["model"], *NAMES["estimator"])) and not is_data(made):
        found = {
            word: getattr(made, word) for words in NAMES.values() for word in words if hasattr(made, word)
        }
        return _named(found, name)
    if is_data(made):
        return {"data": made}
    raise BadValue(f"{name or 'The factory'} gives {WANTED}", got=f"a {type(made).__name__}")


def _named(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    parts = {
        part: given[word]
        for part, words in NAMES.items()
        for word in reversed(words)
        if word in given and given[word] is not None
    }
    if _is_estimator(parts.get("model")):
        parts["estimator"] = parts.pop("model")
    if "data" not in parts:
        upper, lower = given.get("X", given.get("x")), given.get("y")
        if upper is not None:
            parts["data"] = upper if lower is None else (upper, lower)
    if not parts:
        raise BadValue(
            f"{name or 'The factory'} gives {WANTED}",
            got=f"a mapping of {', '.join(map(str, given))}" if given else "an empty mapping",
            nearest='{"model": model, "loss": loss, "data": (X, y)}',
        )
    return parts


def _placed(given: Sequence[Any], name: str) -> dict[str, Any]:
    """Tell parts of a tuple by what they are."""
    if given and all(is_data(each) and not _is_estimator(each) for each in given):
        return {"data": tuple(given)}
    parts: dict[str, Any] = {}
    data: list[Any] = []
    for each in given:
        # A forest is a sequence of trees, too.
        if (is_data(each) or isinstance(each, list | tuple)) and not _is_estimator(each):
            data.append(each)
            continue
        kind = _kind(each)
        if kind in parts or not kind:
            raise BadValue(
                f"{name or 'The factory'} gives {WANTED}",
                got=f"a tuple of {', '.join(type(one).__name__ for one in given)}",
                next_step="give the parts by name, in a mapping",
            )
        parts[kind] = each
    whole = [each for each in data if _holds_targets(each)]
    if len(data) == 2 and len(whole) < 2:
        parts["data"] = (data[0], data[1])
    elif data:
        parts["data"] = data[0]
        if len(data) > 1:
            parts["validation"] = data[1]
    return parts


def _holds_targets(data: Any) -> bool:
    return isinstance(data, list | tuple | torch.utils.data.Dataset | torch.utils.data.DataLoader)


def _kind(each: Any) -> str:
    if isinstance(each, nn.modules.loss._Loss):  # pyright: ignore[reportPrivateUsage]
        return "loss"
    if isinstance(each, nn.Module):
        return "model" if next(each.parameters(), None) is not None else "loss"
    if isinstance(each, torch.optim.Optimizer):
        return "optimizer"
    if isinstance(each, type) and issubclass(each, torch.optim.Optimizer):
        return "optimizer"
    if _is_estimator(each):
        return "estimator"
    return "loss" if callable(each) else ""


def _is_estimator(each: Any) -> bool:
    return hasattr(each, "fit") and hasattr(each, "predict") and not isinstance(each, nn.Module)


def _is_agent(each: Any) -> bool:
    return hasattr(each, "learn") and (hasattr(each, "act") or hasattr(each, "predict"))


def _check(parts: Mapping[str, Any]) -> None:
    model, loss, optimizer = parts.get("model"), parts.get("loss"), parts.get("optimizer")
    if model is not None and not isinstance(model, nn.Module):
        raise BadValue("model is a torch.nn.Module", got=f"a {type(model).__name__}")
    if loss is not None and not callable(loss):
        raise BadValue("loss is called with (output, target)", got=f"a {type(loss).__name__}")
    if isinstance(loss, type):
        raise BadValue(
            "loss is called with (output, target)",
            got=f"the class {loss.__name__}",
            nearest=f"{loss.__name__}()",
        )
    if optimizer is not None and not (isinstance(optimizer, torch.optim.Optimizer) or callable(optimizer)):
        raise BadValue(
            "optimizer is an optimizer of torch, or a function of the parameters that makes one",
            got=f"a {type(optimizer).__name__}",
        )


def _beside(sample: Sample, model: Any) -> Sample:
    """Return the rows where the model is."""
    weight = None if model is None else next(model.parameters(), None)
    return sample if weight is None else sample.to(weight.device)
