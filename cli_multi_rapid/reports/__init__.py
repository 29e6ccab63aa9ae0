"""Pure views of a run: reports, listings and drawings made of its state and events. No I/O, no clock."""
