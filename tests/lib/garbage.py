# SPDX-License-Identifier: Apache-2.0
"""Broken requests, chosen by a dice (random.Random) whose seed the test prints: values that no schema foresees, good bodies with
one place damaged, texts that are not JSON, paths and queries with what does not belong there."""
import json
import re
import uuid

VALUES = [None, True, False, 0, -1, 1, 2**31, 2**63, -2**63, 10**30, 1e308, 0.1, "", " ", "a", "é☃\U0001f600", "x" * 300,
          "x" * 70000,
          "\u0000", "\n", "../../etc/passwd", "%s%n", "'; DROP TABLE users; --", "in:", "!", ",", "::1", "10.0.0.0/99", "1e5",
              "-1", "true",
          "00000000-0000-0000-0000-000000000000", [], {}, [[]], [None], {"": {}}]
TEXTS = [b"", b"{", b"[]", b"null", b"nul", b"0", b'"text"', b"[" * 10000, b'{"a":' * 5000, b"\xff\xfe", b"\xef\xbb\xbf{}",
                                                                              b'{"a": 1, "a": 2}',
         b'"\\ud800"', b'{"\\u0000": 1}', b"1e999", b"{}" * 3, "{}".encode("utf-16"), b"{\"a\": NaN}", b"\x00"]
SEGMENTS = ["%00", "x" * 2000, "%ff", "..%2f..", "☃", "-", "%25n", "..;", "0", "a%0d%0ab:c", "*"]


def scalar(dice):
    return dice.choice(VALUES + [str(uuid.UUID(int=dice.getrandbits(128)))])


def junk(dice, names, depth=0):
    """Any JSON, with members that have these names."""
    kind = dice.random()
    if depth > 3 or kind < 0.5:
        return scalar(dice)
    if kind < 0.7:
        return [junk(dice, names, depth + 1) for _ in range(dice.randint(0, 3))]
    return {dice.choice(names): junk(dice, names, depth + 1) for _ in range(dice.randint(0, 4))}


def names_in(value):
    if isinstance(value, list):
        return [name for item in value for name in names_in(item)]
    if isinstance(value, dict):
        return [name for key, item in value.items() for name in [key, *names_in(item)]]
    return []


def damage(dice, value, names):
    """A good body with one place replaced, renamed or taken away."""
    if isinstance(value, dict) and value and dice.random() < 0.85:
        key, kind = dice.choice(list(value)), dice.random()
        others = {k: v for k, v in value.items() if k != key}
        if kind < 0.05:
            return others
        if kind < 0.15:
            return {**others, str(scalar(dice)) if dice.random() < 0.5 else key + "x": value[key]}
        return {**value, key: damage(dice, value[key], names)}
    if isinstance(value, list) and value and dice.random() < 0.85:
        return [damage(dice, value[0], names), *value[1:]]
    return junk(dice, names, 2)


def broken_text(dice, good):
    """What is sent for the body `good`: mostly JSON with a wrong place, sometimes no JSON at all."""
    if dice.random() < 0.1:
        return dice.choice(TEXTS)
    text = json.dumps(damage(dice, good, names_in(good) or ["id"])).encode()
    if dice.random() < 0.05:
        at = dice.randrange(len(text))
        text = text[:at] + bytes([dice.randrange(256)]) + text[at + 1:]
    return text


def broken_path(dice, path, known):
    """A route's path with a known, an unknown or an impossible value for each parameter."""
    def value(found):
        kind = dice.random()
        if kind < 0.6 and found[1].rstrip("*") in known:
            return str(known[found[1].rstrip("*")])
        return str(uuid.UUID(int=dice.getrandbits(128))) if kind < 0.8 else dice.choice(SEGMENTS)
    return re.sub(r"\{(\w+\*?)\}", value, path)


def broken_query(dice, names):
    words = ["", "-1", "0", "99999999999999999999", "true", "None", "%00", "%ff%fe", "a" * 5000, "%2e%2e/",
             "'; DROP TABLE users; --", "☃",
             "in:a,b", "gt:x", "name:asc", "asc", "2020-01-01T00:00:00Z", "[", "*", str(uuid.UUID(int=dice.getrandbits(128)))]
    chosen = [f"{dice.choice(names)}={dice.choice(words)}" for _ in range(dice.randint(0, 3))]
    return "?" + "&".join(chosen) if chosen else ""
