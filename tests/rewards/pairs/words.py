"""Pairs (gold, answer): answers in words and multiple choices."""

EQUAL: tuple[tuple[str, str], ...] = (
    (r"\text{(B)}", "B"), (r"\text{(B)}", "(B)"), (r"\text{(B)}", r"\textbf{(B)}"), (r"\text{(B)}", r"\text{B}"), ("B", r"\text{(B)}"),
    (r"\text{Evelyn}", "Evelyn"), (r"\text{east}", "East"), (r"\text{even}", r"\textbf{even}"), ("ellipse", r"\text{Ellipse}"),
    ("p - q", "-q+p"), (r"\text{New York}", "new york"),
    (r"\text{Yes}", "yes"), ("No", r"\text{no}"), ("Yes", "YES."), (r"\text{True}", "true"), (r"\text{parabola}", "Parabola"),
    ("hyperbola", r"\textbf{hyperbola}"), (r"\text{Thursday}", "thursday"), (r"\text{neither}", "Neither"), ("undefined", r"\text{undefined}"),
    (r"\text{isosceles triangle}", "Isosceles triangle"), (r"\text{Maria}", r"\mathrm{Maria}"), (r"\text{odd}", "Odd"), ("red", r"\text{Red}"),
    ("increasing", r"\text{increasing}"), (r"\text{none}", "None"), ("clockwise", r"\text{Clockwise.}"), (r"\text{San Jose}", "san jose"),
    # choices
    ("C", "(C)"), ("(C)", "C"), ("C", r"\text{(c)}"), ("D", r"\textbf{(D)}"), ("D", "D."), ("D", r"\text{D) } 14"), ("B", "B. 12"),
    ("A", r"\text{(A)}\ 5"), ("B", r"\text{B. kinetic energy}"), ("B", r"\text{(B) kinetic energy}"), ("B", "B: kinetic energy"),
    (r"\text{(E)}", "E"), ("(A)", r"\mathbf{(A)}"), ("B", r"\text{B}"), ("C", r"(C)\ \frac{1}{2}"), ("A,C", r"A \text{ and } C"), ("A,C", "C, A"),
    ("second", r"\text{Second}"), ("I and II", "II and I"), ("June 5", r"\text{June 5}"),
)  # fmt: skip

DIFFERENT: tuple[tuple[str, str], ...] = (
    (r"\text{(B)}", "C"), (r"\text{(B)}", "A, B, C, D, E"), (r"\text{(B)}", "AB"), (r"\text{east}", "west"), (r"\text{even}", "odd"),
    (r"\text{Evelyn}", "Navin"),
    (r"\text{east}", "12"), ("12", "east"), (r"\text{Yes}", "No"), ("p - q", "q - p"),
    ("Yes", "No"), ("No", "Yes"), ("True", "False"), ("parabola", "hyperbola"), ("hyperbola", "hyperbolic"), ("convergent", "divergent"),
    ("increasing", "decreasing"), ("rational", "irrational"), ("Thursday", "Tuesday"), ("Maria", "Marie"), ("isosceles triangle", "triangle"),
    ("scalene", "isosceles"), ("defined", "undefined"), ("even", "uneven"), ("odd", "even"), ("red", "read"), ("north", "south"),
    ("north", "northwest"),
    ("left", "right"), ("maximum", "minimum"), ("clockwise", "counterclockwise"), ("bijective", "injective"), ("Yes", "12"), ("12", "yes"),
    ("yes", "yes and no"), ("Yes", "not yes"), ("Yes", r"\text{Yes or No}"), ("none", "one"), ("San Jose", "San Juan"), ("finite", "infinite"),
    # choices
    ("C", "D"), ("C", "B, C"), ("C", "CD"), ("(C)", "(D)"), ("D", "A, B, C, D"), ("B", "C. 12"), ("B", "12"), ("A", "not A"), ("A,C", "A"),
    ("A,C", "A,B"),
    ("B", r"\text{A. Boron}"), ("B", r"\text{B. or C}"), ("B", "B. or C"), ("B", r"\text{B and C}"), ("B", r"\text{Boron}"),
    (r"\text{(E)}", r"\text{(B)}"), ("(A)", r"(A)\ \text{or}\ (B)"), ("B", "(A) 7, (B) 12"),
    # words that only begin alike
    ("New York", "New Jersey"), ("Los Angeles", "Los Alamos"), ("San Jose", "San"), ("the red ball", "the blue ball"),
    ("a large house", "a small house"),
    (r"n \text{ even}", r"n \text{ odd}"), (r"x \text{ squared}", r"x \text{ cubed}"), ("n is prime", "n is composite"), ("June 5", "June 6"),
    ("5 June", "5 July"),
    ("IV", "VI"), ("second", "third"), ("2nd", "3rd"), ("I and II", "I and III"),
)  # fmt: skip
