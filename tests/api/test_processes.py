# SPDX-License-Identifier: Apache-2.0
"""Services that call each other across processes: catalog, tokens judged from afar, memcached, one trace."""
import concurrent.futures
import json
import re
import subprocess
import textwrap
import time

import msgpack
import pytest
import requests
from cryptography.fernet import Fernet, MultiFernet

import ports
from conftest import BIN, DATABASE
from engines import Memcached
from processes import Middleman, Processes, end, trace

pytestmark = pytest.mark.skipif(DATABASE != "sqlite", reason="configures its own")
SECRET = "the-key-of-the-cache"


@pytest.fixture(scope="module")
def memcached():
    it = Memcached().start()
    yield it
    it.stop()


@pytest.fixture(scope="module")
def apart(memcached):
    token = {"memcached_servers": memcached.address, "memcache_security_strategy": "ENCRYPT", "memcache_secret_key": SECRET,
             "memcache_pool_dead_retry": "1", "memcache_pool_socket_timeout": "1"}
    it = Processes(options={
        "keystone": {"cache": {"enabled": "true", "backend": "oslo_cache.memcache_pool", "memcache_servers": memcached.address,
                               "memcache_dead_retry": "1"}},
        "placement": {"keystone_authtoken": dict(token, timeout="3")},
        "neutron": {"keystone_authtoken": token},
        "nova": {"service_user": {"send_service_user_token": "true"}},
    }).start()
    yield it
    end(it)


def fresh(cloud, **more):
    """A token that nobody has seen."""
    return cloud.login(**more).headers["X-Subject-Token"]


def placement(cloud, token):
    return cloud.get("placement", "/resource_providers", token=token)


def test_a_server_is_built_across_processes(apart):
    flavor = {"flavor": {"name": "small", "id": "small", "ram": 64, "vcpus": 1, "disk": 1}}
    assert apart.post("compute", "/flavors", flavor).status_code == 200
    network = apart.post("network", "/v2.0/networks", {"network": {"name": "net"}}).json()["network"]["id"]
    subnet = {"subnet": {"network_id": network, "ip_version": 4, "cidr": "10.1.0.0/24"}}
    assert apart.post("network", "/v2.0/subnets", subnet).status_code == 201
    image = apart.post("image", "/v2/images", {"name": "i", "disk_format": "raw", "container_format": "bare"}).json()["id"]
    put = requests.put(apart.url("image", f"/v2/images/{image}/file"), data=b"x" * 4096, timeout=120,
                       headers={"X-Auth-Token": apart.token(), "Content-Type": "application/octet-stream"})
    assert put.status_code == 204
    body = {"server": {"name": "s", "flavorRef": "small", "imageRef": image, "networks": [{"uuid": network}]}}
    answer = apart.post("compute", "/servers", body)
    assert answer.status_code == 202, answer.text
    server = answer.json()["server"]["id"]

    def status():
        now = apart.get("compute", f"/servers/{server}").json()["server"]
        assert now["status"] != "ERROR", now
        return now["status"] == "ACTIVE"
    apart.wait(status)
    # nova asked the others over HTTP with one request id: its tree holds their spans, below its own.
    tree = trace(apart, answer.headers["X-Openstack-Request-Id"])
    for line in ("    glance-api: GET /v2/images/", "    placement-api: GET /allocation_candidates",
                 "    neutron-server: POST /v2.0/ports"):
        assert line in tree, tree
    assert len([line for line in tree.splitlines() if " ms  " in line and line.split(" ms  ")[-1][0] != " "]) == 1, tree
    assert apart.call("DELETE", "compute", f"/servers/{server}").status_code == 204
    apart.wait(lambda: apart.get("compute", f"/servers/{server}").status_code == 404)
    assert apart.get("network", f"/v2.0/ports?device_id={server}").json()["ports"] == []


