"""Hints that a stream has news, so that nobody has to poll for it."""
