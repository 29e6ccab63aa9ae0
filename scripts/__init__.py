"""Maintenance of this repository, as the demo's workflow runs it."""
