"""One module per tool, one Protocol (`ports.Adapter`), one registry (`registry.py`)."""
