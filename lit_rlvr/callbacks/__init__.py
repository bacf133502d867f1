"""Lightning callbacks: evaluation, tracking, samples, history, checkpoints, what the screen shows."""
