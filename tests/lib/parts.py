# SPDX-License-Identifier: Apache-2.0
"""What a cloud in separate processes stands on, for one cloud: MariaDB, RabbitMQ, memcached, and haproxy when two of each API
stand behind it. All on ports of their own; each object is started by who makes it and ended by dispose()."""
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

import engines
import ports
import rabbit
import split

APIS = {  # role: its port in the catalog, and the option that says it
    "keystone": (5000, "[DEFAULT]\nbind_port = {}\n"), "placement-api": (8778, "[DEFAULT]\nbind_port = {}\n"),
    "glance-api": (9292, "[DEFAULT]\nbind_port = {}\n"), "neutron-server": (9696, "[DEFAULT]\nbind_port = {}\n"),
    "nova-api": (8774, "[DEFAULT]\nosapi_compute_listen_port = {}\n")}
PROGRAMS = ["mariadbd", "mariadb-install-db", "memcached"]


def missing(*more):
    """The programs that this machine lacks for it."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    lacks = [name for name in (*PROGRAMS, *more) if shutil.which(name, path=path) is None]
    return lacks + ([] if pathlib.Path(f"{rabbit.SERVER}/rabbitmq-server").exists() else ["rabbitmq-server"])


class Parts:
    def __init__(self):
        self.database = engines.MariaDB().start()
        self.broker = rabbit.Rabbit(tempfile.mkdtemp(prefix="nubo-rabbit-")).start()
        self.cache = engines.Memcached().start()
        self.proxy, self.folder = None, None

    def schema(self, cloud, name):
        self.database.create(name)
        return self.database.url(name)

    def transport(self, cloud):
        return f"rabbit://guest:guest@127.0.0.1:{self.broker.port}/"

    def memcached(self):
        return self.cache.address

    def split(self, base, binary, pairs=False):
        """The class of a cloud on these."""
        it = split.split_class(base, binary, self.schema, self.transport, self.memcached)
        return paired(it, binary, self) if pairs else it

    def balance(self, offset, backends):
        """haproxy on the catalog's ports; backends: {port: [port, ...]}. It asks every half second who is there; a request whose
        server is gone goes to the other one, when it was not sent yet or a second try does no harm."""
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="nubo-haproxy-"))
        text = (f"global\n stats socket {self.folder}/stats\n"
                "defaults\n mode http\n timeout connect 5s\n timeout client 90s\n timeout server 90s\n timeout check 5s\n"
                " option http-keep-alive\n"
                " option redispatch 1\n retries 3\n retry-on conn-failure empty-response\n http-reuse safe\n"
                " default-server check inter 500ms fall 1 rise 1\n")
        for port, behind in backends.items():
            text += (f"listen p{port}\n bind 127.0.0.1:{port + offset}\n balance roundrobin\n"
                     " http-request disable-l7-retry unless METH_GET or METH_HEAD\n")
            text += "".join(f" server s{i} 127.0.0.1:{one}\n" for i, one in enumerate(behind))
        (self.folder / "haproxy.cfg").write_text(text)
        self.proxy = subprocess.Popen(["haproxy", "-db", "-f", str(self.folder / "haproxy.cfg")], stderr=subprocess.DEVNULL)
        while True:
            try:
                socket.create_connection(("127.0.0.1", next(iter(backends)) + offset)).close()
                return
            except ConnectionRefusedError:
                assert self.proxy.poll() is None, "haproxy ended at its start"
                time.sleep(0.05)

    def wait_balanced(self, port, which):
        """Until haproxy knows that a server is there."""
        end = time.monotonic() + 180
        while True:
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(str(self.folder / "stats"))
                s.sendall(b"show stat\n")
                rows = [line.split(",") for line in s.makefile().read().splitlines()]
            column = rows[0].index("status")
            if any(row[:2] == [f"p{port}", f"s{which}"] and row[column] == "UP" for row in rows):
                return
            assert time.monotonic() < end, f"haproxy does not see server {which} of port {port}"
            time.sleep(0.05)

    def dispose(self):
        if self.proxy is not None:
            self.proxy.terminate()
            self.proxy.wait()
            shutil.rmtree(self.folder, ignore_errors=True)
        self.cache.stop()
        self.broker.destroy()
        shutil.rmtree(self.broker.folder, ignore_errors=True)
        self.database.dispose()


def paired(base, binary, parts):
    """The cloud with two processes of each API; haproxy stands where the catalog points. The second is named "ROLE 2"."""

    class Paired(base):
        def __init__(self, *arguments, **settings):
            super().__init__(*arguments, **settings)
            self.firsts = {role: ports.claim(2) for role in APIS}

        def port_of(self, role, which):
            return self.firsts[role] + which

        def start_role(self, role, env=None):
            if role not in APIS:
                return super().start_role(role, env)
            for which in range(2):
                program = self.start_one(role, which, env)
            if parts.proxy is None:
                parts.balance(self.offset, {port: [self.port_of(name, i) for i in range(2)] for name, (port, _) in APIS.items()})
            for which in range(2):
                parts.wait_balanced(APIS[role][0], which)
            return program

        def start_one(self, role, which, env=None):
            extra = self.etc / f"{role}-{which}.conf"
            extra.write_text(APIS[role][1].format(self.port_of(role, which)))
            arguments = [*self.arguments(role), "--config-file", str(extra)]
            program = split.Program(binary, role, arguments, self.run_env(env), self.log)
            self.programs[role if which == 0 else role + " 2"] = program
            self.process = split.Group(self.programs)
            assert program.wait_ready(), self.tail()
            return program

    return Paired
