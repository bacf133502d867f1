"""Stage 1: problems and prompts. Readers, templates and the DataModule of the replicated single example."""
