# SPDX-License-Identifier: Apache-2.0
"""The same work by the same cloud in three forms: one process on SQLite; each role its own process on MariaDB, RabbitMQ and
memcached; the same with two of each API behind haproxy. CPU is that of nubo's processes; that of the engines stands apart."""
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

import common
import conftest
import engines
import rabbit
import split
from cloud import bench_ports, bench_servers, bench_token_validation

APIS = {  # role: its port in the catalog, and the option that says it
    "keystone": (5000, "[DEFAULT]\nbind_port = {}\n"), "placement-api": (8778, "[DEFAULT]\nbind_port = {}\n"),
    "glance-api": (9292, "[DEFAULT]\nbind_port = {}\n"), "neutron-server": (9696, "[DEFAULT]\nbind_port = {}\n"),
    "nova-api": (8774, "[DEFAULT]\nosapi_compute_listen_port = {}\n")}


class Engines:
    """MariaDB, RabbitMQ and memcached for one cloud."""

    def __init__(self):
        self.database = engines.MariaDB().start()
        self.broker = rabbit.Rabbit(tempfile.mkdtemp(prefix="nubo-bench-rabbit-"), 24700).start()
        self.cache_port = engines.free_port()
        self.cache = subprocess.Popen(["memcached", "-u", "memcache", "-l", "127.0.0.1", "-p", str(self.cache_port), "-m", "64"])
        self.proxy = None

    def schema(self, cloud, name):
        self.database.create(name)
        return self.database.url(name)

    def transport(self, cloud):
        return f"rabbit://guest:guest@127.0.0.1:{self.broker.port}/"

    def balance(self, offset, backends):
        """haproxy on the catalog's ports; backends: {port: [port, ...]}."""
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="nubo-bench-haproxy-"))
        text = "defaults\n mode http\n timeout connect 5s\n timeout client 90s\n timeout server 90s\n option http-keep-alive\n"
        for port, behind in backends.items():
            text += f"listen p{port}\n bind 127.0.0.1:{port + offset}\n balance roundrobin\n"
            text += "".join(f" server s{i} 127.0.0.1:{one}\n" for i, one in enumerate(behind))
        (self.folder / "haproxy.cfg").write_text(text)
        self.proxy = subprocess.Popen(["haproxy", "-db", "-f", str(self.folder / "haproxy.cfg")], stderr=subprocess.DEVNULL)
        while True:
            try:
                socket.create_connection(("127.0.0.1", 5000 + offset)).close()
                return
            except ConnectionRefusedError:
                assert self.proxy.poll() is None, "haproxy ended at its start"
                time.sleep(0.05)

    def cpu(self):
        """Seconds of CPU by engine."""
        found = {"MariaDB": self.database.process.pid, "memcached": self.cache.pid}
        if self.proxy is not None:
            found["haproxy"] = self.proxy.pid
        times = {name: common.cpu_of([pid]) for name, pid in found.items()}
        times["RabbitMQ"] = common.cpu_of([self.broker.pid()])
        return times

    def dispose(self):
        for process in (self.proxy, self.cache):
            if process is not None:
                process.terminate()
                process.wait()
        if self.proxy is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.broker.destroy()
        shutil.rmtree(self.broker.folder, ignore_errors=True)
        self.database.dispose()


def paired(base, parts):
    """The cloud with two processes of each API; haproxy stands where the catalog points."""

    class Paired(base):
        def start_role(self, role, env=None):
            if role not in APIS:
                return super().start_role(role, env)
            port, option = APIS[role]
            for i in range(2):
                extra = self.etc / f"{role}-{i}.conf"
                extra.write_text(option.format(self.offset + port + 101 + i))
                arguments = [*split.config_arguments(self.etc, role), "--config-file", str(extra)]
                program = split.Program(conftest.BIN, role, arguments, self.run_env(env), self.log)
                self.programs[role if i == 0 else role + " 2"] = program
                assert program.wait_ready(120), self.tail()
            self.process = split.Group(self.programs)
            if role == "keystone":
                parts.balance(self.offset, {p: [self.offset + p + 101 + i for i in range(2)] for p, _ in APIS.values()})
            return program

    return Paired


def measure(cloud, parts=None):
    begin = parts.cpu() if parts is not None else {}
    for bench in (bench_token_validation, bench_ports, bench_servers):
        bench(cloud)
    if parts is not None:
        spent = {name: end - begin.get(name, 0) for name, end in parts.cpu().items()}
        common.line("engines, all of the above", "", "", "CPU s: " + ", ".join(f"{k} {v:.1f}" for k, v in spent.items()))


def bench_forms(cloud):
    print("-- one process, SQLite")
    measure(cloud)
    for title, pairs in (("-- each role a process; MariaDB, RabbitMQ, memcached", False),
                         ("-- the same, two of each API behind haproxy", True)):
        print(title)
        parts = Engines()
        base = split.split_class(conftest.Cloud, conftest.BIN, parts.schema, parts.transport, f"127.0.0.1:{parts.cache_port}")
        other = (paired(base, parts) if pairs else base)(tempfile.mkdtemp(prefix="nubo-bench-"), fake_compute=10)
        try:
            measure(other.start(), parts)
        finally:
            conftest.dispose(other)
            parts.dispose()