def test_no_token_and_a_wrong_token(apart):
    for token in ("", "gAAAAAno-such-token", "x" * 9000, "a b"):
        answer = apart.get("placement", "/resource_providers", token=token)
        assert answer.status_code == 401, answer.text
        assert answer.headers["WWW-Authenticate"].startswith("Keystone uri=")


def test_a_dead_keystone_gives_503_quickly_and_recovers(apart):
    known, unknown = fresh(apart), fresh(apart)
    assert placement(apart, known).status_code == 200
    apart.stop_part("keystone")
    try:
        answer = placement(apart, unknown)
        assert answer.status_code == 503, answer.text
        assert "Keystone service is temporarily unavailable" in answer.text
        assert placement(apart, known).status_code == 200 # what was said once holds
        apart.restart_part("placement") # no token of its own now: who waits for its log-in does not wait in turns
        strangers = [f"gAAAAA{i}" for i in range(16)]
        alone = placement(apart, "gAAAAAalone").elapsed.total_seconds()
        begin = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            assert {r.status_code for r in pool.map(lambda t: placement(apart, t), strangers)} == {503}
        assert time.monotonic() - begin < 8 * alone + 5
    finally:
        apart.start_part("keystone")
    assert placement(apart, unknown).status_code == 200


def test_tokens_are_shared_through_memcached(apart, memcached):
    token = fresh(apart)
    before = set(memcached.keys())
    assert placement(apart, token).status_code == 200
    key, = [k for k in set(memcached.keys()) - before if k.startswith("tokens/")]
    assert token not in key and "user" not in memcached.get(key) # encrypted
    apart.restart_part("placement") # what it knew itself is gone
    apart.stop_part("keystone")
    try:
        assert placement(apart, token).status_code == 200
        apart.restart_part("placement")
        good = memcached.get(key)
        for bad in ("x", "", "a" * 64, good[:-4], good[:64] + "AAAA" + good[68:], good[:-1] + ("A" if good[-1] != "A" else "B"),
                    "[]", "9" * 500000):
            memcached.set(key, bad)
            assert placement(apart, token).status_code == 503 # a forged value says nothing
        memcached.set(key, good)
        assert placement(apart, token).status_code == 200
    finally:
        apart.start_part("keystone")
    assert "Failed to decrypt/verify cache data" in apart.log.read_text()


MIDDLEWARE = """
    import json, sys
    import webob
    from keystonemiddleware import auth_token

    def application(environ, start_response):
        start_response("200 OK", [])
        return [json.dumps({name: environ.get(name) for name in ("HTTP_X_USER_NAME", "HTTP_X_ROLES",
                                                                 "HTTP_X_SERVICE_CATALOG")}).encode()]
    settings = json.loads(sys.argv[1])
    request = webob.Request.blank("/", headers={"X-Auth-Token": sys.argv[2]})
    answer = request.get_response(auth_token.AuthProtocol(application, settings))
    print(json.dumps([answer.status_int, answer.text]))
"""


