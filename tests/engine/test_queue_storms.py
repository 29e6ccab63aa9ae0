"""Queues of real branches under a storm of faults; `make worlds` has more of them."""

from pathlib import Path

import pytest

from tests.fakes.real_storms import weather_a_storm


@pytest.mark.parametrize("seed", [1, 4])
def test_whatever_befalls_the_processors_every_branch_lands_once_or_leaves_with_a_reason(
    tmp_path: Path, seed: int
) -> None:
    storm, _ = weather_a_storm(tmp_path, seed)
    assert storm.faults.total() >= 2
