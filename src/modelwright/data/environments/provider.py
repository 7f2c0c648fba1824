"""Which installed distributions make an environment, with their versions."""

from collections.abc import Mapping
from importlib import import_module, metadata

__all__ = ["provider_versions"]

_PHYSICS = {"gymnasium.envs.box2d": "Box2D", "gymnasium.envs.mujoco": "mujoco"}


def provider_versions(name: str, *, own: bool) -> Mapping[str, str]:
    """Return distribution -> version of all that an environment is made by: Gymnasium and who provides it.

    A name that nobody knows has Gymnasium alone; that it is unknown shows where it is made.

    Args:
        name: The environment's name, or the place of somebody's own.
        own: Whether it is a place.
    """
    found = {"gymnasium": metadata.version("gymnasium")}
    entry = name if own else _entry_point(name)
    physics = next((each for start, each in _PHYSICS.items() if entry.startswith(start)), None)
    top = entry.partition(":")[0].partition(".")[0]
    providers = [*metadata.packages_distributions().get(top, []), *([physics] if physics else [])]
    for provider in providers:
        try:
            found[provider] = metadata.version(provider)
        except metadata.PackageNotFoundError:
            continue
    found.pop("modelwright", None)
    return dict(sorted(found.items()))


def _entry_point(name: str) -> str:
    import gymnasium

    try:
        if name.startswith("ALE/"):
            import_module("ale_py")
        module, _, bare = name.rpartition(":")
        if module:
            import_module(module)
        entry = gymnasium.spec(bare).entry_point
    except (gymnasium.error.Error, ModuleNotFoundError):
        return ""
    return entry if isinstance(entry, str) else getattr(entry, "__module__", "")
