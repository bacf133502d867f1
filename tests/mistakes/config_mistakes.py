"""Mistakes in configurations and on the command line of `fit`."""

from tests.mistakes.room import HERE, Mistake, fit, fit_on

YAML = "mine.yaml"


def _yaml(what: str, content: str | bytes, says: str) -> Mistake:
    return Mistake(what, fit_on(YAML), says, {YAML: content})


KEYS = [
    Mistake("a key of the top level misspelt", fit("--modle.policy", "x"), r"no key 'modle.policy'.*'model.policy'"),
    Mistake(
        "a key misspelt two levels down",
        fit("--model.sampling.temprature", "1"),
        r"no key 'model.sampling.temprature'.*'model.sampling.temperature'",
    ),
    Mistake(
        "a key of a class misspelt",
        fit("--model.algorithm.init_args.klcoefficient", "1"),
        r"klcoefficient.*kl_coefficient",
    ),
    Mistake(
        "a key of PPO misspelt",
        fit("--model.algorithm", "PPO", "--model.algorithm.init_args.lamda", "1"),
        r"lamda.*lam\b",
    ),
    Mistake(
        "a key of GRPO given to PPO's neighbour",
        fit("--model.algorithm.init_args.lam", "1"),
        r"no key 'lam'|model\.algorithm\.init_args\.lam",
    ),
    Mistake("a key of the data misspelt", fit("--data.rl_step", "3"), r"data\.rl_step\b.*data\.rl_steps"),
    Mistake("a key of the trainer misspelt", fit("--trainer.acelerator", "cpu"), r"trainer\.acelerator.*accelerator"),
    Mistake("a key of a callback misspelt", fit("--checkpoint.kep", "3"), r"checkpoint\.kep.*checkpoint\.keep"),
    Mistake(
        "a key of an evaluation plan misspelt",
        fit("--evaluation.plans", '[{"benchmark": "tiny500", "limits": 3}]'),
        r"limits.*limit\b",
    ),
    Mistake("an option without its value", fit("--data.rows"), r"--data\.rows is given no value"),
    Mistake("a word that belongs to no option", fit("extra"), r"extra"),
    _yaml("a top-level key misspelt in YAML", "modell:\n  policy: x\n", r"modell.*model"),
    _yaml("a nested key misspelt in YAML", "model:\n  update:\n    epoch: 2\n", r"model\.update\.epoch.*epochs"),
    _yaml("keys of one section under another", "data:\n  policy: x\n", r"data\.policy.*model\.policy"),
]

TYPES = [
    Mistake("a word for a number", fit("--data.rows", "many"), r"data\.rows.*many"),
    Mistake("a fraction for a whole number", fit("--data.rows", "1.5"), r"data\.rows.*1\.5"),
    Mistake(
        "a choice that is none", fit("--model.update.aggregation", "mean"), r"model\.update\.aggregation.*token-mean"
    ),
    Mistake("a list for a word", fit("--model.policy", "[a, b]"), r"model\.policy.*no folder \[a, b\].*hub id"),
    Mistake("a number for a section", fit("--model.sampling", "3"), r"model\.sampling is 3; it is a section"),
    Mistake("a word for true or false", fit("--data.shuffle", "perhaps"), r"data\.shuffle.*perhaps.*bool"),
    _yaml("null where there must be a number", "data:\n  rows: null\n", r"data\.rows is null.*leave it out for 8"),
    _yaml(
        "null for a number of a class",
        "model:\n  algorithm:\n    init_args:\n      kl_coefficient: null\n",
        r"model\.algorithm\.init_args\.kl_coefficient is null",
    ),
    _yaml("a list for a section in YAML", "data: [1, 2]\n", r"data"),
    Mistake("an unknown algorithm", fit("--model.algorithm", "PPQ"), r"GRPO, PPO, ReinforcePlusPlus"),
    Mistake("an unknown reward", fit("--model.reward", "Praise"), r"model\.reward is Praise.*AnswerReward"),
    Mistake("an unknown engine", fit("--model.engine", "SGLang"), r"model\.engine is SGLang.*TransformersEngine"),
    _yaml(
        "an optimizer of a package that is not there",
        "model:\n  optimizer:\n    class_path: no_such_package.AdamW\n    init_args:\n      lr: 1.0e-6\n",
        r"model\.optimizer names a class of no_such_package, which is not installed here: `pip install no_such_package`",
    ),
    Mistake(
        "an unknown optimizer",
        fit("--model.optimizer", "torch.optim.Adamm"),
        r"model\.optimizer is torch\.optim\.Adamm, and there is nothing",
    ),
    Mistake("a reward's class as algorithm", fit("--model.algorithm", "AnswerReward"), r"model\.algorithm.*GRPO"),
]

