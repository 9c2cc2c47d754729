# SPDX-License-Identifier: Apache-2.0
"""Roles as programs of their own: what they print, how they refuse, how they obey signals."""
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
import requests

import ports

from conftest import BIN, free_offset

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import split  # noqa: E402

PORT = ports.claim(2)


@pytest.fixture
def program(tmp_path):
    """run(name, *words) calls the binary by a program's name; the environment knows of no other configuration."""
    def run(name, *words, env=None, **more):
        link = tmp_path / "bin" / name
        link.parent.mkdir(exist_ok=True)
        if not link.exists():
            link.symlink_to(BIN)
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("NUBO_", "OS_"))}
        return subprocess.run([str(link), *words], capture_output=True, text=True, timeout=120,
                              env={**clean, "HOME": str(tmp_path), **(env or {})}, **more)
    return run


@pytest.fixture
def keystone(tmp_path, program):
    """A keystone with a database and keys; start() runs it, every one that runs is ended."""
    (tmp_path / "keystone.conf").write_text(
        f"[DEFAULT]\nbind_host = 127.0.0.1\nbind_port = {PORT}\n[database]\nconnection = sqlite:///{tmp_path}/keystone.db\n"
        f"[fernet_tokens]\nkey_repository = {tmp_path}/keys\n[fernet_receipts]\nkey_repository = {tmp_path}/keys\n"
        f"[credential]\nkey_repository = {tmp_path}/credentials\n")
    root = ["--keystone-user", "root", "--keystone-group", "root"] if os.getuid() == 0 else []
    running = []

    class Keystone:
        folder, config, log = tmp_path, tmp_path / "keystone.conf", tmp_path / "out"

        def manage(self, *words):
            done = program("keystone-manage", "--config-file", str(self.config), *words)
            assert done.returncode == 0, done.stderr
            return done

        def prepare(self):
            self.manage("db_sync")
            self.manage("fernet_setup", *root)
            self.manage("credential_setup", *root)
            self.manage("bootstrap", "--bootstrap-password", "secret")
            return self

        def start(self, *words, env=None):
            it = split.Program(BIN, "keystone", ["--config-file", str(self.config), *words], {**os.environ, **(env or {})},
                               self.log)
            running.append(it)
            assert it.wait_ready(), self.log.read_text()
            return it

        def login(self, password="secret", port=PORT, **more):
            return requests.post(f"http://127.0.0.1:{port}/v3/auth/tokens", timeout=120, json={"auth": {
                "identity": {"methods": ["password"], "password": {"user": {"name": "admin", "domain": {"id": "default"},
                                                                            "password": password}}}}}, **more)
    yield Keystone()
    for it in running:
        if it.process.poll() is None:
            it.process.kill()
        it.process.wait(120)
        it.socket.close()


@pytest.mark.parametrize("name", split.ROLES)
def test_help_version_usage(program, name):
    done = program(name, "--help")
    assert done.returncode == 0 and done.stdout.startswith(f"usage: {name} [-h] [--config-dir DIR]"), done
    for option in ("--config-file PATH", "--log-file PATH", "--log-dir LOG_DIR", "-d, --debug", "--use-syslog", "--version"):
        assert option in done.stdout
    done = program(name, "--version")
    assert done.returncode == 0 and re.fullmatch(r"\d+\.\d+\.\d+\n", done.stdout)
    done = program(name, "--no-such-option")
    assert done.returncode == 2 and f"{name}: error: unrecognized arguments: --no-such-option" in done.stderr
    assert program(name, "--config-file").returncode == 2
    done = program(name, "--config-file", "/nowhere.conf")
    assert done.returncode == 1 and "Failed to find some config files: /nowhere.conf" in done.stderr


@pytest.mark.parametrize("name", [r for r in split.ROLES if r not in ("nova-compute",) and "agent" not in r])
def test_without_a_database(program, name):
    done = program(name)
    assert done.returncode == 1 and "[database] connection is not set" in done.stderr, done


@pytest.mark.parametrize("words, said", [
    (["up", "extra"], "nubo up: what is extra? usage: nubo up [options]"),
    (["down", "--purge", "now"], "nubo down: what is now? usage: nubo down [options]"),
    (["run", "nova-apy"], "nubo run: there is no role nova-apy; nubo run nova-api --help lists them"),
    (["up", "--fake-compute"], "nubo up: option '--fake-compute' requires an argument"),
    (["up", "--bind", "controller"], "nubo: --bind takes an address of this machine, such as 127.0.0.1, not controller"),
    (["up", "--port-offset", "1e3"], "nubo: --port-offset takes a number from 0 to 50000, not 1e3"),
    (["nova-scheduler", "--debug"], "nubo: nova-scheduler is a role: nubo run nova-scheduler"),
    (["fly"], "nubo: there is no command fly; nubo help lists them"),
])
def test_words_that_nubo_does_not_know_change_nothing(program, tmp_path, words, said):
    done = program("nubo", *words, env={"NUBO_STATE_DIR": str(tmp_path / "state")})
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said + "\n")
    assert not (tmp_path / "state").exists()


