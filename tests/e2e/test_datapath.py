# SPDX-License-Identifier: Apache-2.0
"""The network drivers on a real Open vSwitch and dnsmasq: what tests/e2e/datapath.c checks, in namespaces of its own."""
import os
import pathlib
import subprocess

import pytest

BUILD = pathlib.Path(os.environ.get("NUBO_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build"))


def test_datapath():
    done = subprocess.run([BUILD / "tests/e2e/datapath"], capture_output=True, text=True, timeout=300)
    if done.returncode == 77:
        pytest.skip(done.stdout.strip())
    wrong = [line for line in done.stdout.splitlines() if not line.startswith("ok ")]
    assert done.returncode == 0, "\n".join(wrong) + done.stderr
