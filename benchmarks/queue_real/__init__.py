"""The merge queue at work on real repositories with real processes, held against its simulation."""
