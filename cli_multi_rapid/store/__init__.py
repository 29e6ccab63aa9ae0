"""Where facts are kept: the event log, the leases that guard it, and the projections derived from it."""
