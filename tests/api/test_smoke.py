# SPDX-License-Identifier: Apache-2.0
"""The thin path: the real client gets a token and a catalog from a fresh cloud; a second start finds everything."""
import requests


def test_token_and_catalog(cloud):
    token = cloud.openstack("token", "issue")
    assert token["id"].startswith("gAAAA")
    names = {entry["Name"] for entry in cloud.openstack("catalog", "list")}
    assert "keystone" in names and "placement" in names


def test_every_api_answers_without_a_token(cloud):
    for service in ("identity", "placement"):
        assert requests.get(cloud.url(service).removesuffix("/v3") + "/", timeout=120).status_code in (200, 300)


def test_a_stranger_is_told_401(cloud):
    for path, service in (("/users", "identity"), ("/resource_providers", "placement")):
        answer = cloud.get(service, path, token="")
        assert answer.status_code == 401, answer.text
        assert answer.headers["X-Openstack-Request-Id"].startswith("req-")
        assert cloud.get(service, path, token="gAAAAABrubbish").status_code == 401


def test_paths_with_two_slashes(cloud):
    """fog appends "/limits" to an endpoint that ends in a slash already; paste's urlmap takes two for one."""
    root = {service: cloud.url(service).removesuffix("/").removesuffix("/v2.1") for service in ("compute", "network", "image")}
    headers = {"X-Auth-Token": cloud.token()}
    for url in (root["compute"] + "/v2.1//limits", root["network"] + "/v2.0//networks", root["image"] + "//v2///images"):
        assert requests.get(url, headers=headers, timeout=10).status_code == 200, url


def test_a_second_start_finds_what_is_there(own_cloud):
    before = own_cloud.rc
    project = own_cloud.get("identity", "/auth/projects").json()["projects"][0]["id"]
    assert own_cloud.stop() == 0
    own_cloud.forget_tokens()
    own_cloud.start()
    assert own_cloud.rc == before
    assert own_cloud.get("identity", "/auth/projects").json()["projects"][0]["id"] == project


def test_kill_and_start(own_cloud):
    own_cloud.kill()
    own_cloud.start()
    assert own_cloud.login().status_code == 201
