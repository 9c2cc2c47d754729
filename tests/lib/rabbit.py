# SPDX-License-Identifier: Apache-2.0
"""A RabbitMQ of the test's own: any user, private folders, ports and cookie; and a TCP proxy that cuts connections."""
import os
import pathlib
import secrets
import socket
import subprocess
import threading
import time

import ports

SERVER = "/usr/lib/rabbitmq/bin"


def wait_port(port, seconds=300, host="127.0.0.1"):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with socket.create_connection((host, port), timeout=20) as s:
                s.sendall(b"AMQP\x00\x00\x09\x01")
                if s.recv(1):
                    return
        except OSError:
            pass
        time.sleep(0.1)
    raise TimeoutError(f"nothing speaks AMQP on port {port}")


def certificates(folder):
    """A CA of its own, and certificates that it signed: for the broker at 127.0.0.1, and for a client; another, strange CA."""
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=120)
    folder.mkdir(parents=True, exist_ok=True)
    for ca in ("ca", "other"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                "-subj", f"/CN=test {ca}", "-keyout", f"{ca}.key", "-out", f"{ca}.pem")
    for name, host in (("server", "127.0.0.1"), ("client", "nova")):
        (folder / f"{name}.ext").write_text(f"subjectAltName={'IP:127.0.0.1' if name == 'server' else 'DNS:nova'}\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={host}",
                "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", f"{name}.ext", "-out", f"{name}.pem")
    return folder


class Rabbit:
    """One broker, on three ports in a row: AMQP, Erlang's distribution, epmd. stop() and start() keep its queues, kill() is
    SIGKILL."""

    def __init__(self, folder, port=None, more=""):
        self.folder = pathlib.Path(folder)
        self.port = port or ports.claim(3)
        self.process = None
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "plugins").write_text("[].")
        cookie = self.folder / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(20))
        cookie.chmod(0o400)
        (self.folder / "rabbit.conf").write_text(
            "loopback_users = none\nvm_memory_high_watermark.absolute = 512MB\n"
            "disk_free_limit.absolute = 50MB\nlog.file.level = info\n" + more)

    def env(self):
        d = str(self.folder)
        return {**os.environ, "HOME": d, "ERL_EPMD_PORT": str(self.port + 2), "ERL_EPMD_ADDRESS": "127.0.0.1",
                "RABBITMQ_NODENAME": f"nubo{self.port}@localhost", "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
                "RABBITMQ_NODE_PORT": str(self.port), "RABBITMQ_DIST_PORT": str(self.port + 1),
                "RABBITMQ_MNESIA_BASE": f"{d}/mnesia", "RABBITMQ_LOG_BASE": f"{d}/log",
                "RABBITMQ_CONFIG_FILE": f"{d}/rabbit.conf", "RABBITMQ_PID_FILE": f"{d}/rabbit.pid",
                "ERL_CRASH_DUMP": f"{d}/erl_crash.dump", "RABBITMQ_ENABLED_PLUGINS_FILE": f"{d}/plugins",
                "RABBITMQ_CONF_ENV_FILE": "/dev/null",
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +A 8 -kernel inet_dist_use_interface {127,0,0,1}"}

    def start(self):
        with open(self.folder / "start.out", "ab") as out:
            self.process = subprocess.Popen([f"{SERVER}/rabbitmq-server"], env=self.env(), stdout=out, stderr=out,
                                            start_new_session=True)
        wait_port(self.port)
        return self

    def pid(self):
        return int((self.folder / "rabbit.pid").read_text())

    def stop(self, signal_number=15):
        if self.process is None:
            return
        os.kill(self.pid(), signal_number)
        self.process.wait(120)
        self.process = None

    def kill(self):
        self.stop(9)

    def ctl(self, *arguments, program="rabbitmqctl"):
        end = time.monotonic() + 300
        while True:  # a broker takes connections before it takes commands
            done = subprocess.run([f"{SERVER}/{program}", "-n", f"nubo{self.port}@localhost", *arguments], env=self.env(),
                                  capture_output=True, text=True, timeout=120)
            if "requires the 'rabbit' app to be running" not in done.stdout + done.stderr or time.monotonic() > end:
                break
            time.sleep(0.2)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def queues(self, vhost="/"):
        """name -> messages that lie there"""
        lines = self.ctl("-q", "list_queues", "-p", vhost, "name", "messages", "--no-table-headers").splitlines()
        return {name: int(count) for name, count in (line.split("\t") for line in lines if "\t" in line)}

    def destroy(self):
        self.stop()
        for status in pathlib.Path("/proc").glob("[0-9]*/environ"):
            try:  # epmd stays behind: known by our port in its environment
                if f"ERL_EPMD_PORT={self.port + 2}".encode() in status.read_bytes() and \
                        b"epmd" in (status.parent / "cmdline").read_bytes():
                    os.kill(int(status.parent.name), 15)
            except OSError:
                pass


class Proxy:
    """Passes connections on to a port; cut() breaks those that are there, close() takes no new ones until open()."""

    def __init__(self, target):
        self.target = target
        self.port = ports.claim()
        self.pairs = set()
        self.accepting = True
        self.listener = socket.create_server(("127.0.0.1", self.port), reuse_port=False)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if not self.accepting:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            self.pairs.add((client, server))
            for a, b in ((client, server), (server, client)):
                threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    @staticmethod
    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        for pair in list(self.pairs):
            self.pairs.discard(pair)
            for s in pair:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        self.accepting = False
        self.cut()

    def open(self):
        self.accepting = True
