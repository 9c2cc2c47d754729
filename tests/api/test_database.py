# SPDX-License-Identifier: Apache-2.0
"""The MariaDB engine against a real server: types, transactions that run again, lost connections, restarts, migrations."""
import os
import pathlib
import random
import re
import subprocess
import sys
import time

import pytest

import engines

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
from rabbit import certificates  # noqa: E402

DRIVE = pathlib.Path(__file__).resolve().parent.parent.parent / "build" / "tests" / "unit" / "sql_drive"


@pytest.fixture(scope="module")
def server():
    it = engines.MariaDB().start()
    yield it
    it.dispose()


@pytest.fixture
def schema(server, request):
    name = re.sub(r"\W", "_", request.node.name)[:50]
    server.create(name)
    yield name
    server.sql(f"DROP DATABASE {name}")


def start(url, *words, env=None):
    return subprocess.Popen([str(DRIVE), url, *map(str, words)], env=dict(os.environ, **(env or {})),
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def drive(url, *words, timeout=600):
    done = start(url, *words)
    out, _ = done.communicate(timeout=timeout)
    assert done.returncode == 0, out
    return out


def sessions(server, schema):
    """The ids of its connections."""
    return server.sql(f"SELECT id FROM information_schema.processlist WHERE db = '{schema}'", check=False).split()


def test_types(server, schema):
    out = drive(server.url(schema), "types")
    assert "round trips of a read: 1" in out


def test_statements_that_travel_together(server, schema):
    """In order, in any number; one that failed, or changed another number of rows, undoes all of them."""
    assert "round trips of a change: 3" in drive(server.url(schema), "together")


def test_deadlocks_lose_nothing(server, schema):
    assert "failures 0 sum 400" in drive(server.url(schema), "count", 8, 50)


def test_two_processes_and_the_last_unit(server, schema):
    """Each takes up to 40 units of 40 in all, 16 threads a process: 40 are taken, never one more."""
    drive(server.url(schema), "sync")
    runs = [start(server.url(schema), "take", 16, 40) for _ in range(2)]
    out = [run.communicate(timeout=600)[0] for run in runs]
    assert all("failures 0" in one for one in out), out
    assert "taken 40" in out[0] and "taken 40" in out[1], out


def test_killed_sessions(server, schema):
    """Sessions end in the middle of everything, commits too; nothing is lost, nothing happens twice, nobody sees a fault."""
    dice, killed, turns = random.Random(7), 0, 0
    while killed <= 20 or turns == 0:  # a run may be over before that many were killed
        turns += 1
        run = start(server.url(schema), "count-serialized", 4, 700)
        while "counting" not in run.stdout.readline():
            assert run.poll() is None
        while run.poll() is None:
            open_now = sessions(server, schema)
            for one in dice.sample(open_now, k=min(2, len(open_now))):
                server.sql(f"KILL {one}", check=False)
                killed += 1
        out = run.stdout.read()
        assert run.returncode == 0 and f"failures 0 sum {2800 * turns}" in out, out


def test_server_restarts_under_load(server, schema):
    run = start(server.url(schema), "count", 4, 400)
    while "counting" not in run.stdout.readline():
        assert run.poll() is None
    for _ in range(3):
        time.sleep(0.4)
        server.kill()
        time.sleep(0.3)
        server.start()
    out, _ = run.communicate(timeout=600)
    assert run.returncode == 0 and "failures 0 sum 1600" in out, out


def test_pool_has_limits(server, schema):
    drive(server.url(schema), "pool")


def test_secrets_stay_secret(server, schema):
    url = server.url(schema).replace(server.password[:3].replace("@", "%40"), "wrong%40word")
    done = start(url, "sync")
    out, _ = done.communicate(timeout=600)
    assert done.returncode == 1 and "Access denied" in out and "word" not in out.replace("using password", ""), out


STATE = "SELECT * FROM nubo_version; SELECT * FROM a; SELECT * FROM b; SELECT * FROM c; SELECT * FROM e; SHOW CREATE TABLE b"


def test_two_syncs_at_once(server, schema):
    runs = [start(server.url(schema), "sync") for _ in range(4)]
    out = "".join(run.communicate(timeout=600)[0] for run in runs)
    assert all(run.returncode == 0 for run in runs), out
    assert sorted(line for line in out.splitlines() if "migration" in line) == [f"migration {i + 1}" for i in range(6)]


def test_interrupted_sync(server, schema):
    """Killed at every moment, run again: the result is that of one run."""
    drive(server.url(schema), "sync")
    wanted = server.sql(STATE, schema)
    began = time.time()
    server.sql(f"DROP DATABASE {schema}; CREATE DATABASE {schema}")
    drive(server.url(schema), "sync")
    length = time.time() - began
    for i in range(12):
        server.sql(f"DROP DATABASE {schema}; CREATE DATABASE {schema}")
        for k in range(3):
            run = start(server.url(schema), "sync")
            time.sleep(length * (i + 1 + k * 3) / 20)
            run.kill()
            run.communicate()
        drive(server.url(schema), "sync")
        assert server.sql(STATE, schema) == wanted


def test_statement_that_ran_and_was_not_counted(server, schema):
    drive(server.url(schema), "sync")
    wanted = server.sql(STATE, schema)
    server.sql("DELETE FROM nubo_version WHERE number >= 3; UPDATE nubo_migration SET done = 1 WHERE number = 3;"
               "DELETE FROM nubo_migration WHERE number > 3; DROP TABLE e; DROP TABLE flows;"
               "DROP TABLE story; DELETE FROM c", schema)
    drive(server.url(schema), "sync")
    assert server.sql(STATE, schema) == wanted


def test_waits_for_a_server_at_its_start():
    server = engines.MariaDB()
    try:
        server.start().create("late")
        server.stop()
        done = start(server.url("late"), "sync")  # no retries
        out, _ = done.communicate(timeout=600)
        assert done.returncode == 1 and "not available" in out
        done = start(server.url("late"), "late")
        time.sleep(0.3)
        server.start()
        out, _ = done.communicate(timeout=600)
        assert done.returncode == 0 and "migration 3" in out, out
    finally:
        server.dispose()


def test_flows_of_a_dead_process_are_taken_over_once(server, schema):
    """One of three processes, each as if on a machine of its own, is killed with all flows half way."""
    drive(server.url(schema), "sync")
    env = {"NUBO_FLOW_LEASE_MS": "4000"}
    others = [start(server.url(schema), "flows", "a", 1, env=env)]
    assert "started" in others[0].stdout.readline()
    owner = start(server.url(schema), "flows", "dead", 12, env={**env, "NUBO_FLOW_KILL": "slow:7:before"})
    others.append(start(server.url(schema), "flows", "b", 0, env=env))
    assert owner.wait(120) == -9
    half = server.sql("SELECT COUNT(*) FROM story WHERE host = 'dead'", schema)
    assert 0 < int(half) < 144
    for other in others:
        out, _ = other.communicate(timeout=600)
        assert other.returncode == 0, out
    assert server.sql("SELECT COUNT(DISTINCT flow, step) FROM story", schema).strip() == "144"
    # A step under way when its process died runs again; nothing else runs twice, and never by both of the others.
    assert server.sql("SELECT flow, step FROM story WHERE host <> 'dead' GROUP BY flow, step HAVING COUNT(*) > 1", schema) == ""
    again = server.sql("SELECT flow FROM story GROUP BY flow HAVING COUNT(*) > 13", schema)
    assert again == "", again
    assert server.sql("SELECT COUNT(*) FROM flows", schema).strip() == "0"


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory):
    """A server with a certificate for 127.0.0.1 that also listens on other addresses."""
    folder = certificates(tmp_path_factory.mktemp("tls"))
    server = engines.MariaDB(address="0.0.0.0")
    server.folder.mkdir(parents=True, exist_ok=True)
    for name in ("ca.pem", "server.pem", "server.key"):
        (server.folder / name).write_bytes((folder / name).read_bytes())
    server.extra = [f"--ssl-ca={server.folder}/ca.pem", f"--ssl-cert={server.folder}/server.pem",
                    f"--ssl-key={server.folder}/server.key"]
    server.certificates = folder
    server.start().create("secret")
    yield server
    server.dispose()


