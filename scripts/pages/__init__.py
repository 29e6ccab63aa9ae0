"""Reference pages, written from the code itself."""