FILES = [
    Mistake("a configuration that is not there", fit("--config", "configs/no-such.yaml"), r"no-such\.yaml"),
    Mistake("a folder as configuration", fit("--config", "configs"), r"configs\b"),
    _yaml(
        "a configuration with a YAML error",
        "data:\n  rows: [1, 2\n",
        r"mine\.yaml, line \d, column \d+ is no valid YAML",
    ),
    _yaml("a tab in YAML", "data:\n\trows: 2\n", r"mine\.yaml, line \d, column \d+ is no valid YAML"),
    _yaml("a key twice in one section", "data:\n  rows: 2\n  rows: 4\n", r"mine\.yaml.*rows.*twice"),
    _yaml("an empty configuration", "", r"mine\.yaml.*empty"),
    _yaml("a configuration of comments alone", "# data:\n#   rows: 2\n", r"mine\.yaml.*empty"),
    _yaml("a binary file as configuration", bytes(range(256)), r"mine\.yaml"),
    _yaml("a configuration that is no UTF-8", b"data:\n  source: \xff\xfe\n", r"mine\.yaml.*UTF-8"),
    _yaml("a list as configuration", "- data\n- model\n", r"mine\.yaml"),
    _yaml("an alias within itself", "a: &b\n  c: *b\n", r"mine\.yaml is no valid YAML"),
    Mistake("an alias within itself as a value", fit("--model.sampling", "a: &b {c: *b}"), r"a: &b.*write it out"),
    Mistake("bytes that are no UTF-8", fit("--model.policy", "./\udcff"), r"model\.policy: there is no folder \./"),
    _yaml("a Python object in YAML", "data: !!python/object/apply:os.getcwd []\n", r"mine\.yaml.*python"),
]

