"""Numbers in words, in the way of word2number 1.1 (akshaynagpal/w2n), which the qwen rule reads every answer with.

Kept of its ways: whatever is no number word is passed over, so ``two of the 7`` is 2 and ``the point`` is 0; of four
words that are no scale the first two are multiplied and the others added, of more only the first counts; and words
after a million are counted once more if the text ends in a thousand.
"""

_NAMES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_VALUES: dict[str, int] = {name: value for value, name in enumerate(_NAMES.split())}
_DIGITS = frozenset(list(_VALUES)[:10])
_VALUES |= {name: 10 * value for value, name in enumerate(_TENS.split(), 2)}
_SCALES = {"billion": 10**9, "million": 10**6, "thousand": 10**3}
_VALUES |= {"hundred": 100} | _SCALES
_POINT = "point"


def in_digits(text: str) -> str:
    """The number that the words of a text amount to, or the text itself if they amount to none."""
    text_of_words = text.replace("-", " ").lower()
    try:
        return str(int(text_of_words) if text_of_words.isdigit() else _value(text_of_words.split()))
    except (ValueError, IndexError):
        return text


def _value(words: list[str]) -> int | float:
    """The value of a text.

    Raises:
        ValueError, IndexError: it has none.
    """
    words = [word for word in words if word in _VALUES or word == _POINT]
    if not words or any(words.count(word) > 1 for word in (*_SCALES, _POINT)):
        raise ValueError
    digits: list[str] = []
    if _POINT in words:
        digits = words[words.index(_POINT) + 1 :]
        words = words[: words.index(_POINT)]
    places = [words.index(scale) for scale in _SCALES if scale in words]
    if places != sorted(places):
        raise ValueError
    total: int | float = _whole(words, places) if words else 0
    if digits and _DIGITS.issuperset(digits):
        total += float("0." + "".join(str(_VALUES[digit]) for digit in digits))
    return total


def _whole(words: list[str], places: list[int]) -> int:
    if len(words) == 1:
        return _VALUES[words[0]]
    total = start = 0
    for place in places:
        total += _group(words[start:place]) * _VALUES[words[place]]
        start = place + 1
    if not places:
        return _group(words)
    for place in reversed(places):
        if place != len(words) - 1:
            return total + _group(words[place + 1 :])
    return total


def _group(words: list[str]) -> int:
    first, *others = [_VALUES[word] for word in words]  # ValueError without any
    if len(others) in (2, 3):
        return first * others[0] + sum(others[1:])
    if len(others) == 1:
        return first * others[0] if 100 in (first, *others) else first + others[0]
    return first
