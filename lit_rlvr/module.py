"""RLVRModule: the policy, the reference, the engine and the algorithm, and the training step that joins them."""

from typing import Any

import torch
from lightning import LightningModule
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torch.optim import Optimizer
from transformers import PreTrainedModel

from lit_rlvr.algorithms.algorithm import Algorithm
from lit_rlvr.errors import UserError
from lit_rlvr.experience import Experience, PromptBatch, StepRecord
from lit_rlvr.models.critic import Critic
from lit_rlvr.models.export import CHECKPOINT_KEY, describe_policy
from lit_rlvr.models.loading import check_critic, load_config, load_model, load_tokenizer
from lit_rlvr.models.lora import LoRAConfig, WithoutAdapter, add_adapter, refuse_other_adapter, saved_state
from lit_rlvr.models.policy import Policy, frozen
from lit_rlvr.names import check_names
from lit_rlvr.rewards.config import VerifierConfig
from lit_rlvr.rewards.rewards import Reward
from lit_rlvr.rollout.engine import RolloutEngine, Sampling, check_engine, release_memory
from lit_rlvr.seeding import step_seed
from lit_rlvr.training.clock import Clock, step_seconds
from lit_rlvr.training.guard import Guard, GuardConfig
from lit_rlvr.training.interrupt import at_once, together
from lit_rlvr.training.loss_scaling import UNSCALED, restore_scaler, take_scaler
from lit_rlvr.training.optimizers import adamw, critic_adamw, refuse_unshardable
from lit_rlvr.training.parallel import Parallel
from lit_rlvr.training.score import Scorers, scored
from lit_rlvr.training.sharding import load_once, sharded
from lit_rlvr.training.step_metrics import step_metrics
from lit_rlvr.training.tripwire import Tripwire, TripwireConfig
from lit_rlvr.training.update import Learners, OnSkip, UpdateConfig, UpdateSums, update


