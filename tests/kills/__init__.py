"""A run that is killed again and again ends as one that was left alone: `python -m tests.kills`."""
