"""Stage 7: one update, mini-batch by mini-batch; and the strategies it runs under."""