def test_the_middleware_of_services_in_python_shares_what_is_kept(apart, memcached):
    settings = {"memcached_servers": memcached.address, "memcache_security_strategy": "ENCRYPT", "memcache_secret_key": SECRET,
                "auth_type": "password", "auth_url": apart.url("identity"), "username": "admin",
                "password": apart.rc["OS_PASSWORD"], "project_name": "admin", "user_domain_id": "default",
                "project_domain_id": "default", "http_request_max_retries": 0, "log_name": "none"}

    def theirs(token):
        done = subprocess.run(["/usr/bin/python3", "-W", "ignore", "-c", textwrap.dedent(MIDDLEWARE), json.dumps(settings), token],
                              capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        status, text = json.loads(done.stdout)
        return status, json.loads(text) if status == 200 else text

    by_ours, by_theirs = fresh(apart), fresh(apart)
    assert placement(apart, by_ours).status_code == 200
    assert theirs(by_theirs)[0] == 200
    apart.stop_part("keystone")
    try:
        status, seen = theirs(by_ours) # from memcached alone
        assert status == 200 and seen["HTTP_X_USER_NAME"] == "admin" and "admin" in seen["HTTP_X_ROLES"].split(",")
        assert "placement" in [service["type"] for service in json.loads(seen["HTTP_X_SERVICE_CATALOG"])]
        assert placement(apart, by_theirs).status_code == 200
        assert theirs(by_theirs)[0] == 200
    finally:
        apart.start_part("keystone")


def test_memcached_may_go_and_come(apart, memcached):
    token = fresh(apart)
    memcached.stop()
    try:
        assert placement(apart, token).status_code == 200
        for _ in range(5):
            assert placement(apart, fresh(apart)).status_code == 200
    finally:
        memcached.start()

    def shared():
        assert placement(apart, fresh(apart)).status_code == 200
        return [k for k in memcached.keys() if k.startswith("tokens/")]
    apart.wait(shared, every=0.3)


def test_a_revoked_token_lives_a_second(apart):
    token = fresh(apart)
    assert placement(apart, token).status_code == 200
    gone = apart.call("DELETE", "identity", "/auth/tokens", headers={"X-Subject-Token": token})
    assert gone.status_code == 204
    apart.wait(lambda: placement(apart, token).status_code == 401)


@pytest.fixture
def middleman(apart):
    it = Middleman(apart.url("identity")[:-len("/v3")])
    apart.move_identity(it.url + "/v3")
    apart.restart_part("placement")
    assert placement(apart, fresh(apart)).status_code == 200
    assert it.validations()
    it.seen.clear()
    yield it
    it.mode = "pass"
    apart.move_identity(apart.url("identity"))
    apart.restart_part("placement")
    it.stop()


def test_requests_at_once_make_one_validation(apart, middleman):
    token = fresh(apart)
    middleman.mode = "late"
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert {r.status_code for r in pool.map(lambda _: placement(apart, token), range(16))} == {200}
    sent, = [headers for headers in ({k.lower(): v for k, v in one[2].items()} for one in middleman.validations())
             if headers["x-subject-token"] == token]  # of others' tokens there may be more
    assert sent["x-openstack-request-id"].startswith("req-") and sent["x-auth-token"] != token


def test_keystones_that_misbehave(apart, middleman):
    for mode in ("slow", "loop", "away", "huge", "garbage"):
        middleman.mode = mode
        begin = time.monotonic()
        answer = placement(apart, fresh(apart))
        assert answer.status_code == (401 if mode == "garbage" else 503), (mode, answer.text)
        assert mode != "slow" or time.monotonic() - begin < 60  # it would have an answer after that
        if mode == "loop":
            assert len(middleman.validations()) < 10
        middleman.seen.clear()
    middleman.mode = "busy" # one 503 with Retry-After: asked again
    assert placement(apart, fresh(apart)).status_code == 200


def test_an_api_tells_its_trace_to_admins(apart):
    asked = apart.get("compute", "/flavors")
    request_id = asked.headers["X-Openstack-Request-Id"]
    for service in ("compute", "network", "placement", "image", "identity"):
        url = apart.url(service).rsplit("/v", 1)[0] + "/nubo/trace/" + request_id
        answer = requests.get(url, headers={"X-Auth-Token": apart.token()}, timeout=120)
        assert answer.status_code == 200, (service, answer.text)
        assert "GET /v2.1/flavors" in [span["step"] for span in answer.json()["spans"]]
        assert requests.get(url, timeout=120).status_code == 401
        member = apart.make_user("tracer", "member", "watched")
        assert requests.get(url, headers={"X-Auth-Token": member}, timeout=120).status_code == 403
        assert requests.get(url + "x", headers={"X-Auth-Token": apart.token()}, timeout=120).status_code == 400
    # from another host: no ring of its own, the catalog's APIs are asked
    done = subprocess.run([BIN, "trace", request_id, "--state-dir", "/nonexistent"], env={**apart.env, **apart.rc}, text=True,
                          capture_output=True, timeout=120, check=False)
    assert "nova-api: GET /v2.1/flavors" in done.stdout, done.stderr


def test_an_api_over_https(apart, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=nubo", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(tmp_path / "key.pem"),
                    "-out", str(tmp_path / "cert.pem")], check=True, capture_output=True)
    cert = str(tmp_path / "cert.pem")
    url = apart.url("placement").replace("http:", "https:")
    apart.configure("placement", {"ssl": {"cert_file": cert, "key_file": str(tmp_path / "key.pem")}})
    apart.configure("nova", {"placement": {"endpoint_override": url, "cafile": cert}})
    asked = apart.get("compute", "/flavors").headers["X-Openstack-Request-Id"]
    apart.stop_part("placement")
    # with a service down a trace from another host still prints what the others know, and says whom it could not ask
    done = subprocess.run([BIN, "trace", asked, "--state-dir", "/nonexistent"], env={**apart.env, **apart.rc}, text=True,
                          capture_output=True, timeout=120, check=False)
    assert done.returncode == 0 and "nova-api: GET /v2.1/flavors" in done.stdout and done.stdout.count("GET /v2.1/flavors") == 1
    told = [line for line in done.stderr.splitlines() if line]
    assert len(told) == 1 and "placement" in told[0], done.stderr
    apart.start_part("placement", verify=cert)
    try:
        apart.restart_part("nova")
        answer = requests.get(url + "/resource_providers", headers={"X-Auth-Token": apart.token()}, verify=cert, timeout=120)
        assert answer.status_code == 200
        with pytest.raises(requests.ConnectionError):
            placement(apart, apart.token())
        image = apart.get("image", "/v2/images").json()["images"][0]["id"]
        body = {"server": {"name": "s", "flavorRef": "small", "imageRef": image, "networks": "none"}}
        made = apart.post("compute", "/servers", body, headers={"OpenStack-API-Version": "compute 2.79"})
        assert made.status_code == 202, made.text
        path = f"/servers/{made.json()['server']['id']}"
        apart.wait(lambda: apart.get("compute", path).json()["server"]["status"] != "BUILD")
        assert apart.get("compute", path).json()["server"]["status"] == "ACTIVE"
        assert apart.call("DELETE", "compute", path).status_code == 204
        apart.wait(lambda: apart.get("compute", path).status_code == 404)
        # who does not trust the certificate does not get in
        apart.configure("nova", {"placement": {"cafile": ""}})
        apart.restart_part("nova")
        made = apart.post("compute", "/servers", body, headers={"OpenStack-API-Version": "compute 2.79"})
        path = f"/servers/{made.json()['server']['id']}"
        apart.wait(lambda: apart.get("compute", path).json()["server"]["status"] == "ERROR")
        assert "SSL peer certificate or SSH remote key was not OK" in apart.log.read_text(errors="replace")
        # who does not look at it does
        apart.configure("nova", {"placement": {"insecure": "true"}})
        apart.restart_part("nova")
        assert apart.call("DELETE", "compute", path).status_code == 204
        path = "/servers/" + apart.post("compute", "/servers", body, headers={"OpenStack-API-Version": "compute 2.79"}).json(
            )["server"]["id"]
        apart.wait(lambda: apart.get("compute", path).json()["server"]["status"] == "ACTIVE")
    finally:
        apart.configure("placement", {"ssl": {"cert_file": ""}})
        apart.configure("nova", {"placement": {"endpoint_override": "", "cafile": "", "insecure": "false"}})
        apart.restart_part("placement")
        apart.restart_part("nova")
    assert apart.call("DELETE", "compute", path).status_code == 204
    apart.wait(lambda: apart.get("compute", path).status_code == 404)


