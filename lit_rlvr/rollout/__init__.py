"""Stage 2: rollouts. The engine contract and the transformers engine with its shared prompt prefix."""
