"""The agents of these tests can reach the scripted model server and nobody else."""

import os
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e


@pytest.mark.skipif(
    not os.environ.get("E2E_ALONE"), reason="this machine lets nobody make a network of his own"
)
def test_no_way_leads_out_of_this_machine() -> None:
    # proc(5): a line for each route below the head; those of loopback are not in this table.
    assert len(Path("/proc/self/net/route").read_text().splitlines()) == 1
    ways_of_ipv6 = Path("/proc/self/net/ipv6_route")
    devices = (
        {line.split()[-1] for line in ways_of_ipv6.read_text().splitlines()} if ways_of_ipv6.exists() else {}
    )
    assert set(devices) <= {"lo"}
