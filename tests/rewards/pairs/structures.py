"""Pairs (gold, answer): inequalities, lists, sets, tuples, intervals, unions, matrices, several answers."""

EQUAL: tuple[tuple[str, str], ...] = (
    ("1,-2", "-2,1"), ("1,-2", r"1 \text{ and } -2"), ("1,-2", "1 or -2"), ("1,-2", "x=1, x=-2"), ("1,-2", r"x = -2 \text{ or } x = 1"),
    ("3, 5, 7", "7,5,3"), ("3, 5, 7", "3, 5, and 7"), ("3, 5, 7", r"\{3,5,7\}"), (r"\{1\pm\sqrt{5},-2\}", r"-2, 1+\sqrt{5}, 1-\sqrt5"),
    (r"1 \pm \sqrt{19}", r"1-\sqrt{19}, 1+\sqrt{19}"), (r"3 \pm 2 \sqrt{2}", r"3\pm\sqrt{8}"), (r"\pm 5", "5, -5"), ("-2,-2", "-2,-2"),
    ("$221$,$8$", "8, 221"), ("105, 107", "105,107"), (r"\frac{1}{2},\sqrt{x}", r"\sqrt{x}, 0.5"),
    ("(-1,6)", r"\left(-1, 6\right)"), (r"\left( 3, \frac{\pi}{2} \right)", r"(3, \pi/2)"), ("(2,251,252)", "(2, 251, 252)"),
    ("(1,2)", "(x,y)=(1,2)"),
    ("(1,1), (3,2)", "(3,2),(1,1)"), (r"(3,4]", r"\left(3,4\right]"), ("(5,\\infty)", "(5, +\\infty)"),
    (r"(-\infty, 2) \cup (3, \infty)", r"(3,\infty)\cup(-\infty,2)"),
    (r"x \in [-2,7]", "[-2,7]"), ("[-2,7]", r"x\in[-2,7]"), ("[-2,7]", r"-2 \le x \le 7"), ("(5,\\infty)", "x>5"), (r"k \geqslant 2", r"k \ge 2"),
    (r"k \geqslant 2", r"2 \le k"), (r"(-\infty, 0) \cup\{1\}", r"\{1\}\cup(-\infty,0)"), ("(1,2)", r"\langle 1, 2 \rangle"),
    (r"\begin{pmatrix} -1 & 0 \\ 0 & -1 \end{pmatrix}", r"\begin{bmatrix}-1&0\\0&-1\end{bmatrix}"),
    (r"\begin{pmatrix} 1/5 \\ -18/5 \end{pmatrix}", r"\begin{pmatrix}\frac{1}{5}\\-\frac{18}{5}\end{pmatrix}"),
    # inequalities
    ("x>3", r"(3,\infty)"), ("x>3", "3<x"), (r"x \le -1", r"(-\infty,-1]"), (r"(-\infty,-1]", r"x \leq -1"), ("0<x<4", "(0,4)"), ("(0,4)", "0<x<4"),
    ("0<x<4", "4>x>0"), ("[1,9)", r"1 \le t < 9"), (r"x\ge 2.5", r"x \geq \frac{5}{2}"), (r"x<2 \text{ or } x>5", r"(-\infty,2)\cup(5,\infty)"),
    (r"(-\infty,2)\cup(5,\infty)", "x<2 or x>5"), (r"a \ge \frac{1}{2}", r"[\frac12,\infty)"), ("x+y<4", "y+x<4"), ("x+y<4", "4>x+y"),
    (r"2x+4y \le 6", r"x+2y \le 3"), (r"a^2+b^2 \ge 2ab", r"2ab \le a^2+b^2"), (r"x \ne 3", r"x \neq 3"), (r"x \in (0,4)", "0<x<4"),
    (r"\mathbb{R}", r"(-\infty,\infty)"), (r"(-\infty,\infty)", r"\text{all real numbers}"),
    # lists and several answers
    ("2,4,8", "8, 4, 2"), ("2, 4, 8", r"2,\ 4,\ 8"), ("2,4,8", r"2, 4 \text{ and } 8"), (r"\frac12, -3", "-3, 0.5"),
    (r"x=2 \text{ or } x=-7", "-7, 2"),
    ("2,-7", "x=2, x=-7"), ("2,-7", "x_1 = 2, x_2 = -7"), ("0,1", "1 and 0"), ("a,b", "b, a"), ("12; 15", "15, 12"), ("101, 103, 107", "107,103,101"),
    ("1000, 2000", r"1,000 \text{ and } 2,000"), ("3, 3, 4", "4,3,3"), (r"x-1, x+1", "x+1,x-1"),
    # plus or minus
    (r"\sqrt2,-\sqrt2", r"\pm\sqrt{2}"), (r"\pm\sqrt2", r"x = \pm\sqrt{2}"), (r"\pm 3i", "3i, -3i"),
    (r"2\pm\frac{\sqrt3}{2}", r"\frac{4\pm\sqrt3}{2}"),
    (r"\frac{-1 \pm \sqrt{5}}{2}", r"\frac{-1-\sqrt5}{2}, \frac{-1+\sqrt5}{2}"), (r"5 \pm 2", "3, 7"), (r"\pm 4", "±4"),
    # sets
    (r"\{1,2,3\}", r"\{3,1,2\}"), (r"\{1,2,3\}", r"\left\{1,2,3\right\}"), (r"\{1,2,3\}", "1,2,3"), (r"\emptyset", r"\varnothing"),
    (r"\emptyset", r"\{\}"),
    (r"\{\}", "∅"), (r"\{5\}", "5"), ("5", r"\{5\}"), (r"\{0.5, 2\}", r"\{2, \frac12\}"), (r"\{1,2\}\cup\{3\}", r"\{1,2,3\}"),
    (r"x \in \{1, 4\}", "1, 4"),
    (r"\emptyset", r"\text{no solution}"), (r"\{(1,2),(3,4)\}", "(3,4),(1,2)"), (r"\{a, b\}", r"\{b, a\}"),
    # tuples and points
    ("(2,-3)", r"\left(\frac{4}{2},-3\right)"), ("(2,-3)", "x=2, y=-3"), ("(x,y)=(2,-3)", "(2,-3)"), ("(2,-3)", r"x = 2 \text{ and } y = -3"),
    ("(0.5,0.25)", r"\left(\tfrac12,\tfrac14\right)"), ("(1,0,-1)", "(1, 0, -1)"), ("A=(1,4)", "(1,4)"), ("(a+b,ab)", "(b+a, ba)"),
    (r"(\sqrt{8},\pi)", r"(2\sqrt2, π)"), ("(0,0),(4,2)", "(4,2), (0,0)"), ("(0,0),(4,2)", r"(0,0) \text{ and } (4,2)"),
    (r"\langle 3,-1,2\rangle", "(3,-1,2)"),
    # intervals and unions
    ("[0,1)", r"\left[0,1\right)"), (r"[\frac12,3]", "[0.5,3]"), (r"[0,1]\cup[2,3]", r"[2,3] \cup [0,1]"),
    (r"[-\sqrt3,\sqrt3]", "[-3^{1/2}, 3^{1/2}]"),
    (r"(-\infty,-2)\cup(-2,\infty)", r"(-\infty, -2) \cup (-2, +\infty)"), (r"(-2\pi, 2\pi)", "(-2π, 2π)"), (r"[1,2]\cup\{5\}", r"\{5\}\cup[1,2]"),
    # matrices
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{bmatrix} 1 & 2 \\ 3 & 4 \end{bmatrix}"),
    (r"\begin{pmatrix}0.5&0\\0&2\end{pmatrix}", r"\begin{pmatrix}\frac12&0\\0&2\end{pmatrix}"),
    (r"\begin{pmatrix}3\\-1\\2\end{pmatrix}", r"\left(\begin{array}{c}3\\-1\\2\end{array}\right)"),
    (r"\begin{pmatrix}\cos t&-\sin t\\\sin t&\cos t\end{pmatrix}", r"\begin{bmatrix}\cos t & -\sin t\\ \sin t & \cos t\end{bmatrix}"),
    (r"A=\begin{pmatrix}1&0\\0&1\end{pmatrix}", r"\begin{pmatrix}1&0\\0&1\end{pmatrix}"),
    (r"\begin{pmatrix}x+1\\2x\end{pmatrix}", r"\begin{pmatrix}1+x\\x+x\end{pmatrix}"),
    ("(3,4)", r"\{(3,4)\}"), ("x=2, y=3", "y=3, x=2"), (r"n\ge 5", "n>=5"),
)  # fmt: skip

