# SPDX-License-Identifier: Apache-2.0
"""Random documents in YAML, JSON and dotenv, with the corners that people and readers trip over.

The same seed gives the same document. What is made is mostly right: some corners are refused by sops, by us or by
both, and the test that uses them says which.
"""
import json

NUMBERS = (
    "0 1 -1 +1 7 0123 -012 0o17 0x1F 0XfF 0b101 1_000 00 08 -0 9223372036854775807 9223372036854775808 "
    "18446744073709551615 18446744073709551616 -9223372036854775808 -9223372036854775809 123456789012345678901234567890 "
    "1.5 1.50 1e3 1E5 1e+3 .5 -.5 5. -0.0 0.1 3.0 1e21 1e-7 1.5e-9 123456789.123456789 1_0.5 100000000000000000000.0 "
    ".inf -.inf +.inf .Inf .nan .NaN 1e400 0.30000000000000004 5e-324"
).split()
WORDS = (
    "hello a#b a:b http://user:pw@host:1/p?q=1#f -x --- ...x ünï 😀 日本 <x> (y) a=b a,b [x {y} x] $HOME ${A} %d "
    "yes no on off y n Y True TRUE true False null Null ~ NULL 2024-01-02 2001-12-14t21:59:43.10-05:00 2024-1-2 2024-02-30 "
    "2024-01-02T03:04:05Z 12:30:45 1.2.3 1-2 0x 0xZZ 1e 1__0 _1 +x . .. = << ENC[x] a\\b a'b a\"b null_ tru"
).split()
PLAIN_LINES = ["two words", "a: b", "x # y", "ends with colon:", "trailing \\", "a - b", "? x", "it's", 'say "x"', "tab\there"]
BLOCKS = [
    "one\ntwo", "one\n\ntwo\n\n\nthree", "  deep\nflat" , "-----BEGIN KEY-----\nMIIB+/=\nabcd\n-----END KEY-----",
    "# not a comment\nx", "a: b\n- c", "tab\there\n\tindented", "ünï\n😀", "x", 'quotes " and \' and \\', "trailing space \nx",
]
KEYS = (
    "a b c d e name user password host port url list items data kind on_ yes_ no-dash under_score UPPER mixedCase x1 ünï 日本 "
    "a.b a/b a~b key-with-dash k#k k=k $k k:k <k> @x_ -k"
).split()
QUOTED_KEYS = ["with space", "with: colon", "a # b", "", "1", "true", "null", "quote\"d", "it's", "back\\slash", "tab\tkey", "~", "*star", "&amp", "[x]", "{y}", "!bang", "%p", "@at", "`tick", "😀 key", "ends:", "- dash"]
COMMENTS = ["# comment", "#no space", "# ünï 😀", "# key: value", "# - item", "## twice #", "# \"quoted\" 'x'", "# ENC[AES256_GCM,x]", "#\ttab", "# trailing  "]


def quoted(rng, text):
    """The text in double quotes, or in single ones where those can hold it."""
    if rng.random() < 0.4 and not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in text):
        return "'" + text.replace("'", "''") + "'"
    return json.dumps(text, ensure_ascii=rng.random() < 0.3 and all(ord(c) < 0x10000 for c in text))


