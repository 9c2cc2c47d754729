# SPDX-License-Identifier: Apache-2.0
"""The libvirt driver with a real guest: virt_drive takes one through everything, on a libvirtd of its own.

    /usr/bin/python3 -m pytest tests/e2e/test_virt_libvirt.py

NUBO_GUEST_IMAGE names a guest image, else images/build makes one (NUBO_GUEST_WORK: its work folder).
Everything lives in one network namespace and one folder, both of which are gone afterwards.
"""

import os
import pathlib
import re
import shutil
import subprocess
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("NUBO_BUILD", TOP / "build"))
DRIVE = BUILD / "tests" / "e2e" / "virt_drive"
MODULE = BUILD / "src" / "nova" / "virt" / "libvirt" / "nova_virt_libvirt.so"
NAMESPACE = f"nubo-virt-{os.getpid()}"
TIMEOUT_S = 900

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for namespaces"),
    pytest.mark.skipif(not DRIVE.exists() or not MODULE.exists(), reason="the libvirt module is not built (libvirt-dev)"),
    pytest.mark.skipif(not shutil.which("libvirtd") or not shutil.which("qemu-system-x86_64"),
                       reason="needs libvirtd and qemu-system-x86_64"),
    pytest.mark.skipif(not os.path.exists("/dev/net/tun"), reason="needs /dev/net/tun"),
]


@pytest.fixture(scope="module")
def guest_image(tmp_path_factory):
    given = os.environ.get("NUBO_GUEST_IMAGE")
    if given:
        return pathlib.Path(given)
    builder = TOP / "images" / "build"
    if not builder.exists():
        pytest.skip("no images/build and no NUBO_GUEST_IMAGE")
    image = tmp_path_factory.mktemp("image") / "guest.qcow2"
    work = os.environ.get("NUBO_GUEST_WORK")
    subprocess.run([builder, *(["--work", work] if work else []), image], check=True, timeout=TIMEOUT_S)
    return image


def processes_with(text):
    """Their command lines by their numbers."""
    found = {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().decode(errors="replace")
            if text in line:
                found[int(folder.name)] = line.replace("\0", " ")
        except OSError:
            pass
    return found


def wait_gone(text):
    """What a libvirtd was just asking of a QEMU when it was ended goes by itself, a moment later."""
    end = time.monotonic() + 60
    while processes_with(text):
        assert time.monotonic() < end, processes_with(text)
        time.sleep(0.1)


@pytest.fixture
def place(tmp_path):
    """A state directory that other users cannot reach (pytest's folders are 0700), and a network namespace."""
    state = tmp_path / "s"
    subprocess.run(["ip", "netns", "add", NAMESPACE], check=True)
    subprocess.run(["ip", "-n", NAMESPACE, "link", "set", "lo", "up"], check=True)
    try:
        yield state
    finally:
        subprocess.run([DRIVE, state, NAMESPACE, "end"], check=False, timeout=120)
        subprocess.run(["ip", "netns", "del", NAMESPACE], check=False)
        shutil.rmtree(state, ignore_errors=True)


@pytest.fixture
def switch(place, tmp_path):
    """Open vSwitch in the namespace with an empty br-int; what virt_drive needs to know of it. Nothing where there is none."""
    if not shutil.which("ovs-vswitchd"):
        yield {}
        return
    folder = tmp_path / "o"
    folder.mkdir()
    variables = ("OVS_RUNDIR", "OVS_DBDIR", "OVS_LOGDIR", "OVS_SYSCONFDIR")
    environment = {**os.environ, **dict.fromkeys(variables, str(folder))}
    db = f"unix:{folder}/db.sock"
    daemons = [
        ["ovsdb-server", f"{folder}/conf.db", f"--remote=p{db}", f"--unixctl={folder}/db.ctl", f"--log-file={folder}/db.log"],
        ["ovs-vswitchd", db, f"--unixctl={folder}/vs.ctl", f"--log-file={folder}/vs.log"],
    ]
    subprocess.run(["ovsdb-tool", "create", folder / "conf.db", "/usr/share/openvswitch/vswitch.ovsschema"], check=True)
    started = []
    try:
        for command in daemons:
            started.append(subprocess.Popen(["ip", "netns", "exec", NAMESPACE, *command], env=environment,
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            if command[0] == "ovsdb-server":
                subprocess.run(["ovs-vsctl", f"--db={db}", "--retry", "--timeout=120", "--no-wait", "init"], check=True)
        subprocess.run(["ovs-vsctl", f"--db={db}", "--timeout=120", "add-br", "br-int", "--", "set", "bridge", "br-int",
                        "datapath_type=netdev"], check=True)
        yield {"VIRT_DRIVE_OVS_DB": db}
    finally:
        for daemon in reversed(started):
            daemon.terminate()
            daemon.wait(120)


def test_a_guests_whole_life(place, guest_image, switch):
    host_folders = ["/var/lib/libvirt", "/var/log/libvirt", "/var/cache/libvirt", "/etc/libvirt", "/run/libvirt"]
    before = {folder: sorted(map(str, pathlib.Path(folder).rglob("*"))) for folder in host_folders}
    result = subprocess.run([DRIVE, place, NAMESPACE, guest_image], capture_output=True, text=True, timeout=TIMEOUT_S,
                            env={**os.environ, **switch})
    print(result.stdout)
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"QEMU's process started (-?\d+) ms", result.stdout)
    links = subprocess.run(["ip", "-n", NAMESPACE, "-o", "link"], capture_output=True, text=True, check=True).stdout
    assert not re.search(r"tap[0-9a-f]{8}-", links)
    assert list((place / "instances").glob("*-*")) == []
    assert before == {folder: sorted(map(str, pathlib.Path(folder).rglob("*"))) for folder in host_folders}

    subprocess.run([DRIVE, place, NAMESPACE, "end"], check=True, timeout=120)
    wait_gone(str(place))


def test_killed_in_the_middle_leaves_nothing_that_end_does_not_end(place, guest_image):
    with subprocess.Popen([DRIVE, place, NAMESPACE, guest_image], stdout=subprocess.PIPE, text=True) as drive:
        for line in drive.stdout:
            if line.startswith("ok start"):
                drive.kill()
                break
    assert processes_with(f"{place}/instances")  # the guest runs on
    subprocess.run([DRIVE, place, NAMESPACE, "end"], check=True, timeout=120)
    wait_gone(f"{place}/instances")
