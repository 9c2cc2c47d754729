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
import time
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
    return subprocess.run(words, check=check, capture_output=True, text=True, timeout=120, **more)


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
        self.cloud.wait(lambda: self.port(port["id"])["status"] == "ACTIVE")
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
        done = run("ip", "netns", "exec", guest["netns"], "busybox", "udhcpc", "-i", "eth0", "-q", "-n", "-t", "30", "-s",
                   str(self.script), check=False)
        return done.returncode == 0

    def reaches(self, guest, address):
        """What must pass, sooner or later."""
        self.cloud.wait(lambda: self.ping(guest, address))

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
    stage.cloud.wait(lambda: len(stage.api("GET", "/v2.0/agents?alive=true")["agents"]) == 3)


def test_guests_reach_what_their_groups_allow(stage, net):
    one, two = stage.guest(net["id"]), stage.guest(net["id"])
    assert stage.lease(one) and stage.lease(two)
    stage.reaches(one, two["fixed_ips"][0]["ip_address"])
    lonely = stage.api("POST", "/v2.0/security-groups", {"security_group": {"name": "lonely"}})["security_group"]
    three = stage.guest(net["id"], security_groups=[lonely["id"]])
    assert stage.lease(three)
    address = three["fixed_ips"][0]["ip_address"]
    assert not stage.ping(one, address)
    stage.api("POST", "/v2.0/security-group-rules", {"security_group_rule": {
        "security_group_id": lonely["id"], "direction": "ingress", "protocol": "icmp"}})
    stage.cloud.wait(lambda: stage.ping(one, address))


TALK = """
import socket, sys, threading, time
role, kind, address, port = sys.argv[1:]
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
def count(s):
    while s.recv(1000):
        print("x", flush=True)
if role == "serve":
    s.bind((address, int(port)))
    if kind == "tcp":
        s.listen()
    print("ready", flush=True)
    if kind == "tcp":
        s, _ = s.accept()
    else:
        s.connect(s.recvfrom(10)[1])
    while True:
        s.send(b"x"); time.sleep(0.05)
s.connect((address, int(port)))
s.send(b"x")
if kind == "udp":  # until it has arrived
    s.settimeout(1)
    while True:
        try:
            s.recv(1000)
            break
        except OSError:
            s.send(b"x")
    s.settimeout(None)
count(s)
"""


class Talk:
    """A connection from one guest to another in which the server speaks: nothing of it is from its opener but the first packet
    (and what TCP acknowledges)."""

    def __init__(self, folder, client, server, kind, port):
        address = server["fixed_ips"][0]["ip_address"]
        self.heard = folder / f"{kind}-{port}"
        self.processes = []
        for netns, role, out in ((server["netns"], "serve", "server"), (client["netns"], "hear", "client")):
            with open(self.heard if out == "client" else str(self.heard) + ".server", "wb") as to:
                self.processes.append(subprocess.Popen(
                    ["ip", "netns", "exec", netns, "/usr/bin/python3", "-c", TALK, role, kind, address, str(port)],
                    stdout=to, stderr=to))
            if role == "serve":
                self.wait_served(pathlib.Path(str(self.heard) + ".server"))

    def wait_served(self, said):
        end = time.monotonic() + 180
        while "ready" not in said.read_text():
            assert self.processes[0].poll() is None and time.monotonic() < end, said.read_text()
            time.sleep(0.05)

    def alive(self, seconds=60.0):
        """Whether anything is heard in that time, which need not go by then."""
        before, end = self.heard.stat().st_size, time.monotonic() + seconds
        while self.heard.stat().st_size == before and time.monotonic() < end:
            time.sleep(0.05)
        return self.heard.stat().st_size > before

    def end(self):
        for process in self.processes:
            process.kill()
            process.wait()


def test_a_connection_ends_with_its_rule(stage, net, tmp_path):
    """TCP and one-way UDP go on while their rule is there, whatever else changes, and end with it; with it again the next one
    passes."""
    one = stage.guest(net["id"])
    group = stage.api("POST", "/v2.0/security-groups", {"security_group": {"name": "talk"}})["security_group"]["id"]
    two = stage.guest(net["id"], security_groups=[group])
    assert stage.lease(one) and stage.lease(two)

    def allow(**fields):
        return stage.api("POST", "/v2.0/security-group-rules", {"security_group_rule": {
            "security_group_id": group, "direction": "ingress", **fields}})["security_group_rule"]["id"]

    rules = {kind: allow(protocol=kind, port_range_min=7000, port_range_max=7001) for kind in ("tcp", "udp")}
    stage.cloud.wait(lambda: "tp_dst=7000" in stage.flows() or "tp_dst=0x1b58" in stage.flows())
    talks = {kind: Talk(tmp_path, one, two, kind, 7000) for kind in rules}
    again = None
    try:
        stage.cloud.wait(lambda: all(talk.alive() for talk in talks.values()))
        other = allow(protocol="icmp")
        stage.api("DELETE", f"/v2.0/security-group-rules/{other}")
        time.sleep(3)
        assert all(talk.alive() for talk in talks.values())  # another rule came and went
        for kind in rules:
            stage.api("DELETE", f"/v2.0/security-group-rules/{rules[kind]}")
            stage.cloud.wait(lambda: not talks[kind].alive(1))
            assert kind == "udp" or talks["udp"].alive()
        allow(protocol="udp", port_range_min=7000, port_range_max=7001)
        again = Talk(tmp_path, one, two, "udp", 7001)
        stage.cloud.wait(again.alive)
    finally:
        for talk in [*talks.values(), *([again] if again else [])]:
            talk.end()


