# SPDX-License-Identifier: Apache-2.0
"""Limits, configuration of domains, filters and policies of endpoints, and federation: written by the reference's keystone or by
ours, shown alike by both; what is wrong is refused alike by both."""
import json
import re
import uuid

import pytest

from test_identity_interchange import WHY_NOT, ok, pair, sides  # noqa: F401 (fixtures)

pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
RULES = [{"local": [{"user": {"name": "{0}"}}, {"groups": "{1}", "domain": {"id": "default"}}],
          "remote": [{"type": "REMOTE_USER"}, {"type": "G", "whitelist": ["a", "b"]}]}]


def word():
    return "w" + uuid.uuid4().hex[:12]


def ordered(value):
    """Lists without an order of their own."""
    if isinstance(value, dict):
        return {k: ordered(v) for k, v in value.items()}
    if isinstance(value, list):
        return sorted((ordered(v) for v in value), key=str)
    return value


def difference(pair, path):
    """What both say, where they do not say the same."""
    ours, theirs = ((a.status_code, ordered(a.json()) if a.content else None)
                    for a in (pair.ours.call("GET", path), pair.theirs.call("GET", path)))
    return [] if ours == theirs else [(path, ours, theirs)]


def make(side, path, one, body, method="POST"):
    return ok(side.call(method, path, {one: body}))[one]


def test_resources_are_shown_alike(pair, sides):
    writer, _ = sides
    name = word()
    region = make(writer, "/regions", "region", {"id": name})
    service = make(writer, "/services", "service", {"type": name, "name": name, "more": 1})
    endpoint = make(writer, "/endpoints", "endpoint", {"interface": "public", "service_id": service["id"], "region_id": name,
                                                       "url": "http://x/$(project_id)s"})
    project = make(writer, "/projects", "project", {"name": name})
    registered = ok(writer.call("POST", "/registered_limits", {"registered_limits": [
        {"service_id": service["id"], "region_id": name, "resource_name": "cores", "default_limit": 10, "description": "d"},
        {"service_id": service["id"], "resource_name": "ram", "default_limit": -1}]}))["registered_limits"]
    limit = ok(writer.call("POST", "/limits", {"limits": [{"project_id": project["id"], "service_id": service["id"],
                                                           "resource_name": "ram", "resource_limit": 5}]}))["limits"][0]
    group = make(writer, "/OS-EP-FILTER/endpoint_groups", "endpoint_group", {"name": name, "filters": {"interface": "public"}})
    ok(writer.call("PUT", f"/OS-EP-FILTER/endpoint_groups/{group['id']}/projects/{project['id']}"))
    ok(writer.call("PUT", f"/OS-EP-FILTER/projects/{project['id']}/endpoints/{endpoint['id']}"))
    policy = make(writer, "/policies", "policy", {"blob": '{"a": "b"}', "type": "application/json", "more": [1]})
    ok(writer.call("PUT", f"/policies/{policy['id']}/OS-ENDPOINT-POLICY/services/{service['id']}/regions/{name}"))
    domain = make(writer, "/domains", "domain", {"name": name})
    ok(writer.call("PUT", f"/domains/{domain['id']}/config", {"config": {
        "identity": {"driver": "ldap", "list_limit": 7}, "ldap": {"url": "ldap://%(password)s", "password": "secret",
                                                                  "use_tls": True, "user_attribute_ignore": ["a"]}}}))
    make(writer, f"/OS-FEDERATION/mappings/{name}", "mapping", {"rules": RULES}, "PUT")
    make(writer, f"/OS-FEDERATION/identity_providers/{name}", "identity_provider", {"remote_ids": [name, "z" + name],
                                                                                   "authorization_ttl": 3}, "PUT")
    make(writer, f"/OS-FEDERATION/identity_providers/{name}/protocols/saml2", "protocol", {"mapping_id": name}, "PUT")
    make(writer, f"/OS-FEDERATION/service_providers/{name}", "service_provider", {
        "auth_url": "https://x/v3", "sp_url": "https://x/sp", "enabled": True}, "PUT")
    different = []
    for path in (f"/regions/{name}", "/regions", f"/services/{service['id']}", f"/services?name={name}", f"/services?type={name}",
                 f"/endpoints/{endpoint['id']}", f"/endpoints?service_id={service['id']}", "/endpoints?interface=public",
                 f"/registered_limits/{registered[0]['id']}", f"/registered_limits?service_id={service['id']}",
                 "/registered_limits?resource_name=cores", f"/limits/{limit['id']}", "/limits", "/limits/model",
                 f"/OS-EP-FILTER/endpoint_groups/{group['id']}", "/OS-EP-FILTER/endpoint_groups",
                 f"/OS-EP-FILTER/endpoint_groups?name={name}",
                 f"/OS-EP-FILTER/endpoint_groups/{group['id']}/projects", f"/OS-EP-FILTER/endpoint_groups/{group['id']}/endpoints",
                 f"/OS-EP-FILTER/endpoint_groups/{group['id']}/projects/{project['id']}",
                 f"/OS-EP-FILTER/projects/{project['id']}/endpoints", f"/OS-EP-FILTER/projects/{project['id']}/endpoint_groups",
                 f"/OS-EP-FILTER/endpoints/{endpoint['id']}/projects",
                 f"/policies/{policy['id']}", "/policies", f"/policies/{policy['id']}/OS-ENDPOINT-POLICY/endpoints",
                 f"/endpoints/{endpoint['id']}/OS-ENDPOINT-POLICY/policy",
                 f"/domains/{domain['id']}", f"/domains/{domain['id']}/config", f"/domains/{domain['id']}/config/ldap",
                 f"/domains/{domain['id']}/config/ldap/url", f"/domains/{domain['id']}/config/ldap/password",
                 "/domains/config/default", "/domains/config/ldap/default", "/domains/config/ldap/page_size/default",
                 "/domains/default/config/security_compliance", "/domains/default/config/security_compliance/password_regex",
                 f"/OS-FEDERATION/mappings/{name}", "/OS-FEDERATION/mappings", f"/OS-FEDERATION/identity_providers/{name}",
                 "/OS-FEDERATION/identity_providers", f"/OS-FEDERATION/identity_providers?id={name}",
                 f"/OS-FEDERATION/identity_providers/{name}/protocols", f"/OS-FEDERATION/identity_providers/{name}/protocols/saml2",
                 f"/OS-FEDERATION/service_providers/{name}", "/OS-FEDERATION/service_providers",
                 f"/projects/{project['id']}?parents_as_ids&subtree_as_ids", "/projects?name__startswith=w", "/roles",
                 "/role_inferences", "/role_assignments?include_names", "/users?name=admin", "/groups"):
        different += difference(pair, path)
    assert not different, "\n".join(str(d) for d in different)


