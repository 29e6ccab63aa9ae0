"""The pure core: plans, events, state and decisions. No I/O, no clock, no randomness."""
