# SPDX-License-Identifier: Apache-2.0
"""A cloud of its own for each test session: `nubo up --fake-compute` on ports and a state directory of its own.

NUBO_BIN names the program (default: build/src/nubo/nubo). The session ends with the log read: a sanitizer's report or a
crash in it fails the run. NUBO_TEST_DATABASE=mariadb puts each cloud's databases on a MariaDB that the session starts.
NUBO_TEST_FORM=split runs every role as a process of its own (tests/lib/split.py); their messages then go as
NUBO_TEST_TRANSPORT says: http (no broker) or rabbit (one that the session starts), and validated tokens into
NUBO_TEST_MEMCACHED=host:port when that is set; =1 is one that the session starts.
"""
import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

import pytest
import requests

for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
    os.environ.pop(name, None)  # all traffic of tests is on this machine
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BIN = os.environ.get("NUBO_BIN", str(ROOT / "build" / "src" / "nubo" / "nubo"))
PORTS = {"identity": 5000, "placement": 8778, "image": 9292, "compute": 8774, "network": 9696, "metadata": 8775,
         "messages": 5700}
ENDPOINTS = {"identity": "/v3", "placement": "", "image": "", "compute": "/v2.1", "network": ""}


sys.path.insert(0, str(ROOT / "tests" / "lib"))
import engines  # noqa: E402
import ports  # noqa: E402
import rabbit  # noqa: E402
import split  # noqa: E402

DATABASE = os.environ.get("NUBO_TEST_DATABASE", "sqlite")
FORM = os.environ.get("NUBO_TEST_FORM", "one")
TRANSPORT = os.environ.get("NUBO_TEST_TRANSPORT", "http")
MEMCACHED = os.environ.get("NUBO_TEST_MEMCACHED", "")
SERVER = None
BROKER = None
CACHE = None


def free_offset():
    """By how much all ports of a cloud are moved: nobody else has those."""
    first = 1000 + os.getpid() % 97 * 10
    return ports.claim_shifted(PORTS.values(), (*range(first, 22000, 1010), *range(1000, 22000, 10)))


def mariadb():
    """The session's MariaDB; each cloud has schemas of its own there."""
    global SERVER
    if SERVER is None:
        SERVER = engines.MariaDB().start()
    return SERVER


@pytest.fixture(scope="session", autouse=True)
def _servers():
    yield
    end_servers()


def end_servers():
    """Of all that the clouds of this process stood on."""
    if SERVER is not None:
        SERVER.dispose()
    if BROKER is not None:
        BROKER.destroy()
        shutil.rmtree(BROKER.folder, ignore_errors=True)
    if CACHE is not None:
        CACHE.stop()


def split_database(cloud, name):
    """The URL of a schema of a cloud in separate processes."""
    if DATABASE != "mariadb":
        return f"sqlite:///{cloud.state_dir}/db/{name}.db"
    if not cloud.schema:
        cloud.schema = f"c{cloud.offset}_{time.time_ns() // 1000 % 10**9}_"
        mariadb().create(*(cloud.schema + name for name in (*engines.SERVICES, "nova_api", "nova_cell0")))
    return mariadb().url(cloud.schema + name)


def split_transport(cloud):
    """Where its messages go: an address of its own, or a virtual host of its own at the session's broker."""
    global BROKER
    if TRANSPORT == "http":
        return f"http://{cloud.offset}secret@127.0.0.1:{PORTS['messages'] + cloud.offset}/"
    if BROKER is None:
        BROKER = rabbit.Rabbit(tempfile.mkdtemp(prefix="nubo-rabbit-")).start()
    vhost = f"cloud{cloud.offset}-{time.time_ns()}"
    BROKER.ctl("add_vhost", vhost)
    BROKER.ctl("set_permissions", "-p", vhost, "guest", ".*", ".*", ".*")
    return f"rabbit://guest:guest@127.0.0.1:{BROKER.port}/{vhost}"


def split_memcached():
    """Where its validated tokens go, if anywhere."""
    global CACHE
    if MEMCACHED != "1":
        return MEMCACHED
    if CACHE is None:
        CACHE = engines.Memcached().start()
    return CACHE.address


