# The two commands of the README. `make app ARGS="--port 8000"` passes options on; PYTHON chooses the interpreter.
PYTHON ?= python3
VENV ?= .venv
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check
ARGS ?=

.PHONY: app test unit lint clean

app: $(VENV)/.app
	$(VENV)/bin/python app.py --open $(ARGS)

test: $(VENV)/.test lint
	sh tests/get_tools.sh
	$(VENV)/bin/python -m pytest $(ARGS)

unit: $(VENV)/.test
	$(VENV)/bin/python -m pytest -m "not app and not browser and not slow" $(ARGS)

lint: $(VENV)/.test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.app: requirements.txt | $(VENV)/bin/python
	$(PIP) install -r requirements.txt
	touch $@

$(VENV)/.test: requirements.txt tests/requirements.txt | $(VENV)/bin/python
	$(PIP) install -r requirements.txt -r tests/requirements.txt
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
