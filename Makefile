# Two commands: `make demo` and `make test`; and `make bench`, for docs/performance.md. They need Python 3.11 or newer, with pip and venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.PHONY: demo test bench clean

demo: $(VENV)/.installed
	$(BIN)/python examples/indexer/main.py

# Each check runs, whatever the others say; any failure is make's.
test: $(VENV)/.installed-dev
	@status=0; \
	for check in "ruff check" "ruff format --check" "mypy" "pytest -n auto --dist worksteal"; do \
		echo "$$check"; \
		$(BIN)/$$check || status=1; \
	done; \
	exit $$status

bench: $(VENV)/.installed-dev
	$(BIN)/python stress/bench/run.py

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "liteq needs Python 3.11 or newer: make PYTHON=...")'
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/.created
	$(PIP) install --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/.created
	$(PIP) install --editable '.[dev]'
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis examples/indexer/.demo
	find . -name __pycache__ -prune -exec rm -rf {} +