def test_a_cloud_that_is_not_there_or_does_not_start_says_so(program, tmp_path):
    state = {"NUBO_STATE_DIR": str(tmp_path / "state")}
    for command, status in (("down", 0), ("status", 3)):
        done = program("nubo", command, env=state)
        assert (done.returncode, done.stdout) == (status, f"There is no cloud in {tmp_path}/state.\n")
    offset = free_offset()
    with socket.create_server(("127.0.0.1", 5000 + offset)):
        done = program("nubo", "up", "--no-server", "--fake-compute", "1", "--port-offset", str(offset), env=state)
    assert done.returncode == 1
    assert (f"nubo: The cloud did not start: keystone cannot listen on 127.0.0.1:{5000 + offset}: is another program there?"
            in done.stderr)
    assert program("nubo", "status", env=state).stdout == f"The cloud in {tmp_path}/state does not run.\n"
    done = program("nubo", "up", "--no-server", env=state)
    assert done.returncode == 0, done.stderr
    done = program("nubo", "up", "--no-server", "--fake-compute", "2", env=state)
    assert (done.returncode, "runs already, with other settings: nubo down, then" in done.stderr) == (1, True)
    assert program("nubo", "up", "--no-server", "--fake-compute", "1", env=state).returncode == 0
    done = program("nubo", "down", "--purge", env=state)
    assert done.returncode == 0 and not (tmp_path / "state").exists()


def test_old_schema_is_refused(program, tmp_path):
    (tmp_path / "glance-api.conf").write_text(f"[database]\nconnection = sqlite:///{tmp_path}/glance.db\n")
    done = program("glance-api")
    assert done.returncode == 1 and "run glance-manage db_sync first" in done.stderr
    assert program("glance-manage", "db_sync").returncode == 0


def test_wrong_value_names_its_place(program, tmp_path):
    (tmp_path / "nova.conf").write_text("[DEFAULT]\nmy_ip = 10.0.0.1\nosapi_compute_listen_port = many\n"
                                        "[keystone_authtoken]\npassword = s3cret\n")
    for name in ("nova-api", "nova-compute"):
        done = program(name)
        assert done.returncode == 1
        assert f"{tmp_path}/nova.conf:3: Value for option DEFAULT.osapi_compute_listen_port is not valid: Not an int" in done.stderr
        assert "s3cret" not in done.stderr


def test_misspelt_option_is_warned_about_once(program, tmp_path):
    (tmp_path / "nova.conf").write_text("[DEFAULT]\nmy_pi = 10.0.0.1\n[keystone_authtoken]\nusrname = nova\n[spices]\nx = 1\n")
    done = program("nova-api")
    assert done.stderr.count("nova.conf:2: unknown option [DEFAULT] my_pi; did you mean [DEFAULT] my_ip?") == 1
    assert done.stderr.count("did you mean [keystone_authtoken] username?") == 1
    assert "unknown section [spices]" in done.stderr


def test_configuration_is_found_as_oslo_config_does(program, tmp_path):
    """~/.SERVICE before ~, SERVICE.conf before PROGRAM.conf, folders .conf.d after both."""
    for name, host in ((".nova/nova.conf", "one"), ("nova.conf", "two"), ("nova-api.conf", "three")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"[DEFAULT]\ndebug = true\nhost = {host}\n")
    (tmp_path / "nova-api.conf.d").mkdir()
    (tmp_path / "nova-api.conf.d" / "10.conf").write_text("[DEFAULT]\nmy_ip = 10.0.0.9\n[database]\nmax_pool_size = 7\n")
    text = program("nova-api").stderr
    assert "host = three " in text and "my_ip = 10.0.0.9 " in text and "database.max_pool_size = 7 " in text
    assert f"config files: {tmp_path}/.nova/nova.conf" in text and f"config files: {tmp_path}/nova.conf" not in text
    assert "host = one " in program("nova-scheduler").stderr
    given = tmp_path / "given.conf"
    given.write_text("[DEFAULT]\ndebug = true\nhost = four\n")
    folder = str(tmp_path / "nova-api.conf.d")
    assert "host = four " in program("nova-api", "--config-file", str(given), "--config-dir", folder).stderr


