# SPDX-License-Identifier: Apache-2.0
"""One command gives a cloud: `nubo up` boots a real guest under QEMU behind a real switch; what a person does then works;
a second run, a kill -9, a dead guest and a dead DHCP server are survived; `nubo down --purge` leaves nothing."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "api"))
from conftest import BIN, free_offset  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and a hypervisor need root")


class Up:
    """A cloud with a data plane, through nubo's own commands."""

    def __init__(self, state_dir, image, place=(), options=()):
        """`place`: words before every command (a namespace to be in); `options`: more of them for `up`."""
        self.state_dir, self.image, self.offset = state_dir, image, free_offset()
        self.place, self.options = list(place), list(options)

    def nubo(self, command, *options, check=True, timeout=900):
        words = [*self.place, BIN, command, "--state-dir", str(self.state_dir), *options]
        done = subprocess.run(words, capture_output=True, text=True, timeout=timeout)
        assert not check or done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}\n{self.log()}"
        return done

    def up(self):
        return self.nubo("up", "--port-offset", str(self.offset), "--image", str(self.image),
                         *self.options).stdout

    def log(self):
        path = self.state_dir / "log" / "nubo.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-30:]) if path.exists() else ""

    def openstack(self, *words, check=True):
        rc = dict(re.findall(r"^export (\w+)=(.*)$", (self.state_dir / "openrc").read_text(), re.M))
        done = subprocess.run([*self.place, "/usr/bin/openstack", *words], env=dict(os.environ, **rc), capture_output=True,
                              text=True, timeout=600)
        assert not check or done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}\n{self.log()}"
        return done.stdout.strip()

    def status(self, server):
        return self.openstack("server", "show", server, "-f", "value", "-c", "status")

    def ssh(self, server, *command):
        return self.nubo("ssh", server, *command, timeout=300).stdout.strip()

    def pid(self):
        return int((self.state_dir / "run" / "nubo.pid").read_text())

    def namespaces(self):
        digest = subprocess.run(["sha256sum"], input=str(self.state_dir), capture_output=True, text=True).stdout[:6]
        mine = "nubo-" + digest
        names = os.listdir("/run/netns") if os.path.isdir("/run/netns") else []
        return [name for name in names if name == mine or name.startswith(mine + ".")]

    def processes(self, word):
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    line = (entry / "cmdline").read_bytes()
                    state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
                except OSError:
                    continue
                if word.encode() in line and str(self.state_dir).encode() in line and state != "Z":
                    found.append(int(entry.name))
        return found

    def wait(self, what, seconds=300):
        end = time.time() + seconds
        while not what():
            assert time.time() < end, self.log()
            time.sleep(0.3)


@pytest.fixture(scope="module")
def folder():
    it = pathlib.Path(tempfile.mkdtemp(prefix="nubo-up-", dir="/var/tmp"))
    yield it
    shutil.rmtree(it, ignore_errors=True)


@pytest.fixture(scope="module")
def image(folder):
    given = os.environ.get("NUBO_GUEST_IMAGE")
    if given is not None:
        return given
    made = folder / "guest.qcow2"
    subprocess.run([str(ROOT / "images" / "build"), str(made)], check=True, capture_output=True, timeout=600)
    return made


@pytest.fixture(scope="module")
def cloud(folder, image):
    it = Up(folder / "state", image)
    try:
        it.first_output = it.up()
        yield it
    finally:
        it.nubo("down", "--purge", check=False)


def test_what_up_shows(cloud):
    text = cloud.first_output
    for word in ("create the first server", "ACTIVE", "nubo-guest: ready", "openrc", "nubo ssh"):
        assert word in text
    assert oct((cloud.state_dir / "openrc").stat().st_mode & 0o777) == "0o600"


def test_a_second_up_finds_everything(cloud):
    before = cloud.openstack("server", "list", "-f", "value")
    assert "ACTIVE" in cloud.up()
    assert cloud.openstack("server", "list", "-f", "value") == before


def test_ssh_metadata_and_root(cloud):
    assert cloud.ssh("first", "hostname") == "first"
    assert "first" in cloud.ssh("first", "wget", "-qO-", "http://169.254.169.254/openstack/latest/meta_data.json")


def test_security_groups_hold(cloud):
    """Ping and ssh are allowed, the rest is not: another port is dropped on the way in."""
    done = cloud.nubo("ssh", "first", "busybox nc -l -p 7777 & sleep 1; echo up", timeout=120)
    assert "up" in done.stdout
    network = [n for n in cloud.namespaces() if ".qdhcp-" in n][0]
    address = cloud.openstack("server", "show", "first", "-f", "value", "-c", "addresses").split("'")[3]
    ping = ["ip", "netns", "exec", network, "busybox", "ping", "-c", "1", "-W", "5", address]
    cloud.wait(lambda: subprocess.run(ping, capture_output=True).returncode == 0)
    refused = subprocess.run(["ip", "netns", "exec", network, "timeout", "3", "bash", "-c", f"</dev/tcp/{address}/7777"],
                             capture_output=True)
    assert refused.returncode != 0


