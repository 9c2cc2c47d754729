# SPDX-License-Identifier: Apache-2.0
"""Unified limits, configuration of domains, filters and policies of endpoints, rules of the tree of projects."""
import uuid

import pytest

from conftest import dispose, new_cloud

EXPECTING = ("Expecting to find %s in %s. The server could not comply with the request since it is either malformed or "
             "otherwise incorrect. The client is assumed to be in error.")


def word(prefix="x"):
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


def said(answer, status, message):
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"] == message


class Maker:
    """Makes things and takes them away again, last first."""

    def __init__(self, cloud):
        self.cloud, self.made = cloud, []

    def __call__(self, plural, one, body, path=None):
        answer = self.cloud.post("identity", f"/{path or plural}", {one: body})
        assert answer.status_code == 201, answer.text
        made = answer.json()[one]
        self.made.append(f"/{path or plural}/{made['id']}")
        return made

    def end(self):
        for path in reversed(self.made):
            if path.startswith("/domains/"):
                self.cloud.call("PATCH", "identity", path, {"domain": {"enabled": False}})
            self.cloud.call("DELETE", "identity", path)


@pytest.fixture
def make(cloud):
    it = Maker(cloud)
    yield it
    it.end()


@pytest.fixture
def system(cloud):
    return cloud.token(project=None, scope={"system": {"all": True}})


# ---- unified limits

def test_registered_limits(cloud, make):
    service, region = make("services", "service", {"type": word()}), make("regions", "region", {"id": word("r")})
    row = {"service_id": service["id"], "region_id": region["id"], "resource_name": "volume", "default_limit": 10}
    answer = cloud.post("identity", "/registered_limits", {"registered_limits": [row, {**row, "resource_name": "snapshot",
                                                                                      "region_id": None, "description": "d"}]})
    assert answer.status_code == 201
    first, second = answer.json()["registered_limits"]
    assert set(answer.json()) == {"registered_limits"}
    assert first["links"]["self"].endswith(f"/v3/registered_limits/{first['id']}") and first["description"] is None
    assert second["region_id"] is None and second["description"] == "d" and first["default_limit"] == 10
    said(cloud.post("identity", "/registered_limits", {"registered_limits": [row]}), 409,
         "Conflict occurred attempting to store registered_limit - Duplicate entry.")
    said(cloud.post("identity", "/registered_limits", {"registered_limits": [{**row, "service_id": "nothing"}]}), 400,
         EXPECTING % ("service_id", "registered_limit"))
    assert cloud.post("identity", "/registered_limits", {"registered_limits": []}).status_code == 400
    assert cloud.post("identity", "/registered_limits", {"registered_limits": [{**row, "default_limit": -2}]}).status_code == 400
    found = cloud.get("identity", f"/registered_limits?service_id={service['id']}&resource_name=volume").json()
    assert [r["id"] for r in found["registered_limits"]] == [first["id"]]
    path = f"/registered_limits/{first['id']}"
    changed = cloud.call("PATCH", "identity", path, {"registered_limit": {"default_limit": 5}})
    assert changed.status_code == 200 and changed.json()["registered_limit"]["default_limit"] == 5
    said(cloud.call("PATCH", "identity", path, {"registered_limit": {"resource_name": "volume"}}), 409,
         "Conflict occurred attempting to store registered_limit - Duplicate entry.")
    assert cloud.call("DELETE", "identity", path).status_code == 204
    said(cloud.get("identity", path), 404, f"Could not find registered limit for {first['id']}.")
    assert cloud.call("DELETE", "identity", f"/registered_limits/{second['id']}").status_code == 204


