"""Layers of a list that are one and the same layer."""

from collections.abc import Iterable

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.sensor import Sensor

__all__ = ["SharedModules"]

_LISTS = ("ModuleList", "Sequential", "ModuleDict")


class SharedModules(Sensor):
    """Looks through models for it."""

    holds_models = True

    def findings(self) -> Iterable[Finding]:
        """Return lists in which a layer with weights stands more than once."""
        told: set[int] = set()
        for root in self.scene.roots:
            for name, part in root.named_modules():
                if type(part).__name__ not in _LISTS or id(part) in told:
                    continue
                told.add(id(part))
                layers = [each for each in part._modules.values() if each is not None]
                weighty = [each for each in layers if next(each.parameters(), None) is not None]
                if len({id(each) for each in weighty}) == len(weighty):
                    continue
                where = f"{type(root).__name__}.{name}" if name else type(root).__name__
                yield Finding(
                    kind="one-layer-many-times",
                    severity=Severity.WARNING,
                    title=f"{where} holds {len(weighty)} layers with weights, and only "
                    f"{len({id(each) for each in weighty})} different ones.",
                    evidence={"layers": len(weighty), "different": len({id(each) for each in weighty})},
                    causes=(cause("module-shared-by-mistake"),),
                    next_check="[layer] * n repeats one layer: write [make() for _ in range(n)]",
                    subject=where,
                )