def test_lifecycle(cloud):
    for action, status in (("pause", "PAUSED"), ("unpause", "ACTIVE"), ("suspend", "SUSPENDED"), ("resume", "ACTIVE"),
                           ("stop", "SHUTOFF"), ("start", "ACTIVE")):
        cloud.openstack("server", action, "first")
        cloud.wait(lambda: cloud.status("first") == status)
    cloud.wait(lambda: cloud.nubo("ssh", "first", "true", check=False, timeout=300).returncode == 0)
    assert "nubo-guest: ready" in cloud.openstack("console", "log", "show", "first", "--lines", "30")


def test_kill_of_the_cloud_leaves_guests_running(cloud):
    guests = cloud.processes("qemu-system")
    assert guests
    killed = cloud.pid()
    os.kill(killed, signal.SIGKILL)
    cloud.wait(lambda: killed not in cloud.processes("nubo"))
    with open(cloud.state_dir / "etc" / "nova.conf", "a") as config:  # a cache that keeps nothing, for the end of these tests
        config.write("[image_cache]\nmanager_interval = 1\nremove_unused_original_minimum_age_seconds = 1\n")
    cloud.up()
    assert cloud.processes("qemu-system") == guests
    assert cloud.status("first") == "ACTIVE"
    assert cloud.ssh("first", "hostname") == "first"


def test_a_killed_dhcp_server_comes_back(cloud):
    (server,) = cloud.processes("dnsmasq")[:1]
    os.kill(server, signal.SIGKILL)
    cloud.wait(lambda: cloud.processes("dnsmasq") and server not in cloud.processes("dnsmasq"))


def test_a_guest_that_dies_is_shutoff(cloud):
    (guest,) = cloud.processes("qemu-system")
    os.kill(guest, signal.SIGKILL)
    cloud.wait(lambda: cloud.status("first") == "SHUTOFF")
    cloud.openstack("server", "start", "first")
    cloud.wait(lambda: cloud.status("first") == "ACTIVE")


def test_delete_leaves_nothing(cloud):
    assert len(list((cloud.state_dir / "instances" / "_base").iterdir())) == 1
    cloud.openstack("server", "delete", "first", "--wait")
    assert cloud.openstack("server", "list", "-f", "value") == ""
    cloud.wait(lambda: not cloud.processes("qemu-system"))
    owners = cloud.openstack("port", "list", "--long", "-f", "value", "-c", "Device Owner").split()
    assert owners == ["network:dhcp"]
    provider = cloud.openstack("resource", "provider", "list", "-f", "value", "-c", "uuid").split()[0]
    usage = cloud.openstack("resource", "provider", "usage", "show", provider, "-f", "value").split()
    assert set(usage[1::2]) == {"0"}
    assert [p.name for p in (cloud.state_dir / "instances").iterdir()] == ["_base"]
    cloud.wait(lambda: not list((cloud.state_dir / "instances" / "_base").iterdir()))  # nothing uses the image any more
    taps = subprocess.run(["ip", "-n", cloud.namespaces()[0].split(".")[0], "-br", "link"], capture_output=True, text=True).stdout
    assert len(re.findall(r"^tap", taps, re.M)) == 1  # the DHCP port's


def test_down_purge_leaves_nothing(cloud):
    cloud.nubo("down", "--purge")
    assert not cloud.state_dir.exists()
    assert cloud.namespaces() == []
    for word in ("qemu-system", "libvirtd", "ovs-vswitchd", "ovsdb-server", "dnsmasq", "nubo"):
        assert cloud.processes(word) == []


def test_provider_interface(folder, image):
    """On a host's own network (here a namespace of the test): a guest on a flat network answers through the interface."""
    host = f"nubo-test-{os.getpid()}"
    commands = [f"netns add {host}", f"-n {host} link set lo up", f"-n {host} link add prov0 type veth peer name prov1",
                f"-n {host} link set prov0 up", f"-n {host} link set prov1 up", f"-n {host} addr add 198.18.50.1/24 dev prov1"]
    it = Up(folder / "provider", image, ["nsenter", f"--net=/run/netns/{host}"], ["--provider-interface", "prov0"])
    try:
        for command in commands:
            subprocess.run(["ip", *command.split()], check=True)
        it.up()
        it.openstack("network", "create", "--provider-network-type", "flat", "--provider-physical-network", "provider", "ext")
        it.openstack("subnet", "create", "--network", "ext", "--subnet-range", "198.18.50.0/24", "--allocation-pool",
                     "start=198.18.50.10,end=198.18.50.20", "--gateway", "198.18.50.1", "ext")
        it.openstack("server", "create", "--image", "nubo-guest", "--flavor", "nubo.tiny", "--network", "ext", "--key-name",
                     "nubo", "outside", "--wait")
        address = re.search(r"198\.18\.50\.\d+", it.openstack("server", "show", "outside", "-c", "addresses")).group(0)
        it.wait(lambda: subprocess.run([*it.place, "busybox", "ping", "-c", "1", "-W", "2", address],
                                       capture_output=True).returncode == 0)
        assert it.ssh("first", "hostname") == "first"
    finally:
        it.nubo("down", "--purge", check=False)
        left = it.namespaces() + it.processes("dnsmasq") + it.processes("qemu-system") + it.processes("ovs-vswitchd")
        subprocess.run(["ip", "netns", "del", host])
    assert left == []