def test_limits(cloud, make, system):
    service = make("services", "service", {"type": word()})
    project = make("projects", "project", {"name": word()})
    registered = cloud.post("identity", "/registered_limits", {"registered_limits": [
        {"service_id": service["id"], "resource_name": "cores", "default_limit": 10}]}).json()["registered_limits"][0]
    row = {"project_id": project["id"], "service_id": service["id"], "resource_name": "cores", "resource_limit": 5}
    said(cloud.post("identity", "/limits", {"limits": [{**row, "resource_name": "other"}]}), 403,
         "Unable to create a limit that has no corresponding registered limit.")
    said(cloud.post("identity", "/limits", {"limits": [{**row, "project_id": "nobody"}]}), 400,
         EXPECTING % ("project_id", "limit"))
    answer = cloud.post("identity", "/limits", {"limits": [row]})
    assert answer.status_code == 201, answer.text
    limit = answer.json()["limits"][0]
    assert {k: limit[k] for k in ("domain_id", "region_id", "resource_limit", "resource_name")} == {
        "domain_id": None, "region_id": None, "resource_limit": 5, "resource_name": "cores"}
    assert "registered_limit_id" not in limit
    said(cloud.post("identity", "/limits", {"limits": [row]}), 409,
         "Conflict occurred attempting to store limit - Duplicate entry.")
    # a domain's: named as a domain, or as the project that it is
    domain = make("domains", "domain", {"name": word()})
    answer = cloud.post("identity", "/limits", {"limits": [{**row, "project_id": domain["id"], "resource_limit": 8}]})
    assert answer.json()["limits"][0]["domain_id"] == domain["id"] and answer.json()["limits"][0]["project_id"] is None
    assert cloud.post("identity", "/limits", {"limits": [{**row, "domain_id": domain["id"]}]}).status_code == 400
    said(cloud.call("DELETE", "identity", f"/registered_limits/{registered['id']}"), 403,
         f"Unable to update or delete registered limit {registered['id']} because there are project limits associated with it.")
    path = f"/limits/{limit['id']}"
    assert cloud.call("PATCH", "identity", path, {"limit": {"resource_limit": 7}}).json()["limit"]["resource_limit"] == 7
    assert cloud.call("PATCH", "identity", path, {"limit": {"resource_limit": 0}}).json()["limit"]["resource_limit"] == 7
    # a system token sees all, a project's only its own
    ids = {x["id"] for x in cloud.get("identity", f"/limits?service_id={service['id']}", token=system).json()["limits"]}
    assert len(ids) == 2 and limit["id"] in ids
    assert cloud.get("identity", f"/limits?service_id={service['id']}").json()["limits"] == []
    # they go with what they are of
    cloud.call("DELETE", "identity", f"/projects/{project['id']}")
    said(cloud.get("identity", path), 404, f"Could not find limit for {limit['id']}.")
    for left in ids - {limit["id"]}:
        assert cloud.call("DELETE", "identity", f"/limits/{left}").status_code == 204
    assert cloud.call("DELETE", "identity", f"/registered_limits/{registered['id']}").status_code == 204


def test_limit_model(cloud):
    model = cloud.get("identity", "/limits/model").json()["model"]
    assert model == {"name": "flat", "description": "Limit enforcement and validation does not take project hierarchy into "
                     "consideration."}


@pytest.fixture(scope="module")
def strict():
    it = new_cloud(["keystone"], env={
        "OS_UNIFIED_LIMIT__ENFORCEMENT_MODEL": "strict_two_level", "OS_RESOURCE__PROJECT_NAME_URL_SAFE": "new",
        "OS_ENDPOINT_FILTER__RETURN_ALL_ENDPOINTS_IF_NO_FILTER": "false"}).start()
    yield it
    dispose(it)


def test_strict_two_level(strict):
    make = Maker(strict)
    assert strict.get("identity", "/limits/model").json()["model"]["name"] == "strict_two_level"
    service, domain = make("services", "service", {"type": "t"}), make("domains", "domain", {"name": "d"})
    child = make("projects", "project", {"name": "c", "domain_id": domain["id"]})
    # the reference counts two levels below the domain
    deep = make("projects", "project", {"name": "deep", "parent_id": child["id"], "domain_id": domain["id"]})
    said(strict.post("identity", "/projects", {"project": {"name": "deeper", "parent_id": deep["id"], "domain_id": domain["id"]}}),
         403, f"Max hierarchy depth reached for {deep['id']} branch.")
    row = {"service_id": service["id"], "resource_name": "cores"}
    strict.post("identity", "/registered_limits", {"registered_limits": [{**row, "default_limit": 10}]})

    def refusal(level, owner, number):
        return (f"Invalid resource limit: The resource limit ({level}: {owner}, resource_name: cores, resource_limit: {number}, "
                f"service_id: {service['id']}, region_id: None) doesn't satisfy current hierarchy model..")
    # above the registered limit, which is the domain's
    said(strict.post("identity", "/limits", {"limits": [{**row, "project_id": child["id"], "resource_limit": 11}]}), 403,
         refusal("project_id", child["id"], 11))
    both = [{**row, "project_id": child["id"], "resource_limit": 15}, {**row, "domain_id": domain["id"], "resource_limit": 14}]
    said(strict.post("identity", "/limits", {"limits": both}), 403, refusal("project_id", child["id"], 15))
    both[0]["resource_limit"] = 12
    made = strict.post("identity", "/limits", {"limits": both})
    assert made.status_code == 201, made.text
    of_child, of_domain = made.json()["limits"]
    said(strict.call("PATCH", "identity", f"/limits/{of_domain['id']}", {"limit": {"resource_limit": 3}}), 403,
         refusal("domain_id", domain["id"], 3))
    assert strict.call("PATCH", "identity", f"/limits/{of_child['id']}", {"limit": {"resource_limit": 13}}).status_code == 200


