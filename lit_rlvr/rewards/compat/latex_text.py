r"""LaTeX as plain text, in the way of pylatexenc 2.10 (phfaist/pylatexenc), which the deepscaler rule reads it with.

Kept of its ways: braces vanish but ``^`` and ``_`` stay, so that ``x^{10}`` becomes ``x^10`` and ``a_{1}`` ``a_1``; a
fraction gets no brackets, so that ``\frac{a+b}{2}`` becomes ``a+b/2``; the index of a root and every unknown command
are dropped, which makes ``\cot x`` and ``\sec x`` both ``x`` and ``x\ne 1`` ``x1``. Only commands that occur in answers
are known here, out of pylatexenc's many hundred.
"""

import re
import unicodedata
from collections.abc import Callable

_PAIRS = (
    "alpha:α beta:β gamma:γ delta:δ epsilon:ϵ varepsilon:ε zeta:ζ eta:η theta:θ vartheta:ϑ iota:ι kappa:κ lambda:λ "
    "mu:μ nu:ν xi:ξ omicron:ο pi:π rho:ρ varrho:ϱ sigma:σ varsigma:ς tau:τ upsilon:υ phi:ϕ varphi:φ chi:χ psi:ψ "
    "omega:ω Gamma:Γ Delta:Δ Theta:Θ Lambda:Λ Xi:Ξ Pi:Π Sigma:Σ Upsilon:Υ Phi:Φ Psi:Ψ Omega:Ω hbar:ħ ell:ℓ aleph:ℵ "
    "partial:∂ nabla:∇ infty:∞ emptyset:∅ varnothing:∅ in:∈ notin:∉ ni:∋ cup:∪ cap:∩ setminus:∖ subset:⊂ "
    "subseteq:⊆ supset:⊃ supseteq:⊇ sum:∑ prod:∏ int:∫ oint:∮ cdot:· times:× div:÷ pm:± mp:∓ ast:∗ star:⋆ circ:∘ "
    "bullet:∙ oplus:⊕ otimes:⊗ odot:⊙ wedge:∧ vee:∨ lnot:¬ to:→ rightarrow:→ leftarrow:← Rightarrow:⇒ "
    "Leftrightarrow:⇔ mapsto:↦ le:≤ leq:≤ ge:≥ geq:≥ neq:≠ ll:≪ gg:≫ approx:≈ equiv:≡ cong:≅ sim:∼ simeq:≃ "
    "propto:∝ perp:⊥ parallel:∥ mid:| nmid:∤ leqslant:⩽ geqslant:⩾ angle:∠ square:□ prime:' dots:… ldots:… cdots:⋯ "
    "vdots:⋮ ddots:⋱ lfloor:⌊ rfloor:⌋ lceil:⌈ rceil:⌉ langle:⟨ rangle:⟩ lvert:| rvert:| vert:| lVert:‖ rVert:‖ "
    "Vert:‖ lbrace:{ rbrace:} forall:∀ exists:∃ therefore:∴ because:∵ dagger:† backslash:\\ "
    "sin:sin cos:cos tan:tan arcsin:arcsin arccos:arccos arctan:arctan sinh:sinh cosh:cosh tanh:tanh log:log ln:ln "
    "exp:exp lim:lim max:max min:min sup:sup inf:inf &:& $:$ %:% #:# _:_ {:{ }:} ~:~"
)
_SYMBOLS = dict(pair.split(":") for pair in _PAIRS.split())
_SYMBOLS |= {"quad": "  ", "qquad": "    ", ",": " ", ":": " ", ";": " ", " ": " ", "\\": "\n"}
_ACCENTS = {"bar": "̅", "hat": "̂", "vec": "⃗", "tilde": "̃", "dot": "̇", "ddot": "̈", "not": "̸"}
# Style of letters -> its names in Unicode, which has an older name for some letters of a style.
_STYLES = {
    "mathbf": ("BOLD", ""),
    "mathit": ("ITALIC", ""),
    "mathsf": ("SANS-SERIF", ""),
    "mathtt": ("MONOSPACE", ""),
    "mathbb": ("DOUBLE-STRUCK", "DOUBLE-STRUCK"),
    "mathcal": ("SCRIPT", "SCRIPT"),
    "mathscr": ("SCRIPT", "SCRIPT"),
    "mathfrak": ("FRAKTUR", "BLACK-LETTER"),
}
_DROPPED = frozenset(("texttt", "textsf", "mbox", "hspace", "vspace", "color", "label"))
_MATRICES = frozenset(("pmatrix", "bmatrix", "smallmatrix", "psmallmatrix", "bsmallmatrix", "array"))
_TOKEN = re.compile(r"\\(?:[A-Za-z]+\*?\s*|.)|---?|``|''|[{}&~\[\]]|[^\\{}&~\[\]\-`']+|.", re.DOTALL)
_SPECIAL = {"---": "—", "--": "–", "``": "“", "''": "”", "&": "   ", "~": "\xa0"}
_END = ("\\end", "}")


