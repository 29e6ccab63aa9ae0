"""What we remember of each slot, outside the slot: an agent cannot change it and a crash does not lose it."""

from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import Final

from msgspec import DecodeError, Struct
from msgspec.json import Decoder, encode
from msgspec.structs import replace

from cli_multi_rapid.core.ids import Branch, Commit
from cli_multi_rapid.git_lock import is_present
from cli_multi_rapid.git_slot import Gitlink, scratch_remains


class SlotRecord(Struct, frozen=True, kw_only=True):
    """One slot that is in use, kept, or left behind by a process that died."""

    name: str
    base: Commit
    lane: Branch
    owner: str
    """The presence file of the process that opened it."""
    opened: float
    """Seconds since the epoch."""
    linked: str | None = None
    """The private git dir of a linked worktree; None for an isolated slot."""
    gitlinks: tuple[Gitlink, ...] = ()
    links: tuple[str, ...] = ()
    """Paths that we put into the slot and that are never part of the work."""
    ready: bool = False
    """False until the slot was handed out: what is in it is not work."""
    kept: bool = False
    sealed: Commit | None = None
    """The last snapshot that a lane holds."""


_DECODER: Final = Decoder(SlotRecord)
"""Made while only one thread is here: two that read the same type for the first time end in a segmentation
fault (msgspec 0.22)."""


class SlotRecords:
    """The records and the pristine indexes, one of each per slot, in a folder of ours.

    `writer`: the presence of the process that writes. By its name a record that was never finished is known
    for a dead one's.
    """

    def __init__(self, folder: Path, writer: Path) -> None:
        self.folder = folder
        self._writer = writer
        folder.mkdir(parents=True, exist_ok=True)

    def index_of(self, name: str) -> Path:
        """Where a slot's pristine index is."""
        return self.folder / f"{name}.index"

    def save(self, record: SlotRecord) -> SlotRecord:
        """Write a record whole or not at all, and return it."""
        # By its name a crash's remains go with the slot: see `scratch_remains`.
        fresh = self.folder / f"{record.name}~{self._writer.name}~{token_hex(6)}.fresh"
        fresh.write_bytes(encode(record))
        fresh.replace(self._file_of(record.name))
        return record

    def load(self, name: str) -> SlotRecord | None:
        """The record of a slot; None when there is none or when it cannot be read."""
        try:
            return _DECODER.decode(self._file_of(name).read_bytes())
        except (FileNotFoundError, DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def forget(self, name: str) -> None:
        """Remove a slot's record and indexes, and what a killed process left of them. Safe to repeat."""
        self._file_of(name).unlink(missing_ok=True)
        for path in (self.index_of(name), *scratch_remains(self.index_of(name))):
            path.unlink(missing_ok=True)

    def forget_unfinished(self) -> None:
        """Remove the records that processes were writing when they died.

        Not those of an earlier release, which name no writer: they go with their slot.
        """
        for fresh in self.folder.glob("*~*~*.fresh"):
            _, writer, _ = fresh.name.rsplit("~", 2)
            if not is_present(self._writer.with_name(writer)):
                fresh.unlink(missing_ok=True)

    def rename(self, record: SlotRecord, name: str) -> SlotRecord:
        """Give a slot another name."""
        renamed = self.save(replace(record, name=name))
        if self.index_of(record.name).exists():
            self.index_of(record.name).replace(self.index_of(name))
        self.forget(record.name)
        return renamed

    def all(self) -> Iterator[SlotRecord]:
        """Every record, by name."""
        for path in sorted(self.folder.glob("*.json")):
            if record := self.load(path.stem):
                yield record

    def _file_of(self, name: str) -> Path:
        return self.folder / f"{name}.json"