def test_safe_names_and_empty_catalog(strict):
    said(strict.post("identity", "/projects", {"project": {"name": "a/b?c"}}), 400,
         "Project name cannot contain the following reserved characters: /?")
    assert strict.login().json()["token"]["catalog"] == []


# ---- configuration of domains

def test_domain_config(cloud, make):
    domain = make("domains", "domain", {"name": word()})
    base = f"/domains/{domain['id']}/config"
    config = {"ldap": {"url": "ldap://host", "user": "cn=%(password)s", "password": "secret"}, "identity": {"driver": "ldap"}}
    said(cloud.get("identity", base), 404,
         f"Could not find any options in domain configuration for domain {domain['id']}.")
    answer = cloud.call("PUT", "identity", base, {"config": config})
    assert answer.status_code == 201, answer.text
    shown = {"ldap": {"url": "ldap://host", "user": "cn=%(password)s"}, "identity": {"driver": "ldap"}}
    assert answer.json() == {"config": shown}
    assert cloud.call("PUT", "identity", base, {"config": config}).status_code == 200
    assert cloud.get("identity", base).json() == {"config": shown}
    assert cloud.get("identity", f"{base}/ldap").json() == {"config": {"ldap": shown["ldap"]}}
    assert cloud.get("identity", f"{base}/ldap/url").json() == {"config": {"url": "ldap://host"}}
    said(cloud.get("identity", f"{base}/ldap/password"), 404,
         f"Could not find option password in group ldap in domain configuration for domain {domain['id']}.")
    assert "secret" not in cloud.get("identity", base).text
    changed = cloud.call("PATCH", "identity", f"{base}/ldap/url", {"config": {"url": "ldap://other"}})
    assert changed.status_code == 200 and changed.json()["config"]["ldap"]["url"] == "ldap://other"
    changed = cloud.call("PATCH", "identity", base, {"config": {"ldap": {"page_size": 5}}})
    assert changed.json()["config"]["ldap"]["page_size"] == 5
    said(cloud.call("PATCH", "identity", f"{base}/ldap/suffix", {"config": {"suffix": "dc=x"}}), 404,
         f"Could not find option suffix in group ldap in domain configuration for domain {domain['id']}.")
    assert cloud.call("DELETE", "identity", f"{base}/ldap/url").status_code == 204
    assert cloud.call("DELETE", "identity", f"{base}/identity").status_code == 204
    assert set(cloud.get("identity", base).json()["config"]) == {"ldap"}
    assert cloud.call("DELETE", "identity", base).status_code == 204


@pytest.mark.parametrize("path, body, message", [
    ("", {}, "No options specified"),
    ("", {"ldap": {}}, "The value of group ldap specified in the config should be a dictionary of options"),
    ("", {"token": {"expiration": 1}}, "Group token is not supported for domain specific configurations"),
    ("", {"ldap": {"colour": 1}}, "Option colour in group ldap is not supported for domain specific configurations"),
    ("/ldap", {"identity": {"driver": "sql"}}, "request to update group ldap, but config provided contains group identity instead"),
    ("/ldap", {"identity": {"driver": "sql"}, "ldap": {"url": "x"}},
     "Trying to update group ldap, so that, and only that, group must be specified in the config"),
    ("/ldap/url", {"suffix": "x"},
     "Trying to update option url in group ldap, but config provided contains option suffix instead"),
])
def test_wrong_domain_config(cloud, path, body, message):
    said(cloud.call("PATCH", "identity", f"/domains/default/config{path}", {"config": body}), 403,
         f"Invalid domain specific configuration: {message}.")


