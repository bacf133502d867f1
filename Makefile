# `make help` lists the targets.
.DEFAULT_GOAL := help
.PHONY: help install format lint test test-slow test-gpu bench bench-verifier golds tiny tiny-base table package

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install:  ## everything a developer needs, in the current environment
	pip install -c constraints.txt -e ".[dev]"

format:  ## ruff formats and sorts
	ruff format .
	ruff check --fix .

lint:  ## what pre-commit checks
	ruff format --check .
	ruff check .
	mypy

test:  ## the suite: CPU, no network, under 15 minutes on 2 cores
	pytest

test-slow:  ## the minutes-long tests
	pytest -m slow

test-gpu:  ## the tests that need a CUDA device
	pytest -m gpu

bench:  ## tokens per CPU-second against transformers.generate
	python tests/benchmarks/bench_rollout.py

bench-verifier:  ## CPU milliseconds per verdict, ours and plain math-verify on the same responses
	python -m tests.benchmarks.bench_verifier

golds:  ## every benchmark gold against itself and against changed ones; needs LIT_RLVR_DATA
	python -m tests.rewards.golds $(LIT_RLVR_DATA)

tiny:  ## the main job on the embedded default
	lit-rlvr fit --config configs/tiny.yaml

tiny-base:  ## pre-train the embedded policy again, into runs/tiny-base
	python -m lit_rlvr.tiny.pretrain --out runs/tiny-base

table:  ## the README's table of the tiny default: every row, three seeds
	lit-rlvr sweep configs/sweep/tiny.yaml --root runs/sweep --table runs/sweep/table.md

package:  ## wheel and sdist
	python -m build
