"""Pairs (gold, answer): expressions that are equal as mathematics, and their neighbours."""

EQUAL: tuple[tuple[str, str], ...] = (
    (r"2\sqrt{5}", r"\sqrt{20}"), (r"\frac{\sqrt{3}}{3}", r"\frac{1}{\sqrt{3}}"), (r"\sqrt2", r"\sqrt{2}"), (r"70 \sqrt{2}", r"70\sqrt2"),
    (r"2\sqrt{5}", "2√5"), (r"12\pi", "12π"), (r"\frac{\pi}{2}", r"\pi/2"), ("pi/2", r"\frac{\pi}{2}"), (r"3\pi", r"\pi \cdot 3"),
    ("6-5i", "-5i+6"), ("(a+5)(b+2)", "(b+2)(a+5)"), ("(a+5)(b+2)", "ab+2a+5b+10"), ("8n^2+4n+1", "4n(2n+1)+1"), ("2k+2", "2(k+1)"),
    ("x^3+3x-6", "3x + x^{3} - 6"), (r"\frac{11+9a}{20}", r"\frac{9a}{20}+\frac{11}{20}"), (r"\cot x", r"\frac{\cos x}{\sin x}"),
    (r"\sin 2x", r"2\sin x\cos x"), (r"\ln 4", r"2\ln 2"), (r"\log_{2} 8n", r"3+\log_2 n"), (r"e^{-2t}", r"\frac{1}{e^{2t}}"),
    (r"\exp(2t)", "e^{2t}"), ("2^{1009}", r"2\cdot 2^{1008}"), (r"\binom{2n}{n}", r"\frac{(2n)!}{n!n!}"), (r"\frac{n(n+1)}{2}", r"\frac{n^2+n}{2}"),
    (r"5 \sqrt[3]{4}", r"5\cdot 4^{1/3}"), (r"\gamma^{2}-1", r"-1+\gamma^2"), (r"\frac{1}{s+a}", "1/(s+a)"), ("5r^5", "5r^{5}"),
    (r"\frac{3840}{289}", "3840/289"), (r"\frac{20000}{\pi}", r"20000/\pi"), (r"|x-1|", r"\left|1-x\right|"), ("10!", "3628800"),
    (r"\sin^2 x+1", r"2-\cos^{2}x"), (r"\lfloor\frac{2 n-1}{5}\rfloor", r"\left\lfloor (2n-1)/5 \right\rfloor"), ("x^2", "x²"),
    (r"1-\frac{1}{\mathrm{e}}", r"1-e^{-1}"), (r"\frac{1}{2} X^{-\frac{1}{2}}", r"\frac{1}{2\sqrt{X}}"), ("52_8", "52_{8}"), ("52_8", "52"),
    ("5x - 7y + 11z + 4 = 0", "-5x+7y-11z-4=0"), ("5x - 7y + 11z + 4 = 0", "10x-14y+22z=-8"), ("y=2x+3", "2x-y+3=0"), ("y=2x", "x=y/2"),
    (r"\infty", "∞"),
    # polynomials and rational expressions
    ("(x+3)^2", "x^2+6x+9"), ("x^2-5x+6", "(x-2)(x-3)"), ("(2x-1)(x+4)", "2x^2+7x-4"), ("x^4-1", "(x-1)(x+1)(x^2+1)"),
    ("a^3-b^3", "(a-b)(a^2+ab+b^2)"),
    ("-x^2+4", "4-x^2"), ("3xy", "3yx"), ("3(x+y)^2", "3x^2+6xy+3y^2"), ("x(x-1)(x-2)", "x^3-3x^2+2x"), ("n^2+(n+1)^2", "2n^2+2n+1"), ("abc", "cba"),
    (r"\frac{x^2-1}{x-1}", "x+1"), (r"\frac{1}{x}+\frac{1}{y}", r"\frac{x+y}{xy}"), (r"\frac{1}{1-r}", r"\frac{-1}{r-1}"),
    ("x^{-2}", r"\frac{1}{x^2}"),
    (r"\frac{2x}{x^2-4}", r"\frac{1}{x-2}+\frac{1}{x+2}"), (r"\frac{a}{b/c}", r"\frac{ac}{b}"), (r"\frac{n}{2n+1}", "n/(2n+1)"),
    # radicals
    (r"\sqrt{48}", r"4\sqrt{3}"), (r"\frac{6}{\sqrt{2}}", r"3\sqrt{2}"), (r"\frac{1}{\sqrt{5}-2}", r"\sqrt{5}+2"), (r"\sqrt[3]{54}", r"3\sqrt[3]{2}"),
    (r"\sqrt{7+4\sqrt{3}}", r"2+\sqrt{3}"), ("x^{2/3}", r"\sqrt[3]{x^2}"), (r"\sqrt{8}+\sqrt{2}", r"3\sqrt{2}"),
    (r"\frac{\sqrt{6}}{3}", r"\sqrt{\frac{2}{3}}"),
    ("8^{1/3}", "2"), (r"\sqrt{144}", "12"), (r"\frac{1+\sqrt5}{2}", r"0.5(1+\sqrt{5})"),
    # exponentials and logarithms
    ("e^{2x}", "(e^x)^2"), (r"\ln 12", r"\ln 3 + 2\ln 2"), (r"\log_2 8", "3"), (r"\log_{10} 50", r"1+\log_{10} 5"),
    (r"\frac{\ln 5}{\ln 2}", r"\log_2 5"),
    (r"e^{\ln 7}", "7"), ("2^{n+3}", r"8\cdot 2^n"), ("4^n", "2^{2n}"), (r"\ln\frac{1}{2}", r"-\ln 2"), ("e^{-1}", r"\frac1e"),
    ("10^{x+1}", r"10 \cdot 10^x"),
    ("e^{x}e^{y}", "e^{x+y}"), (r"\log_3 \frac{1}{9}", "-2"),
    # trigonometry
    (r"\cos 2x", r"1-2\sin^2 x"), (r"\cos 2x", r"\cos^2 x-\sin^2 x"), (r"\tan x", r"\frac{\sin x}{\cos x}"), (r"\sec^2\theta", r"1+\tan^2\theta"),
    (r"\sin(a+b)", r"\sin a\cos b+\cos a\sin b"), (r"\sin 3x", r"3\sin x-4\sin^3 x"), (r"\cos\frac{\pi}{6}", r"\frac{\sqrt3}{2}"),
    (r"\sin\frac{\pi}{12}", r"\frac{\sqrt6-\sqrt2}{4}"), (r"\arctan 1", r"\frac{\pi}{4}"), (r"\tan^{-1}(2)", r"\arctan 2"),
    (r"\sin(\pi - x)", r"\sin x"),
    (r"-\cos x", r"\cos(x+\pi)"), (r"\csc x", r"\frac{1}{\sin x}"), (r"\frac{1-\cos 2x}{2}", r"\sin^2 x"), (r"\cosh x", r"\frac{e^x+e^{-x}}{2}"),
    (r"\arcsin\frac{1}{2}", r"\frac{\pi}{6}"),
    # complex numbers
    ("3+4i", "4i+3"), ("(2+i)^2", "3+4i"), (r"\frac{1}{1+i}", r"\frac{1-i}{2}"), (r"e^{i\pi}", "-1"),
    (r"e^{i\pi/3}", r"\frac{1}{2}+\frac{\sqrt3}{2}i"),
    ("i^3", "-i"), (r"\frac{1}{i}", "-i"), (r"\sqrt{-9}", "3i"), (r"2\left(\cos\frac{\pi}{2}+i\sin\frac{\pi}{2}\right)", "2i"), ("|3+4i|", "5"),
    # factorials, binomials, bars, signs
    (r"\binom{10}{3}", "120"), (r"\binom{n}{2}", r"\frac{n(n-1)}{2}"), (r"\binom{n}{k}", r"\binom{n}{n-k}"), (r"\frac{(n+1)!}{n!}", "n+1"),
    ("5!+1", "121"),
    (r"\binom{12}{5}", r"\frac{12!}{5!7!}"), (r"n\cdot (n-1)!", "n!"), ("56", r"{8 \choose 3}"), ("|a-b|", "|b-a|"), ("|-3|", "3"), ("|2x|", "2|x|"),
    (r"\sqrt{x^2}", "|x|"), ("(-1)^{n+1}", "-(-1)^n"), ("(-1)^{n+2}", "(-1)^n"), (r"\cos n\pi", "(-1)^n"),
    # floors and ceilings
    (r"\lceil n/2 \rceil", r"\lfloor (n+1)/2 \rfloor"), (r"\lfloor n/2\rfloor + \lceil n/2 \rceil", "n"), (r"\lfloor \pi \rfloor", "3"),
    (r"\left\lfloor \frac{n}{3}\right\rfloor+1", r"\left\lfloor\frac{n+3}{3}\right\rfloor"), (r"\lceil \sqrt{50} \rceil", "8"),
    (r"\lfloor -1.5 \rfloor", "-2"),
    (r"\lfloor \frac{n^2}{4} \rfloor", r"\lfloor \frac n2 \rfloor \lceil \frac n2 \rceil"),
    # sums, integrals and limits as they stand
    (r"\sum_{k=1}^{n} k^2", r"\sum_{i=1}^{n} i^2"), (r"\int_0^1 x^2\,dx", r"\int_{0}^{1} t^2 dt"),
    (r"\int_0^{\pi} \sin x \, dx", r"\int_0^\pi \sin x\,dx"),
    (r"\sum_{k=0}^{\infty} \frac{1}{k!}", r"\sum_{n=0}^{\infty}\frac{1}{n!}"), (r"\prod_{k=2}^{n} (k+1)", r"\prod_{j=2}^{n}(1+j)"),
    (r"\lim_{x\to 0}\frac{\sin x}{x}", r"\lim_{t \to 0}\frac{\sin t}{t}"), (r"\int_a^b f(x)\,dx", r"\int_{a}^{b} f(t)\,dt"),
    # parameters
    (r"\frac{\epsilon_0 A}{d}", r"A\epsilon_{0}/d"), (r"\alpha_1+\alpha_2", r"\alpha_{2}+\alpha_{1}"),
    (r"\mu_0 I/(2\pi r)", r"\frac{\mu_{0} I}{2\pi r}"),
    (r"\sqrt{\frac{k}{m}}", r"\left(\frac{k}{m}\right)^{1/2}"), (r"\frac{1}{2}mv^2", r"\frac{mv^{2}}{2}"), (r"\frac{GMm}{r^2}", "GMmr^{-2}"),
    (r"\omega_0 \sin(\omega t)", r"\sin(\omega t)\,\omega_0"), (r"\rho g h", r"gh\rho"), ("x_1^2", "x_{1}^{2}"), (r"\hbar\omega", r"\omega\hbar"),
    ("C_1 e^{-t}+C_2 e^{2t}", "C_2e^{2t}+C_1e^{-t}"), (r"\dot{\theta}^2", r"\dot\theta^2"), (r"\gamma mc^2", r"mc^2\gamma"),
    (r"v_{\text{max}}", r"v_{\mathrm{max}}"),
)  # fmt: skip

