# SPDX-License-Identifier: Apache-2.0
"""Builds the guest image and boots it under QEMU's emulation, as a cloud would.

    /usr/bin/python3 -m pytest tests/e2e/test_guest_image.py

NUBO_GUEST_WORK names the folder where images/build keeps its packages (default: its own default).
Traffic stays on loopback (QEMU's user network) and inside one network namespace that the test makes;
the tests that need the namespace are skipped without root or dnsmasq.
"""

import hashlib
import json
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "lib"))
import ports  # noqa: E402

BOOT_TIMEOUT_S = 600  # emulation on a busy machine
KEY_TYPES = ("ed25519", "ecdsa", "rsa")
IMAGE_LIMIT_BYTES = 20 << 20
PASSWORD = 'p"\u00e4ss word\\'  # JSON and the shell must both hand it on as it is
NAMESPACE = f"nubo-guest-{os.getpid()}"
QEMU = "qemu-system-x86_64"

pytestmark = pytest.mark.skipif(not shutil.which(QEMU), reason=f"no {QEMU}")
in_namespace = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("dnsmasq") or not os.path.exists("/dev/net/tun"),
    reason="needs root, dnsmasq and /dev/net/tun",
)


def run(*command, **options):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True, **options)


def build(out, *options):
    work = os.environ.get("NUBO_GUEST_WORK")
    return run(TOP / "images/build", *(["--work", work] if work else []), *options, out).stdout


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    out = tmp_path_factory.mktemp("image") / "guest.qcow2"
    print(build(out, "--direct"))
    return out


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    for kind in KEY_TYPES:
        run("ssh-keygen", "-q", "-t", kind, "-N", "", "-f", folder / kind)
    return folder


def metadata(keys, name, **more):
    return {
        "uuid": f"00000000-0000-4000-8000-{hashlib.md5(name.encode()).hexdigest()[:12]}",
        "name": name,
        "hostname": f"{name}.novalocal",
        # a name with a dot, and the newline that nova stores at a key's end
        "public_keys": {f"my.{kind}": (keys / f"{kind}.pub").read_text() for kind in KEY_TYPES},
    } | more


def write_drive(folder, files):
    for name, text in files.items():
        path = folder / "openstack/latest" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def iso_drive(tmp_path, files):
    tree, drive = tmp_path / "drive", tmp_path / "config.iso"
    write_drive(tree, files)
    run("genisoimage", "-quiet", "-o", drive, "-V", "config-2", "-J", "-r", tree)
    return ["-drive", f"media=cdrom,file={drive},format=raw,readonly=on"]


def vfat_drive(tmp_path, files):
    tree, drive = tmp_path / "drive", tmp_path / "config.vfat"
    write_drive(tree, files)
    with open(drive, "wb") as file:
        file.truncate(64 << 20)
    run("mformat", "-i", drive, "-v", "config-2", "::")
    run("mcopy", "-s", "-i", drive, tree / "openstack", "::/")
    return ["-drive", f"if=virtio,file={drive},format=raw,readonly=on"]