def test_tls(encrypted):
    """As PyMySQL reads ssl_...: what is not the CA's, or about another host, is refused with its reason."""
    of = encrypted.certificates

    def run(query, host="127.0.0.1"):
        done = start(f"{encrypted.url('secret', f'{host}:{encrypted.port}')}{query}", "sync")
        return (done.communicate(timeout=600)[0], done.returncode)
    ca, other, own = f"?ssl_ca={of}/ca.pem", f"?ssl_ca={of}/other.pem", f"&ssl_cert={of}/client.pem&ssl_key={of}/client.key"
    encrypted.sql("ALTER USER secret@'%' REQUIRE X509")
    assert run(ca + own)[1] == 0
    assert run(ca + own + "&ssl_verify_cert=true&ssl_verify_identity=true")[1] == 0
    for query, why in (("", "Access denied"), (ca, "Access denied"), (other + own, "self-signed certificate in certificate chain"),
                       (other + own + "&ssl_check_hostname=false", "self-signed certificate in certificate chain"),
                       ("?ssl_verify_cert=true" + own, "self-signed certificate in certificate chain"),
                       (ca + f"&ssl_cert={of}/client.pem&ssl_key={of}/other.key", "key values mismatch"),
                       (f"?ssl_ca={of}/absent.pem", "No such file")):
        out, status = run(query)
        assert status == 1 and why in out, (query, out)
    encrypted.sql("ALTER USER secret@'%' REQUIRE SSL")
    assert run(other + "&ssl_verify_cert=false")[1] == 0  # encrypted, whoever it is
    out, status = run(ca, "127.0.0.2")
    assert status == 1 and "Validation of SSL server certificate failed" in out
    assert run(ca + "&ssl_check_hostname=false", "127.0.0.2")[1] == 0
    encrypted.sql("ALTER USER secret@'%' REQUIRE NONE")
    encrypted.stop()
    encrypted.start("--skip-ssl")
    out, status = run(ca)
    assert status == 1 and "SSL is required, but the server does not support it" in out
    encrypted.stop()
    encrypted.start()


def test_server_restarts_under_load_over_tls(encrypted):
    encrypted.sql("DROP DATABASE secret; CREATE DATABASE secret; ALTER USER secret@'%' REQUIRE SSL")
    url = encrypted.url("secret", f"127.0.0.1:{encrypted.port}") + f"?ssl_ca={encrypted.certificates}/ca.pem"
    run = start(url, "count", 4, 300)
    while "counting" not in run.stdout.readline():
        assert run.poll() is None
    for _ in range(2):
        time.sleep(0.4)
        encrypted.kill()
        time.sleep(0.3)
        encrypted.start()
    out, _ = run.communicate(timeout=600)
    assert run.returncode == 0 and "failures 0 sum 1200" in out, out
    made = int(encrypted.sql("SHOW GLOBAL STATUS LIKE 'Ssl_accepts'").split()[1])
    assert made < 100, "connections are not kept"
