r"""Units after a number: which words they are, which mean the same, and which words are no units.

A unit that only one side names is not compared (the question gave it); two known units must be the same.
"""

import re
from functools import lru_cache

from lit_rlvr.rewards.numbers import counting_word

_FAMILIES = (
    "degrees degree deg °", "radians radian rad rads", "dollars dollar usd $", "cents cent", "euros euro", "pounds pound lb lbs",
    "centimeters centimeter centimetres centimetre cm cms", "millimeters millimeter millimetres mm", "meters meter metres metre m",
    "kilometers kilometer kilometres kilometre km", "inches inch in", "feet foot ft", "yards yard yd", "miles mile mi",
    "grams gram g", "kilograms kilogram kg kgs", "milligrams mg", "ounces ounce oz", "liters liter litres litre l",
    "milliliters milliliter ml", "seconds second sec secs s", "minutes minute min mins", "hours hour hr hrs h", "days day",
    "weeks week", "months month", "years year yr yrs", "mph", "kmh kph", "units unit", "percent percentage pct percents",
    "am a.m", "pm p.m", "people person", "students student", "ways way",
)  # fmt: skip
_CANONICAL = {alias: family.split()[0] for family in _FAMILIES for alias in family.split()}
# Words that scale the number before them.
_SCALES = {
    "hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "lakh": 10**5,
    "crore": 10**7, "dozen": 12,
}  # fmt: skip
_SCALED = re.compile(
    rf"(.*?)\\text\{{({'|'.join(_SCALES)})s?(?: of)?(?: ([^{{}}]*))?\}}(.*)", re.DOTALL | re.IGNORECASE
)
# Words that change the sense of the number before them, or take it back.
_NO_UNIT_WORDS = (
    "hundred hundreds thousand thousands million millions billion billions trillion trillions lakh lakhs crore crores "
    "dozen dozens doz k kk bn mn milli micro nano kilo mega giga half halves third thirds quarter quarters tens "
    "times plus minus squared cubed factorial mod modulo base remainder point reciprocal inverse negative opposite "
    "not is isn are or and nor if then else wrong incorrect right correct maybe possibly invalid impossible extraneous "
    "rejected to than less more most least over under below above by approximately about around between out except "
    "without choose pi infinity sqrt root power even odd true false yes no none prime composite"
)
_NOT_UNITS = frozenset(_NO_UNIT_WORDS.split())
# Participles (`doubled`, `ruled out`) and ordinals (`tenths`); the nouns that look like these are few.
_NO_NOUN = re.compile(r".*(?:ed|(?:ieth|eenth|illionth|ousandth|undredth|tenth|eventh|inth|ifth|ixth|ighth|elfth)s?)")
_NOUNS_LIKE_IT = frozenset(["red", "bed", "seed", "feed", "weed", "speed"])
# What tells quantities apart although it is no unit.
_DIRECTIONS = (
    "north south east west up down left right clockwise counterclockwise january february march april may june july "
    "august september october november december"
)
_UNITS = frozenset(_CANONICAL.values())
_SCALE_OF_DEGREES = {"C": "celsius", "F": "fahrenheit", "K": "kelvin", "c": "celsius", "f": "fahrenheit", "k": "kelvin"}
_TELLING = _UNITS | frozenset(_SCALE_OF_DEGREES.values()) | frozenset(_DIRECTIONS.split())
_TRAILING = re.compile(
    r"(?P<body>.*?)(?P<words>(?:(?:[ ./*]|\\cdot ?)*\\text\{[^{}]*\}(?:\^(?:\{[+-]?\d\}|\d))?)+)(?P<scale>[CFK])?\s*\.?",
    re.DOTALL,
)
_PIECE = re.compile(r"\\text\{([^{}]*)\}(?:\^\{?([+-]?\d)\}?)?")
_LETTER_UNITS = frozenset("mgshlLNJWVAKCFTdÅΩ")
# Signs of money that stand before the number.
_BEFORE = {"\\$": "dollars", "\\text{euros}": "euros", "\\text{pounds}": "pounds", "\\text{cents}": "cents"}
# What an amount ends or consists of; words after anything else are prose.
_AMOUNT = re.compile(r".*\d.*|.*[)}%]|.*\\(?:pi|infty) ?", re.DOTALL)
_ANGLE_OF = re.compile(r"\\?(?:sin|cos|tan|cot|sec|csc)(?![a-z])")
_SEVERAL = re.compile(r"(\d+(?:\.\d+)?)\s*(?:\\text\{([A-Za-z]+),?\}|([a-z](?![a-z])))(?:, ?)?")