WRONG = [
    ("POST", "/registered_limits", {}), ("POST", "/registered_limits", {"registered_limits": [{}]}),
    ("POST", "/registered_limits", {"registered_limits": [{"service_id": "x", "resource_name": "", "default_limit": 1}]}),
    ("POST", "/registered_limits", {"registered_limits": [{"service_id": "x", "resource_name": "r", "default_limit": 1}]}),
    ("PATCH", "/registered_limits/none", {"registered_limit": {"default_limit": 1}}), ("DELETE", "/registered_limits/none", None),
    ("POST", "/limits", {"limits": []}),
    ("PATCH", "/limits/none", {"limit": {"resource_limit": 5}}), ("GET", "/limits/none", None),
    ("POST", "/OS-EP-FILTER/endpoint_groups", {"endpoint_group": {"name": "x"}}),
    ("POST", "/OS-EP-FILTER/endpoint_groups", {"endpoint_group": {"name": "x", "filters": {"a": "b"}}}),
    ("POST", "/OS-EP-FILTER/endpoint_groups", {"endpoint_group": {"name": "x", "filters": {}}}),
    ("PATCH", "/OS-EP-FILTER/endpoint_groups/none", {"endpoint_group": {"name": "x"}}),
    ("DELETE", "/OS-EP-FILTER/endpoint_groups/none", None), ("PUT", "/OS-EP-FILTER/projects/none/endpoints/none", None),
    ("GET", "/OS-EP-FILTER/projects/none/endpoints", None), ("DELETE", "/OS-EP-FILTER/projects/a/endpoints/b", None),
    ("POST", "/policies", {"policy": {"type": "x"}}), ("PATCH", "/policies/none", {"policy": {"type": "x"}}),
    ("PATCH", "/policies/none", {"policy": {}}), ("PUT", "/policies/none/OS-ENDPOINT-POLICY/services/none", None),
    ("GET", "/endpoints/none/OS-ENDPOINT-POLICY/policy", None),
    ("PUT", "/domains/default/config", {"config": {}}), ("PUT", "/domains/default/config", {"config": {"ldap": 5}}),
    ("PUT", "/domains/default/config", {"config": {"x": {"y": 1}}}),
    ("PUT", "/domains/none/config", {"config": {"ldap": {"url": "x"}}}),
    ("PATCH", "/domains/default/config/ldap", {"config": {"identity": {"driver": "sql"}}}),
    ("PATCH", "/domains/default/config/ldap/url", {"config": {"suffix": "x"}}),
    ("DELETE", "/domains/default/config/ldap/url", None), ("GET", "/domains/default/config/x/y", None),
    ("GET", "/domains/default/config/security_compliance/lockout_duration", None),
    ("GET", "/domains/config/ldap/password/default", None), ("GET", "/domains/config/x/default", None),
    ("PUT", "/OS-FEDERATION/mappings/x", {"mapping": {}}),
    ("PUT", "/OS-FEDERATION/mappings/x", {"mapping": {"rules": [{"local": []}]}}),
    ("GET", "/OS-FEDERATION/mappings/none", None), ("DELETE", "/OS-FEDERATION/mappings/none", None),
    ("PUT", "/OS-FEDERATION/identity_providers/x", {"identity_provider": {"enabled": "yes"}}),
    ("PUT", "/OS-FEDERATION/identity_providers/x", {"identity_provider": {"domain_id": "none"}}),
    ("PUT", "/OS-FEDERATION/identity_providers/x", {"identity_provider": {"authorization_ttl": -1}}),
    ("PUT", "/OS-FEDERATION/identity_providers/x", {"identity_provider": {"remote_ids": ["a", "a"]}}),
    ("PATCH", "/OS-FEDERATION/identity_providers/none", {"identity_provider": {"enabled": True}}),
    ("PATCH", "/OS-FEDERATION/identity_providers/none", {"identity_provider": {}}),
    ("PUT", "/OS-FEDERATION/identity_providers/none/protocols/x", {"protocol": {"mapping_id": "none"}}),
    ("PUT", "/OS-FEDERATION/identity_providers/none/protocols/x", {"protocol": {}}),
    ("GET", "/OS-FEDERATION/identity_providers/none/protocols/x", None),
    ("PUT", "/OS-FEDERATION/service_providers/x", {"service_provider": {"auth_url": "x"}}),
    ("GET", "/OS-FEDERATION/service_providers/none", None),
    ("POST", "/regions", {"region": {"parent_region_id": "none"}}), ("POST", "/services", {"service": {"type": ""}}),
    ("POST", "/endpoints", {"endpoint": {"interface": "x", "service_id": "none", "url": "http://x"}}),
    ("POST", "/endpoints", {"endpoint": {"interface": "public", "service_id": "none", "url": "http://x"}}),
    ("POST", "/endpoints", {"endpoint": {"interface": "public", "service_id": "none", "url": "http://$(no)s"}}),
    ("POST", "/projects", {"project": {"name": "x", "domain_id": "none"}}),
    ("POST", "/projects", {"project": {"name": "x", "parent_id": "none"}}), ("PATCH", "/projects/none", {"project": {"name": "x"}}),
    ("POST", "/roles", {"role": {"name": ""}}), ("GET", "/roles/none", None), ("PUT", "/roles/none/implies/none", None),
    ("GET", "/role_assignments?include_subtree", None), ("GET", "/role_assignments?user.id=a&group.id=b", None),
    ("GET", "/role_assignments?effective&group.id=b", None), ("GET", "/auth/tokens/OS-PKI/revoked", None),
]


