# SPDX-License-Identifier: Apache-2.0
"""The policy language of `nubo policy sample`, evaluated apart from the program: what a rule says about a persona and a target."""
import functools
import re
import subprocess

from conftest import BIN

# Services that enforce the scope of tokens and leave deprecated defaults out, as in 2023.1.
STRICT = {"nova", "glance"}


class Rules:
    """The rules of one service."""

    def __init__(self, service):
        self.strict = service in STRICT
        self.checks, self.old, self.scopes = {}, {}, {}
        text = subprocess.run([BIN, "policy", "sample", service], capture_output=True, text=True, check=True).stdout
        for block in text.split("\n\n"):
            lines = block.splitlines()
            if lines and lines[0] == "# DEPRECATED":
                joined = " ".join(line.lstrip("# ") for line in lines[1:])
                found = re.match(r'"([^"]+)":\s*"(.*?)" has been deprecated', joined)
                # The name that is left behind may differ from the one in whose favor it is.
                name = re.search(r'in favor of "([^"]+)":', joined)
                self.old[name.group(1)] = self.checks.get(found.group(1), found.group(2)) \
                    if found.group(1) != name.group(1) else found.group(2)
                continue
            for line in lines:
                found = re.match(r'#"([^"]+)": "(.*)"$', line)
                if found:
                    self.checks[found.group(1)] = found.group(2)
                    scopes = [re.sub(r".*: ", "", one).split(", ") for one in lines if one.startswith("# Intended scope")]
                    self.scopes[found.group(1)] = scopes[0] if scopes else []

    def allows(self, rule, who, target):
        """Whether a persona may: its scope, the rule, or the rule's deprecated default where that still counts."""
        if self.strict and self.scopes.get(rule) and who["scope"] not in self.scopes[rule]:
            return False
        return self.check("rule:" + rule, who, target)

    def check(self, text, who, target):
        return self.tree(parse(text), who, target)

    def tree(self, node, who, target):
        kind = node[0]
        if kind == "and":
            return all(self.tree(one, who, target) for one in node[1])
        if kind == "or":
            return any(self.tree(one, who, target) for one in node[1])
        if kind == "not":
            return not self.tree(node[1], who, target)
        return self.atom(node[1], who, target)

    def atom(self, text, who, target):
        if text in ("@", ""):
            return True
        if text == "!":
            return False
        left, right = text.split(":", 1)
        if left == "rule":
            if right not in self.checks:
                return False
            if self.check(self.checks[right], who, target):
                return True
            return not self.strict and right in self.old and self.check(self.old[right], who, target)
        if left == "role":
            return right in who["roles"]
        if left == "field":
            return False  # nothing here is shared, external or the network's own
        wanted = re.fullmatch(r"%\((.*)\)s", right)
        if wanted:
            if wanted.group(1) not in target:
                return False
            right = str(target[wanted.group(1)])
        if left.startswith("'"):
            return left.strip("'") == right
        if left == "None":
            return right == "None"
        return left in who and str(who[left]) == right


@functools.lru_cache(maxsize=None)
def parse(text):
    tokens = re.findall(r"\(|\)|(?:[^\s()]|%\([^)]*\)s)+", re.sub(r"%\(([^)]*)\)s", r"%<\1>s", text))
    tokens = [re.sub(r"%<([^>]*)>s", r"%(\1)s", token) for token in tokens]

    def either():
        parts = [both()]
        while tokens and tokens[0] == "or":
            tokens.pop(0)
            parts.append(both())
        return parts[0] if len(parts) == 1 else ("or", tuple(parts))

    def both():
        parts = [one()]
        while tokens and tokens[0] == "and":
            tokens.pop(0)
            parts.append(one())
        return parts[0] if len(parts) == 1 else ("and", tuple(parts))

    def one():
        token = tokens.pop(0)
        if token == "not":
            return ("not", one())
        if token == "(":
            inner = either()
            assert tokens.pop(0) == ")"
            return inner
        return ("atom", token)

    if not tokens:
        return ("atom", "@")
    tree = either()
    assert not tokens, text
    return tree
