"""`python -m imgsearch`: the same as the `imgsearch` command."""

from imgsearch.cli.main import main

main()
