"""A list of tokens that is read from left to right."""

from lit_rlvr.rewards.symbols import NAMED, TOKEN, UnreadableError


class Tokens:
    """The tokens of a normal form, and how far they have been read.

    Args:
        text: a normal form.
    """

    def __init__(self, text: str) -> None:
        self._tokens = TOKEN.findall(NAMED.sub(r"\\\1 ", text))
        self._at = 0

    def _peek(self, ahead: int = 0) -> str:
        position = self._at + ahead
        return self._tokens[position] if position < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        if not token:
            raise UnreadableError("ends too early")
        self._at += 1
        return token

    def _expect(self, token: str) -> None:
        if self._next() != token:
            raise UnreadableError(f"expected {token}")

    def _raw_group(self) -> str:
        """The text of a group or of one token, without spaces and braces."""
        if self._peek() != "{":
            return self._next()
        depth = 0
        parts: list[str] = []
        while True:
            token = self._next()
            depth += (token == "{") - (token == "}")
            if depth == 0:
                return "".join(parts)
            if token != "{":
                parts.append(token)
