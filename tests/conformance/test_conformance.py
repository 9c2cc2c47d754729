# SPDX-License-Identifier: Apache-2.0
"""The part of the public suites that ./check has the time for: one test a suite. tests/conformance/run runs all of it."""
import importlib.machinery
import importlib.util
import pathlib

import pytest

HERE = pathlib.Path(__file__).resolve().parent
loader = importlib.machinery.SourceFileLoader("conformance_run", str(HERE / "run"))
run = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
loader.exec_module(run)


def test_lists_name_suites():
    lists = {path.stem for path in (HERE / "expected").glob("*.txt")}
    assert lists <= set(run.BY_NAME), "lists of no suite"
    for name in lists:
        tests = list(run.results.read_expected(HERE / "expected" / f"{name}.txt"))
        assert tests == sorted(tests), f"expected/{name}.txt is not sorted"


@pytest.mark.parametrize("name", [suite.name for suite in run.SUITES if suite.quick])
def test_suite(name, tmp_path):
    if not pathlib.Path("/usr/bin/stestr").exists() or not (run.PACKAGES / run.BY_NAME[name].folder).exists():
        pytest.skip("this machine lacks the suite's package")
    verdict, why = run.run_suite(run.BY_NAME[name], tmp_path / name, quick=True)
    if verdict is None:
        pytest.skip(why)
    print(verdict.line())
    assert not verdict.unexpected, "\n".join(f"{test}\n    {wrong}" for test, wrong in sorted(verdict.unexpected.items()))
