# make demo and make test do all their own set-up on a fresh machine: a virtual environment, the install, the run.
# PYTHON=python3.12 make test takes another interpreter.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

.PHONY: help demo test check format results clean

help:
	@echo "make demo     colour and segment embedded photographs and write pixelwise-demo/index.html (about a minute, and the set-up)"
	@echo "make test     run the tests"
	@echo "make check    style, types, import directions"
	@echo "make format   put the code in order"
	@echo "make results  measure docs/results again (about four hours; ROOT=folder with the real data)"
	@echo "make clean    remove what make has made"

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch $@

demo: $(READY)
	$(BIN)/pixelwise demo

test: $(READY)
	$(BIN)/python -m pytest

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_house.py

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

results: $(READY)
	$(BIN)/python benchmarks/horses.py --root $(ROOT) --out docs/results
	$(BIN)/python benchmarks/colour.py --root $(ROOT) --out docs/results
	$(BIN)/python benchmarks/colour_gallery.py --photos $(ROOT)/photos --out docs
	$(BIN)/pixelwise reproduce --root $(ROOT) --out study
	mkdir -p docs/results/study && cp -r study/study.pdf study/study.html study/tables study/figures docs/results/study
	$(BIN)/python benchmarks/finetuning.py --out docs/results
	$(BIN)/python benchmarks/accounting.py --out docs/results
	for tool in pixelwise skimage; do $(BIN)/python benchmarks/rivals.py --root $(ROOT)/flowers17-256 --tool $$tool --seeds 3 --out docs/results/clicks/$$tool.csv; done
	$(BIN)/python benchmarks/flowers.py --root $(ROOT) --weights $(ROOT)/weights/deeplabv3_257_mv_gpu.tflite --clicks docs/results/clicks/*.csv --out docs/results

clean:
	rm -rf $(VENV) pixelwise-demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
