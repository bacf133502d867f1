"""Stage 8: benchmarks, the evaluator and its metrics."""
