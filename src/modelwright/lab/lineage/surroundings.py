"""What differs around the code: software installed, variables, machine."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from modelwright.lab.lineage.difference import Difference, Side, difference, shown
from modelwright.lab.lineage.environment import Distribution, EnvironmentRecord, steers_numbers
from modelwright.lab.lineage.hardware import Blas, HardwareRecord
from modelwright.lab.lineage.threads import THREAD_VARIABLES

__all__ = ["environment_differences", "hardware_differences"]

_NUMERIC = (
    *("numpy", "scipy", "pandas", "pyarrow", "polars", "duckdb", "numba", "llvmlite", "mkl", "intel-openmp"),
    *(
        "torch",
        "torchvision",
        "torchaudio",
        "triton",
        "jax",
        "jaxlib",
        "flax",
        "optax",
        "tensorflow",
        "keras",
    ),
    *("scikit-learn", "xgboost", "lightgbm", "catboost", "statsmodels", "transformers", "pytorch-lightning"),
    *("gymnasium", "ale-py", "mujoco", "dm-control", "box2d", "pygame"),
    *("onnxruntime", "pillow", "opencv-python"),
)
_HARMLESS = ("PYTHONHASHSEED", "PYTHONOPTIMIZE", "PYTHONPATH", "TZ", "LC_ALL", "LC_NUMERIC")
"""Recorded variables that steer Python and its texts; all others steer arithmetic."""

_VECTOR = ("sse", "ssse", "avx", "amx", "fma", "f16c", "asimd", "neon", "sve", "sme", "bf16", "fphp")
"""How flags begin that name arithmetic on vectors; other flags cannot change a number."""

_MEMORY_SHARE = 0.05
"""Machines of one kind show a little more or less memory; less than this share is no difference."""


def environment_differences(
    recorded: EnvironmentRecord, now: EnvironmentRecord, *, unused: Collection[str] = ()
) -> Iterator[Difference]:
    """Yield what differs in distributions, variables, Python and system.

    Args:
        recorded: Then.
        now: Now.
        unused: Distributions of which nothing was imported.
    """
    was = {item.name: item for item in recorded.distributions}
    is_now = {item.name: item for item in now.distributions}
    for name in sorted(was.keys() | is_now.keys()):
        yield from _distributions(name, was.get(name), is_now.get(name), name in unused)
    yield from _variables(recorded.variables, now.variables)
    for name, kind in (
        ("python", "python"),
        ("implementation", "python"),
        ("compiler", "libc"),
        ("libc", "libc"),
        ("system", "system"),
    ):
        if getattr(recorded, name) != getattr(now, name):
            yield difference(Side.ENVIRONMENT, kind, name, getattr(recorded, name), getattr(now, name))


def _variables(recorded: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Difference]:
    changed = {
        name: (recorded.get(name), now.get(name))
        for name in sorted(recorded.keys() | now.keys())
        if recorded.get(name) != now.get(name) and steers_numbers(name)
    }
    pinned = [name for name in THREAD_VARIABLES if name in changed]
    if len(pinned) > 1 and len({changed[name] for name in pinned}) == 1:
        # One number was pinned for all libraries: that is one difference, not six.
        values = changed[pinned[0]]
        for name in pinned:
            del changed[name]
        words = [_word(value) for value in values]
        sentence = f"threads of numerical libraries were {words[0]} and are {words[1]} ({', '.join(pinned)})"
        yield difference(Side.ENVIRONMENT, "numeric variable", "threads", *values, sentence=sentence)
    for name, values in changed.items():
        kind = "variable" if name in _HARMLESS else "numeric variable"
        words = [_word(value) for value in values]
        sentence = f"variable {name} was {words[0]} and is {words[1]}"
        yield difference(Side.ENVIRONMENT, kind, name, *values, sentence=sentence)


def _word(value: str | None) -> str:
    return "not set" if value is None else shown(value)


def _distributions(
    name: str, recorded: Distribution | None, now: Distribution | None, unused: bool
) -> Iterator[Difference]:
    numeric = name in _NUMERIC or name.startswith(("nvidia-", "torch", "jax", "mkl"))
    kind = "numeric distribution" if numeric else "distribution"
    if unused and now is not None:
        kind = "unused distribution"
    if recorded is None or now is None:
        found = recorded or now
        version = "" if found is None else found.version
        versions = (None, version) if recorded is None else (version, None)
        sentence = f"distribution {name} {version} is {'new' if recorded is None else 'gone'}"
        yield difference(Side.ENVIRONMENT, kind, name, *versions, sentence=sentence)
    elif recorded.version != now.version:
        sentence = f"distribution {name} was {recorded.version} and is {now.version}"
        yield difference(Side.ENVIRONMENT, kind, name, recorded.version, now.version, sentence=sentence)
    elif recorded.note != now.note:
        notes = [f"{item.version} ({item.note or 'as released'})" for item in (recorded, now)]
        yield difference(Side.ENVIRONMENT, kind, name, *notes)
    elif recorded.content != now.content:
        sentence = f"distribution {name} {now.version} holds other files under the same version"
        yield difference(Side.ENVIRONMENT, kind, name, recorded.content, now.content, sentence=sentence)


def hardware_differences(recorded: HardwareRecord, now: HardwareRecord) -> Iterator[Difference]:
    """Yield what differs in processor, accelerators, linear algebra and torch's settings.

    A library that was loaded and is not is no difference: see `_libraries`.
    """
    for name, kind in (
        ("architecture", "cpu"),
        ("cpu", "cpu"),
        ("physical_cores", "cores"),
        ("logical_cores", "cores"),
        ("gpus", "gpu"),
    ):
        if getattr(recorded, name) != getattr(now, name):
            yield difference(
                Side.HARDWARE, kind, name.replace("_", " "), getattr(recorded, name), getattr(now, name)
            )
    if recorded.flags != now.flags:
        gone, new = sorted({*recorded.flags} - {*now.flags}), sorted({*now.flags} - {*recorded.flags})
        sentence = f"of the processor's flags {shown(gone)} are gone and {shown(new)} are new"
        kind = "flags" if any(flag.startswith(_VECTOR) for flag in gone + new) else "system"
        yield difference(Side.HARDWARE, kind, "cpu flags", gone, new, sentence=sentence)
    if abs(recorded.memory - now.memory) > _MEMORY_SHARE * max(recorded.memory, now.memory):
        yield difference(Side.HARDWARE, "memory", "memory", recorded.memory, now.memory)
    yield from _libraries(recorded.blas, now.blas)
    if recorded.torch is None or now.torch is None:
        if now.torch is not None:
            sentence = "torch is loaded and was not"
            yield difference(Side.HARDWARE, "loaded", "torch", None, "loaded", sentence=sentence)
        return
    for name in sorted(recorded.torch.keys() | now.torch.keys()):
        values = recorded.torch.get(name), now.torch.get(name)
        if values[0] != values[1]:
            yield difference(
                Side.HARDWARE, "threads" if "threads" in name else "torch", f"torch {name}", *values
            )


def _libraries(recorded: Sequence[Blas], now: Sequence[Blas]) -> Iterator[Difference]:
    was = {(library.library, library.file): library for library in recorded}
    is_now = {(library.library, library.file): library for library in now}
    pairs = [(was[key], is_now[key]) for key in sorted(was.keys() & is_now.keys())]
    gone = [was[key] for key in sorted(was.keys() - is_now.keys())]
    new = [is_now[key] for key in sorted(is_now.keys() - was.keys())]
    for library in list(gone):  # another build of the same library
        twin = next((other for other in new if other.library == library.library), None)
        if twin is not None:
            pairs.append((library, twin))
            gone.remove(library)
            new.remove(twin)
    for one, other in pairs:
        for name in ("threads", "core", "version", "file", "layer"):
            values = getattr(one, name), getattr(other, name)
            if values[0] != values[1]:
                kind = "threads" if name == "threads" else "blas"
                yield difference(Side.HARDWARE, kind, f"{other.library} {name}", *values)
    # A worker trains one variant after another and unloads nothing: what is not loaded now was not needed
    # then, unless something else has come in its place.
    for library in gone if new else ():
        sentence = f"{library.library} ({library.file}) was loaded and is not"
        yield difference(Side.HARDWARE, "loaded", library.library, library.file, None, sentence=sentence)
    for library in new:
        sentence = f"{library.library} ({library.file}) is loaded and was not"
        yield difference(Side.HARDWARE, "loaded", library.library, None, library.file, sentence=sentence)
