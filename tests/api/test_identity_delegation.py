# SPDX-License-Identifier: Apache-2.0
"""Identity v3: trusts and application credentials: what a user lets others do for him, and what ends it."""
import datetime
import uuid

import pytest
import requests

from test_identity import DEFAULT, check, error, issue, make, name, ok, role

TRUSTS = "/OS-TRUST/trusts"


def later(**delta):
    return (datetime.datetime.utcnow() + datetime.timedelta(**delta)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Person:
    """A user with roles on a project, and tokens of his."""

    def __init__(self, cloud, project, *roles):
        self.cloud, self.password = cloud, "secret"
        self.user = make(cloud, "users", name=name("person"), password=self.password)
        self.id, self.project = self.user["id"], project
        for one in roles:
            ok(cloud.call("PUT", "identity", f"/projects/{project['id']}/users/{self.id}/roles/{role(cloud, one)}"))

    def login(self, scope=None):
        return issue(self.cloud, self.user["name"], self.password, scope)

    def token(self, scope="project"):
        scope = {"project": {"id": self.project["id"]}} if scope == "project" else scope
        return ok(self.login(scope), 201).headers["X-Subject-Token"]


@pytest.fixture
def project(cloud):
    return make(cloud, "projects", name=name("project"))


@pytest.fixture
def trustor(cloud, project):
    return Person(cloud, project, "member")


@pytest.fixture
def trustee(cloud, project):
    return Person(cloud, project)


def trust_body(trustor, trustee, **more):
    body = {"trustor_user_id": trustor.id, "trustee_user_id": trustee.id, "impersonation": True,
            "project_id": trustor.project["id"], "roles": [{"name": "member"}]}
    body.update(more)
    return {"trust": {k: v for k, v in body.items() if v is not ...}}


def make_trust(cloud, trustor, trustee, token=None, **more):
    answer = cloud.post("identity", TRUSTS, trust_body(trustor, trustee, **more), token=token or trustor.token())
    assert answer.status_code == 201, answer.text
    return answer.json()["trust"]


def trust_scope(trust):
    return {"OS-TRUST:trust": {"id": trust["id"]}}


# ---- trusts

def test_trust_members(cloud, trustor, trustee):
    expires = later(hours=1)
    trust = make_trust(cloud, trustor, trustee, expires_at=expires, remaining_uses=2, color="red")
    assert trust["links"]["self"].endswith(f"/v3/OS-TRUST/trusts/{trust['id']}")
    assert (trust["expires_at"], trust["remaining_uses"], trust["color"]) == (expires, 2, "red")
    assert (trust["deleted_at"], trust["redelegated_trust_id"], trust["redelegation_count"]) == (None, None, 0)
    assert [r["name"] for r in trust["roles"]] == ["member"] and "/v3/roles/" in trust["roles"][0]["links"]["self"]
    assert trust["roles_links"]["next"] is None
    shown = cloud.get("identity", f"{TRUSTS}/{trust['id']}", token=trustee.token(None))
    assert shown.json()["trust"] == trust
    listed = cloud.get("identity", f"{TRUSTS}?trustor_user_id={trustor.id}", token=trustor.token()).json()
    assert [t["id"] for t in listed["trusts"]] == [trust["id"]] and "roles" not in listed["trusts"][0]
    listed = cloud.get("identity", f"{TRUSTS}?trustee_user_id={trustee.id}", token=trustee.token(None)).json()
    assert [t["id"] for t in listed["trusts"]] == [trust["id"]]
    assert trust["id"] in [t["id"] for t in cloud.get("identity", TRUSTS).json()["trusts"]]
    assert cloud.get("identity", f"{TRUSTS}?nonsense=1").json()["trusts"] == []
    roles = cloud.get("identity", f"{TRUSTS}/{trust['id']}/roles").json()
    assert [r["name"] for r in roles["roles"]] == ["member"]
    member, admin = role(cloud, "member"), role(cloud, "admin")
    assert cloud.get("identity", f"{TRUSTS}/{trust['id']}/roles/{member}").json()["role"]["name"] == "member"
    ok(cloud.call("HEAD", "identity", f"{TRUSTS}/{trust['id']}/roles/{member}"), 200)
    assert error(cloud.get("identity", f"{TRUSTS}/{trust['id']}/roles/{admin}")) == f"Could not find role: {admin}."


def test_trust_requests_that_are_wrong(cloud, trustor, trustee):
    token = trustor.token()

    def refused(status, **more):
        answer = cloud.post("identity", TRUSTS, trust_body(trustor, trustee, **more), token=token)
        assert answer.status_code == status, answer.text
        return error(answer)

    assert "'impersonation' is a required property" in refused(400, impersonation=...)
    assert "Invalid input for field 'remaining_uses'" in refused(400, remaining_uses=0)
    assert "Invalid input for field 'roles/0'" in refused(400, roles=[{"id": "a", "name": "b"}])
    assert refused(400, expires_at="soon").startswith("Timestamp not in expected format.")
    assert refused(400, expires_at=later(hours=-1)).startswith("The 'expires_at' must not be before now.")
    assert refused(403, roles=[]) == \
        "You are not authorized to perform the requested action: At least one role should be specified."
    assert refused(404, roles=[{"name": "admin"}]).startswith("Could not find role: ")
    assert refused(404, roles=[{"name": "nope"}]) == "Role nope is not defined"
    assert refused(404, trustee_user_id="nobody") == "Could not find user: nobody."
    assert refused(404, project_id="nowhere") == "Could not find project: nowhere."
    assert refused(403, trustor_user_id=trustee.id).endswith("identity:create_trust.")
    ok(cloud.get("identity", f"{TRUSTS}/{uuid.uuid4().hex}", token=token), 404)
    ok(cloud.get("identity", TRUSTS, token=token), 403)
    ok(cloud.get("identity", f"{TRUSTS}?trustor_user_id={trustee.id}", token=token), 403)


def test_trust_token_impersonates(cloud, trustor, trustee):
    trust = make_trust(cloud, trustor, trustee)
    answer = ok(trustee.login(trust_scope(trust)), 201)
    token = answer.json()["token"]
    assert token["user"]["id"] == trustor.id and token["project"]["id"] == trustor.project["id"]
    assert token["OS-TRUST:trust"] == {"id": trust["id"], "impersonation": True, "trustor_user": {"id": trustor.id},
                                       "trustee_user": {"id": trustee.id}}
    assert {r["name"] for r in token["roles"]} == {"member", "reader"}
    text = answer.headers["X-Subject-Token"]
    assert check(cloud, text, 200).json()["token"] == token
    ok(cloud.get("identity", f"/users/{trustor.id}", token=text), 200)
    # it makes no other token, and somebody else cannot use the trust
    again = requests.post(cloud.url("identity", "/auth/tokens"), timeout=120, json={
        "auth": {"identity": {"methods": ["token"], "token": {"id": text}}}})
    assert again.status_code == 403 and "trust-scoped" in error(again)
    ok(trustor.login(trust_scope(trust)), 403)
    ok(cloud.call("DELETE", "identity", f"{TRUSTS}/{trust['id']}", token=trustor.token()))
    check(cloud, text, 404)
    ok(cloud.get("identity", f"{TRUSTS}/{trust['id']}"), 404)
    ok(trustee.login(trust_scope(trust)), 401)


def test_trust_without_impersonation(cloud, trustor, trustee):
    trust = make_trust(cloud, trustor, trustee, impersonation=False)
    assert ok(trustee.login(trust_scope(trust)), 201).json()["token"]["user"]["id"] == trustee.id


def test_remaining_uses(cloud, trustor, trustee):
    trust = make_trust(cloud, trustor, trustee, remaining_uses=1)
    token = ok(trustee.login(trust_scope(trust)), 201).headers["X-Subject-Token"]
    ok(trustee.login(trust_scope(trust)), 401)
    check(cloud, token, 200)
    ok(cloud.get("identity", f"{TRUSTS}/{trust['id']}"), 404)


def test_what_ends_a_trust(cloud, trustor, trustee):
    trust = make_trust(cloud, trustor, trustee)
    token = ok(trustee.login(trust_scope(trust)), 201).headers["X-Subject-Token"]
    path = f"/projects/{trustor.project['id']}/users/{trustor.id}/roles/{role(cloud, 'member')}"
    ok(cloud.call("DELETE", "identity", path))
    check(cloud, token, 403)
    ok(trustee.login(trust_scope(trust)), 403)
    ok(cloud.call("PUT", "identity", path))
    check(cloud, token, 200)
    ok(cloud.call("PATCH", "identity", f"/users/{trustor.id}", {"user": {"enabled": False}}), 200)
    check(cloud, token, 403)
    ok(cloud.call("DELETE", "identity", f"/users/{trustor.id}"))
    check(cloud, token, 404)
    ok(cloud.get("identity", f"{TRUSTS}/{trust['id']}"), 404)


def test_redelegation(cloud, project, trustor, trustee):
    third = Person(cloud, project)
    first = make_trust(cloud, trustor, trustee, allow_redelegation=True, redelegation_count=2)
    assert first["redelegation_count"] == 2
    token = ok(trustee.login(trust_scope(first)), 201).headers["X-Subject-Token"]
    second = make_trust(cloud, trustor, third, token=token, allow_redelegation=True)
    assert (second["redelegated_trust_id"], second["redelegation_count"]) == (first["id"], 1)
    ok(third.login(trust_scope(second)), 201)
    refused = cloud.post("identity", TRUSTS, trust_body(trustor, third, remaining_uses=1), token=token)
    assert (refused.status_code, error(refused)) == (403, "You are not authorized to perform the requested action.")
    # who passed it on is gone from the chain, and so is what he passed on
    ok(cloud.call("PATCH", "identity", f"/users/{trustee.id}", {"user": {"enabled": False}}), 200)
    ok(third.login(trust_scope(second)), 403)
    ok(cloud.call("DELETE", "identity", f"{TRUSTS}/{first['id']}"))
    ok(third.login(trust_scope(second)), 401)
    # one that may not be passed on
    last = make_trust(cloud, trustor, third)
    token = ok(third.login(trust_scope(last)), 201).headers["X-Subject-Token"]
    ok(cloud.post("identity", TRUSTS, trust_body(trustor, third), token=token), 403)


# ---- application credentials

def app_creds(person):
    return f"/users/{person.id}/application_credentials"


def make_app_cred(cloud, person, token=None, **more):
    body = {"name": name("cred"), **more}
    answer = cloud.post("identity", app_creds(person), {"application_credential": body}, token=token or person.token())
    assert answer.status_code == 201, answer.text
    return answer.json()["application_credential"]


def app_cred_login(cloud, scope=None, **credential):
    auth = {"identity": {"methods": ["application_credential"], "application_credential": credential}}
    if scope is not None:
        auth["scope"] = scope
    return requests.post(cloud.url("identity", "/auth/tokens"), json={"auth": auth}, timeout=120)


def test_application_credential(cloud, trustor):
    cred = make_app_cred(cloud, trustor, description="for tests", expires_at=later(minutes=10))
    assert len(cred["secret"]) == 86 and cred["project_id"] == trustor.project["id"]
    assert {r["name"] for r in cred["roles"]} == {"member", "reader"}
    assert cred["links"]["self"].endswith(f"/application_credentials/{cred['id']}")
    token = trustor.token()
    shown = cloud.get("identity", f"{app_creds(trustor)}/{cred['id']}", token=token).json()["application_credential"]
    assert shown == {k: v for k, v in cred.items() if k != "secret"}
    listed = cloud.get("identity", f"{app_creds(trustor)}?name={cred['name']}", token=token).json()
    assert listed["application_credentials"] == [shown]
    assert cloud.get("identity", f"{app_creds(trustor)}?name=x", token=token).json()["application_credentials"] == []

    answer = ok(app_cred_login(cloud, id=cred["id"], secret=cred["secret"]), 201)
    made = answer.json()["token"]
    assert made["application_credential"] == {"id": cred["id"], "name": cred["name"], "restricted": True}
    assert made["methods"] == ["application_credential"] and made["project"]["id"] == trustor.project["id"]
    assert made["expires_at"][:19] == cred["expires_at"][:19], "a token does not outlive what it was made with"
    text = answer.headers["X-Subject-Token"]
    assert check(cloud, text, 200).json()["token"] == made
    by_name = app_cred_login(cloud, name=cred["name"], secret=cred["secret"],
                             user={"name": trustor.user["name"], "domain": DEFAULT})
    assert ok(by_name, 201).json()["token"]["application_credential"]["id"] == cred["id"]

    refused = cloud.post("identity", app_creds(trustor), {"application_credential": {"name": "x"}}, token=text)
    assert refused.status_code == 403 and "managing additional application credentials" in error(refused)
    refused = cloud.post("identity", TRUSTS, trust_body(trustor, trustor), token=text)
    assert refused.status_code == 403 and "managing trusts" in error(refused)
    ok(cloud.call("DELETE", "identity", f"{app_creds(trustor)}/{cred['id']}", token=text), 403)
    ok(cloud.call("DELETE", "identity", f"{app_creds(trustor)}/{cred['id']}", token=token))
    check(cloud, text, 404)
    ok(app_cred_login(cloud, id=cred["id"], secret=cred["secret"]), 404)


def test_application_credentials_that_are_refused(cloud, trustor, trustee):
    cred = make_app_cred(cloud, trustor, roles=[{"name": "reader"}], secret="mine")
    assert cred["secret"] == "mine" and [r["name"] for r in cred["roles"]] == ["reader"]
    ok(app_cred_login(cloud, id=cred["id"], secret="wrong"), 401)
    ok(app_cred_login(cloud, id="nope", secret="mine"), 404)
    ok(app_cred_login(cloud, name=cred["name"], secret="mine", user={"name": "nobody", "domain": DEFAULT}), 401)
    ok(app_cred_login(cloud, name="nope", secret="mine", user={"id": trustor.id}), 401)
    answer = app_cred_login(cloud, {"project": {"id": trustor.project["id"]}}, id=cred["id"], secret="mine")
    assert (answer.status_code, error(answer)) == (401, "Error authenticating with application credential: Application "
                                                        "credentials cannot request a scope.")
    assert answer.json()["error"]["identity"] == {}
    token = trustor.token()
    twice = cloud.post("identity", app_creds(trustor), {"application_credential": {"name": cred["name"]}}, token=token)
    assert (twice.status_code, error(twice)) == (409, "Conflict occurred attempting to store application_credential - "
                                                      f"Duplicate entry found with name {cred['name']}.")
    more = cloud.post("identity", app_creds(trustor), {"application_credential": {"name": "x", "roles": [{"name": "admin"}]}},
                      token=token)
    assert (more.status_code, error(more)) == (400, "Invalid application credential: Cannot create an application credential "
                                                    "with unassigned role")
    ok(cloud.post("identity", app_creds(trustee), {"application_credential": {"name": "x"}}, token=token), 403)
    # the path of his own does not open somebody else's
    ok(cloud.get("identity", f"{app_creds(trustee)}/{cred['id']}", token=trustee.token(None)), 403)
    # a role that is lost ends what was given of it
    ok(cloud.call("DELETE", "identity",
                  f"/projects/{trustor.project['id']}/users/{trustor.id}/roles/{role(cloud, 'member')}"))
    ok(app_cred_login(cloud, id=cred["id"], secret="mine"), 404)


def test_unrestricted_and_expired(cloud, trustor):
    cred = make_app_cred(cloud, trustor, unrestricted=True)
    text = ok(app_cred_login(cloud, id=cred["id"], secret=cred["secret"]), 201).headers["X-Subject-Token"]
    other = make_app_cred(cloud, trustor, token=text)
    ok(app_cred_login(cloud, id=other["id"], secret=other["secret"]), 201)
    # while their user is disabled they are of no use; as in the reference they are there when he is back
    for enabled, status in ((False, 401), (True, 201)):
        ok(cloud.call("PATCH", "identity", f"/users/{trustor.id}", {"user": {"enabled": enabled}}), 200)
        ok(app_cred_login(cloud, id=cred["id"], secret=cred["secret"]), status)


def test_access_rules(cloud, trustor):
    rules = [{"service": "identity", "method": "GET", "path": "/v3/users/*"},
             {"service": "compute", "method": "GET", "path": "/v2.1/servers/**"},
             {"service": "compute", "method": "GET", "path": "/v2.1/flavors"}]
    cred = make_app_cred(cloud, trustor, access_rules=rules)
    assert [{k: v for k, v in r.items() if k != "id"} for r in cred["access_rules"]] == rules
    other = make_app_cred(cloud, trustor, access_rules=[{"id": cred["access_rules"][0]["id"]}, rules[1]])
    assert [r["id"] for r in other["access_rules"]] == [r["id"] for r in cred["access_rules"][:2]]
    text = ok(app_cred_login(cloud, id=cred["id"], secret=cred["secret"]), 201).headers["X-Subject-Token"]

    ok(cloud.get("identity", f"/users/{trustor.id}", token=text), 200)
    ok(cloud.get("identity", f"/users/{trustor.id}/projects", token=text), 401)
    ok(cloud.get("compute", "/flavors", token=text), 200)
    ok(cloud.get("compute", "/flavors/detail", token=text), 401)
    ok(cloud.get("compute", "/servers/detail", token=text), 200)
    ok(cloud.get("image", "/v2/images", token=text), 401)
    # only who knows access rules is told that it is a token
    check(cloud, text, 404)
    told = cloud.get("identity", "/auth/tokens", headers={"X-Subject-Token": text, "OpenStack-Identity-Access-Rules": "1.0"})
    assert told.json()["token"]["application_credential"]["access_rules"] == cred["access_rules"]

    token, path = trustor.token(), f"/users/{trustor.id}/access_rules"
    listed = cloud.get("identity", path, token=token).json()
    assert {r["id"] for r in listed["access_rules"]} == {r["id"] for r in cred["access_rules"]}
    assert [r["path"] for r in cloud.get("identity", f"{path}?service=identity", token=token).json()["access_rules"]] == \
        ["/v3/users/*"]
    rule = cred["access_rules"][2]
    assert cloud.get("identity", f"{path}/{rule['id']}", token=token).json()["access_rule"]["path"] == "/v2.1/flavors"
    used = cloud.call("DELETE", "identity", f"{path}/{rule['id']}", token=token)
    assert (used.status_code, error(used)) == (403, "May not delete access rule in use")
    ok(cloud.call("DELETE", "identity", f"{app_creds(trustor)}/{cred['id']}", token=token))
    ok(cloud.call("DELETE", "identity", f"{path}/{rule['id']}", token=token))
    gone = cloud.get("identity", f"{path}/{rule['id']}", token=token)
    assert (gone.status_code, error(gone)) == (404, f"Could not find Access Rule: {rule['id']}.")


# ---- the real client

def test_openstack_trust(cloud, trustor, trustee):
    env = {"OS_USERNAME": trustor.user["name"], "OS_PASSWORD": trustor.password, "OS_PROJECT_NAME": trustor.project["name"]}
    trust = cloud.openstack("trust", "create", "--project", trustor.project["id"], "--role", role(cloud, "member"), "--impersonate",
                            trustor.id, trustee.id, user_env=env)
    assert trust["is_impersonation"] if "is_impersonation" in trust else trust["impersonation"]
    assert cloud.openstack("trust", "show", trust["id"], user_env=env)["trustee_user_id"] == trustee.id
    assert trust["id"] in [t["ID"] for t in cloud.openstack("trust", "list")]
    cloud.openstack("trust", "delete", trust["id"], parse=False, user_env=env)


def test_openstack_application_credential(cloud, trustor):
    env = {"OS_USERNAME": trustor.user["name"], "OS_PASSWORD": trustor.password, "OS_PROJECT_NAME": trustor.project["name"]}
    cred = cloud.openstack("application", "credential", "create", "robot", "--access-rules",
                           '[{"path": "/v2.1/flavors/detail", "method": "GET", "service": "compute"}]', user_env=env)
    assert [c["Name"] for c in cloud.openstack("application", "credential", "list", user_env=env)] == ["robot"]
    login = {"OS_AUTH_TYPE": "v3applicationcredential", "OS_APPLICATION_CREDENTIAL_ID": cred["id"],
             "OS_APPLICATION_CREDENTIAL_SECRET": cred["secret"], "OS_USERNAME": "", "OS_PASSWORD": "",
             "OS_PROJECT_NAME": "", "OS_USER_DOMAIN_NAME": "", "OS_PROJECT_DOMAIN_NAME": ""}
    token = cloud.openstack("token", "issue", user_env={k: v for k, v in login.items()})
    assert token["project_id"] == trustor.project["id"]
    rules = cloud.openstack("access", "rule", "list", user_env=env)
    assert [r["Path"] for r in rules] == ["/v2.1/flavors/detail"]
    cloud.openstack("application", "credential", "delete", "robot", parse=False, user_env=env)
    cloud.openstack("access", "rule", "delete", rules[0]["ID"], parse=False, user_env=env)
