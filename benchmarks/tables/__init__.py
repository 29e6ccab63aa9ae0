"""The tables of `make bench`, one module each."""