class Guest:
    """A running guest: its serial console, its monitor, SSH."""

    def __init__(self, folder, image, arguments, prefix=(), disk_mb=512):
        self.folder, self.prefix, self.console = folder, list(prefix), ""
        self.address, self.port = "127.0.0.1", 22
        disk = folder / "disk.qcow2"
        run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image, disk, f"{disk_mb}M")
        # The sockets' names are relative: a path of pytest's may be longer than a socket's may be.
        self.process = subprocess.Popen(
            self.prefix
            + [QEMU, "-machine", "pc", "-accel", "tcg,tb-size=32", "-cpu", "max", "-m", "128", "-display", "none"]
            + ["-device", "virtio-rng-pci", "-drive", f"if=virtio,file={disk},cache=unsafe"]
            # paused, so that the console is read from its first byte
            + ["-S", "-chardev", "socket,id=console,path=console,server=on,wait=off", "-serial", "chardev:console"]
            + ["-qmp", "unix:monitor,server=on,wait=off"]
            + [str(word) for word in arguments],
            cwd=folder,
        )
        self.serial = self.connect("console")
        self.monitor = None
        self.command("cont")
        self.started = time.monotonic()

    def connect(self, name):
        end = time.monotonic() + 180
        home = os.getcwd()
        while True:
            link = socket.socket(socket.AF_UNIX)
            os.chdir(self.folder)
            try:
                link.connect(name)
                return link
            except OSError:
                link.close()
                assert self.process.poll() is None, "qemu ended at once"
                assert time.monotonic() < end, f"no socket {name}"
                time.sleep(0.05)
            finally:
                os.chdir(home)

    def read_console(self, timeout_s):
        if not select.select([self.serial], [], [], timeout_s)[0]:
            return True
        data = self.serial.recv(65536)
        self.console += data.decode("utf-8", "replace").replace("\r", "")
        return bool(data)

    def wait_console(self, pattern, after=0, timeout_s=BOOT_TIMEOUT_S):
        """The first match behind that place in the console's text."""
        end = time.monotonic() + timeout_s
        while True:
            match = re.compile(pattern, re.M).search(self.console, after)
            if match:
                return match
            alive = self.read_console(0.2)
            assert alive and time.monotonic() < end, f"no {pattern!r} on the console:\n{self.console[-4000:]}"

    def wait_ready(self, after=0):
        # with its line's end: it may have been read in two parts
        return self.wait_console(r"^nubo-guest: ready host=(?P<host>\S+) ip=(?P<ip>\S+) source=(?P<source>\S+) .*\n", after)

    def type(self, text):
        self.serial.sendall(text.encode())

    def command(self, execute, **arguments):
        if self.monitor is None:
            self.monitor = self.connect("monitor").makefile("rw")
            self.monitor.readline()  # the greeting
            self.command("qmp_capabilities")
        self.monitor.write(json.dumps({"execute": execute, "arguments": arguments}) + "\n")
        self.monitor.flush()
        while True:
            answer = json.loads(self.monitor.readline())
            if "event" not in answer:
                assert "return" in answer, answer
                return answer["return"]

    def ssh(self, key, command, user="nubo"):
        options = ["-F", "none", "-i", key, "-p", self.port, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
        options += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
        options += ["-o", "ConnectTimeout=120"]
        return run(*self.prefix, "ssh", *options, f"{user}@{self.address}", command, timeout=300).stdout.strip()

    def ssh_with_password(self, password, command, user="nubo"):
        answer = self.folder / "answer"
        answer.write_text(f"#!/bin/sh\ncat <<'END'\n{password}\nEND\n")
        answer.chmod(0o700)
        options = ["-F", "none", "-p", self.port, "-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1"]
        options += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
        environment = os.environ | {"SSH_ASKPASS": str(answer), "SSH_ASKPASS_REQUIRE": "force"}
        return run(
            *self.prefix, "ssh", *options, f"{user}@{self.address}", command, timeout=300, env=environment
        ).stdout.strip()

    def wait_end(self, timeout_s=300):
        end = time.monotonic() + timeout_s
        while self.process.poll() is None:
            assert time.monotonic() < end, self.console[-2000:]
            if not self.read_console(0.1):
                time.sleep(0.05)
        return self.process.returncode

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.serial.close()
        (self.folder / "console.log").write_text(self.console)


@pytest.fixture
def boot(image, tmp_path):
    guests = []

    def start(arguments, **options):
        folder = tmp_path / f"guest{len(guests)}"
        folder.mkdir()
        guests.append(Guest(folder, image, arguments, **options))
        return guests[-1]

    yield start
    for guest in guests:
        guest.kill()


def user_network(guest_port):
    return [
        "-netdev", f"user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:{guest_port}-:22",
        "-device", "virtio-net-pci,netdev=net0,romfile=",
    ]  # fmt: skip


def test_is_small(image):
    assert image.stat().st_size < IMAGE_LIMIT_BYTES
    for name in ("guest.vmlinuz", "guest.initrd", "guest.cmdline"):
        assert (image.parent / name).stat().st_size > 0


def test_same_packages_give_same_bytes(image, tmp_path):
    build(tmp_path / "again.qcow2")
    first, second = (hashlib.sha256(path.read_bytes()).hexdigest() for path in (image, tmp_path / "again.qcow2"))
    assert first == second


def test_life_of_a_server_with_a_config_drive(boot, keys, tmp_path):
    user_data = "#!/bin/sh\necho run $(id -un) >>/root/runs\necho said by user data\n"
    drive = iso_drive(
        tmp_path,
        {
            "meta_data.json": json.dumps(metadata(keys, "vm1", admin_pass=PASSWORD)),
            "user_data": user_data,
        },
    )
    port = ports.claim()
    guest = boot(drive + user_network(port), disk_mb=700)
    guest.port = port
    ready = guest.wait_ready()
    print(f"ready {time.monotonic() - guest.started:.1f} s after power on")
    assert ready.groupdict() == {"host": "vm1", "ip": "10.0.2.15", "source": "config-drive"}
    assert "nubo-guest: user_data: said by user data\n" in guest.console
    assert re.search(r"^\[ .*Linux version", guest.console, re.M), "the kernel's log belongs on the console"

    for kind in KEY_TYPES:
        assert guest.ssh(keys / kind, "hostname") == "vm1"
    key = keys / "ed25519"
    assert guest.ssh(key, "sudo cat /root/runs") == "run root"
    assert int(guest.ssh(key, "df -m / | awk 'NR == 2 { print $2 }'")) > 600
    assert guest.ssh(key, "sudo -n id -u; sudo -u nubo id -u").split() == ["0", "1000"]
    assert guest.ssh(key, "sudo blkid | grep -c config-2") == "1"
    assert guest.ssh(key, "wc -l </home/nubo/.ssh/authorized_keys") == "3"

    # the password from the metadata, in place of the image's own
    assert guest.ssh_with_password(PASSWORD, "id -un") == "nubo"
    with pytest.raises(subprocess.CalledProcessError):
        guest.ssh_with_password("nubo-guest", "true")
    with pytest.raises(subprocess.CalledProcessError):
        guest.ssh(key, "true", user="root")
    guest.wait_console("vm1 login: ", ready.start())
    guest.type("nubo\n")
    guest.wait_console("Password: ", ready.start())
    guest.type(f"{PASSWORD}\n")
    guest.wait_console(r"nubo@vm1:~\$ ", ready.start())
    guest.type("sudo echo became-$((40 + 2))\n")
    guest.wait_console("became-42", ready.start())

    # a reboot from within: user data does not run again, the host key and root's size stay
    host_key = re.search(r"ssh host key (\S+)", guest.console).group(1)
    place = len(guest.console)
    guest.type("sudo reboot\n")
    again = guest.wait_ready(place)
    assert again["host"] == "vm1"
    assert f"ssh host key {host_key}" in guest.console[place:]
    assert "root file system grown" not in guest.console[place:]
    assert "recovery complete" not in guest.console[place:], "root was not unmounted cleanly"
    assert guest.ssh(key, "sudo cat /root/runs") == "run root"

    # the power button
    pressed = time.monotonic()
    guest.command("system_powerdown")
    assert guest.wait_end() == 0
    print(f"off {time.monotonic() - pressed:.1f} s after the power button")
    assert "nubo-guest: power button" in guest.console


def test_direct_boot_vfat_drive_and_static_address(boot, image, keys, tmp_path):
    mac = "52:54:00:12:34:56"
    network = {
        "links": [{"id": "tap1", "ethernet_mac_address": mac, "mtu": 1400, "type": "ovs"}],
        "networks": [
            {"id": "network0", "type": "ipv6_slaac", "link": "tap1"},
            {
                "id": "network1", "type": "ipv4", "link": "tap1", "ip_address": "10.0.2.99", "netmask": "255.255.255.0",
                "routes": [
                    {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.2.2"},
                    {"network": "198.18.5.0", "netmask": "255.255.255.0", "gateway": "10.0.2.3"},
                ],
            },
        ],
        "services": [{"type": "dns", "address": "198.18.0.53"}],
    }  # fmt: skip
    drive = vfat_drive(
        tmp_path,
        {"meta_data.json": json.dumps(metadata(keys, "vm2")), "network_data.json": json.dumps(network)},
    )
    port = ports.claim()
    guest = boot(
        drive
        + ["-netdev", f"user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:{port}-10.0.2.99:22"]
        + ["-device", f"virtio-net-pci,netdev=net0,romfile=,mac={mac}"]
        + ["-kernel", image.with_suffix(".vmlinuz"), "-initrd", image.with_suffix(".initrd")]
        + ["-append", image.with_suffix(".cmdline").read_text().strip()]
    )
    guest.port = port
    ready = guest.wait_ready()
    assert ready.groupdict() == {"host": "vm2", "ip": "10.0.2.99", "source": "config-drive"}
    routes = guest.ssh(keys / "ed25519", "ip route; cat /sys/class/net/eth0/mtu /etc/resolv.conf")
    assert "default via 10.0.2.2 dev eth0" in routes
    assert "198.18.5.0/24 via 10.0.2.3 dev eth0" in routes
    assert "\n1400\n" in routes and "nameserver 198.18.0.53" in routes


# --- DHCP and the metadata service, in a namespace ---

METADATA_SERVER = """
import http.server, json, sys
pages = json.load(open(sys.argv[1]))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = pages.get(self.path)
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Length", str(len((body or "").encode())))
        self.end_headers()
        self.wfile.write((body or "").encode())
    def log_message(self, *arguments):
        pass
http.server.ThreadingHTTPServer(("169.254.169.254", 80), Handler).serve_forever()
"""


class Lab:
    """A namespace with two taps, a DHCP server for both, and a metadata service behind an option 121 route."""

    def __init__(self, folder):
        self.folder, self.processes = folder, []
        self.prefix = ["ip", "netns", "exec", NAMESPACE]
        run("ip", "netns", "add", NAMESPACE)
        try:
            self.fill()
        except BaseException:
            self.close()
            raise

    def inside(self, *command):
        return run(*self.prefix, *command)

    def fill(self):
        self.inside("ip", "link", "set", "lo", "up")
        self.inside("ip", "addr", "add", "169.254.169.254/32", "dev", "lo")
        for index in (0, 1):
            self.inside("ip", "tuntap", "add", f"tap{index}", "mode", "tap")
            self.inside("ip", "addr", "add", f"198.18.{index}.1/24", "dev", f"tap{index}")
            self.inside("ip", "link", "set", f"tap{index}", "up")

    def serve(self, pages):
        (self.folder / "pages.json").write_text(json.dumps(pages))
        self.spawn(sys.executable, "-c", METADATA_SERVER, self.folder / "pages.json")
        self.spawn(
            "dnsmasq", "-k", "--conf-file=/dev/null", "--port=0", "--no-ping", "--bind-dynamic", "--no-resolv",
            "--interface=tap0,tap1", f"--dhcp-leasefile={self.folder}/leases", "--pid-file=", "--user=root",
            "--dhcp-range=set:a,198.18.0.10,198.18.0.10,10m", "--dhcp-range=set:b,198.18.1.10,198.18.1.10,10m",
            # as neutron's agent: the router's address twice, and the metadata service by a route of its own
            "--dhcp-option-force=tag:a,121,169.254.169.254/32,198.18.0.1,203.0.113.0/24,198.18.0.7,0.0.0.0/0,198.18.0.1",
            "--dhcp-option=tag:a,3,198.18.0.66", "--dhcp-option-force=26,1380", "--dhcp-option=6,198.18.0.53",
        )  # fmt: skip

    def spawn(self, *command):
        log = open(self.folder / "lab.log", "a")
        self.processes.append(subprocess.Popen([*self.prefix, *map(str, command)], stdout=log, stderr=log))

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()
        run("ip", "netns", "del", NAMESPACE)


@pytest.fixture
def lab(tmp_path):
    lab = Lab(tmp_path)
    yield lab
    lab.close()


TAP = ["-netdev", "tap,id=net0,ifname=tap0,script=no,downscript=no", "-device", "virtio-net-pci,netdev=net0,romfile="]


@in_namespace
def test_dhcp_options_metadata_service_and_hotplug(boot, keys, lab):
    lab.serve(
        {
            "/openstack/latest/meta_data.json": json.dumps(metadata(keys, "vm3")),
            "/openstack/latest/user_data": "#!/bin/sh\nip route >/root/routes\n",
        }
    )
    guest = boot(TAP + ["-netdev", "tap,id=net1,ifname=tap1,script=no,downscript=no"], prefix=lab.prefix)
    guest.address = "198.18.0.10"
    ready = guest.wait_ready()
    assert ready.groupdict() == {"host": "vm3", "ip": "198.18.0.10", "source": "openstack"}
    key = keys / "rsa"
    routes = guest.ssh(key, "sudo cat /root/routes")
    assert "203.0.113.0/24 via 198.18.0.7" in routes, "option 121, and there before user data runs"
    assert "default via 198.18.0.1 " in routes and "198.18.0.66" not in routes, "option 121 puts option 3 out of force"
    assert guest.ssh(key, "cat /sys/class/net/eth0/mtu") == "1380"
    assert guest.ssh(key, "cat /etc/resolv.conf") == "nameserver 198.18.0.53"

    # a renewal, as test suites ask for it, takes nothing away
    guest.ssh(key, "sudo kill -USR1 $(cat /var/run/udhcpc.eth0.pid); sleep 2; ip route | grep -q default")

    guest.command("device_add", driver="virtio-net-pci", netdev="net1", id="nic1")
    guest.wait_console(r"nubo-guest: eth1 198\.18\.1\.10/255.255.255.0|nubo-guest: eth1 198\.18\.1\.10/24", ready.end())
    # its default route comes after the first interface's, and does not take its place
    defaults = re.findall(r"^default via (\S+) .*metric (\d+)", guest.ssh(key, "ip route"), re.M)
    assert [via for via, metric in sorted(defaults, key=lambda route: int(route[1]))] == ["198.18.0.1", "198.18.1.1"]
    guest.command("device_del", id="nic1")
    # nothing is left of it: interface, lease, DHCP client
    end = time.monotonic() + 300
    while True:
        left = guest.ssh(key, "ls /sys/class/net /run /run/leases | grep -c eth1; pidof udhcpc | wc -w").split()
        if left == ["0", "1"]:
            break
        assert time.monotonic() < end, left
        time.sleep(1)


@in_namespace
def test_ec2_metadata_that_come_late(boot, keys, lab):
    """The network is dead while the server boots: login comes all the same, and the metadata when they can."""
    pages = {
        "/latest/meta-data/instance-id": "i-00000001",
        "/latest/meta-data/hostname": "vm4.novalocal",
        "/latest/meta-data/public-keys/": "0=first\n1=second",
        "/latest/meta-data/public-keys/0/openssh-key": (keys / "ecdsa.pub").read_text(),
        "/latest/meta-data/public-keys/1/openssh-key": (keys / "ed25519.pub").read_text().strip(),
        "/latest/user-data": "#!/bin/sh\ntouch /root/ran\n",
    }
    guest = boot(TAP, prefix=lab.prefix)
    guest.address = "198.18.0.10"
    place = guest.wait_ready()
    assert place.groupdict() == {"host": "nubo-guest", "ip": "none", "source": "none"}
    guest.wait_console("login: ", place.start())
    lab.serve(pages)
    ready = guest.wait_ready(place.end())
    assert ready.groupdict() == {"host": "vm4", "ip": "198.18.0.10", "source": "ec2"}
    for kind in ("ecdsa", "ed25519"):
        guest.ssh(keys / kind, "sudo ls /root/ran")
