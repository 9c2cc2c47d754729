# SPDX-License-Identifier: Apache-2.0
"""Every route as readers, members and administrators of the right project, of another one, of the domain and of the system:
the answer is compared with what the route's rule says, evaluated apart (policy_rules.py). The objects are real ones of the
right project; what may not be done changes none of them. What is sent is valid, so that validation refuses nobody."""
import re
import uuid

import pytest
import requests
from policy_rules import Rules
from test_personas import NOBODY, TYPES, routes

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3lBzKXhZ0fDB6OZgHmJ+Vb1iWlHzg2vvHqnFcOzL3R me@here"
IMPLIED = {"reader": ["reader"], "member": ["member", "reader"], "admin": ["admin", "member", "reader"]}
PERSONAS = [(role, scope) for scope in ("right", "other", "domain", "system") for role in ("reader", "member", "admin")]
VERSIONS = {"nova": "compute 2.{}", "placement": "placement 1.{}"}

# Routes whose handler lets more people in than the rule of its row: the rule, or one's own. As the reference.
OWN_PROJECT = {("neutron", "GET", "/v2.0/quotas/{id}"), ("neutron", "GET", "/v2.0/quotas/{id}/details"),
               ("neutron", "GET", "/v2.0/quotas/{id}/default")}
# Tokens are looked at in test_identity: their subject is another token.
ELSEWHERE = {"/v3/auth/tokens"}


