# SPDX-License-Identifier: Apache-2.0
"""Logins by an identity provider elsewhere: what a trusted front server asserts, mapped to users, groups and projects."""
import datetime
import importlib.util
import json
import subprocess
import uuid

import pytest
import requests

from conftest import dispose, new_cloud

FRONT = "X-Front-"


@pytest.fixture(scope="module")
def front():
    """A cloud behind a front web server that authenticates users (the tests are that server)."""
    it = new_cloud(["keystone"], env={
        "OS_FEDERATION__TRUSTED_HEADER_PREFIX": FRONT, "OS_FEDERATION__DEFAULT_AUTHORIZATION_TTL": "10",
        "OS_FEDERATION__TRUSTED_DASHBOARD": "https://Dash.example.com/auth/websso/",
        "OS_FEDERATION__REMOTE_ID_ATTRIBUTE": "OIDC_iss",
        "OS_AUTH__METHODS": "external,password,token,mapped,openid,kerberos",
        "OS_AUTH__EXTERNAL": "Domain"}).start()
    yield it
    dispose(it)


class Provider:
    def __init__(self, cloud, rules, remote_ids=None, protocol="mapped", domain=None):
        self.cloud, self.id, self.protocol = cloud, "idp" + uuid.uuid4().hex[:8], protocol
        put = lambda path, body: cloud.call("PUT", "identity", "/OS-FEDERATION" + path, body)
        assert put(f"/mappings/{self.id}", {"mapping": {"rules": rules}}).status_code == 201
        body = {"enabled": True, "remote_ids": remote_ids or []}
        if domain:
            body["domain_id"] = domain
        answer = put(f"/identity_providers/{self.id}", {"identity_provider": body})
        assert answer.status_code == 201, answer.text
        self.domain_id = answer.json()["identity_provider"]["domain_id"]
        assert put(f"/identity_providers/{self.id}/protocols/{protocol}", {"protocol": {"mapping_id": self.id}}).status_code == 201

    def login(self, method="GET", **variables):
        url = self.cloud.url("identity", f"/OS-FEDERATION/identity_providers/{self.id}/protocols/{self.protocol}/auth")
        headers = {FRONT + name.replace("_", "-"): value for name, value in variables.items()}
        return requests.request(method, url, headers=headers, timeout=120)


NAME = {"local": [{"user": {"name": "{0}", "email": "{1}"}}], "remote": [{"type": "REMOTE_USER"}, {"type": "OIDC_email"}]}


def test_a_user_from_elsewhere(front):
    group = front.post("identity", "/groups", {"group": {"name": "remote " + uuid.uuid4().hex}}).json()["group"]["id"]
    project = front.post("identity", "/projects", {"project": {"name": uuid.uuid4().hex}}).json()["project"]["id"]
    member = front.get("identity", "/roles?name=member").json()["roles"][0]["id"]
    front.call("PUT", "identity", f"/projects/{project}/groups/{group}/roles/{member}")
    it = Provider(front, [NAME, {"local": [{"group": {"id": group}}], "remote": [{"type": "OIDC_groups", "any_one_of": ["ops"]}]}])
    answer = it.login(REMOTE_USER="bob@x", OIDC_email="bob@x.org", OIDC_groups="dev;ops")
    assert answer.status_code == 201, answer.text
    token = answer.json()["token"]
    user = token["user"]
    assert token["methods"] == ["mapped"] and "roles" not in token and "password_expires_at" not in user
    assert user["name"] == "bob@x" and user["domain"]["id"] == it.domain_id and len(user["id"]) == 64
    assert user["OS-FEDERATION"] == {"groups": [{"id": group}], "identity_provider": {"id": it.id}, "protocol": {"id": "mapped"}}
    text = answer.headers["X-Subject-Token"]
    shown = front.get("identity", "/auth/tokens", headers={"X-Subject-Token": text}).json()["token"]
    assert shown["user"] == user
    # the same user again, by POST, with another address
    again = it.login("POST", REMOTE_USER="bob@x", OIDC_email="new@x.org", OIDC_groups="ops")
    assert again.json()["token"]["user"]["id"] == user["id"]
    assert front.get("identity", f"/users/{user['id']}").json()["user"]["email"] == "new@x.org"
    # exchanged for a token of the group's project; the provider stays in it
    body = {"auth": {"identity": {"methods": ["token"], "token": {"id": text}}, "scope": {"project": {"id": project}}}}
    scoped = requests.post(front.url("identity", "/auth/tokens"), json=body, timeout=120)
    assert scoped.status_code == 201, scoped.text
    token = scoped.json()["token"]
    assert {r["name"] for r in token["roles"]} == {"member", "reader"}
    assert token["user"]["OS-FEDERATION"]["groups"] == [{"id": group}]
    scoped_text = scoped.headers["X-Subject-Token"]
    mine = requests.get(front.url("identity", "/auth/projects"), headers={"X-Auth-Token": text}, timeout=120).json()["projects"]
    assert [p["id"] for p in mine] == [project]
    # without the provider nothing of it holds
    front.call("PATCH", "identity", f"/OS-FEDERATION/identity_providers/{it.id}", {"identity_provider": {"enabled": False}})
    assert it.login(REMOTE_USER="bob@x", OIDC_email="b").status_code == 403
    assert requests.post(front.url("identity", "/auth/tokens"), json=body, timeout=120).status_code == 403
    front.call("DELETE", "identity", f"/OS-FEDERATION/identity_providers/{it.id}")
    assert front.get("identity", "/auth/tokens", headers={"X-Subject-Token": scoped_text}).status_code == 404
    assert it.login(REMOTE_USER="bob@x", OIDC_email="b").status_code == 404


