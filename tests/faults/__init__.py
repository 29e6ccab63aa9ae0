"""What may go wrong, made to go wrong: every promise of docs/reliability.md has its rows from here.

Each test strikes in one way, looks at what is left, and tells it as a row (`tell`). `make faults` runs all of
them, prints the rows and writes them to `artifacts/faults/results.json`; of a whole session it makes
docs/reliability.md, with the words of `promises.md`. `make faults ARGS=--short` is the form for every change.
"""
