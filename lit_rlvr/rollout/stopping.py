"""What ends a response besides the token limit: the model's end tokens and the user's stop strings."""

from collections.abc import Sequence

from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Tokens decoded before those that could hold the start of a stop string: some tokenizers treat the first token of a
# text differently (a leading space is dropped), and a character may begin in an earlier token.
CONTEXT_TOKENS = 8


def end_tokens(policy: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """Ids that end a response: all of the generation configuration's, and the tokenizer's."""
    generation = getattr(policy, "generation_config", None)
    configured = getattr(generation, "eos_token_id", None)
    ids = list(configured) if isinstance(configured, list | tuple) else [configured]
    ids.append(tokenizer.eos_token_id)
    return tuple(sorted({int(token) for token in ids if token is not None}))


def special_stops(tokenizer: PreTrainedTokenizerBase, stop: Sequence[str]) -> tuple[int, ...]:
    """Ids of those stop strings that are a token added to the tokenizer, such as ``<|im_end|>``.

    They are left out of decoded text, so as strings they would never be seen; as tokens they end a response.
    """
    added = tokenizer.get_added_vocab()
    return tuple(added[string] for string in stop if string in added)


class StopStrings:
    """Finds where stop strings first appear in responses, and turns responses into text.

    Args:
        tokenizer: decodes; special tokens are left out of texts.
        stop: the strings; a text ends before the first of them, while the tokens that spell it are kept.
        ends: end tokens, which never show in a text even where the tokenizer does not call them special.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop: Sequence[str], ends: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._stop = tuple(string for string in stop if string)
        self._ends = frozenset(ends)
        # A token spells at least one byte, so no stop string takes more tokens than it has bytes.
        self._reach = CONTEXT_TOKENS + max((len(string.encode()) for string in self._stop), default=0)

    def __bool__(self) -> bool:
        return bool(self._stop)

    def shortest(self, tokens: list[int], clear: int) -> int | None:
        """The length of the shortest prefix whose text holds a stop string.

        Args:
            tokens: of one response, so far.
            clear: length of a prefix already known to hold none.
        """
        if not self._holds(tokens[max(0, clear - self._reach) :]):
            return None
        return next((end for end in range(clear + 1, len(tokens) + 1) if self._holds(tokens[:end])), None)

    def text(self, tokens: list[int]) -> str:
        """The text of a response, without its end token and without what follows from a stop string on."""
        text = self._decode(tokens[:-1] if tokens[-1] in self._ends else tokens)
        found = [text.find(string) for string in self._stop if string in text]
        return text[: min(found)] if found else text

    def _holds(self, tokens: list[int]) -> bool:
        text = self._decode(tokens)
        return any(string in text for string in self._stop)

    def _decode(self, tokens: list[int]) -> str:
        text = self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        assert isinstance(text, str)
        return text
