"""What is remembered of each slot: read back as it was written, or not at all."""

from pathlib import Path

import pytest

from cli_multi_rapid.core.ids import Branch, Commit
from cli_multi_rapid.worktree_records import SlotRecord, SlotRecords


@pytest.mark.parametrize(
    "damage", [b"", b"[]", b'{"name": "s"}', b'"base": 5', b'"opened": "today"', b'"gitlinks": [7]']
)
def test_a_record_of_a_slot_that_makes_no_sense_counts_as_none(tmp_path: Path, damage: bytes) -> None:
    records = SlotRecords(tmp_path)
    kept = records.save(
        SlotRecord(name="s", base=Commit("c" * 40), lane=Branch("lane"), owner="me", opened=1.0)
    )
    assert records.load("s") == kept
    file = tmp_path / "s.json"
    if damage.startswith(b'"'):  # a later key takes the place of an earlier one
        damage = file.read_bytes()[:-1] + b"," + damage + b"}"
    file.write_bytes(damage)
    assert records.load("s") is None
    assert list(records.all()) == []
