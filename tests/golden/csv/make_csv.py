#!/usr/bin/env python3
"""Golden file for the CSV reader: hard inputs and what Python's csv module (strict) makes of them.

Run from anywhere: python3 make_csv.py > csv.json
Blank lines are dropped, as the reader drops them; a lone CR is left out, since csv ends a line there and the reader does not.
"""
import csv
import io
import json
import platform
import random

HAND = [
    ("plain", "a,b\n1,2\n"),
    ("no final line end", "a,b\n1,2"),
    ("crlf", "a,b\r\n1,2\r\n"),
    ("mixed line ends", "a,b\r\n1,2\n3,4"),
    ("empty cells", ",\n,\n"),
    ("quoted", '"a","b"\n"1","2"\n'),
    ("doubled quotes", '"say ""hi""",x\n'),
    ("only doubled quotes", '"""","""""",""""""""\n'),
    ("empty quoted", '"",""\n'),
    ("quoted separator", '"a,b",c\n'),
    ("quoted line end", '"a\nb",c\n'),
    ("quoted crlf", '"a\r\nb",c\r\n'),
    ("quoted blank lines", '"\n\n\n",c\n\n"x",y\n'),
    ("quote inside an unquoted cell", 'a"b,c""d,e"\n'),
    ("space before a quote", ' "a", "b"\n'),
    ("text after a closing quote", '"a"b,c\n'),
    ("space after a closing quote", '"a" ,c\n'),
    ("quote after a closing quote and text", '"a"b"c\n'),
    ("unclosed at the end", 'a,"b\n'),
    ("unclosed over lines", '"a\nb,c\nd'),
    ("lone quote", '"'),
    ("three quotes", '"""'),
    ("four quotes", '""""'),
    ("quote then end of file", 'a,""'),
    ("blank lines", "\n\na,b\n\n\r\nc,d\n\n"),
    ("only blank lines", "\n\r\n\n"),
    ("nothing", ""),
    ("trailing separator", "a,b,\n1,2,\n"),
    ("ragged", "a,b\n1,2,3\n"),
    ("non-ascii", "caf\u00e9,\u4f60\u597d\n\"\U0001f600\",\"\u2028\"\n"),
    ("nul byte", "a\0b,\"c\0d\"\n"),
    ("other line separators stay", "a\x0bb,c\x0cd\x1ce\x85f\u2028g\n"),
    ("quoted last cell without line end", 'a,"b\n"'),
    ("long cell", '"' + "x" * 5000 + '""' + "y" * 3000 + '",z\n'),
    ("many cells", ",".join(str(i) for i in range(500)) + "\n"),
]


def read(text, delimiter, no_quotes):
    quoting = csv.QUOTE_NONE if no_quotes else csv.QUOTE_MINIMAL
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True))
    except csv.Error:
        return None
    return [row for row in rows if row]


def main():
    rng = random.Random(5)
    cases = [(name, text, sep, plain) for name, text in HAND for sep, plain in ((",", False), (",", True))]
    cases += [(name + ", tabs", text.replace(",", "\t"), "\t", plain) for name, text in HAND[:12] for plain in (False, True)]
    pieces = ["a", "b c", ",", ",", '"', '"', '""', "\n", "\r\n", "\u00e9", ""]
    for i in range(700):
        text = "".join(rng.choice(pieces) for _ in range(rng.randint(1, 14)))
        cases.append((f"random {i}", text, ",", rng.random() < 0.15))
    for i in range(300):  # well-formed tables of nasty cells
        cols = rng.randint(1, 4)
        out = io.StringIO(newline="")
        writer = csv.writer(out, lineterminator=rng.choice(["\n", "\r\n"]), quoting=rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
        for _ in range(rng.randint(1, 4)):
            writer.writerow(["".join(rng.choice(["x", '"', ",", "\n", " ", "\u00fc"]) for _ in range(rng.randint(0, 6))) for _ in range(cols)])
        cases.append((f"written {i}", out.getvalue(), ",", False))
    golden = [{"name": n, "text": t, "sep": s, "no_quotes": q, "rows": read(t, s, q)} for n, t, s, q in cases]
    print(json.dumps({"python": platform.python_version(), "cases": golden}, ensure_ascii=False, separators=(",", ":")))


main()