class Cloud:
    """A running nubo and the ways to talk to it."""

    def __init__(self, state_dir, fake_compute=4, env=None):
        self.state_dir = pathlib.Path(state_dir)
        self.fake_compute = fake_compute
        self.offset = free_offset()
        self.env = dict(os.environ, **(env or {}))
        for name in ("NUBO_FLOW_KILL", "NUBO_FLOW_FAIL"):
            self.env.pop(name, None)
        self.process = None
        self._tokens = {}
        self.schema = None
        if DATABASE == "mariadb" and FORM == "one" and not (self.state_dir / "etc").exists():
            self.schema = f"c{self.offset}_{time.time_ns() // 1000 % 10**9}_"
            mariadb().create(*(self.schema + service for service in engines.SERVICES))
            engines.write_configs(self.state_dir, self.offset, lambda service: mariadb().url(self.schema + service))

    # -- the process

    def start(self, env=None):
        run = dict(self.env, ASAN_OPTIONS="detect_leaks=1:abort_on_error=0", UBSAN_OPTIONS="print_stacktrace=1", **(env or {}))
        self.state_dir.mkdir(parents=True, exist_ok=True)
        (self.state_dir / "run" / "ready").unlink(missing_ok=True)  # of a process that was killed
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [BIN, "run", "--state-dir", str(self.state_dir), "--fake-compute", str(self.fake_compute),
                 "--port-offset", str(self.offset)], stdout=log, stderr=log, env=run)
        deadline = time.monotonic() + 300
        while not (self.state_dir / "run" / "ready").exists():
            assert self.process.poll() is None, "nubo ended at its start:\n" + self.tail()
            assert time.monotonic() < deadline, "nubo is not ready after 300 s:\n" + self.tail()
            time.sleep(0.02)
        return self

    def stop(self):
        """An orderly end; its exit status, which a leak or a race makes non-zero."""
        self.process.terminate()
        return self.process.wait(120)

    def kill(self):
        self.process.kill()
        self.process.wait(120)
        (self.state_dir / "run" / "ready").unlink(missing_ok=True)

    @property
    def log(self):
        return self.state_dir / "nubo.log"

    def tail(self, lines=30):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def reports(self):
        """What a sanitizer said."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        found = re.search(r"(ERROR: (Address|Leak|Thread)Sanitizer|runtime error:|Assertion .* failed)", text)
        return text[found.start():found.start() + 4000] if found else None

    def query(self, database, sql):
        """The rows of a query of a service's database ("nova"), or of a compute host's own ("nova-compute"), as texts."""
        if self.schema and database in engines.SERVICES:
            return [tuple(line.split("\t")) for line in mariadb().sql(sql, self.schema + database).splitlines()]
        path = self.state_dir / "db" / f"{database}.db"
        if not path.exists():
            path = self.state_dir / "nova" / f"{database}.db"  # a compute host's own, in separate processes
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            return [tuple(map(str, row)) for row in db.execute(sql).fetchall()]

    def execute(self, service, sql):
        """Changes a service's database behind its back."""
        if self.schema:
            mariadb().sql(sql, self.schema + service)
            return
        with sqlite3.connect(self.state_dir / "db" / f"{service}.db", timeout=120) as db:
            db.execute(sql)

    # -- HTTP

    @property
    def rc(self):
        text = (self.state_dir / "openrc").read_text()
        return dict(re.findall(r"^export (\w+)=(.*)$", text, re.M))

    def url(self, service, path=""):
        return f"http://127.0.0.1:{PORTS[service] + self.offset}{ENDPOINTS.get(service, '')}{path}"

    def login(self, user="admin", password=None, project="admin", domain="Default", scope=None, **more):
        auth = {"identity": {"methods": ["password"], "password": {
            "user": {"name": user, "domain": {"name": domain}, "password": password or self.rc["OS_PASSWORD"]}}}}
        if scope is not None:
            auth["scope"] = scope
        elif project is not None:
            auth["scope"] = {"project": {"name": project, "domain": {"name": domain}}}
        return requests.post(self.url("identity", "/auth/tokens"), json={"auth": auth}, timeout=120, **more)

    def token(self, user="admin", password=None, project="admin", scope=None):
        key = (user, password, project, json.dumps(scope))
        if key not in self._tokens:
            answer = self.login(user, password, project, scope=scope)
            assert answer.status_code == 201, answer.text
            self._tokens[key] = answer.headers["X-Subject-Token"]
        return self._tokens[key]

    def forget_tokens(self):
        self._tokens.clear()

    def call(self, method, service, path, body=None, token=None, headers=None, **more):
        """One request; as the admin unless a token is given ("" sends none). Returns requests' response."""
        sent = dict(headers or {})
        token = self.token() if token is None else token
        if token:
            sent["X-Auth-Token"] = token
        return requests.request(method, self.url(service, path), json=body, headers=sent, timeout=120, **more)

    def get(self, service, path, **more):
        return self.call("GET", service, path, **more)

    def post(self, service, path, body=None, **more):
        return self.call("POST", service, path, body, **more)

    # -- personas

    def make_user(self, name, role, project):
        """A user with one role on a project (made when it is not there); returns a token of theirs."""
        found = self.get("identity", f"/projects?name={project}").json()["projects"]
        if not found:
            found = [self.post("identity", "/projects", {"project": {"name": project}}).json()["project"]]
        user = self.post("identity", "/users", {"user": {"name": name, "password": "secret-" + name}})
        assert user.status_code in (201, 409), user.text
        user_id = self.get("identity", f"/users?name={name}").json()["users"][0]["id"]
        role_id = self.get("identity", f"/roles?name={role}").json()["roles"][0]["id"]
        put = self.call("PUT", "identity", f"/projects/{found[0]['id']}/users/{user_id}/roles/{role_id}")
        assert put.status_code == 204, put.text
        return self.login(name, "secret-" + name, project).headers["X-Subject-Token"]

    # -- the real client

    def openstack(self, *words, check=True, parse=True, user_env=None):
        """Debian's openstack command. Parsed JSON, or the text with parse=False; check=False gives the process."""
        env = {**self.env, **self.rc, **(user_env or {})}
        command = ["/usr/bin/openstack", *words]
        if parse and check:
            command += ["-f", "json"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600)
        if not check:
            return done
        assert done.returncode == 0, f"{words}: {done.stderr}\n{done.stdout}"
        return json.loads(done.stdout) if parse and done.stdout.strip() else done.stdout

    def openstack_lines(self, *lines, user_env=None):
        """The same command reading several lines, as at its prompt: one start for all. The JSON documents that those with
        "-f json" print, in order; a line that fails prints none."""
        env = {**self.env, **self.rc, **(user_env or {})}
        done = subprocess.run(["/usr/bin/openstack"], input="\n".join(lines) + "\n", env=env,
                              capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, f"{lines}: {done.stderr}\n{done.stdout}"
        documents, text, reader = [], done.stdout.strip(), json.JSONDecoder()
        while text:
            document, end = reader.raw_decode(text)
            documents.append(document)
            text = text[end:].strip()
        return documents

    def wait(self, what, seconds=180, every=0.05):
        """Calls what() until it gives something true. The limit is for what never comes: a busy machine takes its time."""
        end = time.monotonic() + seconds
        while True:
            value = what()
            if value:
                return value
            assert time.monotonic() < end, f"still not after {seconds} s; log:\n{self.tail()}"
            time.sleep(every)


OneProcess = Cloud
# What is about one of the forms, or makes processes on a state directory of one process.
collect_ignore = ["test_pairs.py"] if FORM == "one" else ["test_cluster.py", "test_processes.py", "test_placement_interchange.py",
                                                                 "test_tls.py"]
if FORM == "split":
    Cloud = split.split_class(Cloud, BIN, split_database, split_transport, split_memcached)


def pytest_configure(config):
    config.addinivalue_line("markers", "form(name): a test of that form alone")


def pytest_collection_modifyitems(config, items):
    others = [item for item in items if (mark := item.get_closest_marker("form")) and mark.args[0] != FORM]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]


def new_cloud(roles=None, **settings):
    """For tests that want to kill it or fill it: a cloud that is theirs alone. They end it with dispose(). `roles` are those that
    are needed where each is a process of its own."""
    it = Cloud(tempfile.mkdtemp(prefix="nubo-test-"), **settings)
    if roles is not None:
        it.roles = roles
    return it


def dispose(cloud):
    status = 0
    if cloud.process is not None and cloud.process.poll() is None:
        status = cloud.stop()
    report = cloud.reports()
    tail = cloud.tail()
    shutil.rmtree(cloud.state_dir, ignore_errors=True)
    assert report is None, report
    assert status == 0, f"nubo ended with {status}:\n{tail}"


@pytest.fixture(scope="session")
def cloud(_servers):
    """What it stands on is named, so that it ends after it: pytest's own order is that of the last test."""
    it = new_cloud().start()
    yield it
    dispose(it)


@pytest.fixture
def own_cloud():
    it = new_cloud().start()
    yield it
    dispose(it)