def test_local_vlans_are_used_again(stage):
    """The network whose last port went gives its local VLAN back, and what was tracked there with it."""
    def tag_of(guest):
        return run("ovs-vsctl", f"--db={stage.db}", "get", "Port", guest["tap"], "tag").stdout.strip()

    def connections(tag):
        env = dict(os.environ, OVS_RUNDIR=str(stage.cloud.state_dir / "run/ovs"))
        return run("ovs-appctl", "dpctl/dump-conntrack", f"zone={tag}", env=env).stdout

    tags = []
    for n in range(3):
        made = stage.api("POST", "/v2.0/networks", {"network": {"name": f"brief{n}"}})["network"]
        stage.api("POST", "/v2.0/subnets", {"subnet": {"network_id": made["id"], "ip_version": 4, "cidr": "198.18.62.0/24",
                                                       "enable_dhcp": False}})
        guest, other = stage.guest(made["id"]), stage.guest(made["id"])
        for one in (guest, other):
            run("ip", "-n", one["netns"], "addr", "add", one["fixed_ips"][0]["ip_address"] + "/24", "dev", "eth0")
        stage.reaches(guest, other["fixed_ips"][0]["ip_address"])
        tags.append(tag_of(guest))
        assert "icmp" in connections(tags[-1])
        for one in (guest, other):
            stage.api("DELETE", f"/v2.0/ports/{one['id']}")
            run("ovs-vsctl", f"--db={stage.db}", "del-port", "br-int", one["tap"])
        stage.cloud.wait(lambda: connections(tags[-1]) == "")
        stage.api("DELETE", f"/v2.0/networks/{made['id']}")
    assert len(set(tags)) == 1


def test_the_switch_comes_back_at_once(stage, net):
    pid = int((stage.cloud.state_dir / "run/ovs/ovs-vswitchd.pid").read_text())
    os.kill(pid, 9)

    def back():
        try:
            now = int((stage.cloud.state_dir / "run/ovs/ovs-vswitchd.pid").read_text())
            return now != pid and "table=82" in stage.flows()
        except (OSError, ValueError, subprocess.CalledProcessError):
            return False
    stage.cloud.wait(back, 28)  # the agent's own rhythm is 30 s


def test_an_unplugged_port_goes_down(stage, net):
    guest = stage.guest(net["id"])
    run("ovs-vsctl", f"--db={stage.db}", "del-port", "br-int", guest["tap"])
    stage.cloud.wait(lambda: stage.port(guest["id"])["status"] == "DOWN")


def test_restart_changes_nothing(stage, net):
    before, pid = stage.flows(), stage.dnsmasq(net["id"])
    stage.cloud.stop()
    (stage.cloud.state_dir / "run" / "ready").unlink(missing_ok=True)
    stage.cloud.start()
    stage.cloud.forget_tokens()
    stage.cloud.wait(lambda: len(stage.api("GET", "/v2.0/agents?alive=true")["agents"]) == 3)
    guest = stage.guest(net["id"])  # a whole turn went by
    assert set(before.splitlines()) <= set(stage.flows().splitlines())
    assert stage.dnsmasq(net["id"]) == pid and stage.lease(guest)


def test_a_killed_dhcp_server_comes_back(stage, net):
    os.kill(stage.dnsmasq(net["id"]), 9)
    guest = stage.guest(net["id"])
    stage.cloud.wait(lambda: stage.lease(guest))


def test_a_network_is_taken_off_its_dhcp_agent_and_put_back(stage, net):
    """What an operator took off stays off, whatever the agent asks for; put back, it has its address again."""
    def addresses():
        ports = stage.api("GET", f"/v2.0/ports?network_id={net['id']}&device_owner=network:dhcp")["ports"]
        return [port["fixed_ips"] for port in ports]

    agent = stage.api("GET", "/v2.0/agents?agent_type=DHCP%20agent")["agents"][0]["id"]
    pid, before = stage.cloud.wait(lambda: stage.dnsmasq(net["id"])), addresses()
    stage.api("DELETE", f"/v2.0/agents/{agent}/dhcp-networks/{net['id']}")
    stage.cloud.wait(lambda: not os.path.exists(f"/proc/{pid}"))
    other = stage.api("POST", "/v2.0/networks", {"network": {"name": "other"}})["network"]
    stage.api("POST", "/v2.0/subnets", {"subnet": {"network_id": other["id"], "ip_version": 4, "cidr": "198.18.63.0/24"}})
    stage.cloud.wait(lambda: stage.dnsmasq(other["id"]))  # the agent has asked again
    assert stage.api("GET", f"/v2.0/networks/{net['id']}/dhcp-agents")["agents"] == [] and not stage.dnsmasq(net["id"])
    stage.api("POST", f"/v2.0/agents/{agent}/dhcp-networks", {"network_id": net["id"]})
    stage.cloud.wait(lambda: stage.dnsmasq(net["id"]))
    assert addresses() == before
    guest = stage.guest(net["id"])
    stage.cloud.wait(lambda: stage.lease(guest))
    stage.api("DELETE", f"/v2.0/networks/{other['id']}")


def test_nothing_is_left_of_a_deleted_network(stage):
    made = stage.api("POST", "/v2.0/networks", {"network": {"name": "short"}})["network"]
    stage.api("POST", "/v2.0/subnets", {"subnet": {"network_id": made["id"], "ip_version": 4, "cidr": "198.18.61.0/24"}})
    pid = stage.cloud.wait(lambda: stage.dnsmasq(made["id"]))
    stage.api("DELETE", f"/v2.0/networks/{made['id']}")
    stage.cloud.wait(lambda: not os.path.exists(f"/proc/{pid}") and made["id"] not in run("ip", "netns").stdout)
    assert not (stage.cloud.state_dir / "run/dhcp" / made["id"]).exists()
