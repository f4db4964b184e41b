"""`python -m imgsearch`: the same as the `imgsearch` command."""

from imgsearch.cli import main

main()
