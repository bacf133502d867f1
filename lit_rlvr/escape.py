"""Text that a person or a model wrote, made safe to show as HTML. Used by TensorBoard's samples and by the report."""

import html

# Neither HTML nor protobuf text has a place for control characters; tab and line feed stay.
_CONTROL = dict.fromkeys([*range(9), *range(11, 32), 127], "\N{REPLACEMENT CHARACTER}")


def printable(text: str) -> str:
    """The text with control characters and lone surrogates replaced."""
    return text.encode("utf-8", "replace").decode("utf-8").translate(_CONTROL)


def escape(text: str, quote: bool = False) -> str:
    """Text that HTML shows as it is: :func:`printable`, with markup escaped.

    Args:
        text: any.
        quote: escape quotation marks too, for the value of an attribute.
    """
    return html.escape(printable(text), quote=quote)
