"""cli-orchestrator: many coding agents side by side on one git repository, landing only what is green."""

__version__ = "0.1.0"