def test_default_domain_config(cloud):
    config = cloud.get("identity", "/domains/config/default").json()["config"]
    assert config["identity"]["driver"] == "sql" and config["identity"]["list_limit"] is None
    assert config["ldap"]["url"] == "ldap://localhost" and config["ldap"]["use_tls"] is False
    assert config["ldap"]["page_size"] == 0 and config["ldap"]["user_attribute_ignore"] == ["default_project_id"]
    assert "password" not in config["ldap"]
    assert cloud.get("identity", "/domains/config/ldap/url/default").json() == {"config": {"url": "ldap://localhost"}}
    said(cloud.get("identity", "/domains/config/ldap/password/default"), 403, "Invalid domain specific configuration: "
         "Reading the default for option password in group ldap is not supported.")
    compliance = cloud.get("identity", "/domains/default/config/security_compliance").json()["config"]
    assert compliance == {"security_compliance": {"password_regex": None, "password_regex_description": None}}
    said(cloud.get("identity", "/domains/default/config/security_compliance/lockout_duration"), 403, "Invalid domain specific "
         "configuration: Reading security compliance values other than password_regex and password_regex_description is not "
         "allowed..")


# ---- filters of endpoints

def catalog(cloud, project):
    token = cloud.login(project=project).json()["token"]
    return {e["id"] for s in token["catalog"] for e in s["endpoints"]}


def test_endpoint_filter(cloud, make):
    project = make("projects", "project", {"name": word("filtered")})
    admin = cloud.get("identity", "/users?name=admin").json()["users"][0]["id"]
    role = cloud.get("identity", "/roles?name=admin").json()["roles"][0]["id"]
    cloud.call("PUT", "identity", f"/projects/{project['id']}/users/{admin}/roles/{role}")
    region, service = make("regions", "region", {"id": word("r")}), make("services", "service", {"type": word("s")})
    ends = [make("endpoints", "endpoint", {"interface": i, "service_id": service["id"], "region_id": region["id"],
                                           "url": "http://x/$(project_id)s"}) for i in ("public", "internal", "admin")]
    everything = catalog(cloud, project["name"])
    assert {e["id"] for e in ends} < everything
    link = f"/OS-EP-FILTER/projects/{project['id']}/endpoints"
    said(cloud.get("identity", f"{link}/{ends[0]['id']}"), 404,
         f"Endpoint {ends[0]['id']} not found in project {project['id']}")
    assert cloud.call("PUT", "identity", f"{link}/{ends[0]['id']}").status_code == 204
    assert cloud.call("HEAD", "identity", f"{link}/{ends[0]['id']}").status_code == 204
    said(cloud.call("PUT", "identity", f"{link}/{ends[0]['id']}"), 409,
         "Conflict occurred attempting to store project_endpoint - Duplicate entry.")
    assert catalog(cloud, project["name"]) == {ends[0]["id"]}
    said(cloud.post("identity", "/OS-EP-FILTER/endpoint_groups", {"endpoint_group": {"name": "g", "filters": {"url": "x"}}}), 400,
         EXPECTING % ("service_id or region_id or interface", "endpoint_group"))
    said(cloud.post("identity", "/OS-EP-FILTER/endpoint_groups", {"endpoint_group": {"name": "g", "filters": {}}}), 400,
         "filters field is required and cannot be empty")
    group = make("endpoint_groups", "endpoint_group", {
        "name": word("g"), "filters": {"service_id": service["id"], "interface": "admin"}}, "OS-EP-FILTER/endpoint_groups")
    assert group["links"]["self"].endswith(f"/v3/OS-EP-FILTER/endpoint_groups/{group['id']}")
    one = f"/OS-EP-FILTER/endpoint_groups/{group['id']}"
    assert cloud.call("PUT", "identity", f"{one}/projects/{project['id']}").status_code == 204
    member = cloud.get("identity", f"{one}/projects/{project['id']}").json()["project_endpoint_group"]
    assert member["links"]["self"] == f"{one}/projects/{project['id']}"
    assert catalog(cloud, project["name"]) == {ends[0]["id"], ends[2]["id"]}

    def ids(path, plural):
        answer = cloud.get("identity", path)
        assert answer.status_code == 200, answer.text
        return {x["id"] for x in answer.json()[plural]}
    assert ids(link, "endpoints") == {ends[0]["id"], ends[2]["id"]}
    assert ids(f"{one}/endpoints", "endpoints") == {ends[2]["id"]}
    assert ids(f"{one}/projects", "projects") == {project["id"]}
    assert ids(f"/OS-EP-FILTER/projects/{project['id']}/endpoint_groups", "endpoint_groups") == {group["id"]}
    assert ids(f"/OS-EP-FILTER/endpoints/{ends[0]['id']}/projects", "projects") == {project["id"]}
    assert ids(f"/OS-EP-FILTER/endpoint_groups?name={group['name']}", "endpoint_groups") == {group["id"]}
    # a filter that chooses nothing counts for nothing
    assert cloud.call("DELETE", "identity", f"{link}/{ends[0]['id']}").status_code == 204
    changed = cloud.call("PATCH", "identity", one, {"endpoint_group": {"filters": {"region_id": "nowhere"}}})
    assert changed.json()["endpoint_group"]["filters"] == {"region_id": "nowhere"}
    assert catalog(cloud, project["name"]) == everything
    assert cloud.call("DELETE", "identity", f"{one}/projects/{project['id']}").status_code == 204
    said(cloud.get("identity", f"{one}/projects/{project['id']}"), 404, "Endpoint Group Project Association not found")
    said(cloud.get("identity", "/OS-EP-FILTER/endpoint_groups/none"), 404, "Could not find Endpoint Group: none.")


