# Two commands do everything on a fresh machine with Python >= 3.11: `make demo` and `make test`.
# The virtual environment is made and filled by whichever comes first.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PORT   ?= 8501
PYTEST ?=

.PHONY: demo test lint docs format chromium screenshots contact-sheet bench serve clean help

help:            ## show these lines
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 18

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'imgsearch needs Python 3.11 or newer; name one with: make PYTHON=python3.12'; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo 'Installing imgsearch into $(VENV) (a few minutes the first time: PyTorch is large) ...'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,explore,onnx,milvus,ray]'
	@touch $@

demo: $(READY)   ## open the app on the Sample Store, or on a folder: make demo IMAGES=~/photos
ifdef IMAGES
	$(BIN)/imgsearch index "$(IMAGES)" --catalog "$(IMAGES)/.imgsearch"
	$(BIN)/imgsearch serve --catalog "$(IMAGES)/.imgsearch" --port $(PORT)
else
	$(BIN)/imgsearch demo --port $(PORT)
endif

test: $(READY) chromium   ## run all tests, fast ones first; some of them: make test PYTEST="-k duplicates"
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --max-worker-restart 0 --dist loadfile --no-loadscope-reorder $(PYTEST)

lint: $(READY)   ## check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(READY)   ## build the documentation site in docs/_build
	$(BIN)/python -m sphinx -q -W -b html docs docs/_build

format: $(READY) ## put the code into shape
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format --quiet .

chromium:
	@sh scripts/ensure_chromium.sh

screenshots: $(READY) chromium   ## write pictures of the app's main states to screenshots/
	$(BIN)/python scripts/screenshots.py --out screenshots

contact-sheet: $(READY)   ## write 60 random Sample Store photos to contact-sheet.png
	$(BIN)/python scripts/contact_sheet.py --out contact-sheet.png

bench: $(READY)   ## measure ingest and search on a folder: make bench IMAGES=~/photos
	$(BIN)/python scripts/bench_ingest.py "$(IMAGES)"
	$(BIN)/python scripts/bench_search.py "$(IMAGES)"

clean:           ## remove the virtual environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache screenshots contact-sheet.png
