"""The real agent CLIs, driven by the real program, against the scripted model server. Run by `make e2e`."""