# ---- policies

def test_endpoint_policies(cloud, make):
    parent = make("regions", "region", {"id": word("p")})
    region = make("regions", "region", {"id": word("r"), "parent_region_id": parent["id"]})
    service = make("services", "service", {"type": word("s")})
    end = make("endpoints", "endpoint", {"interface": "public", "service_id": service["id"], "region_id": region["id"],
                                         "url": "http://x"})
    of = [make("policies", "policy", {"type": "application/json", "blob": '{"a": "b"}', "note": n})
          for n in ("endpoint", "region", "service")]
    assert of[0]["blob"] == '{"a": "b"}' and of[0]["note"] == "endpoint"
    found = f"/endpoints/{end['id']}/OS-ENDPOINT-POLICY/policy"
    said(cloud.get("identity", found), 404, f"No policy is associated with endpoint {end['id']}.")
    places = [f"endpoints/{end['id']}", f"services/{service['id']}/regions/{parent['id']}", f"services/{service['id']}"]
    paths = [f"/policies/{p['id']}/OS-ENDPOINT-POLICY/{place}" for p, place in zip(of, places)]
    for policy, path in reversed(list(zip(of, paths))):
        said(cloud.get("identity", path), 404, "Could not find policy association.")
        assert cloud.call("PUT", "identity", path).status_code == 204
        assert cloud.call("PUT", "identity", path).status_code == 204
        assert cloud.get("identity", path).status_code == 204
        assert cloud.get("identity", found).json()["policy"]["id"] == policy["id"]
        listed = cloud.get("identity", f"/policies/{policy['id']}/OS-ENDPOINT-POLICY/endpoints").json()["endpoints"]
        assert [e["id"] for e in listed] == [end["id"]]
    assert cloud.call("DELETE", "identity", paths[0]).status_code == 204
    assert cloud.get("identity", found).json()["policy"]["id"] == of[1]["id"]
    said(cloud.call("PUT", "identity", f"/policies/none/OS-ENDPOINT-POLICY/{places[0]}"), 404, "Could not find policy: none.")
    changed = cloud.call("PATCH", "identity", f"/policies/{of[0]['id']}", {"policy": {"blob": "x"}}).json()["policy"]
    assert changed["blob"] == "x" and changed["type"] == "application/json"
    assert of[0]["id"] in {p["id"] for p in cloud.get("identity", "/policies?type=application/json").json()["policies"]}


