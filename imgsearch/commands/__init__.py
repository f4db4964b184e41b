"""The commands that have a module of their own; `imgsearch.cli` puts them together."""
