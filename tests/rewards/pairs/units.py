"""Pairs (gold, answer): percent, currency, units, angles, times of day, ratios."""

EQUAL: tuple[tuple[str, str], ...] = (
    (r"\$18.90", "18.90"), (r"\$18.90", "18.9"), ("36", r"\$36"), (r"\$36", r"36 \text{ dollars}"), (r"5.4 \text{ cents}", "5.4"),
    (r"15\mbox{ cm}^2", "15"), (r"15\mbox{ cm}^2", r"15 \text{ cm}^2"), ("15", r"15\text{ cm}^{2}"),
    (r"864 \mbox{ inches}^2", r"864\text{ in}^2"), ("12", "12 cm"), ("12", r"12\,\mathrm{cm}"), ("7", r"7 \text{ apples}"),
    ("7", "7 students"), ("144", r"144 \text{ square feet}"), (r"\frac{270}7\text{ degrees}", r"\frac{270}{7}^\circ"),
    (r"90^\circ", "90"), ("90", r"90^{\circ}"), ("90", "90°"), (r"90^\circ", r"90 \text{ degrees}"), (r"8\%", "8"), ("8%", r"8\%"),
    ("17.5%", "17.5"), ("17.5%", "0.175"), ("62.5%", r"62.5\%"), ("50", r"50\%"), ("0.25", "25%"), ("8", "8 percent"),
    # percent
    ("25%", "25"), ("25%", "0.25"), ("25%", r"\frac{1}{4}"), (r"37.5\%", r"\frac{3}{8}"), ("0.4%", "0.4"), ("0.4%", "0.004"), ("150%", "1.5"),
    ("150%", "150"), (r"33\frac{1}{3}\%", r"33\tfrac{1}{3}\%"), (r"33\frac13\%", r"\frac13"), (r"33\frac13\%", r"\frac{100}{3}\%"), ("60", r"60\%"),
    ("12.5", r"12.5\%"), ("0.07", "7%"), (r"\frac{3}{5}", r"60\%"), (r"\frac{7}{4}", r"175\%"), ("80", "80 percent"),
    (r"45\%", r"45 \text{ percent}"),
    (r"-20\%", "-20%"), ("25%", r"25\text{\%}"),
    # currency
    (r"\$4.50", "4.5"), (r"\$4.50", r"4.50 \text{ dollars}"), (r"\$1,250", "1250"), ("1250", r"\$1{,}250"), (r"\$0.75", "0.75"), ("€30", "30"),
    ("£8.40", "8.40"), ("8.4", "£8.40"), (r"\$12", "$12"), (r"\$12", "12 dollars"), (r"35\text{ cents}", "35"), ("35", "35¢"),
    ("35¢", r"35 \text{ cents}"),
    ("2.5 million", r"2.5 \text{ million}"), ("3000000", r"3 \text{ million}"), (r"\$\frac{9}{2}", r"\$4.50"),
    # lengths, masses, times, speeds
    ("18 cm", "18"), ("18", r"18\ \text{cm}"), (r"18\text{ cm}", r"18 \text{ centimeters}"), (r"7.2\text{ kg}", r"7.2\,\mathrm{kg}"),
    ("250 mL", "250"),
    ("3 hours", r"3 \text{ h}"), ("45 minutes", "45 min"), ("60 mph", r"60 \text{ mph}"), (r"60\text{ miles per hour}", "60"), ("20 years", "20"),
    (r"12\text{ m/s}", r"12\,\mathrm{m/s}"), (r"9.8 \text{ m/s}^2", r"9.8\ \mathrm{m/s^2}"), (r"9.8 \mathrm{~m} / \mathrm{s}^2", "9.8"),
    (r"9.8 \mathrm{~m} / \mathrm{s}^2", r"9.8 \text{ m/s}^2"), (r"120\text{ km/h}", "120"), (r"16\pi \text{ cm}^3", r"16\pi"),
    (r"16\pi", r"16\pi \text{ cubic centimeters}"), (r"24\text{ square units}", "24"), ("24", r"24 \text{ units}^2"), ("15 students", "15"),
    (r"\frac{5}{2}\text{ hours}", "2.5 hours"), (r"2\sqrt{3}\text{ m}", r"\sqrt{12}"), ("6", r"6 \text{ ways}"),
    ("24 square inches", r"24\text{ in}^2"),
    # physics
    (r"3.0 \times 10^8 \text{ m/s}", r"3 \times 10^{8}"), (r"6.63\times 10^{-34}\ \mathrm{J\cdot s}", "6.63e-34"), (r"13.6\ \mathrm{eV}", "13.6"),
    ("1.2e5", r"1.2 \times 10^{5} \text{ Pa}"), (r"4.5\times10^{-7}\text{ m}", r"4.5 \times 10^{-7}\,\mathrm{m}"), (r"273 \mathrm{~K}", "273"),
    (r"20^\circ\text{C}", r"20^\circ"), ("98.6", r"98.6^{\circ}\mathrm{F}"), ("2.0", r"2.0 \text{ eV}"), ("0.5", r"0.5 \mathrm{~mol/L}"),
    ("8", r"8 \text{ N}\cdot\text{m}"), ("55", r"55\ \mathrm{kg\,m^{-3}}"), ("7.35e22", r"7.35 \times 10^{22}\,\text{kg}"),
    # angles
    (r"45^\circ", "45"), ("45", r"45\degree"), (r"\frac{\pi}{4}", r"\frac{\pi}{4} \text{ radians}"), (r"\frac{\pi}{4}", r"\pi/4 \text{ rad}"),
    (r"22.5^\circ", r"22.5\text{ degrees}"), (r"\frac{45}{2}^\circ", "22.5°"), (r"-30^{\circ}", "-30"), (r"\sin 30^\circ", r"\frac{1}{2}"),
    (r"\tan 45^\circ", "1"), (r"\cos 60^\circ", "0.5"), (r"180^\circ - 2\alpha", r"-2\alpha + 180^{\circ}"),
    # times of day, ratios
    ("4:40 a.m.", "4:40 AM"), ("4:40 a.m.", r"4{:}40 \text{ a.m.}"), (r"\text{4:40 p.m.}", "4:40 PM"), (r"12:05\text{ p.m.}", "12:05 pm"),
    ("3:4", "3 : 4"), ("3:4", r"3\text{ to }4"), ("3:4", "3 to 4"), ("2:3:5", "2 : 3 : 5"), (r"5\colon 8", "5:8"),
    # two units
    ("2 hours 30 minutes", "2 h 30 min"), ("2 hours 30 minutes", r"2\text{ hours and }30\text{ minutes}"),
)  # fmt: skip