NUMBERS = [
    Mistake("no rows", fit("--data.rows", "0"), r"data\.rows is 0.*at least 1"),
    Mistake("negative RL steps", fit("--data.rl_steps", "-1"), r"data\.rl_steps is -1.*at least 1"),
    Mistake("a group of no response", fit("--model.sampling.n", "0"), r"sampling\.n is 0"),
    Mistake("a group of one", fit("--model.sampling.n", "1"), r"sampling\.n is 1.*standard deviation"),
    Mistake("greedy rollouts", fit("--model.sampling.temperature", "0"), r"model\.sampling\.temperature is 0"),
    Mistake("a temperature that is no number", fit("--model.sampling.temperature", ".nan"), r"sampling\.temperature"),
    Mistake("a negative temperature", fit("--model.sampling.temperature", "-1"), r"sampling\.temperature is -1"),
    Mistake("a nucleus of more than all", fit("--model.sampling.top_p", "1.5"), r"sampling\.top_p is 1\.5"),
    Mistake("no tokens", fit("--model.sampling.max_tokens", "0"), r"sampling\.max_tokens is 0"),
    Mistake("a clip bound out of range", fit("--model.algorithm.init_args.clip_low", "2"), r"clip_low"),
    Mistake(
        "lambda out of range", fit("--model.algorithm", "PPO", "--model.algorithm.init_args.lam", "2"), r"lam is 2"
    ),
    Mistake(
        "a micro-batch of no tokens", fit("--model.update.micro_batch_tokens", "0"), r"update\.micro_batch_tokens is 0"
    ),
    Mistake("a negative gradient norm", fit("--model.update.max_grad_norm", "-1"), r"update\.max_grad_norm is -1"),
    Mistake("a negative learning rate", fit("--model.optimizer.init_args.lr", "-1"), r"learning rate"),
    Mistake("no checkpoint kept", fit("--checkpoint.keep", "0"), r"checkpoint\.keep is 0"),
    Mistake("an empty batch of the engine", fit("--model.engine.init_args.max_batch", "0"), r"engine\.max_batch is 0"),
    Mistake("a verifier without workers", fit("--model.verifier.workers", "0"), r"model\.verifier\.workers is 0"),
    Mistake("a verifier without time", fit("--model.verifier.timeout", "0"), r"model\.verifier\.timeout is 0"),
    Mistake("a negative seed", fit("--seed_everything", "-3"), r"seed_everything.*-3"),
    Mistake("a share above 1", fit("--data.wrong_label_share", "1.5"), r"data\.wrong_label_share is 1\.5"),
    Mistake("an adapter of rank 0", fit("--model.lora", "{rank: 0}"), r"model\.lora\.rank is 0"),
]

TOGETHER = [
    Mistake(
        "more updates than responses",
        fit("--model.update.updates_per_rollout", "100"),
        r"updates_per_rollout is 100, more than the 16 responses",
    ),
    Mistake(
        "a label and a share of wrong labels",
        fit("--data.label", "7", "--data.wrong_label_share", "0.5"),
        r"data\.label and data\.wrong_label_share exclude",
    ),
    Mistake("a prompt over its limit", fit("--data.max_prompt_tokens", "5"), r"data\.max_prompt_tokens"),
    Mistake(
        "PPO with a share of the saturated responses",
        fit("--model.algorithm", "PPO", "--model.update.saturated_share", "0.5"),
        r"saturated_share.*critic.*set it to 1",
    ),
    Mistake(
        "an adapter for a layer that is not there",
        fit("--model.lora", "{targets: [nothing]}"),
        r"model\.lora\.targets.*q_proj",
    ),
    Mistake(
        "a response longer than the model's positions",
        fit("--model.sampling.max_tokens", "100000"),
        r"max_tokens.*positions|positions.*max_tokens",
    ),
    Mistake("an unknown prompt template", fit("--data.template", "chatt"), r"chatt.*did you mean chat"),
    Mistake("a run's length in epochs", fit("--trainer.max_epochs", "0"), r"trainer\.max_epochs.*data\.rl_steps"),
    Mistake(
        "Lightning's own gradient clipping",
        fit("--trainer.gradient_clip_val", "1.0"),
        r"trainer\.gradient_clip_val.*model\.update\.max_grad_norm",
    ),
    Mistake(
        "Lightning's own gradient accumulation",
        fit("--trainer.accumulate_grad_batches", "4"),
        r"trainer\.accumulate_grad_batches.*micro_batch_tokens",
    ),
]

COMMANDS = [
    Mistake("a command misspelt", ("fitt",), r"no command 'fitt'; did you mean 'fit'"),
    Mistake("a command that there is nothing like", ("zzz", HERE), r"no command 'zzz'.*--help"),
    Mistake("plan of a wrong configuration", ("plan", *fit("--data.rows", "0")[1:]), r"data\.rows is 0"),
    Mistake("fit without a configuration", ("fit",), r"model\.policy"),
]

MISTAKES = {
    "keys": KEYS, "types and classes": TYPES, "configuration files": FILES, "numbers": NUMBERS,
    "what does not go together": TOGETHER, "commands": COMMANDS,
}  # fmt: skip
