# setup, demo, test, test-fast, lint, bench, gallery, screenshots: each does all the set-up that it needs itself.

PYTHON ?= python3.11
BIN := .venv/bin
READY := .venv/.ready
IN_PARALLEL := --numprocesses auto --maxprocesses 4

.PHONY: setup demo test test-fast lint bench gallery screenshots

setup: $(READY)

$(READY): pyproject.toml clients/python/pyproject.toml requirements.lock docker/system-libraries
	@command -v $(PYTHON) >/dev/null || { echo "Blender's package needs Python 3.11: install it, or name it with make PYTHON=..." >&2; exit 1; }
	@docker/system-libraries
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { rm -rf .venv; echo "Python's venv module is missing: apt-get install python3.11-venv" >&2; exit 1; }
	@echo "Installing Python packages into .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . --editable clients/python
	@touch $@

demo: setup
	@$(BIN)/python examples/demo.py

test: setup
	@(for program in curl node sqlite3 chromium promtool docker-compose; do command -v $$program || exit; done) >/dev/null \
		|| docker/system-libraries curl nodejs sqlite3 chromium prometheus docker-compose
	$(BIN)/python -m pytest $(IN_PARALLEL) -m "not alone"
	$(BIN)/python -m pytest -m alone

# Each test once, on SQLite and with files in a folder; without Blender, whole farms and faults.
test-fast: setup
	$(BIN)/python -m pytest $(IN_PARALLEL) -m "not slow and not postgresql and not s3"

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	@$(BIN)/python -m benchmarks.share_render
	@$(BIN)/python -m benchmarks.api_load

gallery: setup
	@$(BIN)/python -m docs.make_gallery
	@$(BIN)/python -m docs.make_scene_pictures

screenshots: setup
	@$(BIN)/python -m docs.make_screenshots
