"""How an outside function is read: which parameter is told what, and in which layout.

A convention is taken from the names that announce it (`next_done` beside `dones`, `episode_starts`,
`not_done` ...). Several readings are tried where names leave it open, but none that a name excludes: an error
within the announced convention stays an error.
"""

import difflib
import inspect
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelwright.algorithms.scrutiny.subject import Absent, Argument, Inputs, Layout, Options, Subject, words
from modelwright.base.errors import BadValue, UnknownName

__all__ = ["Reading", "Signature", "read_signature", "readings_of", "snake"]

_BAGS = words(
    "args arg cfg config conf hp hparams hyper opt opts options settings params parameters weights model net "
    "theta p batch batches data transition transitions rollout rollouts replay memory buffer sample samples "
    "experience traj trajectory segment seg minibatch episode"
)
_FILLERS = words(
    "b mb batch batched t arr array buf buffer tensor np list seq all storage vec vector th torch in my x ph"
)
_TIME = r"T|num_steps|n_steps|steps?|time|n_step|seq_len|horizon|nstep"
_COPIES = r"N|B|E|num_envs|n_envs|envs?|batch(?:_size)?|b|n"
_TIME_FIRST = re.compile(rf"[\[(]\s*(?:{_TIME})\s*(?:\+\s*1)?\s*,\s*(?:{_COPIES})\b")
_COPY_FIRST = re.compile(rf"[\[(]\s*(?:{_COPIES})\s*,\s*(?:{_TIME})\b")
_MOST = 96


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What can be seen of an outside function without calling it.

    Attributes:
        name: The function's own.
        parameters: Name -> whether it may be left out.
        positional: Names that can only be given in order.
        source: Its text; empty where it cannot be had.
        constants: Numbers among the globals that it uses, by name in snake case.
    """

    name: str
    parameters: Mapping[str, bool]
    positional: frozenset[str]
    source: str
    constants: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """Something that a function cannot be told, as far as a reading goes.

    Attributes:
        says: The convention, as a sentence; empty for the plain one.
        change: Makes inputs as such a function must see them.
        roles: What it cannot be told.
        batch_tells: See `Absent`.
    """

    says: str
    change: Callable[[Inputs], Inputs]
    roles: tuple[str, ...] = ()
    batch_tells: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One way to call an outside function.

    Attributes:
        arguments: Parameter -> what it is told; None for a bag that answers to every name.
        layout: Of its arrays.
        lacks: What it cannot be told.
        spare: 0, or by how much later it is tried: only where the function cannot run otherwise.
        guessed: Parameters whose name says nothing, read by their order.
    """

    arguments: Mapping[str, Argument | None]
    layout: Layout
    lacks: tuple[Lack, ...]
    spare: int
    guessed: tuple[str, ...]

    def seen(self, inputs: Inputs) -> Inputs | None:
        """Return the inputs as this function can be told them, or None where it cannot."""
        told = [argument for argument in self.arguments.values() if argument is not None]
        changes = [lack.change for lack in self.lacks]
        for change in (*changes, *(each.sees for each in told if each.sees is not None)):
            inputs = change(inputs)
        return inputs if all(argument.value(inputs) is not None for argument in told) else None

    def refuted(self, read: Iterable[Argument]) -> bool:
        """Tell whether what the function read from a bag contradicts what it is said to lack."""
        read = list(read)
        roles, arrays = {each.role for each in read}, any(each.axes for each in read)
        told = [each for each in self.arguments.values() if each is not None]
        known = roles | {each.role for each in told}
        if read and any(each.needs and known.isdisjoint(each.needs) for each in told):
            return True
        # One stretch at a time may end where its episode does, with nothing to tell it.
        batch = arrays and not self.layout.loop
        return any(not roles.isdisjoint(lack.roles) or (lack.batch_tells and batch) for lack in self.lacks)

    def says(self) -> list[str]:
        """Return the conventions, as sentences."""
        lines = [
            f"{parameter}: {argument.says}"
            for parameter, argument in self.arguments.items()
            if argument is not None and argument.says
        ]
        if self.guessed:
            lines.append(f"read by their order, because their names say nothing: {', '.join(self.guessed)}")
        lines += [lack.says for lack in self.lacks if lack.says]
        return [*lines, *([self.layout.says] if self.layout.says else [])]

    def record(self, options: Options) -> dict[str, Any]:
        """Return it as JSON types."""
        told = {name: None if each is None else each.role for name, each in self.arguments.items()}
        return {
            "arguments": told,
            "layout": self.layout.name,
            "conventions": self.says(),
            "choices": dict(options),
        }


def snake(name: str) -> str:
    """Return a name in snake case, without marks around it."""
    name = (
        re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", "_", name) if not name.isupper() else name
    )
    return name.lower().strip("_") + ("_" if name.endswith("s_") else "")