class RLVRModule(LightningModule):
    """Reinforcement learning with a verifiable reward. One dataloader batch is one RL step.

    Args:
        policy: what to train: a transformers folder, a hub id, or ``random:<architecture>`` to try a set-up.
        algorithm: advantages and loss.
        engine: what generates the rollouts.
        reward: what the verdicts are worth.
        tokenizer: folder or hub id of the tokenizer; the policy's own by default.
        sampling: how responses are drawn; ``n`` is the group size.
        update: mini-batches, micro-batches, aggregation, clipping.
        optimizer: over the policy's parameters.
        lora: train low-rank adapters and leave the policy's own weights as they are. PPO's critic stays a whole model.
        reference: the frozen model of the KL term; the policy as it was loaded by default (with LoRA: no second copy).
        critic: the model that PPO's critic starts from; the policy as it was loaded by default.
        critic_optimizer: over the critic's parameters.
        verifier: by which rule responses are judged in training, and with how many processes and how much time.
        tripwire: by how much the engine's log-probs may differ from the policy's before the run stops.
        guard: when a run stops because of what is not finite, and which RL steps are saved to be done again.
        gradient_checkpointing: recompute activations in the backward pass: less memory, more time.
        seed: of everything that is drawn; ``seed_everything`` on the command line.
    """

    rl_step: Tensor
    policy: Policy
    reference: Policy | WithoutAdapter | None
    critic: Critic | None

    def __init__(
        self,
        policy: str,
        algorithm: Algorithm,
        engine: RolloutEngine,
        reward: Reward,
        tokenizer: str | None = None,
        sampling: Sampling = Sampling(n=8, temperature=0.6, max_tokens=3072),  # noqa: B008  # frozen
        update: UpdateConfig = UpdateConfig(),  # noqa: B008  # frozen
        optimizer: OptimizerCallable = adamw,
        lora: LoRAConfig | None = None,
        reference: str | None = None,
        critic: str | None = None,
        critic_optimizer: OptimizerCallable = critic_adamw,
        verifier: VerifierConfig = VerifierConfig(),  # noqa: B008  # frozen
        tripwire: TripwireConfig = TripwireConfig(),  # noqa: B008  # frozen
        guard: GuardConfig = GuardConfig(),  # noqa: B008  # frozen
        gradient_checkpointing: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.policy_source = policy
        self.tokenizer_source = tokenizer or policy
        self.lora = lora
        self.adapter: dict[str, Any] | None = None  # what checkpoints say of it
        self.strict_loading = lora is None  # they hold an adapter without its base
        self.reference_source = reference or (policy if lora is None else None)
        self.critic_source = critic or policy
        self.algorithm = algorithm
        self.engine = engine
        self.reward = reward
        self.sampling = sampling
        self.update_config = update
        self.optimizer_factory = optimizer
        self.critic_optimizer_factory = critic_optimizer
        self.tripwire_config = tripwire
        self.guard = Guard(guard)
        self.scaler = UNSCALED
        self.gradient_checkpointing = gradient_checkpointing
        self.seed = seed
        if sampling.temperature == 0:
            raise UserError("model.sampling.temperature is 0: greedy rollouts are all the same and teach nothing.")
        if sampling.top_p != 1 or sampling.top_k != 0:
            rank_zero_warn(
                "model.sampling.top_p / top_k cut the distribution that rollouts are drawn from, but the loss scores the "
                "whole one: training is then slightly off-policy (rollout/logprob_diff shows by how much)."
            )
        self.model_config = load_config(policy)
        self.tokenizer = load_tokenizer(self.tokenizer_source)
        if algorithm.needs_critic:
            check_critic(self.critic_source, self.tokenizer)
            if update.saturated_share < 1:
                raise UserError(
                    "model.update.saturated_share is below 1, and a critic learns from every response: set it to 1."
                )
        self.verifier = verifier.build()
        self.last_step: StepRecord | None = None
        # RL steps done. A buffer, so that checkpoints carry it: `global_step` counts optimizer steps instead.
        self.register_buffer("rl_step", torch.zeros((), dtype=torch.int64))

    # ------------------------------------------------------------------------------------------------ the algorithm

    def training_step(self, batch: PromptBatch, batch_idx: int) -> None:
        """One RL step: the whole recipe, top to bottom."""
        clock = Clock(self.device)
        seed = step_seed(self.seed, int(self.rl_step), self.global_rank)
        with together(self.trainer.world_size), at_once():
            rollouts = self.engine.generate(batch.prompts, self.sampling, seed, self.on_rollout_progress)
        release_memory(self.engine)
        clock.lap("time/rollout")
        answers = [batch.problems[row].answer for row in rollouts.rows.tolist()]
        verdicts = tuple(self.verifier.verify_many(list(zip(rollouts.texts, answers, strict=True))))
        rewards = self.reward(verdicts, rollouts, step_seed(self.seed, int(self.rl_step), self.global_rank, "reward"))
        clock.lap("time/verify")
        experience = self.score(Experience(rollouts, verdicts, rewards))
        clock.lap("time/score")
        experience = self.algorithm.advantages(experience, self.parallel.reduce)
        sums = self.update(batch, experience)
        clock.lap("time/update")
        self.engine.update_weights(self.policy.model)
        self.probe(batch, f"After the update of RL step {int(self.rl_step)}")
        clock.lap("time/sync")
        self.record(batch, experience, sums, clock)

    def score(self, experience: Experience) -> Experience:
        """Old log-probs where they outlive the first update, reference log-probs and values where they are asked for."""
        return scored(
            experience,
            Scorers(self.policy, self.reference, self.critic),
            self.algorithm,
            self.update_config.optimizer_steps,
            self.sampling.temperature,
            self.update_config.micro_batch_tokens,
            self.parallel,
            step_seed(self.seed, int(self.rl_step), self.global_rank, "reference"),
        )

    def update(self, batch: PromptBatch, experience: Experience) -> UpdateSums:
        """Optimizer steps on the experience, under the guard's eyes."""
        schedule = self.lr_schedulers()
        seed = step_seed(self.seed, int(self.rl_step), self.global_rank, "saturated")
        parts = (self.parallel, self.saved_parameters, self.scaler)
        watched = self.guard.watch(self.trainer, *parts, int(self.rl_step), seed)
        sums = self.optimizer_steps(experience, seed, watched.on_skip)
        self.guard.count(watched, batch, experience, sums, self.algorithm)
        if schedule is not None:
            schedule.step()  # type: ignore[union-attr]
        return sums

    def optimizer_steps(self, experience: Experience, seed: int, on_skip: OnSkip, first: int = 0) -> UpdateSums:
        """``update`` with what this module is made of; also what replays a saved step."""
        parts = (self.sampling, self.update_config, self.parallel, self.manual_backward)
        return update(self.learners(), self.algorithm, experience, *parts, seed, on_skip, first)

    def learners(self) -> Learners:
        """Policy and critic with their optimizers: Lightning's wrappers, whose step() counts."""
        optimizers = self.optimizers()  # the bare one where there is only one
        policy, critic = optimizers if isinstance(optimizers, list) else (optimizers, None)
        warm = int(self.rl_step) >= self.algorithm.critic_warmup
        return Learners(self.policy, policy, self.critic, critic, warm, self.scaler)  # type: ignore[arg-type]

    def probe(self, batch: PromptBatch, when: str) -> float | None:
        """Stop if the engine does not have the policy's weights; see ``Tripwire.probe``."""
        seed = step_seed(self.seed, int(self.rl_step), self.global_rank, "probe")
        prompt = batch.prompts[0]
        return self.tripwire.probe(self.engine, self.policy, prompt, self.sampling, seed, self.parallel, when)

    def record(self, batch: PromptBatch, experience: Experience, sums: UpdateSums, clock: Clock) -> None:
        """Aggregate the step's metrics over ranks, log them at this RL step, and count it as done."""
        metrics = step_metrics(experience, sums, clock, self.algorithm, self.parallel)
        if not sums.skipped:
            self.tripwire.hold(metrics, self.sampling, f"In RL step {int(self.rl_step)}")
        metrics["train/skipped_updates"] = float(self.guard.skipped)
        if self.scaler.is_enabled():
            metrics["train/loss_scale"] = self.scaler.get_scale()
        rates = [optimizer.param_groups[0]["lr"] for optimizer in self.trainer.optimizers]
        metrics |= dict(zip(("train/lr", "train/critic/lr"), rates, strict=False))  # one of them without a critic
        step = int(self.rl_step)
        cpu_seconds = step_seconds(clock.cpu, sums.clock.cpu)
        self.last_step = StepRecord(step, batch, experience, check_names(metrics), cpu_seconds)
        if self.logger is not None:
            self.logger.log_metrics(metrics, step=step)
        self.guard.hold()
        self.rl_step += 1

    # ------------------------------------------------------------------------------------------------ building it

    def configure_model(self) -> None:
        """Load policy, reference and critic; under FSDP2, shard them. Lightning may call it more than once."""
        if self._modules.get("policy") is not None:
            return
        self.scaler = take_scaler(self.trainer.precision_plugin)
        # Lightning calls this with the GPU as default device; models are built on the CPU and moved there whole.
        with torch.device("cpu"):
            policy = Policy(self._load(self.policy_source), len(self.tokenizer), self.gradient_checkpointing)
            if self.lora is not None:
                adapter = add_adapter(policy.model, self.lora, self.policy_source, self.seed)
                # Under FSDP2 other ranks than the first have not read the base.
                self.adapter = self.trainer.strategy.broadcast(adapter)
            self.policy = sharded(policy, self.trainer.strategy)
            # Outside the module tree: a frozen copy has no place in checkpoints, nor in DDP's buckets.
            self.__dict__["reference"] = self._reference() if self.algorithm.needs_reference else None
            self.critic = None
            if self.algorithm.needs_critic:
                critic = Critic(self._load(self.critic_source, "model.critic"), self.gradient_checkpointing)
                self.critic = sharded(critic, self.trainer.strategy)

    def _load(self, source: str, key: str = "model.policy") -> PreTrainedModel:
        return load_once(lambda: load_model(source, self.tokenizer, self.seed, key), self.trainer.strategy)

    def _reference(self) -> Policy | WithoutAdapter:
        if self.reference_source is None:
            return WithoutAdapter(self.policy)
        model = self._load(self.reference_source, "model.reference")
        return sharded(frozen(Policy(model, len(self.tokenizer))), self.trainer.strategy)

    def configure_optimizers(self) -> list[Optimizer]:
        """The optimizer over what is trained of the policy, and one over the critic's parameters."""
        optimizers = [self.optimizer_factory(p for p in self.policy.parameters() if p.requires_grad)]
        if self.critic is not None:
            optimizers.append(self.critic_optimizer_factory(self.critic.parameters()))
        if self.device_mesh is not None:
            refuse_unshardable(optimizers)
        return optimizers

    def setup(self, stage: str) -> None:
        """Refuse what cannot work, before anything is loaded."""
        check_engine(self.engine)
        rows = self.trainer.datamodule.share(self.trainer.world_size)  # type: ignore[attr-defined]
        self.algorithm.check(self.sampling.n, rows)
        if rows * self.sampling.n < self.update_config.updates_per_rollout:
            raise UserError(
                f"model.update.updates_per_rollout is {self.update_config.updates_per_rollout}, more than the "
                f"{rows * self.sampling.n} responses of a process: lower it, or raise data.rows."
            )

    def on_train_start(self) -> None:
        """The weights are where they will stay, restored if need be: the engine can take its copy."""
        if isinstance(self.reference, Policy) and self.device_mesh is None:
            self.reference.to(self.device)
        self.policy.train()
        if self.critic is not None:
            self.critic.train()
        self.engine.setup(self.policy.model, self.tokenizer, self.device)
        self.tripwire = Tripwire.of(self.tripwire_config, self.engine, str(self.trainer.precision), self.device)
        batch = next(iter(self.trainer.train_dataloader), None)  # type: ignore[arg-type]
        if batch is not None:  # else all steps were done before the run was stopped
            with self.trainer.precision_plugin.train_step_context():  # in the precision of the steps to come
                self.probe(batch, "At the start")

    def teardown(self, stage: str) -> None:
        """End the engine and the verifier's workers."""
        self.engine.close()
        self.verifier.close()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put in what is needed to export the policy without this run's configuration."""
        model = self.policy.model
        described = describe_policy(model.config, model.generation_config, self.tokenizer_source, self.adapter)
        checkpoint[CHECKPOINT_KEY] = {**described, "guard": self.guard.state(), "scaler": self.scaler.state_dict()}
        checkpoint["state_dict"] = saved_state(checkpoint["state_dict"], self.adapter)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of another model, or of a longer run; let a finished run be made longer."""
        refuse_other_adapter(checkpoint[CHECKPOINT_KEY].get("adapter"), self.adapter)
        self.guard.restore(checkpoint[CHECKPOINT_KEY].get("guard", {}))
        restore_scaler(self.scaler, checkpoint[CHECKPOINT_KEY].get("scaler", {}))
        own = saved_state(self.state_dict(), self.adapter)
        state = checkpoint.get("state_dict", own)  # under FSDP2 it has been loaded by now, and taken out
        if set(own) != set(state):
            raise UserError(
                f"The checkpoint holds other parameters than model.policy {self.policy_source}: resume with the "
                "configuration of the run that wrote it."
            )
        done, wanted = int(state["rl_step"]), self.trainer.datamodule.rl_steps  # type: ignore[attr-defined]
        if done > wanted:
            raise UserError(
                f"The checkpoint has had {done} RL steps and data.rl_steps is {wanted}: raise data.rl_steps."
            )
        # The last batch of a shorter run is not the last of this one.
        checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["is_last_batch"] = False

    def saved_parameters(self) -> dict[str, Tensor]:
        """What checkpoints hold of the module, whole on the first rank. Collective."""
        return saved_state(self.trainer.strategy.lightning_module_state_dict(), self.adapter)

    def on_rollout_progress(self, done: int, asked: int) -> None:
        """Called while the engine generates; the progress bar shows it."""
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
            if hasattr(callback, "on_rollout_progress"):
                callback.on_rollout_progress(done, asked)

    @property
    def parallel(self) -> Parallel:
        """The processes of this run."""
        return Parallel(self.trainer.strategy, self.device, self.trainer.world_size, self.global_rank)