@pytest.fixture(scope="module")
def brief():
    """A cloud in which a service's token must be one."""
    it = Processes(fake_compute=1, options={"neutron": {"keystone_authtoken": {"service_token_roles_required": "true"}}}).start()
    yield it
    end(it)


def ending(cloud, seconds):
    """A token of the cloud's own keys that ends after so many seconds, and that moment."""
    keys = sorted(next(cloud.state_dir.rglob("fernet-keys")).iterdir(), key=lambda p: -int(p.name))
    box, text, end = MultiFernet([Fernet(key.read_bytes()) for key in keys]), fresh(cloud), time.time() + seconds
    payload = msgpack.unpackb(box.decrypt((text + "=" * (-len(text) % 4)).encode()))
    assert payload[0] == 2  # of a project: version, user, methods, project, its end, audit ids
    return box.encrypt(msgpack.packb([*payload[:4], end, *payload[5:]])).decode().rstrip("="), end


def test_a_service_token_lets_an_ended_token_pass(brief):
    def service():
        text = (brief.state_dir / "etc" / "nova.conf").read_text()
        return brief.login("nova", re.search(r"^password = (.*)$", text, re.M)[1], "service").headers["X-Subject-Token"]

    def get(token, service_token=None):
        headers = {"X-Service-Token": service_token} if service_token is not None else {}
        return brief.get("network", "/v2.0/networks", token=token, headers=headers).status_code
    for seconds in (4, 16, 64, 256):  # until the machine is quick enough
        token, ends = ending(brief, seconds)
        said = get(token), get(token, service())
        if time.time() < ends:
            break
    assert said == (200, 200)
    assert get(token, "nonsense") == 401
    assert get(token, fresh(brief)) == 401 # valid, but without a role of service_token_roles
    brief.wait(lambda: time.time() > ends + 1)
    assert get(token) == 401
    assert get(token, fresh(brief)) == 401
    assert get(token, service()) == 200
    assert get(token) == 401 # that answer was not kept