class Yaml:
    """One document: `text` is what it looks like."""

    def __init__(self, rng, corners=True):
        self.rng = rng
        self.corners = corners
        self.step = rng.choice([2, 4, 4, 3])
        self.anchors = []
        self.lines = []
        self.room = rng.randint(3, 40)
        if corners and rng.random() < 0.1:
            self.lines.append("---")
        self.comment(0)
        self.block_map(0, 0)
        if corners and rng.random() < 0.3:
            self.comment(rng.choice([0, 0, self.step]))
        end = "\r\n" if corners and rng.random() < 0.1 else "\n"
        self.text = end.join(self.lines)
        if not corners or rng.random() < 0.9 or any(line[-1:] in "|>+-" for line in self.lines[-6:]):
            self.text += end
        if corners and rng.random() < 0.05:
            self.text = "\ufeff" + self.text

    def chance(self, of):
        return self.rng.random() < of

    def comment(self, column):
        while self.chance(0.2):
            self.lines.append(" " * column + self.rng.choice(COMMENTS))
        if self.chance(0.07):
            self.lines.append("")

    def trail(self):
        if self.chance(0.1):
            return " " * self.rng.randint(1, 3) + self.rng.choice(COMMENTS)
        return "  " if self.corners and self.chance(0.02) else ""

    def key(self, taken):
        while True:
            if self.chance(0.12):
                name = self.rng.choice(QUOTED_KEYS)
                spelled = quoted(self.rng, name)
            else:
                name = spelled = self.rng.choice(KEYS)
                if self.chance(0.1):
                    spelled = quoted(self.rng, name)
                elif name[0] in "@":
                    continue
            if self.chance(0.08):
                name += "_unencrypted"
                spelled = spelled[:-1] + "_unencrypted" + spelled[-1] if spelled[0] in "\"'" else name
            if name not in taken:
                taken.add(name)
                return spelled

    def one_line(self, flow):
        """A scalar that stands on one line."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.25:
            return rng.choice(NUMBERS)
        if kind < 0.55:
            word = rng.choice(WORDS)
            if word[0] in "[{%=-." and not word[1:2].isalnum() or (flow and any(c in word for c in ",[]{}")) or word[0] in "[{%\"'":
                return quoted(rng, word)
            if flow and (":" in word or word[0] in "<=?-"):
                return quoted(rng, word)
            return word
        if kind < 0.9:
            text = rng.choice(WORDS + NUMBERS + PLAIN_LINES + BLOCKS + [""])
            if rng.random() < 0.1:
                text += rng.choice(["\t", "\r", "\x01", "\x7f", "\u0085", "\u2028", "\ufeff", "\x1b[0m", "\U0001f600"])
            return quoted(rng, text)
        if kind < 0.95 and not flow:
            return ""
        return rng.choice(["null", "~", "true", "false"])

    def flow(self, depth):
        rng = self.rng
        if depth == 0 or rng.random() < 0.6:
            return self.one_line(True)
        count = rng.randint(0, 3)
        if rng.random() < 0.5:
            taken = set()
            return "{" + ", ".join(f"{self.flow_key(taken)}: {self.flow(depth - 1)}" for _ in range(count)) + "}"
        return "[" + ", ".join(self.flow(depth - 1) for _ in range(count)) + "]"

    def flow_key(self, taken):
        key = self.key(taken)
        return key if key[0] in "\"'" or key.replace("_", "").isalnum() and key.isascii() else json.dumps(key)

    def many_lines(self, column):
        """A block scalar, as the rest of the line and the lines after it."""
        rng = self.rng
        text = rng.choice(BLOCKS)
        mark = rng.choice(["|", "|-", "|+", ">", ">-", ">+"])
        if text[0] == " ":
            mark = mark[0] + str(self.step) + mark[1:]
        lines = [" " * (column + self.step) + line if line else "" for line in text.split("\n")]
        if mark.endswith("+") and rng.random() < 0.5:
            lines.append("")
        return mark, lines

    def folded_quotes(self, column):
        """A quoted or plain scalar over several lines."""
        pad = " " * (column + self.step)
        return self.rng.choice(
            [
                ('"first', [pad + "second", "", pad + 'third"']),
                ("'first", [pad + "second # no comment", pad + "third'"]),
                ('"first\\', [pad + '\\ second"']),
                ("first", [pad + "second", pad + "third: no" if False else pad + "third"]),
            ]
        )

    def value(self, head, column, depth):
        """Writes `head` (a key or a dash) and a value; `column` is where it is indented from."""
        rng = self.rng
        self.room -= 1
        kind = rng.random()
        if kind < 0.12:
            mark, lines = self.many_lines(column)
            self.lines.append(f"{head} {mark}" + (" # on the mark" if self.chance(0.1) else ""))
            self.lines.extend(lines)
        elif kind < 0.16:
            first, lines = self.folded_quotes(column)
            self.lines.append(f"{head} {first}")
            self.lines.extend(lines)
        elif kind < 0.24:
            self.lines.append(f"{head} {self.flow(3) if self.chance(0.9) else '[]'}{self.trail()}")
        elif kind < 0.40 and depth > 0 and self.room > 0:
            self.lines.append(head + (" # behind the key" if self.chance(0.1) else self.trail()))
            self.block_map(column + self.step, depth)
        elif kind < 0.52 and depth > 0 and self.room > 0:
            self.lines.append(head + (" # behind the key" if self.chance(0.1) else ""))
            self.block_list(column if head.endswith(":") and self.chance(0.3) else column + self.step, depth)
        elif kind < 0.55 and self.corners:
            self.reference(head)
        elif kind < 0.57 and self.corners:
            self.lines.append(head + " " + rng.choice(["!!str 12", '!!int "3"', "!!float 1", '!!bool "true"', "!!str yes", "! 5", "!!null ''"]))
        else:
            text = self.one_line(False)
            self.lines.append(f"{head} {text}".rstrip() + (self.trail() if text != "" or self.chance(0.5) else ""))

    def reference(self, head):
        if self.anchors and self.chance(0.6):
            self.lines.append(f"{head} *{self.rng.choice(self.anchors)}")
            return
        name = f"n{len(self.anchors)}"
        self.lines.append(f"{head} &{name} {self.flow(2)}")
        self.anchors.append(name)

    def block_map(self, column, depth):
        taken = set()
        for i in range(self.rng.randint(1, 5)):
            if i > 0 or self.chance(0.3):
                self.comment(column if self.chance(0.9) else column + 1)
            self.value(" " * column + self.key(taken) + ":", column, (depth if column else 5) - 1)
        if self.chance(0.05):
            self.lines.append(" " * column + "# foot")

    def block_list(self, column, depth):
        for i in range(self.rng.randint(1, 4)):
            if i > 0 or self.chance(0.2):
                self.comment(column)
            if self.chance(0.35) and depth > 1:
                self.item_map(column, depth)
            else:
                self.value(" " * column + "-", column, depth - 1)

    def item_map(self, column, depth):
        """- key: value, with more keys below."""
        start = len(self.lines)
        self.block_map(column + 2, depth - 1)
        for i in range(start, len(self.lines)):
            if self.lines[i].lstrip().startswith("#") or not self.lines[i].strip():
                continue
            if i == start:
                self.lines[i] = " " * column + "-" + self.lines[i][column + 1 :]
                return
            break
        self.lines.insert(start, " " * column + "-")


def json_value(rng, depth):
    kind = rng.random()
    if depth > 0 and kind < 0.2:
        return {rng.choice(KEYS + QUOTED_KEYS): json_value(rng, depth - 1) for _ in range(rng.randint(0, 4))}
    if depth > 0 and kind < 0.35:
        return [json_value(rng, depth - 1) for _ in range(rng.randint(0, 4))]
    if kind < 0.5:
        return rng.choice([0, 1, -1, 2**31, 2**53, 12345678901234567890, 1.5, -0.25, 1e3, 1e21, 1e-7, 3.0, True, False, None])
    text = rng.choice(WORDS + NUMBERS + PLAIN_LINES + BLOCKS + [""])
    return text + rng.choice(["", "", "", "\t", "\x01", "\x7f", "\u2028", "<>&", "\\", '"', "/"])


def json_document(rng):
    document = {rng.choice(KEYS + QUOTED_KEYS): json_value(rng, 3) for _ in range(rng.randint(0, 8))}
    style = rng.choice([{"indent": 2}, {"indent": 4}, {"indent": "\t"}, {}, {"separators": (",", ":")}])
    text = json.dumps(document, ensure_ascii=rng.random() < 0.3, **style)
    return text + rng.choice(["", "\n"])


def dotenv_document(rng):
    lines, taken = [], set()
    for _ in range(rng.randint(0, 12)):
        kind = rng.random()
        if kind < 0.15:
            lines.append(rng.choice(COMMENTS))
            continue
        if kind < 0.2:
            lines.append("")
            continue
        name = rng.choice(["A", "B", "DB_PASSWORD", "lower", "X_unencrypted", "A.B", "D-E", "_U", "N1"])
        if name in taken:
            continue
        taken.add(name)
        value = rng.choice(WORDS + NUMBERS + PLAIN_LINES + ["", '"quoted"', "'single'", "a\\nb", "\\n", "a\\\\nb", " spaces ", "x #y"])
        lines.append(f"{name}={value}")
    return "\n".join(lines) + ("\n" if rng.random() < 0.9 else "")


def document(rng, suffix):
    """The text of a document for a file of this ending."""
    if suffix == "json":
        return json_document(rng)
    if suffix == "env":
        return dotenv_document(rng)
    return Yaml(rng).text


def text(rng):
    """A string as people keep as a secret, or one that looks like something else."""
    some = rng.choice(WORDS + NUMBERS + PLAIN_LINES + BLOCKS + QUOTED_KEYS + COMMENTS + ["x" * 300, "a\n", "\n", " ", "|", ">-"])
    return some + rng.choice(["", "", "", "", "\n", "\t", "\r\n", "\x01", "\x85", "\u2028", "\ufeff", "\U0001f600", "\n\n", " "])
