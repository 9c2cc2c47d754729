# SPDX-License-Identifier: Apache-2.0
"""Every API over HTTPS, which asks its clients for certificates; every call between services shows one."""
import os
import re
import ssl

import pytest
import requests

from conftest import DATABASE
from processes import Middleman, Processes, end
from rabbit import certificates

pytestmark = pytest.mark.skipif(DATABASE != "sqlite", reason="configures its own")
SERVICES = ("identity", "placement", "image", "network", "compute", "metadata")


class Encrypted(Processes):
    """Each program with a certificate of one CA, for its API and as a client of others."""

    def __init__(self, folder):
        super().__init__(fake_compute=1, groups={"nova": ["nova-api", "nova-api-metadata", "nova-scheduler", "nova-conductor",
                                                          "nova-compute"]})
        self.certificates = certificates(folder)
        self.more = {}

    def of(self, name, *options):
        return dict(zip(options, (f"{self.certificates}/{file}" for file in (f"{name}.pem", f"{name}.key", "ca.pem"))))

    def start(self, env=None):
        super(Processes, self).start(env)
        for point in self.get("identity", "/endpoints").json()["endpoints"]:
            body = {"endpoint": {"url": point["url"].replace("http:", "https:")}}
            assert self.call("PATCH", "identity", f"/endpoints/{point['id']}", body).status_code == 200
        assert self.stop() == 0
        self.process = None
        self.more = {"verify": f"{self.certificates}/ca.pem",
                     "cert": (f"{self.certificates}/client.pem", f"{self.certificates}/client.key")}
        client = self.of("client", "certfile", "keyfile", "cafile")
        files = self.of("server", "cert_file", "key_file", "ca_file")
        login = dict(client, auth_url=self.url("identity").rsplit("/v3", 1)[0])
        password = re.search(r"^password = (.*)$", (self.state_dir / "etc" / "nova.conf").read_text(), re.M)[1]
        service_user = dict(login, send_service_user_token="true", auth_type="password", username="nova", password=password,
                            project_name="service", user_domain_name="Default", project_domain_name="Default")
        self.configure("keystone", {"ssl": files})
        for service in ("placement", "glance"):
            self.configure(service, {"ssl": files, "keystone_authtoken": login})
        self.configure("neutron", {"DEFAULT": {"use_ssl": "true"}, "ssl": files, "keystone_authtoken": login, "nova": client})
        self.configure("nova", {
            "DEFAULT": {"enabled_ssl_apis": "osapi_compute, metadata"}, "keystone_authtoken": login, "placement": client,
            "neutron": client, "glance": client, "service_user": service_user,
            "wsgi": self.of("server", "ssl_cert_file", "ssl_key_file", "ssl_ca_file")})
        for group in self.groups:
            self.start_part(group, **self.more)
        return self

    def restart_part(self, group):
        self.stop_part(group)
        self.start_part(group, **self.more)

    def url(self, service, path=""):
        url = super().url(service, path)
        return url.replace("http:", "https:") if self.more else url

    def login(self, *words, **more):
        return super().login(*words, **{**self.more, **more})

    def call(self, method, service, path, body=None, **more):
        return super().call(method, service, path, body, **{**self.more, **more})


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory):
    it = Encrypted(tmp_path_factory.mktemp("certificates"))
    yield it.start()
    end(it)


@pytest.fixture(scope="module")
def image(encrypted):
    """Uploaded and read again: bodies that stream both ways. A flavor beside it."""
    flavor = {"flavor": {"name": "small", "id": "small", "ram": 64, "vcpus": 1, "disk": 1}}
    assert encrypted.post("compute", "/flavors", flavor).status_code == 200
    data = os.urandom(3 << 20)
    made = encrypted.post("image", "/v2/images", {"name": "i", "disk_format": "raw", "container_format": "bare"}).json()["id"]
    url, headers = encrypted.url("image", f"/v2/images/{made}/file"), {"X-Auth-Token": encrypted.token()}
    put = requests.put(url, data=data, timeout=120, headers={**headers, "Content-Type": "application/octet-stream"},
                       **encrypted.more)
    assert put.status_code == 204, put.text
    assert requests.get(url, headers=headers, timeout=120, **encrypted.more).content == data
    return made


def build(cloud, image, **more):
    """The status that a new server comes to."""
    body = {"server": {"name": "s", "flavorRef": "small", "imageRef": image, **more}}
    made = cloud.post("compute", "/servers", body, headers={"OpenStack-API-Version": "compute 2.79"})
    assert made.status_code == 202, made.text
    path = f"/servers/{made.json()['server']['id']}"
    cloud.wait(lambda: cloud.get("compute", path).json()["server"]["status"] != "BUILD")
    status = cloud.get("compute", path).json()["server"]["status"]
    assert cloud.call("DELETE", "compute", path).status_code == 204
    cloud.wait(lambda: cloud.get("compute", path).status_code == 404)
    return status


