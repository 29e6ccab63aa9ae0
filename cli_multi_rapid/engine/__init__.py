"""The imperative shell: turns intents into effects and outcomes into events."""