def test_secrets_never_print(program, tmp_path):
    (tmp_path / "nova.conf").write_text(
        "[DEFAULT]\ndebug = true\ntransport_url = rabbit://nova:rabbitpw@host:5672/v,other:otherpw@host2\n"
        "[database]\nconnection = mysql+pymysql://nova:dbpw@nowhere.invalid/nova\nmax_retries = 0\nretry_interval = 0\n"
        "[keystone_authtoken]\npassword = tokenpw\nmemcache_secret_key = cachekey\n[placement]\npassword = placementpw\n"
        "[neutron]\nmetadata_proxy_shared_secret = sharedpw\nendpoint_override = http://user:urlpw@host/\n")
    text = program("nova-conductor").stderr
    for secret in ("rabbitpw", "otherpw", "dbpw", "tokenpw", "cachekey", "placementpw", "sharedpw", "urlpw"):
        assert secret not in text, secret
    assert "keystone_authtoken.password = ****" in text and "neutron.endpoint_override = http://user:***@host/" in text


def test_notifications_that_nobody_can_hear_are_told_at_the_start(keystone):
    keystone.prepare()
    text = keystone.config.read_text()
    for url, driver, warned in (("memory://", "messagingv2", "nobody can listen on memory://"), ("memory://", "log", None),
                                (f"http://a-shared-secret@127.0.0.1:{PORT + 1}/", "messaging", "nobody can listen on http://")):
        keystone.log.write_text("")
        keystone.config.write_text(f"[oslo_messaging_notifications]\ndriver = {driver}\ntransport_url = {url}\n" + text)
        it = keystone.start()
        it.process.terminate()
        assert it.process.wait(120) == 0
        assert ("notifications are not sent" in keystone.log.read_text()) == (warned is not None)
        assert warned is None or warned in keystone.log.read_text()


def test_apis_over_https_by_the_switches_of_their_services(program, keystone):
    """nova's enabled_ssl_apis and neutron's use_ssl want their files; keystone has no switch."""
    wants = "When running server in SSL mode, you must specify both a cert_file and key_file option value"
    folder, authtoken = keystone.folder, "[keystone_authtoken]\nauth_url = http://127.0.0.1:1\npassword = x\n"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=nubo", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "key.pem"),
                    "-out", str(folder / "cert.pem")], check=True, capture_output=True)
    for name, manage, words, option in (("nova-api", "nova-manage", ("db", "sync"), "enabled_ssl_apis = osapi_compute"),
                                        ("neutron-server", "neutron-db-manage", ("upgrade", "heads"), "use_ssl = true")):
        service = name.split("-")[0]
        (folder / f"{service}.conf").write_text(
            f"[DEFAULT]\n{option}\n[database]\nconnection = sqlite:///{folder}/{service}.db\n{authtoken}")
        if service == "nova":
            assert program(manage, "api_db", "sync").returncode == 0
        assert program(manage, *words).returncode == 0
        done = program(name)
        assert done.returncode == 1 and wants in done.stderr, done.stderr
    keystone.prepare()
    text = keystone.config.read_text()
    for ssl, why in (("key_file = {0}/key.pem\ncert_file = {0}/absent", "absent cannot be read: No such file"),
                     ("key_file = {0}/cert.pem\ncert_file = {0}/cert.pem", "cert.pem and its key cannot be used: "),
                     ("key_file = {0}/key.pem\ncert_file = {0}/cert.pem\nca_file = {0}/key.pem",
                      "key.pem has no certificate of an authority")):
        keystone.config.write_text(f"[ssl]\n{ssl.format(folder)}\n{text}")
        done = program("keystone", "--port", str(PORT), "--config-file", str(keystone.config))
        assert done.returncode == 1 and why in done.stderr, done.stderr
    files = f"[ssl]\ncert_file = {folder}/cert.pem\nkey_file = {folder}/key.pem\n"
    keystone.config.write_text(files + text)
    keystone.start()
    answer = requests.get(f"https://127.0.0.1:{PORT}/v3", verify=str(folder / "cert.pem"), timeout=120)
    assert answer.json()["version"]["links"][0]["href"].startswith("https://")
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"https://127.0.0.1:{PORT}/v3", timeout=120)
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{PORT}/v3", timeout=120)


def test_environment_sets_options(program):
    assert "host = from-outside " in program("nova-api", "--debug", env={"OS_DEFAULT__HOST": "from-outside"}).stderr


def test_second_instance_on_a_port(keystone):
    keystone.prepare().start()
    second = subprocess.run([BIN, "run", "keystone", "--config-file", str(keystone.config)], capture_output=True, text=True,
                            timeout=120)
    assert second.returncode == 1 and f"cannot listen on 127.0.0.1:{PORT}" in second.stderr
    assert keystone.login().status_code == 201


def test_host_and_port_of_the_command_line(keystone):
    keystone.prepare().start("--port", str(PORT + 1))
    assert keystone.login(port=PORT + 1).status_code == 201


