"""Everything that could change a number, recorded once per launch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelwright.base.fingerprint import fingerprint, jsonable
from modelwright.lab.lineage.environment import EnvironmentRecord
from modelwright.lab.lineage.hardware import HardwareRecord
from modelwright.lab.lineage.package import PackageRecord
from modelwright.lab.lineage.source import SourceRecord

__all__ = ["Lineage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Where a launch's numbers come from.

    Attributes:
        source: The user's source.
        package: Modelwright's own code.
        config: The composed configuration, JSON types.
        data: Identity, origin, transformations and split identities of the data, JSON types.
        environment: Python, distributions, variables.
        hardware: Processor, accelerators, linear algebra, threads.
    """

    source: SourceRecord
    package: PackageRecord
    config: Mapping[str, Any]
    data: Mapping[str, Any]
    environment: EnvironmentRecord
    hardware: HardwareRecord

    @property
    def identity(self) -> str:
        """The sha256 of the whole record."""
        return fingerprint(self.record())

    def record(self) -> dict[str, Any]:
        """Return the lineage as JSON types; the source archive's bytes are stored apart."""
        return {
            "source": self.source.record(),
            "package": self.package.record(),
            "config": jsonable(self.config),
            "data": jsonable(self.data),
            "environment": self.environment.record(),
            "hardware": self.hardware.record(),
        }

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> "Lineage":
        """Return the lineage that `record` was made from."""
        return Lineage(
            source=SourceRecord.from_record(record["source"]),
            package=PackageRecord.from_record(record["package"]),
            config=record["config"],
            data=record["data"],
            environment=EnvironmentRecord.from_record(record["environment"]),
            hardware=HardwareRecord.from_record(record["hardware"]),
        )
