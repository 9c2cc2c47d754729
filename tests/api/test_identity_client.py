# SPDX-License-Identifier: Apache-2.0
"""Identity through Debian's unmodified `openstack` command: create, list, show, set and delete of each resource."""
import uuid

import pytest


def name(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def names(rows):
    return [row["Name"] for row in rows]


def gone(cloud, *words):
    done = cloud.openstack(*words, check=False)
    assert done.returncode != 0
    assert "No " in done.stderr or "not" in done.stderr.lower(), done.stderr


def test_token_and_catalog(cloud):
    token = cloud.openstack("token", "issue")
    assert token["id"].startswith("gAAAAA") and token["project_id"]
    types = [row["Type"] for row in cloud.openstack("catalog", "list")]
    assert {"identity", "placement"} <= set(types)
    assert cloud.openstack("catalog", "show", "identity")["name"] == "keystone"
    cloud.openstack("token", "revoke", token["id"], parse=False)
    assert cloud.get("identity", "/auth/tokens", headers={"X-Subject-Token": token["id"]}).status_code == 404


def test_wrong_password(cloud):
    done = cloud.openstack("token", "issue", check=False, user_env={"OS_PASSWORD": "wrong"})
    assert done.returncode == 1
    assert "The request you have made requires authentication. (HTTP 401)" in done.stderr


def test_user(cloud):
    one = name("user")
    made = cloud.openstack("user", "create", "--domain", "default", "--password", "secret", "--email", "a@b.c",
                           "--description", "d", one)
    assert (made["name"], made["email"], made["enabled"], made["domain_id"]) == (one, "a@b.c", True, "default")
    assert one in names(cloud.openstack("user", "list"))
    cloud.openstack("user", "set", "--disable", "--email", "x@y.z", one, parse=False)
    shown = cloud.openstack("user", "show", one)
    assert (shown["enabled"], shown["email"], shown["description"]) == (False, "x@y.z", "d")
    cloud.openstack("user", "delete", one, parse=False)
    gone(cloud, "user", "show", one)


def test_password_set_by_the_user(cloud):
    one, project = name("user"), name("project")
    cloud.openstack("project", "create", project)
    cloud.openstack("user", "create", "--password", "first", one)
    cloud.openstack("role", "add", "--user", one, "--project", project, "member", parse=False)
    own = {"OS_USERNAME": one, "OS_PASSWORD": "first", "OS_PROJECT_NAME": project}
    cloud.openstack("user", "password", "set", "--original-password", "first", "--password", "second", parse=False, user_env=own)
    assert cloud.openstack("token", "issue", check=False, user_env=own).returncode == 1
    assert cloud.openstack("token", "issue", user_env=dict(own, OS_PASSWORD="second"))["id"]


def test_group_and_members(cloud):
    group, one = name("group"), name("user")
    assert cloud.openstack("group", "create", "--description", "d", group)["description"] == "d"
    cloud.openstack("user", "create", one)
    cloud.openstack("group", "add", "user", group, one, parse=False)
    assert f"{one} in group {group}" in cloud.openstack("group", "contains", "user", group, one, parse=False)
    assert names(cloud.openstack("user", "list", "--group", group)) == [one]
    assert names(cloud.openstack("group", "list", "--user", one)) == [group]
    cloud.openstack("group", "remove", "user", group, one, parse=False)
    assert cloud.openstack("user", "list", "--group", group) == []
    cloud.openstack("group", "set", "--description", "e", group, parse=False)
    assert cloud.openstack("group", "show", group)["description"] == "e"
    cloud.openstack("group", "delete", group, parse=False)
    gone(cloud, "group", "show", group)


def test_project(cloud):
    parent, child, tag = name("parent"), name("child"), name("tag")
    cloud.openstack("project", "create", "--description", "d", "--tag", tag, "--property", "color=blue", parent)
    cloud.openstack("project", "create", "--parent", parent, child)
    assert {parent, child} <= set(names(cloud.openstack("project", "list")))
    assert names(cloud.openstack("project", "list", "--tags", tag)) == [parent]
    cloud.openstack("project", "set", "--description", "e", child, parse=False)
    shown = cloud.openstack("project", "show", "--parents", child)
    assert shown["description"] == "e" and shown["parent_id"] in str(shown["parents"])
    shown = cloud.openstack("project", "show", "--children", parent)
    assert shown["color"] == "blue" and shown["tags"] == [tag] and len(shown["subtree"]) == 1
    cloud.openstack("project", "delete", child, parse=False)
    cloud.openstack("project", "delete", parent, parse=False)
    gone(cloud, "project", "show", parent)


def test_domain(cloud):
    domain = name("domain")
    assert cloud.openstack("domain", "create", "--description", "d", domain)["enabled"] is True
    assert domain in names(cloud.openstack("domain", "list"))
    cloud.openstack("domain", "set", "--description", "e", "--disable", domain, parse=False)
    shown = cloud.openstack("domain", "show", domain)
    assert (shown["description"], shown["enabled"]) == ("e", False)
    cloud.openstack("domain", "delete", domain, parse=False)
    gone(cloud, "domain", "show", domain)


def test_role_and_assignments(cloud):
    one, project, role = name("user"), name("project"), name("role")
    cloud.openstack("user", "create", one)
    cloud.openstack("project", "create", project)
    assert cloud.openstack("role", "create", "--description", "d", role)["description"] == "d"
    assert role in names(cloud.openstack("role", "list"))
    cloud.openstack("role", "set", "--name", role + "2", role, parse=False)
    role += "2"
    assert cloud.openstack("role", "show", role)["name"] == role
    for scope in (("--project", project), ("--domain", "default"), ("--system", "all"), ("--project", project, "--inherited")):
        cloud.openstack("role", "add", "--user", one, *scope, role, parse=False)
    listed = cloud.openstack("role", "assignment", "list", "--user", one, "--names")
    assert len(listed) == 4
    assert {row["Role"] for row in listed} == {role}
    assert {row["System"] for row in listed} == {"", "all"}
    assert sorted(row["Inherited"] for row in listed) == [False, False, False, True]
    assert len(cloud.openstack("role", "assignment", "list", "--project", project, "--effective", "--names")) == 1
    for scope in (("--project", project), ("--domain", "default"), ("--system", "all"), ("--project", project, "--inherited")):
        cloud.openstack("role", "remove", "--user", one, *scope, role, parse=False)
    assert cloud.openstack("role", "assignment", "list", "--user", one) == []
    cloud.openstack("role", "delete", role, parse=False)
    gone(cloud, "role", "show", role)


def test_implied_role(cloud):
    role = name("role")
    cloud.openstack("role", "create", role)
    cloud.openstack("implied", "role", "create", role, "--implied-role", "reader")
    rows = cloud.openstack("implied", "role", "list")
    assert ("admin", "member") in [(r["Prior Role Name"], r["Implied Role Name"]) for r in rows]
    assert (role, "reader") in [(r["Prior Role Name"], r["Implied Role Name"]) for r in rows]
    cloud.openstack("implied", "role", "delete", role, "--implied-role", "reader", parse=False)
    cloud.openstack("role", "delete", role, parse=False)


def test_region_service_endpoint(cloud):
    region, kind = name("region"), name("kind")
    assert cloud.openstack("region", "create", "--description", "d", region)["region"] == region
    assert region in [row["Region"] for row in cloud.openstack("region", "list")]
    cloud.openstack("region", "set", "--description", "e", region, parse=False)
    assert cloud.openstack("region", "show", region)["description"] == "e"

    service = cloud.openstack("service", "create", "--name", kind, "--description", "d", kind)
    assert kind in [row["Type"] for row in cloud.openstack("service", "list")]
    cloud.openstack("service", "set", "--description", "e", service["id"], parse=False)
    assert cloud.openstack("service", "show", kind)["description"] == "e"

    endpoint = cloud.openstack("endpoint", "create", "--region", region, kind, "public", "http://192.0.2.1/$(project_id)s")
    assert endpoint["service_type"] == kind
    assert [row["ID"] for row in cloud.openstack("endpoint", "list", "--service", kind)] == [endpoint["id"]]
    cloud.openstack("endpoint", "set", "--url", "http://192.0.2.2/", endpoint["id"], parse=False)
    assert cloud.openstack("endpoint", "show", endpoint["id"])["url"] == "http://192.0.2.2/"
    assert kind in [row["Type"] for row in cloud.openstack("catalog", "list")]
    cloud.openstack("endpoint", "delete", endpoint["id"], parse=False)
    cloud.openstack("service", "delete", service["id"], parse=False)
    cloud.openstack("region", "delete", region, parse=False)
    # `region show` of a missing one falls back to a list, of which the client takes an only member for a match
    assert region not in [row["Region"] for row in cloud.openstack("region", "list")]


@pytest.mark.parametrize("words, message", [
    (("project", "create", "x" * 65), "Invalid input for field 'name'"),
    (("user", "create", ""), "Invalid input for field 'name'"),
    (("role", "delete", "admin"), "Unable to delete immutable role resource"),
    (("endpoint", "create", "identity", "public", "no-url"), "Invalid input for field 'url'"),
    (("role", "add", "--user", "admin", "--project", "admin", "nothing"), "No role with a name or ID of 'nothing' exists."),
])
def test_wrong_words(cloud, words, message):
    done = cloud.openstack(*words, check=False)
    assert done.returncode != 0
    assert message in done.stderr + done.stdout, done.stderr
