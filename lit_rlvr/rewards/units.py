r"""Units after a number: which words they are, which mean the same, and which words are no units.

A unit that only one side names is not compared (the question gave it); two known units must be the same.
"""

import re
from functools import lru_cache

_FAMILIES = (
    "degrees degree deg °", "radians radian rad rads", "dollars dollar usd $", "cents cent", "euros euro", "pounds pound lb lbs",
    "centimeters centimeter centimetres centimetre cm cms", "millimeters millimeter millimetres mm", "meters meter metres metre m",
    "kilometers kilometer kilometres kilometre km", "inches inch in", "feet foot ft", "yards yard yd", "miles mile mi",
    "grams gram g", "kilograms kilogram kg kgs", "milligrams mg", "ounces ounce oz", "liters liter litres litre l",
    "milliliters milliliter ml", "seconds second sec secs s", "minutes minute min mins", "hours hour hr hrs h", "days day",
    "weeks week", "months month", "years year yr yrs", "mph", "km/h kmh kph", "m/s", "units unit", "percent percentage",
    "people person", "students student", "ways way",
)  # fmt: skip
_CANONICAL = {alias: family.split()[0] for family in _FAMILIES for alias in family.split()}
# Words that change the value or the sense of the number before them.
_NO_UNIT_WORDS = (
    "thousand million billion trillion hundred hundreds thousands millions billions dozen dozens half halves third thirds "
    "quarter quarters times plus minus squared cubed factorial mod modulo base not is isn are or and nor if then else wrong "
    "incorrect right correct maybe to than less more most least over under below above by approximately about around between "
    "except without choose pi infinity sqrt root power even odd true false yes no none"
)
_NOT_UNITS = frozenset(_NO_UNIT_WORDS.split())
_TRAILING = re.compile(
    r"(?P<body>.*?)(?P<words>(?:[ ./*]*\\text\{[^{}]*\}(?:\^(?:\{[+-]?\d\}|\d))?)+)(?P<scale>[CFK])?\s*\.?", re.DOTALL
)
_PIECE = re.compile(r"\\text\{([^{}]*)\}(?:\^\{?([+-]?\d)\}?)?")


@lru_cache(maxsize=4096)
def split_unit(text: str) -> tuple[str, str]:
    r"""Number and canonical unit: ``("15", "centimeters^2")`` for ``15\text{cm}^2``.

    The unit is ``""`` if there is none, and the text is left whole if its last words can be no unit.
    """
    if text.startswith("\\$"):
        return text[2:].strip(), "dollars"
    if "\\text" not in text:
        return text, ""
    match = _TRAILING.fullmatch(text)
    if not match or not match["body"]:
        return text, ""
    pieces = []
    for words, power in _PIECE.findall(match["words"]):
        found = re.findall(r"[a-z]+", words.casefold())
        if re.search(r"[^A-Za-z0-9 ./\-^$]", words) or len(found) > 4 or any(word in _NOT_UNITS for word in found):
            return text, ""
        for old, new in (("square ", "2"), ("sq ", "2"), ("cubic ", "3")):
            if words.casefold().startswith(old):
                words, power = words[len(old) :], new
        name = _CANONICAL.get(words.casefold().strip(" ."), words.casefold().strip(" ."))
        pieces.append(name + (f"^{power}" if power else ""))
    return match["body"].strip(), " ".join(pieces)


def units_clash(gold: str, answer: str) -> bool:
    """Whether both name a known unit and not the same one. ``units`` fits any."""
    if not gold or not answer or gold == answer:
        return False
    known = [unit.split("^")[0] in _CANONICAL for unit in (gold, answer)]
    return all(known) and not any(unit.split("^")[0] == "units" for unit in (gold, answer))