def split_scale(text: str) -> tuple[str, int]:
    r"""A text without its scale word, and what that stands for: ``3\text{million}`` is 3 and 10^6."""
    match = _SCALED.fullmatch(text) if "\\text" in text else None
    if not match:
        return text, 1
    rest = f"\\text{{{match[3]}}}" if match[3] else ""
    return match[1] + rest + match[4], _SCALES[match[2].casefold()]


@lru_cache(maxsize=4096)
def split_unit(text: str) -> tuple[str, str]:
    r"""Number and canonical unit: ``("15", "centimeters^2")`` for ``15\text{cm}^2``.

    The unit is ``""`` if there is none, and the text is left whole if its last words can be no unit.
    """
    for sign, name in _BEFORE.items():
        if text.startswith(sign) and len(text) > len(sign):
            return text[len(sign) :].strip(), name
    if "\\text" not in text:
        return text, ""
    match = _TRAILING.fullmatch(text)
    if not match or not _AMOUNT.fullmatch(match["body"].strip()):
        return text, ""
    pieces = []
    for words, power in _PIECE.findall(match["words"]):
        found = re.findall(r"[A-Za-z]+", words)
        if re.search(r"[^A-Za-z0-9 ./\-^$ÅΩµμ]", words) or len(found) > 4 or any(map(_changes_sense, found)):
            return text, ""
        if len(words.strip()) == 1 and words.strip() not in _LETTER_UNITS:
            return text, ""
        if "degrees" in words and _ANGLE_OF.search(match["body"]):
            return text, ""  # the argument's
        for old, new in (("square ", "2"), ("sq ", "2"), ("cubic ", "3")):
            if words.casefold().startswith(old):
                words, power = words[len(old) :], new
        bare = words.casefold().strip(" .")
        name = _CANONICAL.get(bare) or " ".join(_CANONICAL.get(word, word) for word in re.split("[ /]+", bare) if word)
        pieces.append(name + (f"^{power}" if power else ""))
    if match["scale"]:
        pieces.append(match["scale"])
    unit = " ".join(_SCALE_OF_DEGREES.get(word, word) for word in " ".join(pieces).split())
    return match["body"].strip(), unit


def _changes_sense(word: str) -> bool:
    if word == "K":  # kelvin; a small one is a thousand
        return False
    word = word.casefold()
    return word in _NOT_UNITS or counting_word(word) or (word not in _NOUNS_LIKE_IT and bool(_NO_NOUN.fullmatch(word)))


def units_clash(gold: str, answer: str) -> bool:
    """Whether both name a unit, a direction or a month, and not the same. ``units`` fits any."""
    ours, theirs = set(gold.split()), set(answer.split())
    if not ours or not theirs:
        return False
    left = [{word.split("^")[0] for word in words} for words in (ours - theirs, theirs - ours)]
    if any("units" in words for words in left):
        return False
    if not all(left):  # one says more: `km/h` beside `km` is another quantity, `km north` beside `km` is not
        return "per" not in left[0] | left[1] and bool((left[0] | left[1]) & _UNITS)
    return all(words & _TELLING for words in left)


def read_several(text: str) -> tuple[tuple[str, str], ...]:
    r"""Quantities after each other, like ``2\text{hours}30\text{minutes}``; empty if it is not that."""
    if not re.fullmatch(rf"(?:{_SEVERAL.pattern}){{2,}}", text):
        return ()
    found = [(number, (word or letter).casefold()) for number, word, letter in _SEVERAL.findall(text)]
    return tuple((number, _CANONICAL.get(unit, unit)) for number, unit in found)