# ---- projects


def test_endpoint_policies_below_a_region_with_a_long_name(cloud, make):
    """MariaDB took the width of the association's column for the regions below, and then never answered again."""
    region = make("regions", "region", {"id": word("r")})
    below = make("regions", "region", {"id": uuid.uuid4().hex * 7, "parent_region_id": region["id"]})
    service = make("services", "service", {"type": word("s")})
    policy = make("policies", "policy", {"type": "application/json", "blob": "{}"})
    point = make("endpoints", "endpoint", {"service_id": service["id"], "interface": "public", "url": "http://x",
                                           "region_id": below["id"]})
    path = f"/policies/{policy['id']}/OS-ENDPOINT-POLICY"
    put = cloud.call("PUT", "identity", f"{path}/services/{service['id']}/regions/{region['id']}")
    assert put.status_code == 204, put.text
    for _ in range(2):
        assert [e["id"] for e in cloud.get("identity", f"{path}/endpoints").json()["endpoints"]] == [point["id"]]


def test_include_limits_and_immutable_tags(cloud, make):
    parent = make("projects", "project", {"name": word()})
    child = make("projects", "project", {"name": word(), "parent_id": parent["id"]})
    admin = cloud.get("identity", "/users?name=admin").json()["users"][0]["id"]
    role = cloud.get("identity", "/roles?name=admin").json()["roles"][0]["id"]
    cloud.call("PUT", "identity", f"/projects/{parent['id']}/users/{admin}/roles/{role}")
    shown = cloud.get("identity", f"/projects/{child['id']}?parents_as_list&include_limits").json()["project"]
    assert shown["parents"][0]["project"]["limits"] == []
    cloud.call("PATCH", "identity", f"/projects/{child['id']}", {"project": {"options": {"immutable": True}}})
    said(cloud.call("PUT", "identity", f"/projects/{child['id']}/tags/red"), 403, f"Cannot create project tags for {child['id']}, "
         'project is immutable. Set "immutable" option to false before creating project tags.')
    cloud.call("PATCH", "identity", f"/projects/{child['id']}", {"project": {"options": {"immutable": False}}})


def test_a_domain_goes_with_a_deep_tree(cloud, make):
    domain = cloud.post("identity", "/domains", {"domain": {"name": word()}}).json()["domain"]["id"]
    parent = domain
    for _ in range(3):
        parent = cloud.post("identity", "/projects", {"project": {
            "name": word(), "domain_id": domain, "parent_id": parent}}).json()["project"]["id"]
    cloud.call("PUT", "identity", f"/domains/{domain}/config", {"config": {"ldap": {"url": "ldap://x"}}})
    cloud.call("PATCH", "identity", f"/domains/{domain}", {"domain": {"enabled": False}})
    assert cloud.call("DELETE", "identity", f"/domains/{domain}").status_code == 204
    assert cloud.get("identity", f"/projects/{parent}").status_code == 404
    assert cloud.post("identity", "/domains", {"domain": {"name": "federated"}}).status_code == 400


# ---- federation

RULES = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "REMOTE_USER"}]}]


