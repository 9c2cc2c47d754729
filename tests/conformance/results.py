# SPDX-License-Identifier: Apache-2.0
"""What a run of a suite came to, and how that compares with the list of its expected failures."""
import dataclasses
import re

import subunit
from testtools import StreamToDict

CLASS_STEP = re.compile(r"(setUpClass|tearDownClass) \((.*)\)$")
ERROR = re.compile(r"[\w.]*(Error|Exception|Mismatch|Fault|[a-z]\.[A-Z]\w+)\b.*:")


def bare(test):
    """A test id without its attributes ([id-...,smoke])."""
    return re.sub(r"\[[^\]]*\]$", "", test)


def read_stream(path):
    """Outcome and reason of every test in a subunit stream: {id: (outcome, reason)}."""
    found = {}
    worst = {"skip": 0, "success": 1, "xfail": 1, "inprogress": 2, "fail": 3, "uxsuccess": 3}

    def one(test):
        if test["id"] is None or test["status"] in ("exists", "unknown"):
            return
        name, status = bare(test["id"]), test["status"]
        if name not in found or worst.get(status, 3) > worst.get(found[name][0], 3):
            found[name] = (status, reason_of(test))

    stream = StreamToDict(one)
    stream.startTestRun()
    with open(path, "rb") as file:
        subunit.ByteStreamToStreamResult(file, non_subunit_name="noise").run(stream)
    stream.stopTestRun()
    return found


def reason_of(test):
    """The line of a test's details that says most: the error of the last traceback, or why it was skipped."""
    for name, content in sorted(test["details"].items()):
        if "traceback" not in name and "reason" not in name:
            continue
        lines = [line.strip() for line in content.as_text().strip().splitlines()]
        errors = [i for i, line in enumerate(lines) if ERROR.match(line)]
        reason = " ".join(lines[errors[-1]:] if errors else lines[-2:])
        return re.sub(r"--os-endpoint \S+ --os-token \S+ --os-auth-type \S+ ", "", reason)[:400]
    return "no reason given"


def outcomes(selected, stream):
    """{id: (passed|failed|skipped, reason)} of every selected test; a class's own step counts for its tests."""
    found = read_stream(stream)
    steps = {}
    for name, outcome in found.items():
        step = CLASS_STEP.match(name)
        if step:
            steps[step.group(1), step.group(2)] = outcome
    result = {}
    for test in sorted({bare(name) for name in selected}):
        group = test.rsplit(".", 1)[0]
        status, reason = found.get(test) or steps.get(("setUpClass", group)) or ("inprogress", "it was never reached")
        result[test] = ({"success": "passed", "xfail": "passed", "skip": "skipped"}.get(status, "failed"), reason)
    for (step, group), (status, reason) in steps.items():
        if step == "tearDownClass" and status == "fail":
            result[f"{group}.tearDownClass"] = ("failed", reason)
    return result


def read_expected(path):
    """{id: reason} from a list of expected failures: an id, white space, its reason; # begins a comment."""
    expected = {}
    if not path.exists():
        return expected
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        test, _, reason = line.partition(" ")
        if not reason.strip():
            raise ValueError(f"{path}:{number}: {test} has no reason")
        if test in expected:
            raise ValueError(f"{path}:{number}: {test} is there twice")
        expected[test] = reason.strip()
    return expected


@dataclasses.dataclass
class Verdict:
    passed: int
    failed: int
    expected: int
    skipped: int
    unexpected: dict    # id: what is wrong with it

    def line(self):
        return (f"{self.passed:5} passed {self.failed:5} failed {self.expected:5} expected to fail "
                f"{self.skipped:5} skipped")


def judge(result, expected, whole):
    """Compares outcomes with the list. whole: every test of the suite ran, so that a listed id which no test has is an error."""
    unexpected = {}
    counts = {"passed": 0, "failed": 0, "expected": 0, "skipped": 0}
    for test, (status, reason) in result.items():
        listed = test in expected
        if status == "failed":
            counts["expected" if listed else "failed"] += 1
            if not listed:
                unexpected[test] = reason
            continue
        counts[status] += 1
        if listed:
            unexpected[test] = f"{status}, though listed as an expected failure: take it off the list"
    if whole:
        for test in expected:
            if test not in result:
                unexpected[test] = "listed as an expected failure, but there is no such test: take it off the list"
    return Verdict(**counts, unexpected=unexpected)
