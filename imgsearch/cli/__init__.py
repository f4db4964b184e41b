"""The `imgsearch` command, one file for each group of commands."""
