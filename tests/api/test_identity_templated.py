# SPDX-License-Identifier: Apache-2.0
"""A catalog that is a file of templates."""
import pytest

from conftest import dispose, new_cloud

TEMPLATES = """
# a comment
catalog.Here.identity.publicURL = http://localhost:$(public_port)s/v3
catalog.Here.identity.adminURL = http://localhost:35357/v3
catalog.Here.identity.name = Identity Service
catalog.Here.volume.publicURL = http://localhost:8776/v3/$(project_id)s
catalog.Here.volume.name = Volume Service
catalog.There.volume.publicURL = http://elsewhere:8776/v3/%(tenant_id)s
catalog.There.broken.publicURL = http://elsewhere/$(password)s
not a template
catalog.too.short = x
"""


@pytest.fixture(scope="module")
def templated(tmp_path_factory):
    """Only identity is asked: the other services of this cloud are not in its catalog."""
    file = tmp_path_factory.mktemp("templates") / "default_catalog.templates"
    file.write_text(TEMPLATES)
    it = new_cloud(["keystone"]).start()
    assert it.stop() == 0
    it.start(env={"OS_CATALOG__DRIVER": "templated", "OS_CATALOG__TEMPLATE_FILE": str(file)})
    yield it
    dispose(it)


def test_catalog(templated):
    token = templated.login().json()["token"]
    project, catalog = token["project"]["id"], {s["type"]: s for s in token["catalog"]}
    assert catalog["identity"] == {"type": "identity", "name": "Identity Service", "endpoints": [
        {"interface": "public", "region": "Here", "url": "http://localhost:5000/v3"},
        {"interface": "admin", "region": "Here", "url": "http://localhost:35357/v3"}]}
    assert {(e["region"], e["url"]) for e in catalog["volume"]["endpoints"]} == {
        ("Here", f"http://localhost:8776/v3/{project}"), ("There", f"http://elsewhere:8776/v3/{project}")}
    assert catalog["broken"]["endpoints"] == []


def test_it_is_only_looked_at(templated):
    get = lambda path: templated.get("identity", path)
    assert {r["id"] for r in get("/regions").json()["regions"]} == {"Here", "There"}
    assert get("/regions/There").json()["region"]["parent_region_id"] == ""
    assert get("/regions/Nowhere").status_code == 404
    services = get("/services?type=volume").json()["services"]
    assert {s["id"] for s in services} == {"volume"} and services[0]["name"] == "Volume Service"
    endpoint = get("/endpoints/Here-identity-admin").json()["endpoint"]
    assert (endpoint["service_id"], endpoint["interface"], endpoint["url"]) == ("identity", "admin", "http://localhost:35357/v3")
    assert len(get("/endpoints?interface=public").json()["endpoints"]) == 4
    for method, path, body in (("POST", "/regions", {"region": {}}), ("POST", "/services", {"service": {"type": "x"}}),
                               ("DELETE", "/endpoints/Here-identity-admin", None), ("PATCH", "/services/volume", {"service": {}}),
                               ("GET", "/OS-EP-FILTER/endpoint_groups", None)):
        answer = templated.call(method, "identity", path, body)
        assert answer.status_code == 501, (method, path, answer.text)
        assert answer.json()["error"]["message"] == "The action you have requested has not been implemented."
