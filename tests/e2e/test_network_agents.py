# SPDX-License-Identifier: Apache-2.0
"""The network agents on a real Open vSwitch, in namespaces of their own: a guest is a namespace on a veth pair that is
plugged into br-int the way nova plugs a tap. Needs root, ovs-vswitchd, dnsmasq and busybox."""
import array
import fcntl
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import uuid

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "api"))
from conftest import dispose, new_cloud  # noqa: E402

missing = [p for p in ("ovs-vswitchd", "ovsdb-server", "dnsmasq", "busybox", "ip")
           if shutil.which(p, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None]
pytestmark = pytest.mark.skipif(os.geteuid() != 0 or bool(missing), reason=f"needs root and {missing}")

LEASE = """#!/bin/sh
[ "$1" = bound ] && ip addr replace $ip/$mask dev $interface && ip route replace default via $router
[ "$1" = bound ] && ip route replace 169.254.169.254 via $serverid
exit 0
"""


def run(*words, check=True, **more):
    return subprocess.run(words, check=check, capture_output=True, text=True, timeout=30, **more)


class Stage:
    def __init__(self):
        self.cloud = new_cloud(fake_compute=0)
        self.cloud.start()
        self.guests = []
        self.script = self.cloud.state_dir / "lease.sh"
        self.script.write_text(LEASE)
        self.script.chmod(0o755)
        self.db = f"unix:{self.cloud.state_dir}/run/ovs/db.sock"

    @property
    def root(self):
        """The data plane's namespace: the switch's own process tells."""
        pid = (self.cloud.state_dir / "run/ovs/ovs-vswitchd.pid").read_text().strip()
        return run("ip", "netns", "identify", pid).stdout.strip()

    def api(self, method, path, body=None):
        answer = self.cloud.call(method, "network", path, body)
        assert answer.ok, answer.text
        return answer.json() if answer.text else None

    def port(self, port_id):
        return self.api("GET", f"/v2.0/ports/{port_id}")["port"]

    def guest(self, network_id, **fields):
        host = self.api("GET", "/v2.0/agents?agent_type=Open vSwitch agent")["agents"][0]["host"]
        port = self.api("POST", "/v2.0/ports", {"port": {
            "network_id": network_id, "binding:host_id": host, "device_id": str(uuid.uuid4()), "device_owner": "compute:nova",
            **fields}})["port"]
        assert port["binding:vif_type"] == "ovs", port
        netns, tap = f"nubo-guest-{port['id'][:8]}", "tap" + port["id"][:11]
        self.guests.append(netns)
        run("ip", "netns", "add", netns)
        run("ip", "-n", self.root, "link", "add", tap, "type", "veth", "peer", "name", "eth0", "netns", netns)
        run("ip", "-n", self.root, "link", "set", tap, "up")
        run("ip", "-n", netns, "link", "set", "lo", "up")
        run("ip", "-n", netns, "link", "set", "eth0", "address", port["mac_address"], "up")
        self.unfinished_checksums_off(netns)
        run("ovs-vsctl", f"--db={self.db}", "add-port", "br-int", tap, "--", "set", "Interface", tap,
            f"external_ids:iface-id={port['id']}", f"external_ids:attached-mac={port['mac_address']}")
        self.cloud.wait(lambda: self.port(port["id"])["status"] == "ACTIVE", 15)
        port["netns"], port["tap"] = netns, tap
        return port

    @staticmethod
    def unfinished_checksums_off(netns):
        child = os.fork()
        if child == 0:
            with open(f"/run/netns/{netns}") as ns:
                import ctypes
                ctypes.CDLL(None).setns(ns.fileno(), 0)
            value = array.array("B", struct.pack("II", 0x17, 0))
            fcntl.ioctl(socket.socket(), 0x8946, struct.pack("16sP", b"eth0", value.buffer_info()[0]))
            os._exit(0)
        os.waitpid(child, 0)

    def lease(self, guest):
        done = run("ip", "netns", "exec", guest["netns"], "busybox", "udhcpc", "-i", "eth0", "-q", "-n", "-t", "5", "-s",
                   str(self.script), check=False)
        return done.returncode == 0

    def ping(self, guest, address):
        ping = ["busybox", "ping", "-c", "1", "-W", "1", address]
        return run("ip", "netns", "exec", guest["netns"], *ping, check=False).returncode == 0

    def flows(self):
        env = dict(os.environ, OVS_RUNDIR=str(self.cloud.state_dir / "run/ovs"))
        return run("ovs-ofctl", "-O", "OpenFlow13", "dump-flows", "br-int", "--no-stats", env=env).stdout

    def dnsmasq(self, network_id):
        path = self.cloud.state_dir / "run/dhcp" / network_id / "pid"
        return int(path.read_text()) if path.exists() else 0

    def end(self):
        for netns in self.guests:
            run("ip", "netns", "del", netns, check=False)
        directory = str(self.cloud.state_dir)
        self.cloud.stop()
        self.cloud.process = None
        down = run(os.environ.get("NUBO_BIN", str(pathlib.Path(__file__).resolve().parents[2] / "build/src/nubo/nubo")), "down",
                   "--purge", "--state-dir", directory, check=False)
        dispose(self.cloud)
        assert down.returncode == 0, down.stderr
        assert not [pid for pid in os.listdir("/proc") if pid.isdigit() and directory in command(pid)]


def command(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""


@pytest.fixture(scope="module")
def stage():
    it = Stage()
    yield it
    it.end()


@pytest.fixture(scope="module")
def net(stage):
    made = stage.api("POST", "/v2.0/networks", {"network": {"name": "agents"}})["network"]
    stage.api("POST", "/v2.0/subnets", {"subnet": {"network_id": made["id"], "ip_version": 4, "cidr": "198.18.60.0/24"}})
    stage.cloud.wait(lambda: any(p["status"] == "ACTIVE" for p in stage.api(
        "GET", f"/v2.0/ports?network_id={made['id']}&device_owner=network:dhcp")["ports"]), 20)
    return made


def test_agents_report(stage):
    stage.cloud.wait(lambda: len(stage.api("GET", "/v2.0/agents?alive=true")["agents"]) == 3, 10)


def test_guests_reach_what_their_groups_allow(stage, net):
    one, two = stage.guest(net["id"]), stage.guest(net["id"])
    assert stage.lease(one) and stage.lease(two)
    assert stage.ping(one, two["fixed_ips"][0]["ip_address"])
    lonely = stage.api("POST", "/v2.0/security-groups", {"security_group": {"name": "lonely"}})["security_group"]
    three = stage.guest(net["id"], security_groups=[lonely["id"]])
    assert stage.lease(three)
    address = three["fixed_ips"][0]["ip_address"]
    assert not stage.ping(one, address)
    stage.api("POST", "/v2.0/security-group-rules", {"security_group_rule": {
        "security_group_id": lonely["id"], "direction": "ingress", "protocol": "icmp"}})
    stage.cloud.wait(lambda: stage.ping(one, address), 10)


def test_an_unplugged_port_goes_down(stage, net):
    guest = stage.guest(net["id"])
    run("ovs-vsctl", f"--db={stage.db}", "del-port", "br-int", guest["tap"])
    stage.cloud.wait(lambda: stage.port(guest["id"])["status"] == "DOWN", 10)


def test_restart_changes_nothing(stage, net):
    before, pid = stage.flows(), stage.dnsmasq(net["id"])
    stage.cloud.stop()
    (stage.cloud.state_dir / "run" / "ready").unlink(missing_ok=True)
    stage.cloud.start()
    stage.cloud.forget_tokens()
    started = stage.cloud.wait(lambda: stage.api("GET", "/v2.0/agents?alive=true")["agents"], 10)
    assert len(started) == 3
    guest = stage.guest(net["id"])  # a whole turn went by
    assert set(before.splitlines()) <= set(stage.flows().splitlines())
    assert stage.dnsmasq(net["id"]) == pid and stage.lease(guest)


def test_a_killed_dhcp_server_comes_back(stage, net):
    os.kill(stage.dnsmasq(net["id"]), 9)
    guest = stage.guest(net["id"])
    stage.cloud.wait(lambda: stage.lease(guest), 20)


def test_nothing_is_left_of_a_deleted_network(stage):
    made = stage.api("POST", "/v2.0/networks", {"network": {"name": "short"}})["network"]
    stage.api("POST", "/v2.0/subnets", {"subnet": {"network_id": made["id"], "ip_version": 4, "cidr": "198.18.61.0/24"}})
    pid = stage.cloud.wait(lambda: stage.dnsmasq(made["id"]), 20)
    stage.api("DELETE", f"/v2.0/networks/{made['id']}")
    stage.cloud.wait(lambda: not os.path.exists(f"/proc/{pid}") and made["id"] not in run("ip", "netns").stdout, 20)
    assert not (stage.cloud.state_dir / "run/dhcp" / made["id"]).exists()