def test_federation_resources(cloud, make):
    base = "/OS-FEDERATION"
    idp, mapping, remote = word("idp"), word("map"), word("remote")
    said(cloud.get("identity", f"{base}/mappings/{mapping}"), 404, f"Could not find mapping: {mapping}.")
    answer = cloud.call("PUT", "identity", f"{base}/mappings/{mapping}", {"mapping": {"rules": RULES}})
    assert answer.status_code == 201 and answer.json()["mapping"]["rules"] == RULES
    assert cloud.call("PUT", "identity", f"{base}/mappings/{mapping}", {"mapping": {"rules": RULES}}).status_code == 409
    assert cloud.call("PUT", "identity", f"{base}/mappings/x", {"mapping": {"rules": []}}).status_code == 400
    assert cloud.get("identity", f"{base}/mappings/{mapping}").json()["mapping"]["rules"] == RULES
    assert {m["id"]: m["rules"] for m in cloud.get("identity", f"{base}/mappings").json()["mappings"]}[mapping] == RULES
    more = [*RULES, {"local": [{"group": {"id": "g"}}], "remote": [{"type": "G", "any_one_of": ["a"]}]}]
    changed = cloud.call("PATCH", "identity", f"{base}/mappings/{mapping}", {"mapping": {"rules": more}})
    assert changed.json()["mapping"]["rules"] == more

    path = f"{base}/identity_providers/{idp}"
    said(cloud.get("identity", path), 404, f"Could not find Identity Provider: {idp}.")
    answer = cloud.call("PUT", "identity", path, {"identity_provider": {"remote_ids": [remote], "authorization_ttl": 5}})
    assert answer.status_code == 201, answer.text
    made = answer.json()["identity_provider"]
    assert made["enabled"] is False and made["description"] is None and made["authorization_ttl"] == 5
    assert made["links"]["protocols"] == made["links"]["self"] + "/protocols" and made["remote_ids"] == [remote]
    domain = cloud.get("identity", f"/domains/{made['domain_id']}").json()["domain"]
    assert domain["description"] == f"Auto generated federated domain for Identity Provider: {idp}"
    said(cloud.call("PUT", "identity", path, {"identity_provider": {}}), 409,
         f"Conflict occurred attempting to store identity_provider - Duplicate entry: {idp}.")
    said(cloud.call("PUT", "identity", path + "2", {"identity_provider": {"remote_ids": [remote]}}), 409,
         f"Conflict occurred attempting to store identity_provider - Duplicate remote ID: {remote}.")
    said(cloud.call("PUT", "identity", path + "2", {"identity_provider": {"domain_id": "none"}}), 404,
         "Could not find domain: none.")
    assert cloud.call("PUT", "identity", path + "2", {"identity_provider": {"colour": "red"}}).status_code == 400
    changed = cloud.call("PATCH", "identity", path, {"identity_provider": {"enabled": True, "remote_ids": []}}).json()
    assert changed["identity_provider"]["enabled"] is True and changed["identity_provider"]["remote_ids"] == []
    assert idp in {p["id"] for p in cloud.get("identity", f"{base}/identity_providers?enabled=1").json()["identity_providers"]}
    listed = cloud.get("identity", f"{base}/identity_providers?id={idp}").json()["identity_providers"]
    assert [p["id"] for p in listed] == [idp]

    said(cloud.call("PUT", "identity", f"{path}/protocols/saml2", {"protocol": {"mapping_id": "none"}}), 400,
         "Invalid mapping id: none")
    answer = cloud.call("PUT", "identity", f"{path}/protocols/saml2", {"protocol": {"mapping_id": mapping}})
    assert answer.status_code == 201 and set(answer.json()["protocol"]) == {"id", "mapping_id", "links"}
    said(cloud.get("identity", f"{path}/protocols/oidc"), 404,
         f"Could not find federated protocol oidc for Identity Provider: {idp}.")
    assert cloud.get("identity", f"{path}/protocols").json()["protocols"][0]["remote_id_attribute"] is None
    changed = cloud.call("PATCH", "identity", f"{path}/protocols/saml2",
                         {"protocol": {"mapping_id": mapping, "remote_id_attribute": "X"}})
    assert changed.status_code == 200
    assert cloud.call("DELETE", "identity", f"{path}/protocols/saml2").status_code == 204
    assert cloud.call("DELETE", "identity", path).status_code == 204
    assert cloud.call("DELETE", "identity", f"{base}/mappings/{mapping}").status_code == 204

    sp = f"{base}/service_providers/{idp}"
    body = {"auth_url": "https://other/v3", "sp_url": "https://other/ecp", "enabled": True}
    answer = cloud.call("PUT", "identity", sp, {"service_provider": body})
    assert answer.status_code == 201 and answer.json()["service_provider"]["relay_state_prefix"] == "ss:mem:"
    changed = cloud.call("PATCH", "identity", sp, {"service_provider": {"enabled": False}}).json()
    assert changed["service_provider"]["enabled"] is False
    enabled = cloud.get("identity", f"{base}/service_providers?enabled=true").json()["service_providers"]
    assert idp not in {p["id"] for p in enabled}
    assert cloud.call("DELETE", "identity", sp).status_code == 204
    said(cloud.get("identity", sp), 404, f"Could not find Service Provider: {idp}.")
