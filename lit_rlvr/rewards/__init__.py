"""Stage 3: verdicts on responses, and rewards made of verdicts. One verifier serves training and evaluation."""
