"""Measurements of the orchestrator beside other ways of doing the same. Not part of the package."""
