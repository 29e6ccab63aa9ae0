"""What is remembered of each slot: read back as it was written, or not at all."""

from pathlib import Path

import pytest

from cli_multi_rapid.core.ids import Branch, Commit
from cli_multi_rapid.git_lock import Presence
from cli_multi_rapid.worktree_records import SlotRecord, SlotRecords


@pytest.mark.parametrize(
    "damage", [b"", b"[]", b'{"name": "s"}', b'"base": 5', b'"opened": "today"', b'"gitlinks": [7]']
)
def test_a_record_of_a_slot_that_makes_no_sense_counts_as_none(tmp_path: Path, damage: bytes) -> None:
    records = SlotRecords(tmp_path, tmp_path / "writer")
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


def test_a_record_that_a_killed_process_was_writing_is_removed_and_a_living_ones_is_not(
    tmp_path: Path,
) -> None:
    living = Presence(tmp_path / "owners" / "1-aaaa")
    unfinished = {writer: tmp_path / "slots" / f"s.1~{writer}~cccc.fresh" for writer in ("1-aaaa", "1-bbbb")}
    records = SlotRecords(tmp_path / "slots", living.path)
    for path in unfinished.values():
        path.write_text("{")
    records.forget_unfinished()
    assert [path.exists() for path in unfinished.values()] == [True, False]
    living.leave()
    records.forget_unfinished()
    assert list(records.folder.iterdir()) == []


def test_an_unfinished_record_of_an_earlier_release_stops_nobody_and_goes_with_its_slot(
    tmp_path: Path,
) -> None:
    records = SlotRecords(tmp_path / "slots", tmp_path / "owners" / "1-aaaa")
    nameless = records.folder / "s.1~cccc.fresh"
    nameless.write_text("{")
    records.forget_unfinished()
    assert nameless.exists()
    records.forget("s.1")
    assert not nameless.exists()
