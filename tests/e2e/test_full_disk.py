# SPDX-License-Identifier: Apache-2.0
"""A compute host whose instances' file system is full: the server says so, and nothing is left of it."""
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from test_up import Up

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts and a hypervisor need root")
SIZE_MB = 24


@pytest.fixture
def small():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="nubo-full-"))
    folder.chmod(0o755)
    it = Up(folder / "state", "none")
    it.nubo("up", "--port-offset", str(it.offset), "--no-server")
    instances = it.state_dir / "instances"
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m,mode=755", "tmpfs", str(instances)], check=True)
    yield it
    subprocess.run(["umount", "-l", str(instances)], check=False)
    it.nubo("down", "--purge", check=False)
    shutil.rmtree(folder, ignore_errors=True)


def test_an_image_that_does_not_fit(small, tmp_path):
    (tmp_path / "image").write_bytes(os.urandom(1 << 20) * (2 * SIZE_MB))
    small.openstack("image", "create", "--disk-format", "raw", "--container-format", "bare",
                    "--file", str(tmp_path / "image"), "big")
    small.openstack("flavor", "create", "--ram", "64", "--disk", "1", "--vcpus", "1", "tiny")
    small.openstack("network", "create", "n")
    small.openstack("subnet", "create", "--network", "n", "--subnet-range", "10.9.0.0/24", "s")
    for turn in ("first", "second"): # what the first one left would make the second one fail otherwise
        small.openstack("server", "create", "--image", "big", "--flavor", "tiny", "--network", "n", turn)
        small.wait(lambda: small.status(turn) == "ERROR")
        fault = small.openstack("server", "show", turn, "-f", "value", "-c", "fault")
        assert "No space left on device" in fault and "image file" in fault, fault
        left = [p.name for p in (small.state_dir / "instances").rglob("*") if p.is_file()]
        assert left == []
    assert small.openstack("port", "list", "--device-owner", "compute:nova", "-f", "value") == ""
    small.openstack("server", "delete", "--wait", "first", "second")
    usage = os.statvfs(small.state_dir / "instances")
    assert usage.f_bavail * usage.f_frsize > (SIZE_MB - 2) << 20