class World:
    """The right project's objects, and the personas."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.mark = uuid.uuid4().hex[:6]
        self.ids = {}
        self.projects = {name: self.make("identity", "/projects", project={"name": f"{name}-{self.mark}"})
                         for name in ("right", "other")}
        self.personas = {persona: self.persona(*persona) for persona in PERSONAS}
        self.owner = self.personas[("member", "right")]
        self.build()

    def make(self, service, path, token=None, **body):
        answer = self.cloud.post(service, path, body, token=token)
        assert answer.status_code < 300, (path, answer.text)
        return next(iter(answer.json().values()))["id"] if service != "image" else answer.json()["id"]

    def persona(self, role, scope):
        name = f"{role}-{scope}-{self.mark}"
        user = self.make("identity", "/users", user={"name": name, "password": "secret"})
        role_id = self.cloud.get("identity", f"/roles?name={role}").json()["roles"][0]["id"]
        project = self.projects.get(scope)
        path = f"/projects/{project}" if project else "/domains/default" if scope == "domain" else "/system"
        assert self.cloud.call("PUT", "identity", f"{path}/users/{user}/roles/{role_id}").status_code == 204
        wanted = {"project": {"id": project}} if project else {"domain": {"id": "default"}} if scope == "domain" else {
            "system": {"all": True}}
        answer = self.cloud.login(name, "secret", None, scope=wanted)
        assert answer.status_code == 201, answer.text
        who = {"roles": IMPLIED[role], "user_id": user, "token": answer.headers["X-Subject-Token"], "project": project,
               "scope": "project" if project else scope, "user_domain_id": "default"}
        if project:
            who.update({"project_id": project, "tenant_id": project, "project_domain_id": "default",
                        "token.project.domain.id": "default"})
        elif scope == "domain":
            who.update({"domain_id": "default", "token.domain.id": "default"})
        else:
            who.update(system_scope="all")
        who["is_admin"] = role == "admin"
        return who

    def build(self):
        """Makes what is not there (any more)."""
        cloud, token, ids = self.cloud, self.owner["token"], self.ids

        def gone(name, service, path):
            return name not in ids or cloud.get(service, path + ids[name]).status_code == 404

        if gone("network", "network", "/v2.0/networks/"):
            ids["network"] = self.make("network", "/v2.0/networks", token, network={"name": "n"})
        if gone("subnet", "network", "/v2.0/subnets/"):
            ids["subnet"] = self.make("network", "/v2.0/subnets", token, subnet={
                "network_id": ids["network"], "ip_version": 4, "cidr": "10.91.0.0/24"})
        if gone("port", "network", "/v2.0/ports/"):
            ids["port"] = self.make("network", "/v2.0/ports", token, port={"network_id": ids["network"]})
        if gone("group", "network", "/v2.0/security-groups/"):
            ids["group"] = self.make("network", "/v2.0/security-groups", token, security_group={"name": "g"})
        if gone("rule", "network", "/v2.0/security-group-rules/"):
            ids["rule"] = self.make("network", "/v2.0/security-group-rules", token, security_group_rule={
                "security_group_id": ids["group"], "direction": "ingress", "protocol": "tcp"})
        for kind in ("network", "subnet", "port"):
            cloud.call("PUT", "network", f"/v2.0/{kind}s/{ids[kind]}/tags", {"tags": ["tag"]})
        cloud.call("PUT", "network", f"/v2.0/security-groups/{ids['group']}/tags", {"tags": ["tag"]})
        if gone("image", "image", "/v2/images/"):
            ids["image"] = self.make("image", "/v2/images", token, name="i", disk_format="raw", container_format="bare")
        if gone("flavor", "compute", "/flavors/"):
            ids["flavor"] = self.make("compute", "/flavors", flavor={"name": uuid.uuid4().hex, "ram": 64, "vcpus": 1, "disk": 1})
            cloud.post("compute", f"/flavors/{ids['flavor']}/os-extra_specs", {"extra_specs": {"k": "v"}})
        if gone("server", "compute", "/servers/"):
            self.boot()
        if gone("server_group", "compute", "/os-server-groups/"):
            made = cloud.call("POST", "compute", "/os-server-groups", {"server_group": {"name": "g", "policy": "affinity"}},
                              token=token, headers={"OpenStack-API-Version": "compute 2.95"})
            ids["server_group"] = made.json()["server_group"]["id"]
        if gone("aggregate", "compute", "/os-aggregates/"):
            ids["aggregate"] = str(self.make("compute", "/os-aggregates", aggregate={"name": uuid.uuid4().hex}))
        for kind in ("user", "group", "project", "domain"):
            if gone("identity_" + kind, "identity", f"/{kind}s/"):
                ids["identity_" + kind] = self.make("identity", f"/{kind}s", **{kind: {"name": uuid.uuid4().hex}})
        if gone("role", "identity", "/roles/"):
            ids["role"] = self.make("identity", "/roles", role={"name": uuid.uuid4().hex})

    def boot(self):
        cloud, token, ids = self.cloud, self.owner["token"], self.ids
        image = self.make("image", "/v2/images", token, name="boot", disk_format="raw", container_format="bare")
        cloud.call("PUT", "image", f"/v2/images/{image}/file", token=token, data=b"\0" * 512,
                   headers={"Content-Type": "application/octet-stream"})
        version = {"OpenStack-API-Version": "compute 2.95"}
        made = cloud.post("compute", "/servers", {"server": {
            "name": "s", "flavorRef": ids["flavor"], "imageRef": image, "networks": [{"uuid": ids["network"]}],
            "metadata": {"k": "v"}, "tags": ["tag"]}}, token=token, headers=version)
        assert made.status_code == 202, made.text
        ids["server"] = made.json()["server"]["id"]
        cloud.wait(lambda: cloud.get("compute", f"/servers/{ids['server']}").json()["server"]["status"] == "ACTIVE")

    def snapshot(self):
        ids = self.ids
        paths = [("network", f"/v2.0/{path}/{ids[name]}") for path, name in (
            ("networks", "network"), ("subnets", "subnet"), ("ports", "port"), ("security-groups", "group"),
            ("security-group-rules", "rule"))]
        paths += [("compute", f"/{path}/{ids[name]}") for path, name in (
            ("servers", "server"), ("flavors", "flavor"), ("os-server-groups", "server_group"), ("os-aggregates", "aggregate"))]
        paths += [("compute", f"/os-quota-sets/{self.projects['right']}"), ("compute", f"/servers/{ids['server']}/os-interface"),
                  ("network", f"/v2.0/quotas/{self.projects['right']}"), ("image", f"/v2/images/{ids['image']}"),
                  ("image", f"/v2/images/{ids['image']}/members"), ("identity", f"/projects/{self.projects['right']}"),
                  ("identity", f"/users/{ids['identity_user']}"), ("identity", f"/projects/{ids['identity_project']}"),
                  ("identity", f"/groups/{ids['identity_group']}"),
                  ("identity", f"/roles/{ids['role']}"), ("identity", "/role_assignments"), ("identity", "/regions"),
                  ("identity", "/services"), ("identity", "/endpoints"), ("identity", "/domains"),
                  ("placement", "/resource_providers"), ("compute", "/flavors"), ("compute", "/os-services")]
        shown = {path: self.cloud.get(service, path).json() for service, path in paths}
        for one in shown["/os-services"]["services"]:
            del one["updated_at"]  # a heartbeat
        return shown

    # -- one route

    def argument(self, service, path, name):
        """The id of a real object for a {name} in a path."""
        ids, right = self.ids, self.projects["right"]
        if service == "neutron":
            kinds = {"networks": "network", "subnets": "subnet", "ports": "port", "security-groups": "group",
                     "security-group-rules": "rule", "network-ip-availabilities": "network"}
            kind = path.split("/")[2]
            return {"id": right if kind == "quotas" else ids.get(kinds.get(kind), NOBODY), "tag": "tag",
                    "alias": "agent"}.get(name, NOBODY)
        if service == "nova":
            if name == "id":
                return {"os-server-groups": ids["server_group"], "os-quota-sets": right, "os-simple-tenant-usage": right,
                        "os-aggregates": ids["aggregate"]}.get(path.split("/")[2], NOBODY)
            return {"server_id": ids["server"], "flavor_id": ids["flavor"], "key": "k", "tag": "tag", "network": "n",
                    "alias": "servers"}.get(name, NOBODY)
        if service == "glance":
            return {"image_id": ids["image"], "member_id": self.projects["other"], "tag_value": "tag"}.get(name, NOBODY)
        if service == "keystone":
            return {"user_id": ids["identity_user"], "project_id": ids["identity_project"], "group_id": ids["identity_group"],
                    "role_id": ids["role"], "domain_id": ids["identity_domain"], "value": "tag"}.get(name, NOBODY)
        return NOBODY

    def body(self, service, method, path):
        ids, name = self.ids, uuid.uuid4().hex
        kinds = {
            ("nova", "POST", "/v2.1/servers"): {"server": {"name": "x", "flavorRef": ids["flavor"], "imageRef": ids["image"],
                                                           "networks": "none"}},
            ("nova", "PUT", "/v2.1/servers/{server_id}"): {"server": {"name": "s"}},
            ("nova", "POST", "/v2.1/servers/{server_id}/action"): {"os-start": None},
            ("nova", "POST", "/v2.1/servers/{server_id}/metadata"): {"metadata": {"k": "v"}},
            ("nova", "PUT", "/v2.1/servers/{server_id}/metadata"): {"metadata": {"k": "v"}},
            ("nova", "PUT", "/v2.1/servers/{server_id}/metadata/{key}"): {"meta": {"k": "v"}},
            ("nova", "PUT", "/v2.1/servers/{server_id}/tags"): {"tags": ["tag"]},
            ("nova", "POST", "/v2.1/servers/{server_id}/os-interface"): {"interfaceAttachment": {"net_id": NOBODY}},
            ("nova", "POST", "/v2.1/flavors"): {"flavor": {"name": name, "ram": 64, "vcpus": 1, "disk": 1}},
            ("nova", "PUT", "/v2.1/flavors/{flavor_id}"): {"flavor": {"description": "x"}},
            ("nova", "POST", "/v2.1/flavors/{flavor_id}/os-extra_specs"): {"extra_specs": {"k": "v"}},
            ("nova", "PUT", "/v2.1/flavors/{flavor_id}/os-extra_specs/{key}"): {"k": "v"},
            ("nova", "POST", "/v2.1/flavors/{flavor_id}/action"): {"addTenantAccess": {"tenant": self.projects["right"]}},
            ("nova", "POST", "/v2.1/os-keypairs"): {"keypair": {"name": name, "public_key": KEY, "type": "ssh"}},
            ("nova", "PUT", "/v2.1/os-services/{id}"): {"status": "enabled"},
            ("nova", "POST", "/v2.1/os-aggregates"): {"aggregate": {"name": name}},
            ("nova", "PUT", "/v2.1/os-aggregates/{id}"): {"aggregate": {"name": name}},
            ("nova", "POST", "/v2.1/os-aggregates/{id}/action"): {"add_host": {"host": "nowhere"}},
            ("nova", "PUT", "/v2.1/os-quota-sets/{id}"): {"quota_set": {"cores": 20}},
            ("nova", "POST", "/v2.1/os-server-groups"): {"server_group": {"name": "g", "policy": "affinity"}},
            ("nova", "POST", "/v2.1/os-server-external-events"): {"events": [{"name": "network-changed", "server_uuid": NOBODY}]},
            ("neutron", "POST", "/v2.0/networks"): {"network": {"name": "x"}},
            ("neutron", "PUT", "/v2.0/networks/{id}"): {"network": {"name": name}},
            ("neutron", "POST", "/v2.0/subnets"): {"subnet": {
                "network_id": ids["network"], "ip_version": 6, "cidr": "fd00:9::/64"}},
            ("neutron", "PUT", "/v2.0/subnets/{id}"): {"subnet": {"name": name}},
            ("neutron", "POST", "/v2.0/ports"): {"port": {"network_id": ids["network"]}},
            ("neutron", "PUT", "/v2.0/ports/{id}"): {"port": {"name": name}},
            ("neutron", "POST", "/v2.0/security-groups"): {"security_group": {"name": "x"}},
            ("neutron", "PUT", "/v2.0/security-groups/{id}"): {"security_group": {"name": name}},
            ("neutron", "POST", "/v2.0/security-group-rules"): {"security_group_rule": {
                "security_group_id": ids["group"], "direction": "ingress", "protocol": "udp"}},
            ("neutron", "PUT", "/v2.0/quotas/{id}"): {"quota": {"network": 100}},
            ("neutron", "PUT", "/v2.0/agents/{id}"): {"agent": {"description": "x"}},
            ("glance", "POST", "/v2/images"): {"name": "x"},
            ("glance", "PATCH", "/v2/images/{image_id}"): [{"op": "replace", "path": "/name", "value": name}],
            ("glance", "POST", "/v2/images/{image_id}/members"): {"member": self.projects["other"]},
            ("glance", "PUT", "/v2/images/{image_id}/members/{member_id}"): {"status": "accepted"},
        }
        if (service, method, path) in kinds:
            return kinds[(service, method, path)]
        if service == "neutron" and path.endswith("/tags"):
            return {"tags": ["tag"]}
        return {} if method in ("POST", "PUT", "PATCH") else None

    def send(self, row, who):
        service, method = row["service"], row["method"]
        path = re.sub(r"\{([^}]+)\}", lambda m: self.argument(service, row["path"], m.group(1)), row["path"])
        headers = {"X-Auth-Token": who["token"]}
        version = row["max_version"] if row["max_version"] != "0" else {"nova": "95", "placement": "39"}.get(service)
        if service in VERSIONS:
            headers["OpenStack-API-Version"] = VERSIONS[service].format(version)
        if path == "/usages":
            path += "?project_id=" + self.projects["right"]
        base = re.match(r"http://[^/]+", self.cloud.url(TYPES[service])).group(0)
        body = self.body(service, method, row["path"])
        if service == "glance" and method == "PATCH":
            headers["Content-Type"] = "application/openstack-images-v2.1-json-patch"
        if path.endswith("/file") and method == "PUT":
            headers["Content-Type"] = "application/octet-stream"
            return requests.put(base + path, data=b"data", headers=headers, timeout=120)
        return requests.request(method, base + path, json=body, headers=headers, timeout=120)

    def target(self, row, who):
        """What the rule looks at: the path's objects, which are the right project's, or the caller's own where there is none."""
        service, path, right = row["service"], row["path"], self.projects["right"]
        own = who.get("project_id")
        if service == "keystone":
            target = {name: self.argument(service, path, name) for name in re.findall(r"\{([^}]+)\}", path)}
            for kind in ("user", "project", "group", "domain"):
                if f"{{{kind}_id}}" in path:
                    target[f"target.{kind}.id"] = target[f"{kind}_id"]
                    target[f"target.{kind}.domain_id"] = "default" if kind != "domain" else None
            if "domain_id" in who:  # such a list shows the token's domain only
                listed = {"/v3/domains": "target.domain.id", "/v3/groups": "target.group.domain_id",
                          "/v3/projects": "target.domain_id", "/v3/users": "target.domain_id",
                          "/v3/role_assignments": "target.domain_id"}
                if path in listed:
                    target[listed[path]] = who["domain_id"]
            if "{role_id}" in path:
                target["target.role.domain_id"] = None
            return target
        theirs = any(mark in path for mark in ("{server_id}", "os-quota-sets/", "os-simple-tenant-usage/", "{image_id}")) or (
            service == "neutron" and "{id}" in path) or path.startswith("/v2.1/os-server-groups/")
        project = right if theirs or path == "/usages" else own
        target = {"project_id": project, "tenant_id": project, "user_id": self.owner["user_id"] if theirs else who["user_id"]}
        if service == "glance":
            target.update(owner=project, visibility="shared", member_id=None)
        if service == "neutron" and ("subnets" in path or "ports" in path) and ("{id}" in path or row["method"] == "POST"):
            target.update({"network:tenant_id": right, "network:project_id": right})
        if "security-group-rules/" in path:
            target["security_group:tenant_id"] = right
        return target