def test_spans_of_other_hosts_come_by_messages(tmp_path):
    hub = f"http://shared-secret@127.0.0.1:{ports.claim()}/"
    cloud = Processes(fake_compute=1, options={"nova": {"DEFAULT": {"transport_url": hub}}},
                      groups={"nova": ["nova-api", "nova-scheduler", "nova-conductor"]}).start()
    try:
        cloud.start_elsewhere("compute", ["nova-compute"], tmp_path / "other")
        cloud.wait(lambda: cloud.get("compute", "/os-hypervisors").json()["hypervisors"])
        flavor = {"flavor": {"name": "small", "id": "small", "ram": 64, "vcpus": 1, "disk": 1}}
        assert cloud.post("compute", "/flavors", flavor).status_code == 200
        image = cloud.post("image", "/v2/images", {"name": "i", "disk_format": "raw", "container_format": "bare"}).json()["id"]
        requests.put(cloud.url("image", f"/v2/images/{image}/file"), data=b"x" * 4096, timeout=120,
                     headers={"X-Auth-Token": cloud.token(), "Content-Type": "application/octet-stream"}).raise_for_status()
        body = {"server": {"name": "s", "flavorRef": "small", "imageRef": image, "networks": "none"}}
        made = cloud.post("compute", "/servers", body, headers={"OpenStack-API-Version": "compute 2.79"})
        assert made.status_code == 202, made.text
        cloud.wait(lambda: cloud.get("compute", f"/servers/{made.json()['server']['id']}").json()["server"]["status"] == "ACTIVE")
        request_id = made.headers["X-Openstack-Request-Id"]
        alone = trace(cloud, request_id)
        assert "nova-conductor: cast to compute" in alone and "start guest" not in alone

        def whole():
            """What other hosts know, of those that answered in the time that they are given."""
            done = subprocess.run([BIN, "trace", request_id, "--state-dir", str(cloud.state_dir)], env={**cloud.env, **cloud.rc},
                                  text=True, capture_output=True, timeout=120, check=False)
            return done if "nova-compute: start guest" in done.stdout else None
        done = cloud.wait(whole)
        lines = done.stdout.splitlines()
        cast = next(i for i, line in enumerate(lines) if "nova-conductor: cast to compute" in line)
        assert "compute: rpc build_and_run_instance" in lines[cast + 1], done.stdout
        assert len(lines) == len(set(lines))
    finally:
        end(cloud)