def test_log_file_and_its_rotation(keystone):
    log = keystone.folder / "logs" / "keystone.log"
    log.parent.mkdir()
    keystone.prepare().start("--log-dir", str(log.parent), "--debug")
    assert keystone.login("wrong").status_code == 401
    lines = log.read_text().splitlines()
    assert any(" INFO keystone [-] keystone is up" in line for line in lines)
    assert any(re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \d+ INFO keystone\.api \[None req-[-0-9a-f]{36}"
                         r" - - - - - -\] POST /v3/auth/tokens: 401", line) for line in lines)
    assert log.stat().st_mode & 0o777 == 0o640
    log.rename(log.with_suffix(".1"))
    assert keystone.login("wrong").status_code == 401
    assert "401" in log.read_text()


def test_sighup_reloads(keystone):
    it = keystone.prepare().start()
    text = keystone.config.read_text()
    keystone.config.write_text(text.replace("[DEFAULT]\n", "[DEFAULT]\nlogging_default_format_string = NEW %(message)s\n")
                               .replace(f"bind_port = {PORT}", f"bind_port = {PORT + 1}"))
    it.process.send_signal(signal.SIGHUP)
    until(lambda: "NEW configuration and policies were read again" in keystone.log.read_text())
    assert "Option DEFAULT.bind_port has changed; it takes effect at the next start" in keystone.log.read_text()
    keystone.config.write_text("[DEFAULT]\ndebug = perhaps\n")
    it.process.send_signal(signal.SIGHUP)
    until(lambda: "keystone is not reloaded: " + str(keystone.config) + ":2: " in keystone.log.read_text())
    assert keystone.login().status_code == 201


def test_sigterm_lets_a_request_end(keystone):
    """A login whose body comes late is answered, new connections are refused, then the program ends with 0."""
    it = keystone.prepare().start()
    body = (b'{"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "admin", "domain": {"id": "default"},'
            b' "password": "secret"}}}}}')
    def refused():
        try:
            socket.create_connection(("127.0.0.1", PORT), timeout=120).close()
        except OSError:
            return True
        return False
    with socket.create_connection(("127.0.0.1", PORT)) as s:
        s.sendall(b"POST /v3/auth/tokens HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
                  b"Expect: 100-continue\r\n\r\n" % len(body))
        assert s.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"  # the request is under way
        s.sendall(body[:40])
        it.process.terminate()
        until(lambda: "keystone is stopping" in keystone.log.read_text())
        until(refused)
        s.sendall(body[40:])
        with s.makefile("rb") as stream:
            answer = stream.read()
    assert answer.startswith(b"HTTP/1.1 201") and b"Connection: close" in answer
    assert it.process.wait(120) == 0


def test_sigterm_while_the_database_is_waited_for(keystone):
    """It would wait for 100 s."""
    nobody = f"mysql+pymysql://keystone:x@127.0.0.1:{PORT}/keystone"
    keystone.config.write_text(keystone.config.read_text().replace(f"sqlite:///{keystone.folder}/keystone.db", nobody))
    with open(keystone.log, "wb") as log:
        process = subprocess.Popen([BIN, "run", "keystone", "--config-file", str(keystone.config)], stdout=log, stderr=log)
    try:
        end = time.monotonic() + 180
        while "attempts left" not in keystone.log.read_text() and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 1
    finally:
        process.kill()
        process.wait()
    assert "keystone did not start: The database is not available, please try again later." in keystone.log.read_text()


def test_sigterm_under_load(keystone):
    """No login that was accepted fails while the program ends."""
    it, statuses = keystone.prepare().start(), []

    def work():
        while True:
            try:
                statuses.append(keystone.login().status_code)
            except requests.ConnectionError as why:
                if "refused" in str(why):
                    return
                statuses.append(str(why))
                return
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: len(statuses) > 20)
    it.process.terminate()
    for thread in threads:
        thread.join(60)
    assert it.process.wait(120) == 0 and set(statuses) == {201}, set(statuses)


def test_samples(program):
    for name in ("keystone", "glance", "placement", "nova", "neutron", "neutron-server", "neutron-openvswitch-agent",
                 "neutron-dhcp-agent", "neutron-metadata-agent"):
        text = subprocess.run([BIN, "config", "sample", name], capture_output=True, text=True, check=True).stdout
        assert all(line == "" or line[0] in "#[" for line in text.splitlines()) and "[" in text, name
        assert ("#dhcp_driver = " in text) == (name in ("neutron", "neutron-dhcp-agent"))


def until(what, seconds=180):
    end = time.time() + seconds
    while not what():
        assert time.time() < end
        time.sleep(0.05)