DIFFERENT: tuple[tuple[str, str], ...] = (
    (r"\gamma^{2}-1", r"\gamma^{2}-2"), ("E_{1}", "E_{2}"), ("R", "r"), ("3R^2", "3r^2"), (r"70\sqrt{2}", "99"), (r"\pi", "3.14"),
    (r"\pi", r"\frac{22}{7}"),
    (r"2\sqrt{5}", r"2\sqrt{6}"), (r"\sqrt{51}", r"\sqrt{-51}"), ("6-5i", "6+5i"), ("2k+2", "2k+1"), ("2k", "2n"), ("(a+5)(b+2)", "(a+5)(b-2)"),
    ("|x|", "x"),
    (r"\sin x", r"\cos x"), (r"\ln 2", r"\log_{10} 2"), ("I(0)", "0"), ("e^{-2t}", "e^{2t}"), (r"\binom{2n}{n}", r"\binom{2n}{2}"), ("x^2", "x_2"),
    ("x^2", "x2"),
    # polynomials and rational expressions
    ("(x+3)^2", "x^2+9"), ("(x+3)^2", "(x-3)^2"), ("x^2-5x+6", "(x-2)(x+3)"), ("x^2-5x+6", "x^2-5x-6"), ("x^4-1", "x^4+1"), ("a^3-b^3", "(a-b)^3"),
    ("n^2+(n+1)^2", "2n^2+2n"), ("x(x-1)(x-2)", "x(x-1)"), ("3xy", "3x+y"), ("x^2", "2x"), ("x^{12}", "x^{21}"), ("x^2y", "xy^2"), ("x+1", "y+1"),
    ("2x+1", "2x+1.0000001"), ("N", "n"), ("x^{10}", "x^{9}"), (r"\frac{1}{x}+\frac{1}{y}", r"\frac{1}{x+y}"), (r"\frac{1}{1-r}", r"\frac{1}{1+r}"),
    (r"\frac{x+1}{x-1}", r"\frac{x-1}{x+1}"), (r"\frac{n}{2n+1}", r"\frac{n}{2n-1}"), ("x^{-2}", "-x^2"),
    # radicals
    (r"\sqrt{48}", r"3\sqrt{4}"), (r"\sqrt{48}", "6.928"), (r"\sqrt{5}+2", r"\sqrt{5}-2"), (r"\sqrt[3]{54}", r"\sqrt{54}"),
    (r"2+\sqrt{3}", r"\sqrt{5}"),
    (r"\sqrt{a^2+b^2}", "a+b"), ("x^{2/3}", "x^{3/2}"), (r"\frac{1+\sqrt5}{2}", "1.618"), (r"\frac{1+\sqrt5}{2}", r"\frac{1-\sqrt5}{2}"),
    (r"\sqrt{2}+\sqrt{3}", r"\sqrt{10}"),
    # exponentials and logarithms
    ("e^{2x}", "e^{x^2}"), (r"\ln 12", r"\ln 3\ln 4"), (r"\log_2 5", r"\log_5 2"), ("2^{n+3}", "2^{n}+3"), ("2^{n+3}", r"6\cdot 2^n"), ("4^n", "4n"),
    ("e^{-1}", "-e"), (r"\ln(a+b)", r"\ln a+\ln b"), ("2^{100}", "2^{101}"), ("2^{100}", "1.27e30"), ("3^{50}-1", "3^{50}"), ("e^{x}", "e^{-x}"),
    # trigonometry
    (r"\cos 2x", r"2\cos x"), (r"\cos 2x", r"1-\sin^2 x"), (r"\sec^2\theta", r"1-\tan^2\theta"), (r"\sin(a+b)", r"\sin a+\sin b"),
    (r"\sin 3x", r"3\sin x"),
    (r"\cos\frac{\pi}{6}", r"\frac12"), (r"\tan x", r"\cot x"), (r"\tan^{-1}(2)", r"\frac{1}{\tan 2}"), (r"\arcsin\frac12", r"\frac{\pi}{3}"),
    (r"\sin^2 x", r"\sin x^2"), (r"\sin x", r"-\sin x"), (r"\cosh x", r"\cos x"),
    # complex numbers
    ("3+4i", "3-4i"), ("3+4i", "4+3i"), ("3+4i", "7"), ("3+4i", "5"), ("(2+i)^2", "5"), ("i^3", "i"), ("-i", "1"), (r"e^{i\pi/3}", r"e^{-i\pi/3}"),
    ("2i", "2"),
    # factorials, binomials, bars, signs
    (r"\binom{10}{3}", "720"), (r"\binom{n}{k}", r"\binom{k}{n}"), (r"\binom{n}{2}", r"\frac{n(n+1)}{2}"), ("n!", "(n-1)!"), ("(2n)!", "2n!"),
    ("5!", "15"),
    ("(2n)!", "2(n!)"), ("20!", "2432902008176640001"), (r"\frac{(n+1)!}{n!}", "n"), ("|a-b|", "a-b"), ("|x-1|", "|x+1|"), ("|x|", "-x"),
    ("|x+y|", "|x|+|y|"),
    ("(-1)^n", "-1"), ("(-1)^n", "1"), ("(-1)^{n+1}", "(-1)^n"),
    # floors and ceilings
    (r"\lfloor n/2\rfloor+1", r"\lceil n/2\rceil"), (r"\lfloor n/2 \rfloor", r"\frac{n}{2}"), (r"\lfloor n/2\rfloor", r"\lceil n/2\rceil"),
    (r"\lfloor \frac{n}{3}\rfloor+1", r"\lceil \frac{n}{3}\rceil"), (r"\lfloor 2n/3 \rfloor", r"2\lfloor n/3\rfloor"), (r"\lfloor x\rfloor", "x"),
    (r"\lfloor \frac{n+1}{2}\rfloor", r"\lfloor\frac{n+2}{2}\rfloor"), (r"\lfloor n\sqrt{2}\rfloor", r"\lfloor 1.414n \rfloor"),
    ("0", r"\lfloor n/14 \rfloor"),
    (r"\lfloor n/20 \rfloor", "0"), (r"\lceil n/15 \rceil", "1"),
    # sums, integrals and limits as they stand
    (r"\sum_{k=1}^{n} k^2", r"\sum_{k=0}^{n-1} k^2"), (r"\sum_{k=1}^{n} k^2", r"\sum_{k=1}^{n} k^3"), (r"\int_0^1 x^2\,dx", r"\int_0^2 x^2\,dx"),
    (r"\int_0^1 x^2\,dx", r"\int_1^0 x^2\,dx"), (r"\lim_{x\to 0}\frac{\sin x}{x}", r"\lim_{x\to \infty}\frac{\sin x}{x}"),
    (r"\prod_{k=2}^{n}(k+1)", r"\sum_{k=2}^{n}(k+1)"), (r"\sum_{k=0}^{\infty}\frac{1}{k!}", r"\sum_{k=1}^{\infty}\frac{1}{k!}"),
    (r"\int_a^b f(x)\,dx", r"\int_a^b g(x)\,dx"), (r"\int_0^1 x^2\,dx", r"\int_0^1 x^2\,dy"), (r"\int_0^1 x^2 y\,dx", r"\int_0^1 x^2 y\,dy"),
    # parameters
    (r"\frac{\epsilon_0 A}{d}", r"\frac{\epsilon_1 A}{d}"), (r"\alpha_1+\alpha_2", r"\alpha_1+\alpha_3"), (r"\mu_0 I/(2\pi r)", r"\mu_0 I/(4\pi r)"),
    (r"\sqrt{k/m}", r"\sqrt{m/k}"), (r"\rho g h", r"\rho g H"), (r"\gamma^2-1", r"\gamma-1"), (r"\gamma^{2}-1", r"\gamma^{2}-3"),
    (r"\frac{1}{\gamma}", r"\frac{2}{\gamma}"),
    (r"\beta", "B"), (r"\omega", "w"), (r"\frac12 mv^2", r"\frac12 mv"), (r"\frac{GMm}{r^2}", r"\frac{GMm}{r}"),
    ("C_1e^{-t}+C_2e^{2t}", "C_1e^{-t}-C_2e^{3t}"),
    (r"\dot{\theta}^2", r"\ddot{\theta}"), ("M", "m"), (r"\Delta", r"\delta"), ("x_1^2", "x_2^2"), ("x_{12}", "x_{21}"), ("x_1 x_2", "x_{12}"),
    ("a_{n+1}", "a_n+1"),
)  # fmt: skip