DIFFERENT: tuple[tuple[str, str], ...] = (
    ("1,-2", "1"), ("1,-2", "1, 2"), ("1,-2", "1, -2, 3"), ("1,-2", "(1,-2)"), ("-2,-2", "-2"), ("3, 5, 7", "3, 5"), ("3, 5, 7", "3, 5, 5"),
    ("1", "1, 1"),
    ("(-1,6)", "(6,-1)"), ("(-1,6)", "[-1,6]"), ("(-1,6)", "-1,6"), ("(3,4]", "[3,4]"), ("(3,4]", "(3,4)"), ("(3,4]", "(3,5]"), ("(1,2,3)", "(1,2)"),
    (r"(0,9) \cup (9,36)", r"(0,9] \cup (9,36)"), (r"(0,9) \cup (9,36)", r"(1,9) \cup (9,36)"), (r"(0,9) \cup (9,36)", "(0,36)"),
    ("[-2,7]", r"-2 < x \le 7"),
    ("(5,\\infty)", r"x \ge 5"), ("(5,\\infty)", "x<5"), (r"k \geqslant 2", "k > 2"), (r"k \geqslant 2", r"k \le 2"), (r"k \geqslant 2", "2"),
    (r"(-\infty,5)", r"(\infty,5)"),
    (r"1 \pm \sqrt{19}", r"1 + \sqrt{19}"), (r"1 \pm \sqrt{19}", r"1 \pm \sqrt{17}"), (r"\{1,2\}", r"\{1,3\}"), ("105107", "105, 107"),
    (r"\begin{pmatrix} -1 & 0 \\ 0 & -1 \end{pmatrix}", r"\begin{pmatrix}-1&0\\0&1\end{pmatrix}"),
    (r"\begin{pmatrix} 1 & 2 \end{pmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}"),
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{vmatrix}1&2\\3&4\end{vmatrix}"), ("(1,1), (3,2)", "(1,1), (2,3)"), ("(1,2,3)", "123"),
    # inequalities
    ("x>3", "x<3"), ("x>3", r"x\ge 3"), ("x>3", r"[3,\infty)"), ("x>3", "3"), ("x>3", "x>4"), ("x>3", r"(-\infty,3)"), ("0<x<4", "0<x<5"),
    ("0<x<4", r"0\le x<4"),
    ("0<x<4", "x<4"), ("(0,4)", "[0,4]"), ("(0,4)", "(4,0)"), ("(0,4)", r"0 \le x \le 4"), ("[1,9)", "(1,9]"), ("[1,9)", r"1 \le t \le 9"),
    (r"x<2 \text{ or } x>5", "2<x<5"), (r"(-\infty,2)\cup(5,\infty)", r"(-\infty,2]\cup[5,\infty)"), (r"(-\infty,2)\cup(5,\infty)", r"(-\infty,2)"),
    (r"(-\infty,2)\cup(5,\infty)", "(2,5)"), ("x+y<4", "x-y<4"), ("x+y<4", "x+y>4"), ("x+y<4", "-x-y<-4"), ("x+y<4", r"x+y \le 4"),
    (r"x\ne 3", "x=3"),
    (r"x\ne 3", r"x \ne -3"), (r"x \ne 3", "3"), (r"\mathbb{R}", r"\mathbb{Z}"), (r"\mathbb{R}", r"(0,\infty)"),
    # lists and several answers
    ("2,4,8", "2,4"), ("2,4,8", "2,4,8,16"), ("2,4,8", "2,4,9"), ("2,4,8", "2,2,4,8"), ("2,4,8", "248"), ("2,4,8", "(2,4,8)"),
    ("2,4,8", r"2,4,\ldots,8"),
    ("2,4,8", r"2,4,8,\ldots"), ("2,-7", "2,7"), ("2,-7", "-2,7"), ("2,-7", "2 - 7"), ("2,-7", r"2 \text{ and } 2"), ("x=2, x=-7", "x=2"),
    ("5,5,6", "5,6"),
    ("5,6", "5,5,6"), ("5,6,6", "5,5,6"), ("7", "7, 7"), ("0, 1", "1"), ("1000, 2000", "1000"), ("10002000", "1000, 2000"), ("x-1, x+1", "x-1, x-1"),
    # plus or minus
    (r"\sqrt2,-\sqrt2", r"\sqrt2"), (r"\pm 3", "3"), (r"\pm 3", "-3"), (r"\pm 3", r"\pm 4"), (r"\pm 3", "3, 3"), ("3", r"\pm 3"),
    (r"2\pm\sqrt3", r"-2\pm\sqrt3"),
    (r"2\pm\sqrt3", r"2+\sqrt3, -2-\sqrt3"),
    # sets
    (r"\{1,2,3\}", r"\{1,2\}"), (r"\{1,2,3\}", r"\{1,2,4\}"), (r"\emptyset", "0"), (r"\emptyset", r"\{0\}"), (r"\emptyset", r"\{\emptyset\}"),
    ("0", r"\emptyset"),
    ("0", r"\{\}"), (r"\{5\}", r"\{5,6\}"), (r"\{1,2\}", "[1,2]"), (r"\{1,2\}", "(1,2)"), ("[1,2]", r"\{1,2\}"),
    (r"\{(1,2),(3,4)\}", r"\{(2,1),(4,3)\}"),
    (r"\{(1,2),(3,4)\}", r"\{1,2,3,4\}"), (r"\{1,2\}\cup\{3\}", r"\{1,2\}"), (r"x \in \{1, 4\}", r"x \in [1,4]"),
    # tuples and points
    ("(2,-3)", "(-3,2)"), ("(2,-3)", "(2,3)"), ("(2,-3)", "(2,-3,0)"), ("(2,-3)", "2"), ("(2,-3)", "x=-3, y=2"), ("(1,0,-1)", "(-1,0,1)"),
    ("(1,0,-1)", "(1,-1,0)"),
    ("(0,0),(4,2)", "(0,0)"), ("(0,0),(4,2)", "(0,0),(2,4)"), ("(0,0),(4,2)", "(0,0,4,2)"), ("(a+b,ab)", "(ab,a+b)"), ("(0.5,0.25)", "(0.5,0.2)"),
    # intervals and unions
    ("[0,1)", "[0,1]"), ("[0,1)", "[0,2)"), ("[0,1)", "[-1,0)"), (r"[0,1]\cup[2,3]", "[0,3]"), (r"[0,1]\cup[2,3]", r"[0,1]\cap[2,3]"),
    (r"[0,1]\cup[2,3]", "[0,1],[2,4]"), (r"(-\infty,-2)\cup(-2,\infty)", r"(-\infty,\infty)"), (r"[1,2]\cup\{5\}", r"[1,2]\cup\{6\}"),
    (r"(-\infty,0]", r"[0,\infty)"), (r"(1,\infty)", "1"),
    # matrices
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&3\\2&4\end{pmatrix}"), (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", "(1,2,3,4)"),
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&2&3&4\end{pmatrix}"), (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", "-2"),
    (r"\begin{pmatrix}3\\-1\\2\end{pmatrix}", r"\begin{pmatrix}3\\1\\2\end{pmatrix}"), (r"\langle 3,-1,2\rangle", r"\langle 3,1,2\rangle"),
    (r"\begin{pmatrix}\cos t&-\sin t\\\sin t&\cos t\end{pmatrix}", r"\begin{pmatrix}\cos t&\sin t\\-\sin t&\cos t\end{pmatrix}"),
    # a decimal point is no comma; names differ
    ("1,5", "1.5"), ("3,75", "3.75"), ("x>2", "y>2"), ("(2,3)", "x=3, y=2"), ("x=2, y=3", "x=3, y=2"), ("|x|<2", "|x|>2"), ("a<b<c", "a<c<b"),
)  # fmt: skip
