"""Which Modelwright ran: a hash over its own files, because its version number says too little."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from modelwright.base.fingerprint import fingerprint, jsonable
from modelwright.lab.lineage.files import file_sha256

__all__ = ["PackageRecord", "package_identity", "record_package"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRecord:
    """The installed package.

    Attributes:
        version: Its version, or `unknown` where it is not installed as a distribution.
        files: Path inside the package -> sha256, for its `.py` and `.yaml` files.
    """

    version: str
    files: Mapping[str, str]

    @property
    def identity(self) -> str:
        """The sha256 over the files; the version number plays no part."""
        return fingerprint(self.files)

    def record(self) -> dict[str, Any]:
        """Return the record as JSON types."""
        return jsonable(self)

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> "PackageRecord":
        """Return the object that `record` was made from."""
        return PackageRecord(**record)


@cache
def record_package() -> PackageRecord:
    """Return the package's files as they were when this process asked first."""
    top = Path(__file__).resolve().parents[2]
    files = {
        path.relative_to(top).as_posix(): file_sha256(path)
        for suffix in ("py", "yaml")
        for path in sorted(top.rglob(f"*.{suffix}"))
        if path.is_file()
    }
    try:
        version = metadata.version("modelwright")
    except metadata.PackageNotFoundError:
        version = "unknown"
    return PackageRecord(version=version, files=files)


def package_identity() -> str:
    """Return the content hash of the installed package's own `.py` and `.yaml` files."""
    return record_package().identity