def read_signature(function: Callable[..., Any]) -> Signature:
    """Return what can be seen of a function.

    Raises:
        BadValue: where it has no readable signature, or is a class.
    """
    if inspect.isclass(function):
        raise BadValue(
            "A function is scrutinised, not a class",
            got=function.__name__,
            next_step="write a small function that makes the object and calls it",
        )
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        raise BadValue(
            "A function is scrutinised whose parameters can be read",
            got=str(error),
            next_step="wrap it in a small function of your own, with named parameters",
        ) from error
    fixed = [each for each in parameters if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        source = ""
    code = getattr(inspect.unwrap(function), "__code__", None)
    names = getattr(inspect.unwrap(function), "__globals__", {})
    constants = {
        snake(name): float(names[name])
        for name in (code.co_names if code is not None else ())
        if isinstance(names.get(name), int | float)
    }
    return Signature(
        name=getattr(function, "__name__", type(function).__name__),
        parameters={each.name: each.default is not each.empty for each in fixed},
        positional=frozenset(each.name for each in fixed if each.kind == each.POSITIONAL_ONLY),
        source=source,
        constants=constants,
    )


def readings_of(
    signature: Signature, subject: Subject, mapping: Mapping[str, str], layout: str | None
) -> list[Reading]:
    """Return the ways to read a function, the likeliest first.

    Args:
        signature: Of the outside function.
        subject: What it is held to.
        mapping: Role or argument's name of ours -> parameter of theirs, as the user says.
        layout: The only layout, where the user says so.

    Raises:
        UnknownName: for a role, parameter or layout that does not exist.
        BadValue: where no reading fits, with the arguments that are known.
    """
    layouts = _layouts(signature, subject, layout)
    found = _found(signature, subject, mapping)
    bound = {
        name: each
        for name, each in found.items()
        if each and not (signature.parameters[name] and name not in mapping.values() and each[0].own)
    }
    bag = [name for name in signature.parameters if not found[name] and _is_bag(name)]
    unknown = [
        name
        for name, spare in signature.parameters.items()
        if not found[name] and not spare and name not in bag
    ]
    announced = {each.role for ways in bound.values() for each in ways}
    guesses: list[dict[str, list[Argument]]] = [{}]
    if unknown:
        guesses = list(_guesses(unknown, subject, announced, len(bound)))
    readings: list[Reading] = []
    for guess in guesses:
        told = {**bound, **guess}
        roles = {each.role for ways in told.values() for each in ways}
        ways: dict[str, list[Argument]] = {}
        for name in signature.parameters:
            if name in told:
                ways[name] = [each for each in told[name] if each.fits(roles)] or told[name][:1]
        for combination in _combinations(ways, bool(bag)):
            chosen: dict[str, Argument | None] = dict(zip(ways, combination, strict=True))
            chosen.update(dict.fromkeys(bag))
            spare = 2 * any(each is not None and each.spare for each in chosen.values())
            taken = {each.role for each in combination}
            for lacks in _lacks(subject, taken, signature, bool(bag)):
                readings += [
                    Reading(
                        arguments=chosen,
                        layout=each,
                        lacks=lacks,
                        spare=max(spare, int(each.spare)),
                        guessed=tuple(guess),
                    )
                    for each in layouts
                ]
    if not readings:
        raise BadValue(
            f"{subject.name} is compared with functions that take its arguments",
            got=f"{signature.name}({', '.join(signature.parameters)})",
            next_step="rename parameters, say --map ours=theirs, or write a small adapter; "
            + _expected(subject),
        )
    return sorted(readings, key=lambda each: each.spare)


def _is_bag(name: str) -> bool:
    parts = snake(name).strip("_").split("_")
    return all(part in (*_BAGS, *_FILLERS) for part in parts) and any(part in _BAGS for part in parts)


def _combinations(ways: Mapping[str, list[Argument]], bag: bool) -> list[tuple[Argument, ...]]:
    """Return what parameters may tell together: no two the same, and each only beside what it needs."""
    every = [
        each
        for each in itertools.islice(itertools.product(*ways.values()), _MOST)
        if len({argument.role for argument in each}) == len(each)
    ]
    # A bag may hold what is needed.
    fitting = [
        each
        for each in every
        if bag or all(argument.fits({other.role for other in each}) for argument in each)
    ]
    return fitting or every


def _expected(subject: Subject) -> str:
    parts = {role: next(each for each in subject.arguments if each.role == role) for role in subject.roles}
    shown = (f"{role} ({', '.join(each.axes) or 'a number'})" for role, each in parts.items())
    return f"expected are some of: {', '.join(shown)}"


def _layouts(signature: Signature, subject: Subject, asked: str | None) -> list[Layout]:
    if asked is not None:
        chosen = [each for each in subject.layouts if each.name == asked.replace(" ", "")]
        if not chosen:
            raise UnknownName(f"layout of {subject.name}", asked, [each.name for each in subject.layouts])
        return chosen
    fitting = [
        each for each in subject.layouts if not (each.unless and re.search(each.unless, signature.source))
    ]
    time_first, copy_first = _TIME_FIRST.search(signature.source), _COPY_FIRST.search(signature.source)
    if bool(time_first) == bool(copy_first):
        return fitting
    # The text announces an order of axes: the other one would be a mistake.
    return [each for each in fitting if (each.first == "copy") == bool(copy_first) and not each.loop]


def _found(signature: Signature, subject: Subject, mapping: Mapping[str, str]) -> dict[str, list[Argument]]:
    theirs: dict[str, str] = {}
    known = {name for each in subject.arguments for name in (each.role, *each.names)}
    for ours, name in mapping.items():
        if ours not in known:
            raise UnknownName(f"argument of {subject.name}", ours, known)
        if name not in signature.parameters:
            raise UnknownName(f"parameter of {signature.name}", name, signature.parameters)
        theirs[name] = ours
    mapped = {each.role for each in subject.arguments if {each.role, *each.names} & set(mapping)}
    found: dict[str, list[Argument]] = {}
    for name in signature.parameters:
        plain = snake(theirs.get(name, name))
        exact = [each for each in subject.arguments if plain in each.names]
        if name not in theirs and any(each.role in mapped for each in exact):
            exact = [each for each in exact if each.role not in mapped]
            if not exact:
                found[name] = []
                continue
        if not exact and name in theirs:
            exact = [each for each in subject.arguments if each.role == plain]
        found[name] = exact or _alike(plain, subject)
    return found


def _alike(name: str, subject: Subject) -> list[Argument]:
    """Return arguments whose name it is but for filling words: `mb_rewards`, `reward_list`."""
    parts = [part for part in name.strip("_").split("_") if part and part not in _FILLERS]
    core = "_".join(parts)
    for spelling in (core, core.rstrip("s"), f"{core}s"):
        if core and (found := [each for each in subject.arguments if spelling in each.names]):
            return found
    # A slip of the pen, or another ending; no more, because short names are like each other.
    for each in subject.arguments:
        for known in each.names:
            if len(known) > 5 and difflib.SequenceMatcher(a=core, b=known).ratio() > 0.87:
                return [other for other in subject.arguments if known in other.names]
    return []


def _guesses(
    unknown: list[str], subject: Subject, announced: set[str], known: int
) -> Iterator[dict[str, list[Argument]]]:
    """Yield what parameters without a telling name may be: roles that are not announced, in their order."""
    first = {role: next(each for each in subject.arguments if each.role == role) for role in subject.roles}
    open_roles = [role for role in first if role not in announced and not first[role].needs]
    if len(unknown) > len(open_roles) or (len(unknown) > 3 and known):
        return
    if len(unknown) > 3:
        yield {name: [first[role]] for name, role in zip(unknown, open_roles, strict=False)}
        return
    for roles in itertools.islice(itertools.permutations(open_roles, len(unknown)), 24):
        yield {name: [first[role]] for name, role in zip(unknown, roles, strict=True)}


def _lacks(subject: Subject, roles: set[str], signature: Signature, bag: bool) -> Iterator[tuple[Lack, ...]]:
    ways: list[list[Lack]] = []
    for absent in subject.absences:
        if not roles.isdisjoint(absent.roles):
            continue
        if bag:  # it may read anything from there, or not
            if len(absent.ways) == 1:
                ways.append([Lack(says="", change=lambda x: x), *_of(absent)])
            continue
        if absent.needs and roles.isdisjoint(absent.needs):
            continue
        ways.append([*_constants(absent, subject, signature), *_of(absent)])
    yield from itertools.product(*ways)


def _of(absent: Absent) -> list[Lack]:
    return [
        Lack(says=says, change=change, roles=absent.roles, batch_tells=absent.batch_tells)
        for says, change in absent.ways.items()
    ]


def _constants(absent: Absent, subject: Subject, signature: Signature) -> Iterator[Lack]:
    """Yield numbers that the function takes from the globals of its module."""
    for role in absent.roles:
        names = {
            name for each in subject.arguments if each.role == role and not each.axes for name in each.names
        }
        for name, value in signature.constants.items():
            if name in names:
                says = f"{role} is {value:g}, a global of its module"
                yield Lack(says=says, change=_setter(role, value), roles=absent.roles)


def _setter(role: str, value: float) -> Callable[[Inputs], Inputs]:
    return lambda x: {**x, role: value}