def test_what_is_wrong_is_refused_alike(pair):
    """In the same words, but for the schema quoted."""
    different = []
    for method, path, body in WRONG:
        ours, theirs = pair.ours.call(method, path, body), pair.theirs.call(method, path, body)
        said = [(a.status_code, a.json()["error"]["message"].split("\n\nFailed validating")[0] if a.status_code >= 400 else None)
                for a in (ours, theirs)]
        if said[0] != said[1]:
            different.append((method, path, body, *said))
    assert not different, "\n".join(str(d) for d in different)


FEDERATED = "/OS-FEDERATION"
WRONG_FEDERATION = [
    ("PUT", "/identity_providers/NAMEx", []), ("PUT", "/identity_providers/NAMEx", {"identity_provider": {"remote_ids": "x"}}),
    ("PUT", "/identity_providers/NAMEx", {"identity_provider": {"domain_id": "none"}}),
    ("PUT", "/identity_providers/NAME", {"identity_provider": {}}),
    ("PATCH", "/identity_providers/NAME", {"identity_provider": {}}),
    ("PUT", "/identity_providers/NAMEx", {"identity_provider": {"remote_ids": ["NAME-1"]}}),
    ("GET", "/identity_providers/NAMEx", None),
    ("PUT", "/identity_providers/NAME" + "y" * 65, {"identity_provider": {}}), ("DELETE", "/identity_providers/NAMEx", None),
    ("PUT", "/mappings/NAME", {"mapping": {"rules": RULES}}), ("PUT", "/mappings/NAMEx", {"mapping": {"rules": [{}, 5]}}),
    ("PATCH", "/mappings/NAMEx", {"mapping": {"rules": RULES}}), ("DELETE", "/mappings/NAMEx", None),
    ("PUT", "/mappings/NAME" + "y" * 65, {"mapping": {"rules": RULES}}),
    ("PUT", "/identity_providers/NAME/protocols/mapped", {"protocol": {"mapping_id": "NAME"}}),
    ("PUT", "/identity_providers/NAME/protocols/other", {"protocol": {"mapping_id": "NAMEx"}}),
    ("PUT", "/identity_providers/NAMEx/protocols/other", {"protocol": {"mapping_id": "NAME"}}),
    ("PUT", "/identity_providers/NAME/protocols/other", {"protocol": {"mapping_id": 5}}),
    ("GET", "/identity_providers/NAME/protocols/other", None), ("DELETE", "/identity_providers/NAME/protocols/other", None),
    ("PUT", "/service_providers/NAME", {"service_provider": {"auth_url": "https://x", "sp_url": "https://y"}}),
    ("PUT", "/service_providers/NAMEx", {"service_provider": {"auth_url": "x", "sp_url": "https://y"}}),
    ("PATCH", "/service_providers/NAMEx", {"service_provider": {"enabled": True}}), ("DELETE", "/service_providers/NAMEx", None),
]
MAPPED = [  # local templates, and the status of a login by them
    ([{"user": {"name": "{0}"}}], 201), ([{"user": {"id": "a b/c", "name": "{0}"}}], 201), ([{"user": {"id": "only"}}], 201),
    ([{"user": {"name": "{0}"}}, {"groups": "{1}", "domain": {"id": "default"}}], 201), ([{"user": {"name": "{0} {1}"}}], 201),
    ([{"user": {"name": "{0}"}}, {"groups": "{1}", "domain": {"name": "none"}}], 404), ([{"user": {}}], 401),
    ([{"user": {"name": "{0}"}}, {"groups": "{1}"}], 401),
    ([{"user": {"name": "{0}"}}, {"group": {"name": "x", "domain": {}}}], 404),
    ([{"user": {"name": "{0}"}}, {"projects": [{"name": "p NAME", "roles": [{"name": "member"}]}]}], 201),
    ([{"user": {"name": "{0}"}}, {"projects": [{"name": "p NAME", "roles": [{"name": "none"}]}]}], 404),
    ([{"user": {"name": "admin", "domain": {"id": "default"}, "type": "local"}}], 201),
    ([{"user": {"name": "none", "domain": {"id": "default"}, "type": "local"}}], 401),
    ([{"user": {"name": "admin", "type": "local"}}], 400),
]


