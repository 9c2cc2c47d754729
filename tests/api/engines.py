# SPDX-License-Identifier: Apache-2.0
"""Servers that tests start for themselves: MariaDB, alone or as a Galera cluster, and memcached; without systemd, as root or
not, on ports and directories of their own. Each object is started by start() and ended by stop(), by its own process ids.
"""
import os
import pathlib
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse

import ports

SERVICES = ("keystone", "glance", "placement", "nova", "neutron")
COMMON = ["--skip-name-resolve", "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=32M", "--performance-schema=OFF",
          "--character-set-server=utf8mb4", "--max-connections=500"]


class MariaDB:
    """One mariadbd. `extra` are more arguments; `address` and `port` stay the same over restarts."""

    def __init__(self, folder=None, address="127.0.0.1", port=None, extra=(), password=None):
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="nubo-mariadb-"))
        self.address = address
        self.port = port or ports.claim(1, (address,))
        self.extra = list(extra)
        self.password = password or "p@ss:/" + secrets.token_hex(4)
        self.process = None

    @property
    def user(self):
        return "mysql" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name

    def install(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        if (self.folder / "data" / "mysql").exists():
            return
        if os.getuid() == 0:
            shutil.chown(self.folder, self.user)
            self.folder.chmod(0o755)
        subprocess.run(["mariadb-install-db", "--no-defaults", f"--user={self.user}", f"--datadir={self.folder}/data",
                        "--auth-root-authentication-method=normal", "--skip-test-db"], check=True, capture_output=True)

    def start(self, *more, wait=True):
        self.install()
        self.process = subprocess.Popen(
            ["mariadbd", "--no-defaults", f"--user={self.user}", f"--datadir={self.folder}/data",
             f"--socket={self.folder}/my.sock", f"--port={self.port}", f"--bind-address={self.address}",
             f"--pid-file={self.folder}/my.pid", f"--log-error={self.folder}/my.err", *COMMON, *self.extra, *more],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=300):
        end = time.monotonic() + seconds
        while self.sql("SELECT 1", check=False).strip() != "1":
            assert self.process.poll() is None, (self.folder / "my.err").read_text()[-3000:]
            assert time.monotonic() < end, "mariadbd is not ready: " + (self.folder / "my.err").read_text()[-3000:]
            time.sleep(0.05)

    def sql(self, text, schema="", check=True):
        done = subprocess.run(["mariadb", "--no-defaults", "-uroot", f"-S{self.folder}/my.sock", "-NB",
                               *([schema] if schema else []), "-e", text], capture_output=True, text=True)
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout

    def create(self, *schemas):
        """Schemas, and a user of the same name with all rights on each; the password has characters that must be escaped."""
        for name in schemas:
            self.sql(f"CREATE DATABASE IF NOT EXISTS `{name}`;"
                     f"CREATE USER IF NOT EXISTS `{name}`@'%' IDENTIFIED BY '{self.password}';"
                     f"GRANT ALL ON `{name}`.* TO `{name}`@'%'")

    def url(self, schema, host=None):
        password = self.password.replace("@", "%40").replace(":", "%3A").replace("/", "%2F")
        return f"mysql+pymysql://{schema}:{password}@{host or f'{self.address}:{self.port}'}/{schema}"

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(120)

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(120)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(120)

    def dispose(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Memcached:
    def __init__(self):
        self.port = ports.claim()
        self.process = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        self.process = subprocess.Popen(["memcached", "-u", "nobody", "-l", "127.0.0.1", "-p", str(self.port), "-U", "0",
                                         "-m", "16"])
        deadline = time.monotonic() + 180
        while True:
            try:
                self.ask("version")
                return self
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def stop(self):
        self.process.kill()
        self.process.wait(120)

    def ask(self, line, end=b"\r\n"):
        with socket.create_connection(("127.0.0.1", self.port), 120) as s:
            s.sendall(line.encode() + b"\r\n")
            text = b""
            while not text.endswith(end):
                more = s.recv(65536)
                if not more:
                    break
                text += more
            return text.decode(errors="replace")

    def keys(self):
        text = self.ask("lru_crawler metadump all", b"END\r\n")
        return [urllib.parse.unquote(k) for k in re.findall(r"^key=(\S+)", text, re.M)]

    def set(self, key, value):
        assert self.ask(f"set {key} 0 300 {len(value)}\r\n{value}") == "STORED\r\n"

    def get(self, key):
        text = self.ask(f"get {key}", b"END\r\n")
        return text.split("\r\n")[1] if text.startswith("VALUE") else None


class Galera:
    """Three nodes on addresses of the loopback network."""

    def __init__(self, network="127.0.21", count=3):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="nubo-galera-"))
        self.folder.chmod(0o755)
        addresses = [f"{network}.{i + 1}" for i in range(count)]
        port, base = ports.claim(1, addresses), ports.claim(3, addresses)
        self.password = "p@ss:/" + secrets.token_hex(4)
        self.nodes = [MariaDB(self.folder / f"n{i}", address, port, self.arguments(i, address, addresses, base), self.password)
                      for i, address in enumerate(addresses)]

    @staticmethod
    def arguments(i, address, addresses, base):
        return ["--binlog-format=ROW", "--default-storage-engine=InnoDB", "--innodb-autoinc-lock-mode=2",
                "--innodb-flush-log-at-trx-commit=2", "--wsrep-on=ON", "--wsrep-provider=/usr/lib/galera/libgalera_smm.so",
                "--wsrep-cluster-name=nubo-test", f"--wsrep-node-name=n{i}", f"--wsrep-node-address={address}",
                "--wsrep-cluster-address=gcomm://" + ",".join(f"{a}:{base}" for a in addresses), "--wsrep-sst-method=rsync",
                f"--wsrep-provider-options=gcache.size=32M;gmcast.listen_addr=tcp://{address}:{base};"
                f"ist.recv_addr={address}:{base + 1}",
                f"--wsrep-sst-receive-address={address}:{base + 2}"]

    def start(self):
        for i, node in enumerate(self.nodes):
            node.start(*(["--wsrep-new-cluster"] if i == 0 else []))
            self.wait_synced(node)
        return self

    @staticmethod
    def wait_synced(node, seconds=300):
        end = time.monotonic() + seconds
        while "Synced" not in node.sql("SHOW STATUS LIKE 'wsrep_local_state_comment'", check=False):
            assert time.monotonic() < end, (node.folder / "my.err").read_text()[-3000:]
            time.sleep(0.1)

    @property
    def hosts(self):
        return ",".join(f"{n.address}:{n.port}" for n in self.nodes)

    def dispose(self):
        for node in reversed(self.nodes):
            node.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def write_configs(state_dir, offset, connection, bind="127.0.0.1", extra=None):
    """The configuration files that `nubo run` would write, with connection(service) as [database] connection, and lines of
    `extra` below that. A state directory of another cloud's configuration may be copied: files that are there stay."""
    state_dir = pathlib.Path(state_dir)
    for name in ("etc", "keys"):
        (state_dir / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    secret = state_dir / "keys" / "metadata_proxy_shared_secret"
    if not secret.exists():
        secret.write_text(secrets.token_hex(12))
        secret.chmod(0o600)
    identity = f"http://{bind}:{5000 + offset}"
    for service in SERVICES:
        path = state_dir / "etc" / f"{service}.conf"
        if path.exists():
            continue
        text = f"[DEFAULT]\n\n[database]\nconnection = {connection(service).replace('$', '$$')}\n" + (extra or "")
        if service == "keystone":
            text += (f"\n[fernet_tokens]\nkey_repository = {state_dir}/keys/fernet-keys\n"
                     f"\n[credential]\nkey_repository = {state_dir}/keys/credential-keys\n")
        else:
            text += (f"\n[keystone_authtoken]\nwww_authenticate_uri = {identity}\nauth_url = {identity}\nauth_type = password\n"
                     "project_domain_name = Default\nuser_domain_name = Default\nproject_name = service\n"
                     f"username = {service}\npassword = {secrets.token_hex(12)}\n")
        shared = {"neutron": "DEFAULT", "nova": "neutron"}.get(service)
        if shared:
            text += f"\n[{shared}]\nmetadata_proxy_shared_secret = {secret.read_text()}\n"
        path.write_text(text)
        path.chmod(0o600)
