"""lit_rlvr: reinforcement learning with a verifiable reward on one math problem, as a Lightning trainer.

The path of one training step, and the folder each stage lives in:

    problem -> prompt -> rollout -> verdict -> advantage -> log-probs -> loss -> update -> evaluation -> report
    data/      data/     rollout/   rewards/   algorithms/  models/      algorithms/ training/ evaluation/  callbacks/
"""

__version__ = "0.1.0"