def test_services_call_each_other_with_certificates(encrypted, image):
    """nova asks placement, neutron and glance, neutron tells nova of its ports, all ask keystone."""
    network = encrypted.post("network", "/v2.0/networks", {"network": {"name": "net"}}).json()["network"]["id"]
    subnet = {"subnet": {"network_id": network, "ip_version": 4, "cidr": "10.1.0.0/24"}}
    assert encrypted.post("network", "/v2.0/subnets", subnet).status_code == 201
    assert build(encrypted, image, networks=[{"uuid": network}]) == "ACTIVE"


@pytest.mark.parametrize("service", SERVICES)
def test_who_comes_in(encrypted, service):
    """As eventlet with cert_reqs=CERT_REQUIRED: the right CA on both sides, or no answer at all."""
    folder, url = encrypted.certificates, encrypted.url(service).rsplit("/v", 1)[0] + "/"

    def get(verify="ca", cert="client", to=url):
        own = (f"{folder}/{cert}.pem", f"{folder}/{cert}.key") if cert else None
        return requests.get(to, verify=f"{folder}/{verify}.pem", cert=own, timeout=120)
    assert get().status_code in (200, 300)
    with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        get(verify="other")
    for refused in ({"cert": None}, {"cert": "other"}, {"to": url.replace("https:", "http:")}):
        with pytest.raises(requests.ConnectionError):
            get(**refused)
    assert get().status_code in (200, 300)
    assert "a client is refused: its certificate: The certificate is NOT trusted." in encrypted.log.read_text(errors="replace")


def test_links_are_of_https(encrypted):
    for service in ("compute", "network", "identity"):
        answer = encrypted.get(service, "/", token="", headers={"Accept": "application/json"})
        assert "https://127.0.0.1" in answer.text and "http://127.0.0.1" not in answer.text, answer.text


@pytest.mark.parametrize("section", ["placement", "neutron", "glance", "service_user"])
def test_a_call_without_a_certificate_is_refused(encrypted, image, section):
    body = {"server": {"name": "s", "flavorRef": "small", "imageRef": image, "networks": "none"}}
    encrypted.configure("nova", {section: {"certfile": "", "keyfile": ""}})
    encrypted.restart_part("nova")
    before = len(encrypted.log.read_text(errors="replace"))
    try:
        if section == "placement":
            made = encrypted.post("compute", "/servers", body, headers={"OpenStack-API-Version": "compute 2.79"}).json()["server"]
            path = f"/servers/{made['id']}"
            encrypted.wait(lambda: encrypted.get("compute", path).json()["server"]["status"] == "ERROR")
        else:
            body["server"]["networks"] = "auto"
            answer = encrypted.post("compute", "/servers", body, headers={"OpenStack-API-Version": "compute 2.79"})
            assert answer.status_code == 503, answer.text
    finally:
        encrypted.configure("nova", {section: encrypted.of("client", "certfile", "keyfile")})
        encrypted.restart_part("nova")
    assert "a client is refused: it shows no certificate" in encrypted.log.read_text(errors="replace")[before:]


def test_keystone_behind_a_server_that_asks_for_certificates(encrypted):
    """OpenSSL's, not ours: whoever asks about tokens or logs in there shows [keystone_authtoken]'s."""
    folder = encrypted.certificates
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=f"{folder}/ca.pem")
    context.load_cert_chain(f"{folder}/server.pem", f"{folder}/server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    front = Middleman(encrypted.url("identity").rsplit("/v3", 1)[0], tls=context, **encrypted.more)

    def asked(**options):
        encrypted.configure("placement", {"keystone_authtoken": dict(encrypted.of("client", "certfile", "keyfile", "cafile"),
                                                                     **options)})
        encrypted.restart_part("placement")
        token = encrypted.login().headers["X-Subject-Token"]
        return encrypted.get("placement", "/resource_providers", token=token).status_code
    try:
        assert asked(auth_url=front.url) == 200
        assert front.validations() or front.seen
        front.seen.clear()
        for wrong in ({"certfile": "", "keyfile": ""},  # the handshake ends by its alert
                      {"certfile": f"{folder}/other.pem", "keyfile": f"{folder}/other.key"},
                      {"keyfile": f"{folder}/other.key"},  # of another certificate
                      {"cafile": f"{folder}/other.pem"}):
            assert asked(**wrong) == 503, wrong
        assert not front.seen
    finally:
        assert asked(auth_url=encrypted.url("identity").rsplit("/v3", 1)[0]) == 200
        front.stop()
