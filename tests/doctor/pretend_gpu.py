# pyright: reportPrivateUsage=false, reportAttributeAccessIssue=false
"""A device on whose tensors nothing of the processor's can work, for machines without a GPU.

Import it before a program makes tensors. Its numbers lie on the processor and are computed there, but torch
takes them for another device's: `numpy()` is refused, tensors of both cannot be mixed, gradients come in a
thread of the engine's. Streams, graphs and mixed precision are not pretended.
"""

from typing import Any

import torch
from torch import _C as core
from torch.utils import backend_registration
from torch.utils._pytree import tree_map

NAME = "pretendgpu"
_BY_STORAGE: dict[int, torch.Tensor] = {}  # the engine keeps tensors as objects of its own
_EXPLICIT = ("CompositeExplicitAutograd", "CompositeExplicitAutogradNonFunctional")
_MIXING = ("aten::index.Tensor", "aten::index", "aten::index_put_", "aten::_index_put_impl_")

backend_registration._setup_privateuseone_for_python_backend(NAME)
_storage = torch.Tensor.untyped_storage
_address = torch.Tensor.data_ptr
_new_parameter = torch.nn.Parameter.__new__


def _is_there(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.device.type == NAME


def _moved(numbers: torch.Tensor) -> Any:
    made: Any = core._acc.create_empty_tensor(numbers.shape, numbers.dtype)
    made.__class__ = torch.Tensor
    made._numbers = numbers
    _BY_STORAGE[_storage(made)._cdata] = numbers
    return made


def _numbers(value: Any) -> torch.Tensor:
    held = getattr(value, "_numbers", None)
    held = _BY_STORAGE.get(_storage(value)._cdata) if held is None else held
    assert held is not None
    assert held.shape == value.shape
    return held


def _copy(source: Any, **how: Any) -> Any:
    device = how.pop("device", None)
    kept = {
        key: value for key, value in how.items() if key in ("dtype", "memory_format") and value is not None
    }
    made = torch.ops.aten._to_copy(_numbers(source) if _is_there(source) else source, **kept)
    there = _is_there(source) if device is None else torch.device(device).type == NAME
    return _moved(made) if there else made


def _compute(operator: Any, *args: Any, **kwargs: Any) -> Any:
    """Compute on the processor what is asked of this device, and move what comes of it."""
    name = operator._schema.name
    if name == "aten::_to_copy":
        return _copy(args[0], **kwargs)
    if name in ("aten::copy_", "aten::_copy_from"):
        to, source = args[:2] if name == "aten::copy_" else args[1::-1]
        plain = [_numbers(each) if _is_there(each) else each for each in (to, source)]
        plain[0].copy_(plain[1])
        return to
    given: dict[int, Any] = {}
    elsewhere: list[torch.Tensor] = []

    def brought(value: Any) -> Any:
        if _is_there(value):
            numbers = _numbers(value)
            given[id(numbers)] = value
            return numbers
        if isinstance(value, torch.Tensor) and value.dim() and value.numel():
            elsewhere.append(value)
        return torch.device("cpu") if isinstance(value, torch.device) else value

    args, kwargs = tree_map(brought, args), tree_map(brought, kwargs)
    if elsewhere and given and name not in _MIXING:
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found {NAME} and cpu ({name})"
        )
    kwargs.pop("pin_memory", None)
    made = args[0].reshape(args[1]) if name == "aten::view" else operator(*args, **kwargs)
    if name == "aten::_local_scalar_dense":
        return made

    def taken(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        return given[id(value)] if id(value) in given else _moved(value)

    return tree_map(taken, made)


def _parameter(cls: Any, data: Any = None, requires_grad: bool = True) -> Any:
    if not _is_there(data):
        return _new_parameter(cls, data, requires_grad)
    made = _moved(_numbers(data))
    made.__class__ = cls
    return made.requires_grad_(requires_grad)


def _empty(size: Any, *, dtype: Any = None, **_: Any) -> Any:
    return _moved(torch.empty(size, dtype=dtype, device="cpu"))


def _empty_strided(size: Any, stride: Any, *, dtype: Any = None, **_: Any) -> Any:
    return _moved(torch.empty_strided(size, stride, dtype=dtype, device="cpu"))


_all = torch.library.Library("_", "IMPL")
_all.fallback(_compute, "PrivateUse1")
_aten = torch.library.Library("aten", "IMPL")
_aten.impl("empty.memory_format", _empty, "PrivateUse1")
_aten.impl("empty_strided", _empty_strided, "PrivateUse1")
for _full in core._dispatch_get_all_op_names():  # those that torch would compute for any device
    _name, _, _overload = _full.removeprefix("aten::").partition(".")
    _operators = getattr(torch.ops.aten, _name, None) if _full.startswith("aten::") else None
    _operator = getattr(_operators, _overload or "default", None)
    if (
        _operator is None
        or _full in ("aten::empty.memory_format", "aten::empty_strided")
        or not any(core._dispatch_has_kernel_for_dispatch_key(_full, key) for key in _EXPLICIT)
        or not any("Tensor" in str(each.type) for each in _operator._schema.arguments)
    ):
        continue

    def _kernel(*args: Any, _operator: Any = _operator, **kwargs: Any) -> Any:
        return _compute(_operator, *args, **kwargs)

    _aten.impl(_full.removeprefix("aten::"), _kernel, "PrivateUse1")

torch.nn.Parameter.__new__ = _parameter
torch.Tensor.data_ptr = lambda self: _address(_numbers(self) if _is_there(self) else self)
torch.Tensor.untyped_storage = lambda self: _storage(_numbers(self) if _is_there(self) else self)
