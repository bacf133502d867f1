"""Stages 4 to 6: advantages, log-probs and losses as pure functions, and the algorithms that put them together."""