def test_memberships_that_end(front):
    group = front.post("identity", "/groups", {"group": {"name": "ends " + uuid.uuid4().hex}}).json()["group"]["id"]
    project = front.post("identity", "/projects", {"project": {"name": uuid.uuid4().hex}}).json()["project"]["id"]
    member = front.get("identity", "/roles?name=member").json()["roles"][0]["id"]
    front.call("PUT", "identity", f"/projects/{project}/groups/{group}/roles/{member}")
    it = Provider(front, [{"local": [{"user": {"name": "{0}"}}, {"group_ids": "{1}"}],
                           "remote": [{"type": "REMOTE_USER"}, {"type": "OIDC_ids"}]},
                          {"local": [{"user": {"name": "{0}"}}],
                           "remote": [{"type": "REMOTE_USER"}, {"type": "OIDC_ids", "any_one_of": ["none"]}]}])
    assert it.login(REMOTE_USER="eve", OIDC_ids=group).status_code == 201
    assert it.login(REMOTE_USER="eve", OIDC_ids="nothing").status_code == 401  # the reference's MappedGroupNotFound is a 500
    # a login that names no group: the membership from before is good for the provider's time
    front.call("PATCH", "identity", f"/OS-FEDERATION/mappings/{it.id}", {"mapping": {"rules": [
        {"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "REMOTE_USER"}]}]}})
    text = it.login(REMOTE_USER="eve").headers["X-Subject-Token"]
    body = {"auth": {"identity": {"methods": ["token"], "token": {"id": text}}, "scope": {"project": {"id": project}}}}
    assert requests.post(front.url("identity", "/auth/tokens"), json=body, timeout=120).status_code == 201
    # and it is shown: with its end in the list of his groups, not among the group's own members
    user = front.get("identity", "/auth/tokens", headers={"X-Subject-Token": text}).json()["token"]["user"]["id"]
    (shown,) = front.get("identity", f"/users/{user}/groups").json()["groups"]
    end = datetime.datetime.strptime(shown["membership_expires_at"], "%Y-%m-%dT%H:%M:%S.%f")
    assert shown["id"] == group and 500 < (end - datetime.datetime.utcnow()).total_seconds() <= 600
    assert front.get("identity", f"/users/{user}/groups?name={shown['name']}").json()["groups"] == [shown]
    assert front.get("identity", f"/users/{user}/groups?name=another").json()["groups"] == []
    assert front.get("identity", f"/groups/{group}/users").json()["users"] == []
    path = f"/groups/{group}/users/{user}"
    assert front.get("identity", path).status_code == 204 and front.call("DELETE", "identity", path).status_code == 404
    assert front.call("PUT", "identity", path).status_code == 204
    assert front.get("identity", f"/users/{user}/groups").json()["groups"][0]["membership_expires_at"] is None
    assert front.call("DELETE", "identity", path).status_code == 204
    text = it.login(REMOTE_USER="eve").headers["X-Subject-Token"]
    body["auth"]["identity"]["token"]["id"] = text
    assert requests.post(front.url("identity", "/auth/tokens"), json=body, timeout=120).status_code == 201
    front.execute("keystone", f"UPDATE expiring_user_group_membership SET last_verified = '2020-01-01' WHERE user_id = '{user}'")
    assert front.get("identity", f"/users/{user}/groups").json()["groups"] == []
    assert front.get("identity", path).status_code == 404
    assert requests.post(front.url("identity", "/auth/tokens"), json=body, timeout=120).status_code == 401


def test_projects_of_a_mapping(front):
    name = "own " + uuid.uuid4().hex
    rules = [{"local": [{"user": {"name": "{0}"}}, {"projects": [{"name": name, "roles": [{"name": "member"}]}]}],
              "remote": [{"type": "REMOTE_USER"}]}]
    it = Provider(front, rules)
    for _ in range(2):
        text = it.login(REMOTE_USER="ann").headers["X-Subject-Token"]
    mine = requests.get(front.url("identity", "/auth/projects"), headers={"X-Auth-Token": text}, timeout=120).json()["projects"]
    assert [(p["name"], p["domain_id"]) for p in mine] == [(name, it.domain_id)]
    assert requests.get(front.url("identity", "/OS-FEDERATION/projects"), headers={"X-Auth-Token": text}, timeout=120).json()[
        "projects"] == mine
    rules[0]["local"][1]["projects"][0]["roles"][0]["name"] = "nothing"
    front.call("PATCH", "identity", f"/OS-FEDERATION/mappings/{it.id}", {"mapping": {"rules": rules}})
    assert it.login(REMOTE_USER="ann").status_code == 404


def test_a_local_user_whom_the_provider_knows(front):
    name = "local " + uuid.uuid4().hex
    user = front.post("identity", "/users", {"user": {"name": name}}).json()["user"]["id"]
    it = Provider(front, [{"local": [{"user": {"name": "{0}", "type": "local", "domain": {"id": "default"}}}],
                           "remote": [{"type": "REMOTE_USER"}]}])
    token = it.login(REMOTE_USER=name).json()["token"]
    assert token["user"]["id"] == user and "OS-FEDERATION" not in token["user"]
    assert it.login(REMOTE_USER="nobody").status_code == 401


def test_who_is_believed(front, cloud):
    it = Provider(front, [NAME], remote_ids=["https://issuer"], protocol="openid")
    assert it.login(REMOTE_USER="u", OIDC_email="e", OIDC_iss="https://issuer").status_code == 201
    assert it.login(REMOTE_USER="u", OIDC_email="e", OIDC_iss="https://other").status_code == 403
    assert it.login(REMOTE_USER="u", OIDC_email="e").status_code == 401
    assert it.login(OIDC_email="e", OIDC_iss="https://issuer").status_code == 401
    # WSGI's names of the headers are there too
    for variable in ("HTTP_X_FRONT_OIDC_SUB", "HTTP_OIDC_SUB", "OIDC_sub", "OIDC-sub"):
        wsgi = Provider(front, [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": variable}]}])
        assert wsgi.login(OIDC_sub="s").json()["token"]["user"]["name"] == "s"
    # a header that only looks like the front server's, and that it may have let pass
    url = front.url("identity", f"/OS-FEDERATION/identity_providers/{wsgi.id}/protocols/mapped/auth")
    for header, status in (("X-Front-OIDC-sub", 201), ("x-front-OIDC-sub", 201), ("X_Front_OIDC-sub", 401),
                           ("X-Front_OIDC-sub", 401)):
        assert requests.get(url, headers={header: "s"}, timeout=120).status_code == status, header
    # a cloud that trusts no front server takes nothing from headers
    plain = Provider(cloud, [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "REMOTE_USER"}]}])
    assert plain.login(REMOTE_USER="admin").status_code == 401
    url = cloud.url("identity", f"/OS-FEDERATION/identity_providers/{plain.id}/protocols/mapped/auth")
    assert requests.get(url, headers={"REMOTE_USER": "admin", "Remote-User": "admin"}, timeout=120).status_code == 401


def test_single_sign_on(front):
    issuer = "https://issuer/" + uuid.uuid4().hex
    it = Provider(front, [NAME], remote_ids=[issuer], protocol="openid")
    headers = {FRONT + "REMOTE-USER": "u", FRONT + "OIDC-email": "e", FRONT + "OIDC-iss": issuer}
    origin = "https://dash.example.com/auth/websso/"
    for path in ("/auth/OS-FEDERATION/websso/openid", f"/auth/OS-FEDERATION/identity_providers/{it.id}/protocols/openid/websso"):
        url = front.url("identity", path)
        for method in ("GET", "POST"):
            page = requests.request(method, url, params={"origin": origin}, headers=headers, timeout=120)
            assert page.status_code == 200 and page.headers["Content-Type"].startswith("text/html")
            assert f'action="{origin}"' in page.text
            token = page.text.split('name="token" value="')[1].split('"')[0]
            shown = front.get("identity", "/auth/tokens", headers={"X-Subject-Token": token})
            assert shown.json()["token"]["user"]["OS-FEDERATION"]["identity_provider"]["id"] == it.id
        assert requests.get(url, headers=headers, timeout=120).status_code == 400
        assert requests.get(url, params={"origin": "https://evil/"}, headers=headers, timeout=120).status_code == 401
    assert requests.get(front.url("identity", "/auth/OS-FEDERATION/websso/openid"), params={"origin": origin},
                        timeout=120).status_code == 401


def test_service_providers_in_tokens(front):
    body = {"auth_url": "https://other/v3", "sp_url": "https://other/ecp", "enabled": True}
    front.call("PUT", "identity", "/OS-FEDERATION/service_providers/other", {"service_provider": body})
    assert front.login().json()["token"]["service_providers"] == [
        {"auth_url": "https://other/v3", "id": "other", "sp_url": "https://other/ecp"}]
    front.call("DELETE", "identity", "/OS-FEDERATION/service_providers/other")
    assert "service_providers" not in front.login().json()["token"]


def test_users_with_their_names_elsewhere(front):
    it = Provider(front, [NAME])
    known = [{"idp_id": it.id, "protocols": [{"protocol_id": "mapped", "unique_id": "jo"}]}]
    made = front.post("identity", "/users", {"user": {"name": "jo " + it.id, "federated": known, "domain_id": it.domain_id}})
    assert made.status_code == 201, made.text
    user = made.json()["user"]
    assert user["federated"] == known
    assert front.get("identity", f"/users/{user['id']}").json()["user"]["federated"] == known
    assert it.login(REMOTE_USER="jo", OIDC_email="e").json()["token"]["user"]["id"] == user["id"]
    found = front.get("identity", f"/users?idp_id={it.id}&unique_id=jo").json()["users"]
    assert [u["id"] for u in found] == [user["id"]]
    assert front.get("identity", f"/users?idp_id={it.id}&protocol_id=other").json()["users"] == []
    changed = [{"idp_id": it.id, "protocols": [{"protocol_id": "mapped", "unique_id": "joe"}]}]
    path = f"/users/{user['id']}"
    assert front.call("PATCH", "identity", path, {"user": {"federated": changed}}).json()["user"]["federated"] == changed
    assert front.call("PATCH", "identity", path, {"user": {"federated": []}}).json()["user"]["federated"] == changed
    changed[0]["idp_id"] = "none"
    answer = front.call("PATCH", "identity", path, {"user": {"federated": changed}})
    assert answer.status_code == 400 and answer.json()["error"]["message"] == "Could not find Identity Provider: none"
    assert front.call("PATCH", "identity", path, {"user": {"federated": [{"idp_id": it.id, "protocols": []}]}}).status_code == 400


def by_front(cloud, methods=(), more=None, **variables):
    """A token for whom the front server names; each method with empty data of its own."""
    auth = {"identity": {"methods": list(methods), **{m: {} for m in methods}, **(more or {})}}
    headers = {FRONT + name.replace("_", "-"): value for name, value in variables.items()}
    return requests.post(cloud.url("identity", "/auth/tokens"), json={"auth": auth}, headers=headers, timeout=120)


def test_remote_users_of_ours(front, cloud):
    name = "remote " + uuid.uuid4().hex
    domain = front.post("identity", "/domains", {"domain": {"name": "d " + uuid.uuid4().hex}}).json()["domain"]
    users = {where: front.post("identity", "/users", {"user": {"name": name, "domain_id": where, "password": "s3cret"}}).json()[
        "user"]["id"] for where in ("default", domain["id"])}
    # asked for, and not asked for
    for methods in (["external"], []):
        answer = by_front(front, methods, REMOTE_USER=name)
        assert answer.status_code == 201, answer.text
        token = answer.json()["token"]
        assert (token["user"]["id"], token["methods"]) == (users["default"], ["external"])
        text = answer.headers["X-Subject-Token"]
        assert front.get("identity", "/auth/tokens", headers={"X-Subject-Token": text}).json()["token"]["methods"] == ["external"]
        answer = by_front(front, methods, REMOTE_USER=name, REMOTE_DOMAIN=domain["name"])
        assert answer.json()["token"]["user"]["id"] == users[domain["id"]]
        for wrong in ({}, {"REMOTE_USER": ""}, {"REMOTE_USER": "nobody"}, {"REMOTE_USER": name, "REMOTE_DOMAIN": "none"}):
            assert by_front(front, methods, **wrong).status_code == 401
    # another method beside it must be about the same user
    password = lambda user, word: {"password": {"user": {"id": user, "password": word}}}
    answer = by_front(front, ["password"], more=password(users["default"], "s3cret"), REMOTE_USER=name)
    assert sorted(answer.json()["token"]["methods"]) == ["external", "password"]
    assert by_front(front, ["password"], more=password(users[domain["id"]], "s3cret"), REMOTE_USER=name).status_code == 401
    assert by_front(front, ["password"], more=password(users["default"], "no"), REMOTE_USER=name).status_code == 401
    answer = by_front(front, ["password"], more=password(users["default"], "s3cret"), REMOTE_USER="nobody")
    assert answer.json()["token"]["methods"] == ["password"]
    # kerberos is the same with a ticket
    assert by_front(front, ["kerberos"], REMOTE_USER=name).status_code == 401
    answer = by_front(front, ["kerberos"], REMOTE_USER=name, AUTH_TYPE="Negotiate", REMOTE_DOMAIN=domain["name"])
    token = answer.json()["token"]
    assert (token["user"]["id"], sorted(token["methods"])) == (users[domain["id"]], ["external", "kerberos"])
    # who is disabled, and who speaks without being the front server
    front.call("PATCH", "identity", f"/users/{users['default']}", {"user": {"enabled": False}})
    assert by_front(front, ["external"], REMOTE_USER=name).status_code == 401
    assert by_front(cloud, ["external"], REMOTE_USER="admin").status_code == 401
    for header in ("REMOTE_USER", "Remote-User", "X-Remote-User"):
        answer = requests.post(cloud.url("identity", "/auth/tokens"), headers={header: "admin"}, timeout=120,
                               json={"auth": {"identity": {"methods": ["external"], "external": {}}}})
        assert answer.status_code == 401


def broken_mappings():
    """Mappings that are none, in one way and in several at once."""
    local, remote = [{"user": {"name": "{0}"}}], [{"type": "U"}]
    rule = lambda **more: {"rules": [{"local": local, "remote": remote, **more}]}
    return [
        {}, {"rules": []}, {"rules": {}}, {"rules": [5, "x", None]}, {"rules": [{}, {"local": []}]}, rule(color="red", size=1),
        rule(local=5, remote=[]), rule(remote=[5, {}, {"type": 5}]), rule(remote=[{"type": "U", "regex": True}]),
        rule(remote=[{"type": "U", "any_one_of": [], "not_any_of": []}, {"type": "U", "whitelist": "x"},
                     {"type": "U", "blacklist": [], "regex": "yes"}]),
        rule(local=[{"user": "x"}, {"colour": "x"}, {"groups": ["a"]}, {"group_ids": 5}, {"domain": {"id": 5, "x": 1}}]),
        rule(local=[{"user": {"type": "alien", "id": 5, "name": None, "more": 1, "domain": []}}]),
        rule(local=[{"group": {}}, {"group": {"id": "a", "name": "b"}}, {"group": {"name": "no domain"}}, {"group": "x"}]),
        rule(local=[{"projects": [{}, {"name": 5, "roles": {}}, {"name": "p", "roles": [{}, {"name": 5}, "x"]}]}]),
        {"rules": [{"local": [{"user": {"name": "\u00fc", "quote": "it's \"so\""}}], "remote": remote}, 1.5, True]},
    ]


def test_all_that_is_wrong_with_a_mapping(front):
    """The violations of the schema, all of them and in the words and the order of Debian's keystone."""
    if importlib.util.find_spec("keystone") is None:
        pytest.skip("Debian's keystone is not installed")
    script = """
import json, sys
from keystone import exception
from keystone.federation import utils
said = []
for mapping in json.load(sys.stdin):
    try:
        utils.validate_mapping_structure(mapping)
        said.append(None)
    except exception.ValidationError as e:
        said.append(str(e))
print(json.dumps(said))
"""
    done = subprocess.run(["/usr/bin/python3", "-c", script], input=json.dumps(broken_mappings()), capture_output=True, text=True,
                          timeout=120, check=True)
    for mapping, words in zip(broken_mappings(), json.loads(done.stdout.splitlines()[-1])):
        answer = front.call("PUT", "identity", "/OS-FEDERATION/mappings/wrong", {"mapping": mapping})
        assert answer.status_code == 400 and words is not None, (mapping, answer.text)
        assert answer.json()["error"]["message"] == words


def test_mappings_that_fail_when_they_are_used(front):
    """What the reference stores, and fails by with a 500 when somebody logs in, lets nobody in."""
    name, one = {"user": {"name": "{0}"}}, {"type": "REMOTE_USER"}
    there = "g " + uuid.uuid4().hex
    front.post("identity", "/groups", {"group": {"name": there}})
    for local, remote, status in (
            ([name], [one, {"type": "OIDC_x", "any_one_of": ["("], "regex": True}], 401),
            ([name], [one, {"type": "OIDC_x", "not_any_of": ["*a"], "regex": True}], 401),
            ([name], [one, {"type": "OIDC_x", "whitelist": ["(a+)+$"], "regex": True}], (201, 401)),
            ([name], [one, {"type": "OIDC_x", "whitelist": [5, {"a": 1}, None, ["x"]]}], 201),
            ([{"user": {"name": "{7}"}}], [one], 401), ([{"user": {"name": "{0[x]}"}}], [one], 401),
            ([{"user": {"name": "{0.__class__}"}}], [one], 401), ([{"user": {"name": "}{"}}], [one], 401),
            ([{"user": {"name": "{99999999999999999999}"}}], [one], 401), ([{"user": {}}], [{"type": "OIDC_x"}], 401),
            ([name, {"groups": "name {0}"}], [one], 401), ([name, {"groups": "JSON:{"}], [one], 401),
            ([name, {"groups": "JSON:{\"name\": 5}"}], [one], 401), ([name, {"groups": "{0}"}], [one], 401),
            ([name, {"group": {"name": there, "domain": {}}}], [one], 404),
            ([name, {"group": {"name": there, "domain": {"id": "", "name": "Default"}}}], [one], 201),
            ([name, {"group_ids": "['a', ['b']]"}], [one], 401), ([name, {"group_ids": "none"}], [one], 401),
            ([name, {"projects": [{"name": "", "roles": []}]}], [one], 401),
            ([name, {"projects": [{"name": "x" * 65, "roles": []}]}], [one], 401),
            ([{"user": {"name": "{0}", "type": "local"}}], [one], (400, 401)),
            ([{"user": {"name": "{0}", "type": "{1}"}}], [one, {"type": "OIDC_x"}], None)):
        mapping = {"rules": [{"local": local, "remote": remote}]}
        if status is None:  # the schema knows the types
            assert front.call("PUT", "identity", "/OS-FEDERATION/mappings/typed", {"mapping": mapping}).status_code == 400
            continue
        it = Provider(front, mapping["rules"])
        # with OIDC_x but without REMOTE_USER where the mapping asks only for the former
        said = {"OIDC_x": "a" * 40 + "!"} | ({} if remote == [{"type": "OIDC_x"}] else {"REMOTE_USER": "ann"})
        answer = it.login(**said)
        assert answer.status_code in (status if isinstance(status, tuple) else (status,)), (local, remote, answer.text)
    # names that no column has room for
    it = Provider(front, [{"local": [name], "remote": [one]}])
    assert it.login(REMOTE_USER="x" * 255).status_code == 201
    assert it.login(REMOTE_USER="x" * 256).status_code == 401
    assert it.login(REMOTE_USER="%" * 200).status_code == 401


def test_the_openstack_command(front, tmp_path):
    """All that Debian's client knows of federation, at its prompt."""
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps([{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "REMOTE_USER"}]}]))
    bad = tmp_path / "bad.json"
    bad.write_text("[]")
    said = front.openstack_lines(
        f"mapping create --rules {rules} cm -f json",
        f"mapping create --rules {bad} cbad -f json",
        "mapping list -f json",
        f"mapping set --rules {rules} cm",
        "mapping show cm -f json",
        "identity provider create --remote-id c1 --remote-id c2 --description d ci -f json",
        "identity provider set --disable --description e --remote-id c3 ci",
        "identity provider show ci -f json",
        "identity provider list -f json",
        "federation protocol create --identity-provider ci --mapping cm cp -f json",
        "federation protocol set --identity-provider ci --mapping cm cp",
        "federation protocol list --identity-provider ci -f json",
        "federation protocol show --identity-provider ci cp -f json",
        "service provider create --auth-url http://a/v3 --service-provider-url http://s --description x --disable cs -f json",
        "service provider set --enable --auth-url http://b/v3 --service-provider-url http://t cs",
        "service provider show cs -f json",
        "service provider list -f json",
        "federation project list -f json",
        "federation domain list -f json",
        "consumer create --description one -f json",
        "federation protocol delete --identity-provider ci cp",
        "federation protocol list --identity-provider ci -f json",
        "identity provider delete ci",
        "mapping delete cm",
        "service provider delete cs",
        "identity provider show ci -f json",
        "mapping show cm -f json",
        "service provider show cs -f json")
    (mapping, mappings, same, provider, changed, providers, protocol, protocols, shown, other, moved, others, projects, domains,
     consumer, none) = said
    assert mapping == same and mapping["rules"] == json.loads(rules.read_text())
    assert "cm" in [m["ID"] for m in mappings] and "cbad" not in [m["ID"] for m in mappings]
    assert (provider["remote_ids"], provider["description"], provider["enabled"]) == (["c1", "c2"], "d", True)
    assert (changed["remote_ids"], changed["description"], changed["enabled"]) == (["c3"], "e", False)
    assert {"ID": "ci", "Enabled": False, "Domain ID": provider["domain_id"], "Description": "e"} in providers
    assert protocol == {"id": "cp", "identity_provider": "ci", "mapping": "cm"}
    assert protocols == [{"id": "cp", "mapping": "cm"}] and shown == {"id": "cp", "mapping": "cm"} and none == []
    assert (other["enabled"], other["relay_state_prefix"]) == (False, "ss:mem:")
    assert (moved["enabled"], moved["auth_url"], moved["sp_url"], moved["description"]) == (True, "http://b/v3", "http://t", "x")
    assert moved["id"] in [o["ID"] for o in others]
    assert "admin" in [p["Name"] for p in projects] and isinstance(domains, list) and len(consumer["secret"]) == 32
    done = front.openstack_lines(f"consumer set --description two {consumer['id']}", f"consumer show {consumer['id']} -f json",
                                 "consumer list -f json", f"consumer delete {consumer['id']}", "consumer list -f json")
    assert done[0]["description"] == "two"
    assert consumer["id"] in [c["ID"] for c in done[1]] and consumer["id"] not in [c["ID"] for c in done[2]]