DIFFERENT: tuple[tuple[str, str], ...] = (
    ("8%", "800"), ("50", "0.5"), ("1", "100"), (r"5.4 \text{ cents}", r"5.4 \text{ dollars}"), (r"15\mbox{ cm}^2", r"15\text{ m}^2"),
    (r"90^\circ", r"90 \text{ radians}"),
    # percent
    ("25%", "2.5"), ("25%", "2500"), ("25%", "0.0025"), ("25%", "1/25"), ("25%", "75%"), ("25%", "-25%"), ("0.4%", "40"), ("0.4%", "0.04"),
    ("150%", "15"), ("60", "0.6"), ("60", r"0.6\%"), ("60", "6000%"), (r"\frac{3}{5}", r"\frac{3}{5}\%"), (r"\frac{3}{5}", r"6\%"), ("0.07", "0.07%"),
    ("0.07", r"70\%"), ("12.5", "1.25%"), (r"33\frac13\%", "33%"), (r"33\frac13\%", "33.3"), (r"33\frac13\%", "0.333"),
    # currency
    (r"\$4.50", "4.05"), (r"\$4.50", "450"), (r"\$4.50", r"4.50\text{ cents}"), (r"\$1,250", "1.25"), (r"35\text{ cents}", r"\$35"), ("€30", r"\$30"),
    ("£8.40", "€8.40"), ("1250", r"\$1,520"), ("2.5 million", "2.5 billion"), ("3000000", "3 billion"),
    # lengths, masses, times, speeds
    (r"18\text{ cm}", r"18\text{ mm}"), (r"18\text{ cm}", "1.8"), (r"18\text{ cm}", r"18\text{ cm}^2"), (r"7.2 \text{ kg}", r"7.2\text{ g}"),
    ("3 hours", "3 minutes"), ("45 minutes", "45 seconds"), (r"60\text{ mph}", r"60\text{ km/h}"), (r"24\text{ cm}^2", r"24\text{ cm}^3"),
    ("24 feet", "24 yards"), ("18 cm", "19 cm"), (r"16\pi\text{ cm}^3", r"16 \text{ cm}^3"), (r"16\pi", "50.27"), (r"9.8 \text{ m/s}^2", "98"),
    (r"2\text{ m}", r"2\text{ miles}"), ("5 days", "5 weeks"), ("4 pounds", "4 ounces"), ("2 years", "2 months"), ("3 liters", "3 milliliters"),
    ("120 km", "120 m"), (r"\frac{5}{2}\text{ hours}", "5.2 hours"),
    # physics
    (r"3.0 \times 10^8 \text{ m/s}", r"3.0 \times 10^7 \text{ m/s}"), (r"13.6\ \mathrm{eV}", r"-13.6\ \mathrm{eV}"),
    ("7.35e22", r"7.35 \times 22\,\text{kg}"),
    (r"6.63\times 10^{-34}\ \mathrm{J\cdot s}", r"6.36\times 10^{-34}\ \mathrm{J \cdot s}"), ("1.2e5", r"1.2\times 10^{-5}\text{ Pa}"),
    # angles
    (r"45^\circ", "54"), (r"\frac{\pi}{4}", r"\frac{\pi}{3}\text{ rad}"), (r"45^\circ", r"45\text{ radians}"),
    (r"180^\circ-2\alpha", r"180^\circ+2\alpha"),
    (r"45^\circ", r"135^\circ"), (r"\tan 45^\circ", "-1"), (r"\sin 30^\circ", r"\frac{\sqrt3}{2}"),
    # times of day, ratios
    ("4:40 a.m.", "4:40 p.m."), ("4:40 a.m.", "4:04 a.m."), (r"12:05\text{ p.m.}", r"12:50\text{ p.m.}"), ("7:30", "7:31"), ("7:30", "8:30"),
    ("6 p.m.", "6 a.m."), ("6 p.m.", "7 p.m."), ("3:4", "4:3"), ("3:4", "3:5"), ("2:3:5", "2:5:3"), ("2:3:5", "2:3"), ("3:4", "34"), ("1:2", "2"),
    # two units, words that scale, directions
    ("2 hours 30 minutes", "2 hours 20 minutes"), ("2 hours 30 minutes", "3 hours 30 minutes"), ("3 feet", "3 feet 1 inch"),
    ("2 million", "2 thousand"),
    ("2 million", "2 dozen"), ("12", r"12\text{ squared}"), (r"10 \text{ km north}", r"10 \text{ km south}"), ("5 m east", "5 m west"),
)  # fmt: skip