class _Writer:
    """A reader of tokens, left to right, that writes text."""

    def __init__(self, latex: str) -> None:
        self._tokens = _TOKEN.findall(latex)
        self._at = 0

    def until(self, stop: str | None) -> str:
        """Text up to a closing token (which is consumed), or the end."""
        written = []
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            self._at += 1
            if token.rstrip() == stop:
                break
            if token.rstrip() not in _END:  # a stray closing token writes nothing
                written.append(self._written(token))
        return "".join(written)

    def _written(self, token: str) -> str:
        if token == "{":
            return self.until("}")
        if token[0] != "\\" or len(token) == 1:
            return _SPECIAL.get(token, token)
        name = token[1:].rstrip() or " "
        if name == "frac":
            return f"{self._argument()}/{self._argument()}"
        if name == "sqrt":
            self._optional()
            return f"√({self._argument()})"
        if name == "begin":
            return self._environment(self._argument())
        if name in _DROPPED:
            self._argument()
            return ""
        if name in _ACCENTS:
            return unicodedata.normalize("NFC", self._argument() + _ACCENTS[name])
        if name in _STYLES:
            return "".join(_styled(letter, *_STYLES[name]) for letter in self._argument())
        return _SYMBOLS.get(name, "")

    def _argument(self) -> str:
        """The text of a group, or of one character or bare command.

        Raises:
            ValueError: there is none.
        """
        while self._at < len(self._tokens) and self._tokens[self._at].isspace():
            self._at += 1
        if self._at == len(self._tokens):
            raise ValueError("an argument is missing")
        token = self._tokens[self._at]
        self._at += 1
        if token == "{":
            return self.until("}")
        if token[0] == "\\":
            name = token[1:].strip()
            if name in ("sqrt", "begin", "end"):
                raise ValueError("an argument is missing")
            return "%s/%s" if name == "frac" else _SYMBOLS.get(name, "")
        token = token.lstrip()
        if len(token) > 1:
            self._at -= 1
            self._tokens[self._at] = token[1:]
        return token[0]

    def _optional(self) -> None:
        """Pass over an argument in square brackets."""
        if self._at < len(self._tokens) and self._tokens[self._at] == "[":
            self._at += 1
            self.until("]")

    def _environment(self, name: str) -> str:
        if name == "array":
            self._argument()
        start = self._at
        depth = 1
        while self._at < len(self._tokens) and depth:
            token = self._tokens[self._at].rstrip()
            depth += {"\\begin": 1, "\\end": -1}.get(token, 0)
            self._at += 1
        inside = self._tokens[start : self._at - (depth == 0)]
        if self._at < len(self._tokens):
            self._argument()
        if name not in _MATRICES:
            return _text_of(inside)
        rows = _split(inside, lambda token: token.rstrip() == "\\\\")
        cells = (" ".join(_text_of(cell).strip() for cell in _split(row, lambda token: token == "&")) for row in rows)
        return f"[ {'; '.join(row for row in cells if row)} ]"


def _text_of(tokens: list[str]) -> str:
    writer = _Writer("")
    writer._tokens = list(tokens)
    return writer.until(None)


def _split(tokens: list[str], at: Callable[[str], bool]) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    depth = 0
    for token in tokens:
        depth += {"{": 1, "}": -1, "\\begin": 1, "\\end": -1}.get(token.rstrip(), 0)
        if depth == 0 and at(token):
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _styled(letter: str, style: str, older: str) -> str:
    if not (letter.isascii() and letter.isalpha()):
        return letter
    case = "SMALL" if letter.islower() else "CAPITAL"
    for name in (f"MATHEMATICAL {style} {case} {letter.upper()}", f"{older} {case} {letter.upper()}"):
        try:
            return unicodedata.lookup(name)
        except KeyError:
            continue
    return letter


def plain_text(latex: str) -> str:
    """A formula as text.

    Raises:
        ValueError: a command lacks its argument.
    """
    return _Writer(latex).until(None)
