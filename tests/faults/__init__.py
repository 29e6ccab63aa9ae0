"""What may go wrong, made to go wrong: every promise of docs/reliability.md has its rows from here.

Each test strikes in one way, looks at what is left, and tells it as a row (`tell`). `make faults` runs all of
them, writes the rows to `artifacts/faults/results.json`, and from those docs/reliability.md is made.
"""
