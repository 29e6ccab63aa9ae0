"""A model server on loopback that follows scripts, for the real agent CLIs: no network, no keys, no dice."""
