# SPDX-License-Identifier: Apache-2.0
"""A real guest in the second form: MariaDB, RabbitMQ, memcached, every role a process of its own; the data plane in a
namespace. Each role is killed and comes back, the broker and the database go and return, a build loses its conductor: the
guest lives on and the next server boots."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests" / "api"), str(ROOT / "tests" / "lib")]
from conftest import BIN, Cloud, FORM  # noqa: E402
import parts as lib_parts  # noqa: E402
import split  # noqa: E402

missing = lib_parts.missing("ovs-vswitchd", "ovsdb-server", "dnsmasq", "libvirtd", "qemu-system-x86_64", "ssh-keygen")
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and a hypervisor need root"),
    pytest.mark.skipif(bool(missing), reason=f"this machine has no {', '.join(missing)}"),
    pytest.mark.skipif(not os.path.exists("/dev/net/tun"), reason="this machine has no /dev/net/tun"),
    pytest.mark.skipif(FORM != "one", reason="starts its own"),
]
# They have the host's switch and hypervisor: of their own here, below a state directory, in a namespace.
HOST_ROLES = ["nova-compute", "neutron-openvswitch-agent", "neutron-dhcp-agent", "neutron-metadata-agent"]
BOOT_SECONDS = 600


class Host:
    """What a test does with the guests; mixed into the class of a split cloud."""

    @property
    def namespace(self):
        digest = subprocess.run(["sha256sum"], input=str(self.state_dir), capture_output=True, text=True).stdout[:6]
        return "nubo-" + digest  # as `nubo down` knows it

    def arguments(self, role):
        more = ["--state-dir", str(self.state_dir), "--port-offset", str(self.offset)] if role in HOST_ROLES else []
        return [*super().arguments(role), *more]

    def start_role(self, role, env=None):
        return super().start_role(role, dict(env or {}, NUBO_NETNS=self.namespace) if role in HOST_ROLES else env)

    def made(self, service, path, body, key):
        answer = self.post(service, path, body)
        assert answer.ok, answer.text
        return answer.json()[key]

    def furnish(self, image):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.state_dir / "id")], check=True)
        key = (self.state_dir / "id.pub").read_text()
        self.made("compute", "/os-keypairs", {"keypair": {"name": "k", "public_key": key}}, "keypair")
        self.made("compute", "/flavors", {"flavor": {"name": "tiny", "id": "tiny", "ram": 128, "vcpus": 1, "disk": 1}}, "flavor")
        self.network = self.made("network", "/v2.0/networks", {"network": {"name": "n"}}, "network")["id"]
        subnet = {"network_id": self.network, "cidr": "198.18.90.0/24", "ip_version": 4}
        self.made("network", "/v2.0/subnets", {"subnet": subnet}, "subnet")
        project = self.get("identity", "/projects?name=admin").json()["projects"][0]["id"]
        group = self.get("network", f"/v2.0/security-groups?name=default&project_id={project}").json()["security_groups"][0]["id"]
        for protocol in ("tcp", "icmp"):
            self.made("network", "/v2.0/security-group-rules", {"security_group_rule": {
                "security_group_id": group, "direction": "ingress", "protocol": protocol}}, "security_group_rule")
        made = self.post("image", "/v2/images", {"name": "guest", "disk_format": "qcow2", "container_format": "bare"}).json()
        self.image = made["id"]
        with open(image, "rb") as data:
            put = self.call("PUT", "image", f"/v2/images/{self.image}/file", data=data,
                            headers={"Content-Type": "application/octet-stream"})
        assert put.status_code == 204, put.text

    def create(self, name, **more):
        """(id, request id)"""
        answer = self.post("compute", "/servers", {"server": {
            "name": name, "imageRef": self.image, "flavorRef": "tiny", "key_name": "k", "networks": [{"uuid": self.network}],
            **more}})
        assert answer.status_code == 202, answer.text
        self.last_request = answer.headers["X-Openstack-Request-Id"]
        return answer.json()["server"]["id"], self.last_request

    def server(self, server):
        return self.get("compute", f"/servers/{server}").json()["server"]

    def wait_active(self, server, seconds=300):
        def active():
            now = self.server(server)
            assert now["status"] != "ERROR", f"{now['fault']}\n{self.trace(self.last_request)}"
            return now["status"] == "ACTIVE"
        self.wait(active, seconds, 0.2)

    def delete(self, server):
        assert self.call("DELETE", "compute", f"/servers/{server}").status_code == 204
        self.wait(lambda: self.get("compute", f"/servers/{server}").status_code == 404, 180, 0.2)

    def address(self, server):
        return self.server(server)["addresses"]["n"][0]["addr"]

    def ssh(self, address, command, seconds=180):
        """What the guest answers; "" when it does not."""
        options = ["-F", "none", "-i", str(self.state_dir / "id"), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
                   "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=60"]
        try:
            done = subprocess.run(["ip", "netns", "exec", f"{self.namespace}.qdhcp-{self.network}", "ssh", *options,
                                   f"nubo@{address}", command], capture_output=True, text=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            return ""
        return done.stdout.strip() if done.returncode == 0 else ""

    def wait_login(self, server, name):
        address = self.address(server)
        self.wait(lambda: self.ssh(address, "hostname") == name, BOOT_SECONDS, 1)
        return address

    def trace(self, request):
        return subprocess.run([BIN, "trace", request, "--state-dir", str(self.state_dir)], capture_output=True, text=True,
                              timeout=120).stdout

    def guests(self):
        """The guests' processes."""
        found = []
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                line = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if b"qemu-system" in line and str(self.state_dir).encode() in line:
                found.append(int(folder.name))
        return sorted(found)

    def purge(self):
        """The end of all processes, then of what nova-compute (its state_path) and the agents leave running."""
        status = self.stop()
        (self.state_dir / "cloud.json").write_text("{}")
        for words in (["--state-dir", f"{self.state_dir}/nova"], ["--purge", "--state-dir", str(self.state_dir)]):
            done = subprocess.run([BIN, "down", *words], capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stderr
        left = [name for name in os.listdir("/run/netns") if name.startswith(self.namespace)]
        assert status == 0 and left == []


@pytest.fixture(scope="module")
def parts():
    it = lib_parts.Parts()
    yield it
    it.dispose()


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    given = os.environ.get("NUBO_GUEST_IMAGE")
    if given is not None:
        return given
    made = tmp_path_factory.mktemp("image") / "guest.qcow2"
    subprocess.run([str(ROOT / "images" / "build"), str(made)], check=True, capture_output=True, timeout=600)
    return made


@pytest.fixture(scope="module")
def cloud(parts, image):
    kind = type("Site", (Host, parts.split(Cloud, BIN)), {})
    folder = pathlib.Path(tempfile.mkdtemp(prefix="nubo-split-", dir="/var/tmp"))
    folder.chmod(0o755)
    it = kind(folder / "state", fake_compute=0)
    try:
        it.start()
        it.furnish(image)
        yield it
    finally:
        report, tail = it.reports(), it.tail()
        try:
            it.purge()
        finally:
            it.kill()
            shutil.rmtree(folder, ignore_errors=True)
    assert report is None, f"{report}\n{tail}"


@pytest.fixture(scope="module")
def first(cloud):
    """A guest that lives through everything: (server, its address, its request)."""
    server, request = cloud.create("first", user_data="aGVsbG8gc2Vjb25kIGZvcm0K")
    cloud.wait_active(server)
    return server, cloud.wait_login(server, "first"), request


def alive(cloud, first):
    assert cloud.server(first[0])["status"] == "ACTIVE"
    assert cloud.ssh(first[1], "hostname") == "first"


def test_address_key_and_metadata(cloud, first):
    server, address, _ = first
    ask = "wget -qO- http://169.254.169.254/openstack/latest/"
    assert cloud.ssh(address, ask + "user_data") == "hello second form"
    meta = cloud.ssh(address, ask + "meta_data.json")
    assert server in meta and (cloud.state_dir / "id.pub").read_text().split()[1] in meta
    assert address in cloud.ssh(address, "ip -4 addr")


def test_trace_tells_of_every_process(cloud, first):
    tree = cloud.trace(first[2])
    for role in ("nova-api", "nova-conductor", "nova-scheduler", "nova-compute", "placement-api", "neutron-server", "glance-api"):
        assert re.search(rf" ms +{role}", tree), f"{role} is not in\n{tree}"
    roots = [line for line in tree.splitlines() if " ms  " in line and line.split(" ms  ")[-1][0] != " "]
    assert len(roots) == 1 and "POST /v2.1/servers" in roots[0], tree


@pytest.mark.parametrize("role", split.ROLES)
def test_a_killed_role_comes_back(cloud, first, role):
    before = cloud.guests()
    cloud.kill_role(role)
    assert cloud.ssh(first[1], "hostname") == "first"
    cloud.start_role(role)
    assert cloud.guests() == before
    server, _ = cloud.create("after-" + role)
    cloud.wait_active(server)
    cloud.delete(server)
    alive(cloud, first)


def test_a_build_loses_its_conductor(cloud, first):
    cloud.stop_role("nova-conductor")
    cloud.start_role("nova-conductor", {"NUBO_FLOW_KILL": "build_instance:select destinations:after"})
    server, _ = cloud.create("orphan")
    cloud.wait(lambda: cloud.programs["nova-conductor"].process.poll() is not None)
    cloud.kill_role("nova-conductor")
    time.sleep(1)
    assert cloud.server(server)["status"] == "BUILD"
    cloud.start_role("nova-conductor")
    cloud.wait_active(server)
    cloud.delete(server)


@pytest.mark.parametrize("engine", ["broker", "database"])
def test_an_engine_goes_and_returns(cloud, parts, first, engine):
    it = getattr(parts, engine)
    it.stop()
    assert cloud.ssh(first[1], "hostname") == "first"
    time.sleep(3)
    it.start()
    cloud.wait(lambda: cloud.get("compute", "/servers").status_code == 200)
    server, _ = cloud.create("after-" + engine)
    cloud.wait_active(server)
    cloud.delete(server)
    alive(cloud, first)


def test_the_next_server_boots(cloud, first):
    """After all that."""
    server, _ = cloud.create("next")
    cloud.wait_active(server)
    address = cloud.wait_login(server, "next")
    assert server in cloud.ssh(address, "wget -qO- http://169.254.169.254/openstack/latest/meta_data.json")
    alive(cloud, first)
    for one in (server, first[0]):
        cloud.delete(one)
    cloud.wait(lambda: cloud.guests() == [])
    assert {p["device_owner"] for p in cloud.get("network", "/v2.0/ports").json()["ports"]} <= {"network:dhcp"}