@pytest.fixture(scope="module")
def world(cloud):
    return World(cloud)


@pytest.fixture(scope="module")
def rules():
    return {service: Rules(service) for service in TYPES}


def asked(service):
    return [row for row in routes() if row["service"] == service and row["policy"] != "-" and row["path"] not in ELSEWHERE]


def may(world, rules, row, who):
    if (row["service"], row["method"], row["path"]) in OWN_PROJECT and who.get("project_id") == world.projects["right"]:
        return True
    return rules[row["service"]].allows(row["policy"], who, world.target(row, who))


def refused(world, row, who, answer):
    """Keystone says 403 for other reasons, too: an enabled domain cannot be deleted. Who may see what is there finds it: its
    project, and administrators (for others a rule may say yes and the object still be invisible: no member of the image)."""
    sees = who.get("project_id") == world.projects["right"] or "admin" in who["roles"]
    if sees and row["method"] == "GET" and row["path"].endswith(("{id}", "_id}")) and answer.status_code == 404:
        return NOBODY not in answer.url and row["service"] != "keystone" and "member" not in row["path"]
    if answer.status_code == 403 and row["service"] == "keystone":
        return "requested action: identity:" in answer.text
    return answer.status_code in (401, 403)


def empty_list(row, answer):
    """Where neutron refuses a list, it is empty; keystone asks about each credential by itself."""
    if row["method"] != "GET" or answer.status_code != 200 or "{" in row["path"]:
        return False
    if row["path"] == "/v3/credentials":
        return answer.json()["credentials"] == []
    return row["service"] == "neutron" and not any(answer.json().values())