def test_federation_is_answered_alike(pair):
    """Each with objects of its own of the same form: refusals in the same words, and logins by the same mappings. What the front
    server says is in headers for ours, and in the same WSGI variables for the reference."""
    mark = word()
    names = {pair.ours: mark + "a", pair.theirs: mark + "b"}

    def said(side, method, path, body=None, headers=None):
        name = names[side]
        body = json.loads(json.dumps(body).replace("NAME", name))
        answer = side.call(method, path.replace("NAME", name), body, **(headers or {}))
        text = re.sub("[0-9a-f]{64}", "HASH", answer.text.replace(name, "NAME"))
        document = json.loads(re.sub("[0-9a-f]{32}|" + re.escape(side.url), "ID", text)) if text else None
        if answer.status_code >= 400:
            return answer.status_code, document["error"]["message"].split("\n\nFailed validating")[0]
        token = document.get("token", {}) if document else {}
        return answer.status_code, token.get("methods"), token.get("user")

    def alike(method, path, body=None, headers=None):
        ours, theirs = (said(side, method, FEDERATED + path, body, headers) for side in (pair.ours, pair.theirs))
        assert ours == theirs, (method, path, body)
        return ours
    alike("PUT", "/identity_providers/NAME", {"identity_provider": {"enabled": True, "remote_ids": ["NAME-1"]}})
    alike("PUT", "/mappings/NAME", {"mapping": {"rules": RULES}})
    alike("PUT", "/identity_providers/NAME/protocols/mapped", {"protocol": {"mapping_id": "NAME"}})
    alike("PUT", "/service_providers/NAME", {"service_provider": {"auth_url": "https://x", "sp_url": "https://y"}})
    for method, path, body in WRONG_FEDERATION:
        assert alike(method, path, body)[0] >= 400
    remote = [{"type": "HTTP_X_FRONT_U"}, {"type": "HTTP_X_FRONT_G"}]
    for local, status in MAPPED:
        alike("PATCH", "/mappings/NAME", {"mapping": {"rules": [{"local": local, "remote": remote}]}})
        answer = alike("GET", "/identity_providers/NAME/protocols/mapped/auth", headers={"X-Front-U": "bob", "X-Front-G": "a;it's"})
        assert answer[0] == status, local
    for side in (pair.ours, pair.theirs):
        for path in ("/service_providers/NAME", "/identity_providers/NAME", "/mappings/NAME"):
            ok(side.call("DELETE", FEDERATED + path.replace("NAME", names[side])))
