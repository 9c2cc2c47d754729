# SPDX-License-Identifier: Apache-2.0
"""Identity v3: tokens and their scopes, what ends them, and the words for every wrong request."""
import uuid

import pytest
import requests

DEFAULT = {"id": "default"}


def name(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def error(answer):
    body = answer.json()["error"]
    assert body["code"] == answer.status_code
    assert set(body) >= {"code", "message", "title"}
    return body["message"]


def make(cloud, plural, **members):
    answer = cloud.post("identity", f"/{plural}", {plural[:-1]: members})
    assert answer.status_code == 201, answer.text
    return answer.json()[plural[:-1]]


def role(cloud, role_name):
    return cloud.get("identity", f"/roles?name={role_name}").json()["roles"][0]["id"]


def ok(answer, status=204):
    assert answer.status_code == status, answer.text
    return answer


@pytest.fixture
def user(cloud):
    """A user with the role member on a project of his own: user, project, password."""
    one = make(cloud, "users", name=name("user"), password="first")
    project = make(cloud, "projects", name=name("project"))
    ok(cloud.call("PUT", "identity", f"/projects/{project['id']}/users/{one['id']}/roles/{role(cloud, 'member')}"))
    return one, project


def issue(cloud, user_name, password, scope=None, path="/auth/tokens"):
    auth = {"identity": {"methods": ["password"],
                         "password": {"user": {"name": user_name, "domain": DEFAULT, "password": password}}}}
    if scope is not None:
        auth["scope"] = scope
    return requests.post(cloud.url("identity", path), json={"auth": auth}, timeout=120)


def check(cloud, token, status):
    answer = cloud.get("identity", "/auth/tokens", headers={"X-Subject-Token": token})
    assert answer.status_code == status, answer.text
    return answer


# ---- issue and validation

def test_version_documents(cloud):
    root = cloud.url("identity")[:-3]
    versions = requests.get(root, timeout=120)
    assert versions.status_code == 300
    version = versions.json()["versions"]["values"][0]
    assert (version["id"], version["status"]) == ("v3.14", "stable")
    assert requests.get(root + "/v3/", timeout=120).json()["version"] == version
    assert versions.headers["Location"] == version["links"][0]["href"]


def test_json_home(cloud):
    root = cloud.url("identity")[:-3]
    rel = "https://docs.openstack.org/api/openstack-identity/3/rel/"
    for url, prefix in ((root + "/", "/v3"), (root + "/v3", "")):
        answer = requests.get(url, headers={"Accept": "application/json-home"}, timeout=120)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json-home")
        resources = answer.json()["resources"]
        assert resources[rel + "users"] == {"href": prefix + "/users"}
        assert resources[rel + "user"]["href-template"] == prefix + "/users/{user_id}"
        assert list(resources[rel + "user"]["href-vars"]) == ["user_id"]


def test_project_token(cloud, user):
    one, project = user
    answer = ok(issue(cloud, one["name"], "first", {"project": {"id": project["id"]}}), 201)
    token = answer.json()["token"]
    assert answer.headers["Vary"] == "X-Auth-Token"
    assert list(token) == ["methods", "user", "audit_ids", "expires_at", "issued_at", "project", "is_domain", "roles", "catalog"]
    assert token["methods"] == ["password"]
    assert token["user"] == {"domain": {"id": "default", "name": "Default"}, "id": one["id"], "name": one["name"],
                             "password_expires_at": None}
    assert token["project"] == {"domain": {"id": "default", "name": "Default"}, "id": project["id"], "name": project["name"]}
    assert sorted(r["name"] for r in token["roles"]) == ["member", "reader"]
    assert len(token["audit_ids"]) == 1 and len(token["audit_ids"][0]) == 22
    services = {s["type"]: s for s in token["catalog"]}
    assert {e["interface"] for e in services["identity"]["endpoints"]} == {"public", "internal", "admin"}
    shown = check(cloud, answer.headers["X-Subject-Token"], 200)
    assert shown.json()["token"] == token
    assert shown.headers["X-Subject-Token"] == answer.headers["X-Subject-Token"]
    head = cloud.call("HEAD", "identity", "/auth/tokens", headers={"X-Subject-Token": answer.headers["X-Subject-Token"]})
    assert head.status_code == 200 and head.content == b""


def test_nocatalog(cloud, user):
    one, project = user
    answer = ok(issue(cloud, one["name"], "first", {"project": {"id": project["id"]}}, "/auth/tokens?nocatalog"), 201)
    assert "catalog" not in answer.json()["token"]
    shown = cloud.get("identity", "/auth/tokens?nocatalog", headers={"X-Subject-Token": answer.headers["X-Subject-Token"]})
    assert "catalog" not in shown.json()["token"]


def test_unscoped_and_default_project(cloud, user):
    one, project = user
    token = ok(issue(cloud, one["name"], "first"), 201).json()["token"]
    assert not {"project", "roles", "catalog"} & set(token)
    ok(cloud.call("PATCH", "identity", f"/users/{one['id']}", {"user": {"default_project_id": project["id"]}}), 200)
    assert ok(issue(cloud, one["name"], "first"), 201).json()["token"]["project"]["id"] == project["id"]
    for explicit in ("unscoped", {"unscoped": {}}):
        assert "project" not in ok(issue(cloud, one["name"], "first", explicit), 201).json()["token"]


def test_domain_and_system_scope(cloud, user):
    one, _ = user
    for scope in ({"domain": DEFAULT}, {"domain": {"name": "Default"}}, {"system": {"all": True}}):
        assert issue(cloud, one["name"], "first", scope).status_code == 401
    reader = role(cloud, "reader")
    ok(cloud.call("PUT", "identity", f"/domains/default/users/{one['id']}/roles/{reader}"))
    ok(cloud.call("PUT", "identity", f"/system/users/{one['id']}/roles/{reader}"))
    token = ok(issue(cloud, one["name"], "first", {"domain": {"name": "Default"}}), 201).json()["token"]
    assert token["domain"] == {"id": "default", "name": "Default"}
    answer = ok(issue(cloud, one["name"], "first", {"system": {"all": True}}), 201)
    assert answer.json()["token"]["system"] == {"all": True}
    system = {"X-Auth-Token": answer.headers["X-Subject-Token"]}
    url = cloud.url("identity")
    assert requests.get(url + "/users", headers=system, timeout=120).status_code == 200
    assert requests.post(url + "/regions", json={"region": {}}, headers=system, timeout=120).status_code == 403
    assert requests.get(url + "/auth/system", headers=system, timeout=120).json()["system"] == [{"all": True}]
    assert [d["id"] for d in requests.get(url + "/auth/domains", headers=system, timeout=120).json()["domains"]] == ["default"]


def test_domain_names_in_letters_of_any_size(cloud):
    """As MySQL's collation has it for the reference; but a name as it stands is always the one."""
    for word in ("Default", "default", "DEFAULT"):
        ok(cloud.login(domain=word), 201)
    other = cloud.post("identity", "/domains", {"domain": {"name": "dEFAULT"}})
    if cloud.schema:
        ok(other, 409)  # here it is MySQL's collation
        return
    other = ok(other, 201).json()["domain"]
    assert [cloud.login(domain=word).status_code for word in ("Default", "default", "dEFAULT")] == [201, 401, 401]
    ok(cloud.call("PATCH", "identity", f"/domains/{other['id']}", {"domain": {"enabled": False}}), 200)
    ok(cloud.call("DELETE", "identity", f"/domains/{other['id']}"))
    ok(cloud.login(domain="default"), 201)


def test_token_method_keeps_the_chain_and_the_end(cloud, user):
    one, project = user
    first = ok(issue(cloud, one["name"], "first"), 201)
    auth = {"identity": {"methods": ["token"], "token": {"id": first.headers["X-Subject-Token"]}},
            "scope": {"project": {"id": project["id"]}}}
    second = ok(requests.post(cloud.url("identity", "/auth/tokens"), json={"auth": auth}, timeout=120), 201).json()["token"]
    assert sorted(second["methods"]) == ["password", "token"]
    assert second["expires_at"] == first.json()["token"]["expires_at"]
    assert second["audit_ids"][1] == first.json()["token"]["audit_ids"][0]


def test_what_the_caller_may_have(cloud, user):
    one, project = user
    answer = issue(cloud, one["name"], "first", {"project": {"id": project["id"]}})
    headers = {"X-Auth-Token": answer.headers["X-Subject-Token"]}
    url = cloud.url("identity")
    mine = requests.get(url + "/auth/projects", headers=headers, timeout=120).json()["projects"]
    assert [p["id"] for p in mine] == [project["id"]]
    assert requests.get(url + "/auth/catalog", headers=headers, timeout=120).json()["catalog"] == answer.json()["token"]["catalog"]
    unscoped = {"X-Auth-Token": issue(cloud, one["name"], "first", "unscoped").headers["X-Subject-Token"]}
    assert requests.get(url + "/auth/catalog", headers=unscoped, timeout=120).status_code == 403
    assert requests.get(url + "/auth/system", headers=unscoped, timeout=120).json()["system"] == []


# ---- what ends a token

def test_revocation_by_owner(cloud, user):
    one, project = user
    token = issue(cloud, one["name"], "first", {"project": {"id": project["id"]}}).headers["X-Subject-Token"]
    check(cloud, token, 200)
    both = {"X-Auth-Token": token, "X-Subject-Token": token}
    ok(requests.delete(cloud.url("identity", "/auth/tokens"), headers=both, timeout=120))
    assert error(check(cloud, token, 404)) == "Failed to validate token"
    assert requests.get(cloud.url("identity", "/auth/projects"), headers=both, timeout=120).status_code == 401


@pytest.mark.parametrize("event", ["password", "disabled", "deleted", "role removed", "project disabled", "project deleted"])
def test_events_end_tokens(cloud, user, event):
    one, project = user
    token = issue(cloud, one["name"], "first", {"project": {"id": project["id"]}}).headers["X-Subject-Token"]
    check(cloud, token, 200)
    path = {"project disabled": f"/projects/{project['id']}", "project deleted": f"/projects/{project['id']}"}.get(
        event, f"/users/{one['id']}")
    change = {"password": {"user": {"password": "second"}}, "disabled": {"user": {"enabled": False}},
              "project disabled": {"project": {"enabled": False}}}.get(event)
    if event == "role removed":
        ok(cloud.call("DELETE", "identity", f"/projects/{project['id']}/users/{one['id']}/roles/{role(cloud, 'member')}"))
    elif change is None:
        ok(cloud.call("DELETE", "identity", path))
    else:
        ok(cloud.call("PATCH", "identity", path, change), 200)
    check(cloud, token, 404)
    assert requests.get(cloud.url("identity", "/auth/projects"), headers={"X-Auth-Token": token}, timeout=120).status_code == 401


def test_a_login_right_after_a_password_change_holds(cloud, user):
    """Events count whole seconds: a token of the same second must not be born dead."""
    one, _ = user
    ok(cloud.call("PATCH", "identity", f"/users/{one['id']}", {"user": {"password": "second"}}), 200)
    token = ok(issue(cloud, one["name"], "second"), 201).headers["X-Subject-Token"]
    check(cloud, token, 200)


def test_a_remembered_login_ends_with_the_password(cloud, user):
    one, _ = user
    ok(issue(cloud, one["name"], "first"), 201)
    ok(issue(cloud, one["name"], "first"), 201)
    ok(cloud.call("PATCH", "identity", f"/users/{one['id']}", {"user": {"password": "second"}}), 200)
    assert issue(cloud, one["name"], "first").status_code == 401
    ok(cloud.call("PATCH", "identity", f"/users/{one['id']}", {"user": {"enabled": False}}), 200)
    assert issue(cloud, one["name"], "second").status_code == 401


def test_change_of_the_own_password(cloud, user):
    one, _ = user
    url = cloud.url("identity", f"/users/{one['id']}/password")
    assert requests.post(url, json={"user": {"original_password": "wrong", "password": "x"}}, timeout=120).status_code == 401
    assert requests.post(url, json={"user": {"password": "x"}}, timeout=120).status_code == 400
    assert requests.post(url, json={"user": {"original_password": "first", "password": 1}}, timeout=120).status_code == 400
    ok(requests.post(url, json={"user": {"original_password": "first", "password": "second"}}, timeout=120))
    assert issue(cloud, one["name"], "first").status_code == 401
    ok(issue(cloud, one["name"], "second"), 201)
    ok(cloud.call("PATCH", "identity", f"/users/{one['id']}", {"user": {"options": {"lock_password": True}}}), 200)
    locked = requests.post(url, json={"user": {"original_password": "second", "password": "third"}}, timeout=120)
    assert locked.status_code == 400 and "disallowing password changes" in error(locked)


# ---- wrong requests

EXPECTING = "Expecting to find {} in {}. The server could not comply with the request since it is either malformed or " \
    "otherwise incorrect. The client is assumed to be in error."
PASSWORD = {"methods": ["password"], "password": {"user": {"name": "admin", "domain": DEFAULT, "password": "wrong"}}}


@pytest.mark.parametrize("body, status, message", [
    ({}, 400, EXPECTING.format("auth", "request body")),
    ({"auth": {}}, 400, "'identity' is a required property"),
    ({"auth": {"identity": {}}}, 400, "Invalid input for field 'identity': 'methods' is a required property"),
    ({"auth": {"identity": {"methods": "password"}}}, 400,
     "Invalid input for field 'identity/methods': 'password' is not of type 'array'"),
    ({"auth": {"identity": {"methods": ["password"]}}}, 400, EXPECTING.format("password", "identity")),
    ({"auth": {"identity": {"methods": ["magic"], "magic": {}}}}, 401, "Attempted to authenticate with an unsupported method."),
    ({"auth": {"identity": {"methods": ["password"], "password": {}}}}, 400, EXPECTING.format("user", "password")),
    ({"auth": {"identity": {"methods": ["password"], "password": {"user": {"password": "x"}}}}}, 400,
     "Invalid input for field identity/password/user: id or name must be present."),
    ({"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "x", "password": "x"}}}}}, 400,
     EXPECTING.format("domain", "user")),
    ({"auth": {"identity": PASSWORD}}, 401, "The request you have made requires authentication."),
    ({"auth": {"identity": PASSWORD, "scope": {}}}, 400,
     EXPECTING.format("system, project, domain, OS-TRUST:trust or unscoped", "scope")),
    ({"auth": {"identity": PASSWORD, "scope": {"project": {"id": "a"}, "domain": DEFAULT}}}, 400,
     EXPECTING.format("system, project, domain, OS-TRUST:trust or unscoped", "scope")),
    ({"auth": {"identity": PASSWORD, "scope": {"project": {}}}}, 400,
     "Invalid input for field scope/project: id or name must be present."),
    ({"auth": {"identity": {"methods": ["token"], "token": {"id": "gAAAAAforged"}}}}, 404, "Could not recognize Fernet token"),
    ([], 400, EXPECTING.format("valid JSON", "request body")),
])
def test_wrong_authentication(cloud, body, status, message):
    answer = requests.post(cloud.url("identity", "/auth/tokens"), json=body, timeout=120)
    assert answer.status_code == status, answer.text
    assert error(answer).startswith(message)
    if status == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Keystone uri=")


def test_a_method_named_often_is_tried_once(cloud):
    """Each try hashes a password: one small request must not keep the machine busy for minutes (the request gives up)."""
    identity = dict(PASSWORD, methods=["password"] * 1000)
    answer = requests.post(cloud.url("identity", "/auth/tokens"), json={"auth": {"identity": identity}}, timeout=120)
    assert answer.status_code == 401
    assert issue(cloud, "nobody", "x", {"project": {"name": "admin", "domain": {"name": "Default"}}}).status_code == 401


def test_malformed_json(cloud):
    answer = requests.post(cloud.url("identity", "/auth/tokens"), data="{", timeout=120,
                           headers={"Content-Type": "application/json"})
    assert answer.status_code == 400 and error(answer) == EXPECTING.format("valid JSON", "request body")


@pytest.mark.parametrize("token", ["", "x", "gAAAAA" + "A" * 300, "é", "A" * 5000])
def test_wrong_subject_token(cloud, token):
    assert cloud.get("identity", "/auth/tokens", headers={"X-Subject-Token": token.encode()}).status_code in (400, 404, 431)


@pytest.mark.parametrize("plural, body, message", [
    ("users", {}, "'name' is a required property"),
    ("users", {"name": ""}, "Invalid input for field 'name': '' is too short"),
    ("users", {"name": " "}, "Invalid input for field 'name': ' ' does not match"),
    ("users", {"name": "x", "enabled": "yes"}, "Invalid input for field 'enabled': 'yes' is not of type 'boolean'"),
    ("users", {"name": "x", "options": {"wrong": True}}, "Invalid input for field 'options'"),
    ("users", {"name": "x", "domain_id": "a b"}, "Invalid input for field 'domain_id'"),
    ("groups", {"name": "x" * 256}, "Invalid input for field 'name'"),
    ("projects", {"name": "x" * 65}, "Invalid input for field 'name'"),
    ("projects", {"name": "x", "tags": ["a,b"]}, "Invalid input for field 'tags/0'"),
    ("projects", {"name": "x", "domain_id": "nope"}, "Could not find domain: nope."),
    ("projects", {"name": "x", "parent_id": "nope"}, "Could not find project: nope."),
    ("domains", {}, "'name' is a required property"),
    ("roles", {"name": 1}, "Invalid input for field 'name': 1 is not of type 'string'"),
    ("services", {}, "'type' is a required property"),
    ("endpoints", {"interface": "x", "service_id": "y", "url": "http://z"},
     "Invalid input for field 'interface': 'x' is not one of"),
    ("endpoints", {"interface": "public", "service_id": "y", "url": "http://z"},
     EXPECTING.format("endpoint service_id", "service table")),
    ("endpoints", {"interface": "public", "service_id": "y", "url": "http://$(secret)s"},
     "Cannot create an endpoint with an invalid URL: http://$(secret)s."),
])
def test_wrong_bodies(cloud, plural, body, message):
    answer = cloud.post("identity", f"/{plural}", {plural[:-1]: body})
    assert answer.status_code == 400, answer.text
    assert error(answer).startswith(message)


@pytest.mark.parametrize("plural", ["users", "groups", "projects", "domains", "roles", "regions", "services", "endpoints"])
def test_what_is_not_there(cloud, plural):
    missing = "0" * 32
    for method, body in (("GET", None), ("DELETE", None), ("PATCH", {plural[:-1]: {"description": "x"}})):
        answer = cloud.call(method, "identity", f"/{plural}/{missing}", body)
        assert answer.status_code == 404
        assert error(answer) == f"Could not find {plural[:-1]}: {missing}."
    assert cloud.call("PATCH", "identity", f"/{plural}/{missing}", {plural[:-1]: {}}).status_code in (400, 404)


# ---- resources

@pytest.mark.parametrize("plural", ["users", "groups", "projects", "domains", "roles", "regions", "services"])
def test_extra_members_merge_and_stay(cloud, plural):
    wanted = {"name": name("x"), "color": "red", "size": {"a": [1]}}
    wanted.update({"type": "x"} if plural == "services" else {})
    path = f"/{plural}/{make(cloud, plural, **wanted)['id']}"
    changed = ok(cloud.call("PATCH", "identity", path, {plural[:-1]: {"color": "blue"}}), 200).json()[plural[:-1]]
    assert (changed["color"], changed["size"]) == ("blue", {"a": [1]})
    shown = cloud.get("identity", path).json()[plural[:-1]]
    assert shown == changed
    assert shown["links"]["self"].endswith(path)
    listed = cloud.get("identity", f"/{plural}").json()
    assert shown in listed[plural]
    assert listed["links"]["self"].endswith(f"/{plural}") and listed["links"]["next"] is None


def test_filters(cloud):
    marks = [name("filter") for _ in range(3)]
    for mark in marks:
        make(cloud, "users", name=mark + "-User", enabled=mark != marks[0])

    def found(query):
        return [u["name"] for u in cloud.get("identity", f"/users?{query}").json()["users"]]
    assert found(f"name={marks[0]}-User") == [marks[0] + "-User"]
    assert found(f"name__contains={marks[1]}") == [marks[1] + "-User"]
    assert found(f"name__startswith={marks[1]}") == [marks[1] + "-User"]
    assert found(f"name__endswith={marks[1]}-user") == []
    assert found(f"name__iendswith={marks[1]}-user") == [marks[1] + "-User"]
    assert found(f"name__contains={marks[0]}&enabled=false") == [marks[0] + "-User"]
    assert found(f"name__contains={marks[0]}&enabled=true") == []
    assert found("domain_id=nope") == []
    assert cloud.get("identity", "/users?password_expires_at=xx:2020-01-01T00:00:00Z").status_code == 400


def test_names_are_unique_in_their_domain(cloud):
    domain = make(cloud, "domains", name=name("domain"))
    for plural in ("users", "groups", "projects", "roles"):
        taken = name("taken")
        make(cloud, plural, name=taken)
        make(cloud, plural, name=taken, domain_id=domain["id"])
        again = cloud.post("identity", f"/{plural}", {plural[:-1]: {"name": taken}})
        assert again.status_code == 409
        assert error(again).startswith(f"Conflict occurred attempting to store {plural[:-1]} - ")


def test_project_tree(cloud):
    top = make(cloud, "projects", name=name("top"))
    middle = make(cloud, "projects", name=name("middle"), parent_id=top["id"])
    leaf = make(cloud, "projects", name=name("leaf"), parent_id=middle["id"])
    shown = cloud.get("identity", f"/projects/{leaf['id']}?parents_as_ids").json()["project"]
    assert shown["parents"] == {middle["id"]: {top["id"]: {"default": None}}}
    shown = cloud.get("identity", f"/projects/{top['id']}?subtree_as_ids").json()["project"]
    assert shown["subtree"] == {middle["id"]: {leaf["id"]: None}}
    assert cloud.call("DELETE", "identity", f"/projects/{top['id']}").status_code == 403
    refused = cloud.call("PATCH", "identity", f"/projects/{top['id']}", {"project": {"enabled": False}})
    assert error(refused) == f"Cannot disable project {top['id']} since its subtree contains enabled projects."
    moved = cloud.call("PATCH", "identity", f"/projects/{leaf['id']}", {"project": {"parent_id": top["id"]}})
    assert (moved.status_code, error(moved)) == (403, "Update of `parent_id` is not allowed.")
    parent, depth = leaf["id"], 3
    while True:
        answer = cloud.post("identity", "/projects", {"project": {"name": name("deep"), "parent_id": parent}})
        if answer.status_code != 201:
            break
        parent, depth = answer.json()["project"]["id"], depth + 1
    assert (answer.status_code, depth) == (403, 5)


def test_tags(cloud):
    project = make(cloud, "projects", name=name("tagged"), tags=["red", "blue"])
    path = f"/projects/{project['id']}/tags"
    ok(cloud.call("PUT", "identity", path + "/green"), 201)
    ok(cloud.get("identity", path + "/green"), 204)
    assert cloud.get("identity", path + "/black").status_code == 404
    assert sorted(cloud.get("identity", path).json()["tags"]) == ["blue", "green", "red"]
    for query, there in (("tags=red,blue", True), ("tags=red,black", False), ("tags-any=red,black", True),
                         ("not-tags=red,blue", False), ("not-tags-any=black", True)):
        ids = [p["id"] for p in cloud.get("identity", f"/projects?{query}").json()["projects"]]
        assert (project["id"] in ids) == there, query
    ok(cloud.call("DELETE", "identity", path + "/green"))
    ok(cloud.call("DELETE", "identity", path))
    assert cloud.get("identity", path).json()["tags"] == []


def test_a_domain_goes_with_all_that_it_owns(cloud):
    domain = make(cloud, "domains", name=name("domain"))
    inside = {"domain_id": domain["id"]}
    owned = {p: make(cloud, p, name=name("in"), **inside)["id"] for p in ("users", "groups", "projects", "roles")}
    refused = cloud.call("DELETE", "identity", f"/domains/{domain['id']}")
    assert (refused.status_code, error(refused)) == (403, "Cannot delete a domain that is enabled, please disable it first.")
    ok(cloud.call("PATCH", "identity", f"/domains/{domain['id']}", {"domain": {"enabled": False}}), 200)
    ok(cloud.call("DELETE", "identity", f"/domains/{domain['id']}"))
    for plural, one in owned.items():
        assert cloud.get("identity", f"/{plural}/{one}").status_code == 404


def test_immutable_roles(cloud):
    admin = role(cloud, "admin")
    refused = cloud.call("DELETE", "identity", f"/roles/{admin}")
    assert refused.status_code == 403 and error(refused).startswith("Unable to delete immutable role resource: `" + admin)
    assert cloud.call("PATCH", "identity", f"/roles/{admin}", {"role": {"name": "x"}}).status_code == 403


def test_implied_roles(cloud, user):
    one, project = user
    implied = make(cloud, "roles", name=name("implied"))
    path = f"/roles/{role(cloud, 'reader')}/implies/{implied['id']}"
    assert cloud.get("identity", path).status_code == 404
    inference = ok(cloud.call("PUT", "identity", path), 201).json()["role_inference"]
    assert (inference["prior_role"]["name"], inference["implies"]["name"]) == ("reader", implied["name"])
    try:
        assert cloud.call("PUT", "identity", path).status_code == 409
        token = issue(cloud, one["name"], "first", {"project": {"id": project["id"]}}).json()["token"]
        assert implied["name"] in [r["name"] for r in token["roles"]]
        refused = cloud.call("PUT", "identity", f"/roles/{implied['id']}/implies/{role(cloud, 'admin')}")
        assert refused.status_code == 403
    finally:
        ok(cloud.call("DELETE", "identity", path))


def test_regions_form_no_circle(cloud):
    outer = make(cloud, "regions", id=name("outer"))
    inner = make(cloud, "regions", id=name("inner"), parent_region_id=outer["id"])
    circle = cloud.call("PATCH", "identity", f"/regions/{outer['id']}", {"region": {"parent_region_id": inner["id"]}})
    assert circle.status_code == 400 and "circular region hierarchy" in error(circle)
    assert [r["id"] for r in cloud.get("identity", f"/regions?parent_region_id={outer['id']}").json()["regions"]] == [inner["id"]]
    assert cloud.post("identity", "/regions", {"region": {"id": outer["id"]}}).status_code == 409
    busy = cloud.call("DELETE", "identity", "/regions/RegionOne")
    assert busy.status_code == 403 and "associated endpoints" in error(busy)
    ok(cloud.call("DELETE", "identity", f"/regions/{outer['id']}"))


# ---- role assignments

def assignments(cloud, query):
    return ok(cloud.get("identity", f"/role_assignments?{query}"), 200).json()["role_assignments"]


def test_role_assignments(cloud, user):
    one, project = user
    group = make(cloud, "groups", name=name("group"))
    child = make(cloud, "projects", name=name("child"), parent_id=project["id"])
    reader, member = role(cloud, "reader"), role(cloud, "member")
    ok(cloud.call("PUT", "identity", f"/groups/{group['id']}/users/{one['id']}"))
    ok(cloud.call("PUT", "identity", f"/projects/{project['id']}/groups/{group['id']}/roles/{reader}"))
    below = f"/OS-INHERIT/projects/{project['id']}/users/{one['id']}/roles/{reader}/inherited_to_projects"
    ok(cloud.call("PUT", "identity", below))
    ok(cloud.call("HEAD", "identity", below))

    direct = assignments(cloud, f"user.id={one['id']}")
    assert sorted((a["role"]["id"], a["scope"].get("OS-INHERIT:inherited_to")) for a in direct) == \
        sorted([(member, None), (reader, "projects")], key=str)
    assert len(assignments(cloud, f"group.id={group['id']}")) == 1
    named = assignments(cloud, f"group.id={group['id']}&include_names=True")[0]
    assert named["group"]["name"] == group["name"] and named["role"]["name"] == "reader"
    assert named["scope"]["project"]["domain"]["name"] == "Default"

    effective = assignments(cloud, f"effective&user.id={one['id']}")
    there = {(a["scope"]["project"]["id"], a["role"]["id"]) for a in effective}
    assert there == {(project["id"], member), (project["id"], reader), (child["id"], reader)}
    assert any("prior_role" in a["links"] for a in effective)
    assert any("membership" in a["links"] for a in effective)
    assert {a["user"]["id"] for a in assignments(cloud, f"effective&scope.project.id={child['id']}")} == {one["id"]}
    tree = assignments(cloud, f"scope.project.id={project['id']}&include_subtree")
    assert len(tree) == 3
    token = issue(cloud, one["name"], "first", {"project": {"id": child["id"]}}).json()["token"]
    assert [r["name"] for r in token["roles"]] == ["reader"]
    ok(cloud.call("DELETE", "identity", below))
    assert issue(cloud, one["name"], "first", {"project": {"id": child["id"]}}).status_code == 401
    for wrong in ("scope.project.id=a&scope.domain.id=b", "user.id=a&group.id=b", "effective&group.id=a",
                  "scope.system=all&scope.domain.id=a", "include_subtree"):
        assert cloud.get("identity", f"/role_assignments?{wrong}").status_code == 400, wrong


def test_grants_need_their_parts(cloud, user):
    one, project = user
    missing, reader = "0" * 32, role(cloud, "reader")
    for path, message in (
            (f"/projects/{project['id']}/users/{one['id']}/roles/{missing}", f"Could not find role: {missing}."),
            (f"/projects/{project['id']}/users/{missing}/roles/{reader}", f"Could not find user: {missing}."),
            (f"/projects/{missing}/users/{one['id']}/roles/{reader}", f"Could not find project: {missing}."),
            (f"/domains/{missing}/users/{one['id']}/roles/{reader}", f"Could not find domain: {missing}."),
            (f"/system/groups/{missing}/roles/{reader}", f"Could not find group: {missing}.")):
        answer = cloud.call("PUT", "identity", path)
        assert (answer.status_code, error(answer)) == (404, message)
    absent = cloud.call("DELETE", "identity", f"/projects/{project['id']}/users/{one['id']}/roles/{role(cloud, 'admin')}")
    assert absent.status_code == 404 and error(absent).startswith("Could not find role assignment with role: ")


# ---- personas

def test_members_see_themselves_and_no_more(cloud, user):
    one, project = user
    token = issue(cloud, one["name"], "first", {"project": {"id": project["id"]}}).headers["X-Subject-Token"]

    def status(method, path, body=None):
        return cloud.call(method, "identity", path, body, token=token).status_code
    assert status("GET", f"/users/{one['id']}") == 200
    assert status("GET", f"/users/{one['id']}/projects") == 200
    assert status("GET", f"/projects/{project['id']}") == 200
    assert status("GET", "/regions") == 200
    others = make(cloud, "projects", name=name("others"))
    for method, path, body in (("GET", "/users", None), ("GET", "/projects", None), ("GET", f"/projects/{others['id']}", None),
                               ("GET", "/roles", None), ("GET", "/services", None), ("GET", "/role_assignments", None),
                               ("PATCH", f"/users/{one['id']}", {"user": {"enabled": True}}),
                               ("DELETE", f"/users/{one['id']}", None),
                               ("POST", "/users", {"user": {"name": "x"}}), ("POST", "/projects", {"project": {"name": "x"}}),
                               ("PUT", f"/projects/{project['id']}/users/{one['id']}/roles/{role(cloud, 'admin')}", None),
                               ("PUT", f"/system/users/{one['id']}/roles/{role(cloud, 'admin')}", None)):
        assert status(method, path, body) == 403, (method, path)
