"""`lit-rlvr sweep`: a grid of presets and seeds, run one after another, and one table of what came of it."""
