"""What a subject of scrutiny is made of: arguments, inputs, reference, conventions and known mistakes.

Inputs and outputs are named arrays (NumPy, double precision). An axis has a name (`step`, `row`, ...), so
that one description serves every layout and every input can be made smaller along it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

__all__ = [
    "Absent",
    "Argument",
    "Axes",
    "Case",
    "Choice",
    "Gradients",
    "Inputs",
    "Kind",
    "Layout",
    "Mistake",
    "Options",
    "Outputs",
    "Reference",
    "Subject",
    "fixed_at",
    "mistake",
    "of_inputs",
    "words",
]

Inputs = dict[str, Any]
Outputs = dict[str, Any]
Options = Mapping[str, str]
Axes = tuple[str, ...]
Kind = Literal["number", "flag", "index", "plain", "list"]
Reference = Callable[[Inputs, Options], Outputs]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One input.

    Attributes:
        name: What is special about it; cases of one name are counted together.
        inputs: By name.
        screening: Whether readings are chosen by it.
        fine: Whether single precision does not suffice for it.
        corner: Whether a function may refuse it: then that is said, and is no difference.
    """

    name: str
    inputs: Inputs
    screening: bool = False
    fine: bool = False
    corner: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One way in which an outside function may want to be told something.

    Attributes:
        role: What it tells; several arguments may have one role, as alternatives.
        names: Names of parameters that announce it, in snake case.
        doc: Its meaning, for people.
        axes: Of the array; none for a number.
        kind: `number`, `flag` (bool or 0.0 and 1.0), `index` (whole numbers), `plain` (passed as it is) or
            `list` (of arrays, along the first axis).
        make: Makes it from a case's inputs; None where it is the input of that name. It returns None for a
            case that cannot be told in this way.
        says: The convention, as a sentence; empty for the plain one.
        needs: Roles of which one must be announced too.
        bars: Roles of which none may be announced too.
        spare: Whether it is tried only where the function cannot run without it.
        sees: What follows for a case's inputs where the function is told in this way.
        own: Whether it follows from other arguments, so that a function that may do without makes its own.
    """

    role: str
    names: tuple[str, ...]
    doc: str
    axes: Axes = ()
    kind: Kind = "number"
    make: Callable[[Inputs], Any] | None = None
    says: str = ""
    needs: tuple[str, ...] = ()
    bars: tuple[str, ...] = ()
    spare: bool = False
    sees: Callable[[Inputs], Inputs] | None = None
    own: bool = False

    def fits(self, roles: Iterable[str]) -> bool:
        """Tell whether it can be meant where these roles are announced."""
        return (not self.needs or not set(self.needs).isdisjoint(roles)) and set(self.bars).isdisjoint(roles)

    def value(self, inputs: Inputs) -> Any:
        """Return it for these inputs, or None."""
        return inputs[self.role] if self.make is None else self.make(inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """What it means that a function cannot be told something.

    Attributes:
        roles: It holds where none of them is announced.
        ways: Sentence -> the inputs as such a function must see them; alternatives.
        needs: It holds only where one of these is announced; empty for always.
        batch_tells: Whether a batch of arrays has it for certain, so that not to read it is a mistake.
    """

    roles: tuple[str, ...]
    ways: Mapping[str, Callable[[Inputs], Inputs]]
    needs: tuple[str, ...] = ()
    batch_tells: bool = False


def fixed_at(role: str, *values: float, needs: tuple[str, ...] = ()) -> Absent:
    """Return what the lack of a number means: that the function holds one of these."""

    def way(value: float) -> Callable[[Inputs], Inputs]:
        return lambda x: {**x, role: value}

    ways = {f"{role} is {value:g} in the function": way(value) for value in values}
    return Absent(roles=(role,), ways=ways, needs=needs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A convention of what is computed.

    Attributes:
        values: Value -> sentence; the first is the plain one, with an empty sentence.
        asked: Values that hold only where the user asks for them, because code that has them by mistake is
            as common.
        named: Value -> regular expression of the function's name that announces it.
        told: Value -> names of parameters of which one announces it.
        needs: Roles of which one must be told for any but the plain value to be tried.
    """

    values: Mapping[str, str]
    asked: tuple[str, ...] = ()
    named: Mapping[str, str] = field(default_factory=dict[str, str])
    told: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How axes lie in the outside function's arrays.

    Attributes:
        name: As typed after `--layout`.
        says: As a sentence; empty for the plain one.
        first: The axis that comes first where an array has it.
        trailing: Whether arrays of these axes end with a further axis of length one.
        loop: The axis that the function does not know: it is called for each part.
        spare: Whether it is tried only where the function cannot run in another.
        turned: Axes; matrices of two of them are transposed.
        unless: Regular expression; the layout is out of the question where the function's text has it.
    """

    name: str
    says: str = ""
    first: str = ""
    trailing: Axes = ()
    loop: str = ""
    spare: bool = False
    turned: Axes = ()
    unless: str = ""

    def lay(self, array: Any, axes: Axes) -> Any:
        """Return an array of these axes, NumPy or torch, as the outside function has it."""
        if self.first in axes and axes[0] != self.first:
            array = array.swapaxes(0, axes.index(self.first))
        if len(axes) == 2 and set(axes) <= set(self.turned):
            array = array.swapaxes(0, 1)
        small = not self.turned or len(axes) == 1
        if axes and self.trailing and small and set(axes) <= set(self.trailing):
            array = array[..., None]
        return array


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """A known mistake, as what it computes.

    Attributes:
        name: In kebab case.
        what: What is wrong, as a sentence.
        maths: The line as it should be.
        outputs: The outputs that come out differently; others are the reference's.
    """

    name: str
    what: str
    maths: str
    outputs: Reference


def words(text: str) -> tuple[str, ...]:
    """Return names that are written one after another."""
    return tuple(text.split())


def mistake(name: str, what: str, maths: str, *made: Reference) -> list[Mistake]:
    """Return one mistake in each of the forms that it takes."""
    return [Mistake(name=name, what=what, maths=maths, outputs=each) for each in made]


def of_inputs(reference: Reference, change: Callable[[Inputs], Inputs]) -> Reference:
    """Return what comes of the reference where inputs are changed first: ignored, swapped, shifted."""
    return lambda x, o: reference({**x, **change(x)}, o)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gradients:
    """How a loss is differentiated.

    Attributes:
        loss: torch tensors by name, options -> the loss, a torch scalar, with gradients stopped as they
            should be.
        learned: Inputs whose gradient must be the reference's.
        stopped: Inputs that no gradient may reach.
    """

    loss: Callable[[dict[str, Any], Options], Any]
    learned: tuple[str, ...]
    stopped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What an outside function is held to.

    Attributes:
        name: As typed.
        title: One line.
        equation: The maths, one line or more.
        axes: Input -> its axes.
        arguments: Every way of being told; the plain one of each role first, roles in their usual order.
        outputs: Output -> axes; intermediates first.
        single: Outputs that a lone result may be.
        orders: Orders in which results are returned together.
        names: Name of a result in a dictionary -> output.
        layouts: Tried in order.
        choices: Conventions of what is computed.
        absences: What the lack of an argument means.
        reference: (inputs, options) -> outputs; from the learner's own function.
        mistakes: Known ones, the commonest first.
        cases: Makes the inputs.
        gradients: For losses that torch can differentiate.
        in_place: The output that a function without a result writes into the argument of that role.
        consistent: Makes inputs that were cut smaller fit again; None where they cannot.
    """

    name: str
    title: str
    equation: str
    axes: Mapping[str, Axes]
    arguments: tuple[Argument, ...]
    outputs: Mapping[str, Axes]
    single: tuple[str, ...]
    reference: Reference
    mistakes: tuple[Mistake, ...]
    cases: Callable[[np.random.Generator], list[Case]]
    orders: tuple[tuple[str, ...], ...] = ()
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    layouts: tuple[Layout, ...] = (Layout(name="plain"),)
    choices: Mapping[str, Choice] = field(default_factory=dict[str, Choice])
    absences: tuple[Absent, ...] = ()
    gradients: Gradients | None = None
    in_place: Mapping[str, str] = field(default_factory=dict[str, str])
    consistent: Callable[[Inputs], Inputs | None] = lambda x: x

    @property
    def roles(self) -> tuple[str, ...]:
        """Every role, in order."""
        return tuple(dict.fromkeys(argument.role for argument in self.arguments))