@pytest.mark.parametrize("service", list(TYPES))
def test_who_may_not(world, rules, service):
    wrong, before = [], world.snapshot()
    for persona, who in world.personas.items():
        for row in asked(service):
            if may(world, rules, row, who):
                continue
            answer = world.send(row, who)
            if answer.status_code not in (403, 404) and not empty_list(row, answer):
                wrong.append((*persona, row["method"], row["path"], answer.status_code, answer.text[:100]))
        after = world.snapshot()
        changed = {path: (before[path], after[path]) for path in before if before[path] != after[path]}
        assert not changed, (persona, changed)
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("service", list(TYPES))
def test_who_may(world, rules, service):
    wrong = []
    for persona, who in world.personas.items():
        for row in asked(service):
            if not may(world, rules, row, who):
                continue
            answer = world.send(row, who)
            if row["method"] == "DELETE" and answer.status_code < 300:
                if row["path"] == "/v2.1/servers/{server_id}":  # it goes after the answer
                    gone = f"/servers/{world.ids['server']}"
                    world.cloud.wait(lambda path=gone: world.cloud.get("compute", path).status_code == 404)
                world.build()
            if refused(world, row, who, answer) or answer.status_code >= 500:
                wrong.append((*persona, row["method"], row["path"], answer.status_code, answer.text[:100]))
        world.build()
    assert not wrong, "\n".join(map(str, wrong))
