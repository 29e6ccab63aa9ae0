"""The machine's clock, and names that nobody else makes."""

import re
from datetime import timedelta

from cli_multi_rapid.system import RandomIds, SystemClock
from tests.fakes.clock import FakeClock


def test_the_time_is_aware_and_the_monotonic_clock_does_not_go_back() -> None:
    clock = SystemClock()
    assert clock.now().utcoffset() == timedelta(0)
    assert clock.monotonic() <= clock.monotonic()


def test_a_run_id_starts_with_its_time_and_is_safe_in_a_branch_name() -> None:
    run_id = RandomIds(FakeClock()).run_id()
    assert re.fullmatch(r"20261120-090000-[0-9a-hjkmnp-tv-z]{4}", run_id)


def test_ids_differ_and_event_ids_grow_with_time() -> None:
    ids = RandomIds()
    events = [ids.event_id() for _ in range(1000)]
    assert len(set(events)) == 1000
    assert all(re.fullmatch(r"[0-9a-f]{32}", event) for event in events)
    stamps = [event[:12] for event in events]
    assert stamps == sorted(stamps)
    assert len({ids.run_id() for _ in range(50)}) > 1
