# SPDX-License-Identifier: Apache-2.0
"""Every event that identity tells, in both forms, as keystone's notifications.py and its callers list them. Heard in the log, which
is a driver of oslo.messaging's notifier (test_notifications.py hears some over RabbitMQ)."""
import json
import re
import uuid

import pytest
import requests

from conftest import dispose, new_cloud

FRONT = "X-Front-"
KINDS = {  # what the target of an event is
    "user": "data/security/account/user", "group": "data/security/group", "project": "data/security/project",
    "domain": "data/security/domain", "role": "data/security/role", "region": "data/security/region",
    "service": "data/security/service", "endpoint": "data/security/endpoint", "policy": "data/security/policy",
    "OS-TRUST:trust": "data/security/trust", "OS-OAUTH1:consumer": "data/security/account",
    "OS-OAUTH1:request_token": "data/security/credential", "OS-OAUTH1:access_token": "data/security/credential",
    "application_credential": "data/security/credential"}  # credential, access_rule and project tag: unknown


class Heard:
    """A cloud, and what it has told since it was asked last."""

    def __init__(self, form):
        self.form = form
        self.cloud = new_cloud(["keystone"], env={
            "OS_OSLO_MESSAGING_NOTIFICATIONS__DRIVER": "log", "OS_DEFAULT__NOTIFICATION_FORMAT": form,
            "OS_DEFAULT__NOTIFICATION_OPT_OUT": "identity.policy.updated", "OS_FEDERATION__TRUSTED_HEADER_PREFIX": FRONT,
            "OS_IDENTITY__PASSWORD_HASH_ROUNDS": "4",
            "OS_SECURITY_COMPLIANCE__PASSWORD_REGEX": "^.{4,}$",
            "OS_SECURITY_COMPLIANCE__PASSWORD_REGEX_DESCRIPTION": "four"}).start()
        self.read = self.cloud.log.stat().st_size
        self.seen = set()

    def events(self):
        """[(event type, payload)]"""
        with open(self.cloud.log, "rb") as log:
            log.seek(self.read)
            text = log.read().decode()
        self.read += len(text.encode())
        found = [json.loads(m) for m in re.findall(r"oslo\.messaging\.notification.*? identity\.[^{]*(\{.*\})", text)]
        found = [json.loads(f["oslo.message"]) if "oslo.message" in f else f for f in found]
        self.seen |= {f["event_type"] for f in found}
        return [(f["event_type"], f["payload"]) for f in found]

    def names(self):
        """Event types without "identity." and what each is about, except authentication."""
        return [(kind[9:], about.get("resource_info")) for kind, about in self.check(self.events()) if "authenticate" not in kind]

    def check(self, events):
        for kind, payload in events:
            words = kind.split(".")
            if words[1] in ("authenticate", "role_assignment") or self.form == "cadf":
                assert payload["typeURI"] == "http://schemas.dmtf.org/cloud/audit/1.0/event" and payload["outcome"], payload
            if words[1] in ("authenticate", "role_assignment"):
                continue
            if self.form == "cadf":
                assert payload["action"] == f"{words[2]}.{words[1]}" and payload["outcome"] == "success"
                assert payload["target"] == {"id": payload["resource_info"], "typeURI": KINDS.get(words[1], "unknown")}
            else:
                assert set(payload) <= {"resource_info", "request_id", "global_request_id", "actor_id", "actor_type",
                                        "actor_operation"}, payload
        return events

    def do(self, method, path, body=None, status=None, **more):
        answer = self.cloud.call(method, "identity", path, body, **more)
        assert answer.status_code == status if status else answer.status_code < 300, (method, path, answer.text)
        return answer.json() if answer.content and answer.headers["Content-Type"] == "application/json" else answer.text

    def make(self, kind, path=None, method="POST", **body):
        return self.do(method, path or f"/{kind}s", {kind: body})[kind]

    def life(self, kind, change, path=None, told=None, **body):
        """Makes, changes and deletes one of a kind, and hears of it each time."""
        path, told = path or f"/{kind}s", told or kind
        self.names()
        made = self.make(kind, path, **body)
        assert self.names() == [(f"{told}.created", made["id"])]
        if change:
            self.do("PATCH", f"{path}/{made['id']}", {kind: change})
            assert self.names() == ([(f"{told}.updated", made["id"])] if told not in ("policy", "credential") else [])
        self.do("DELETE", f"{path}/{made['id']}")
        assert self.names() == [(f"{told}.deleted", made["id"])]


@pytest.fixture(scope="module", params=["cadf", "basic"])
def heard(request):
    it = Heard(request.param)
    yield it
    dispose(it.cloud)


def unique():
    return uuid.uuid4().hex


def person(heard, role="member"):
    """A user with a role on a project, and a token of his for it."""
    user, project = heard.make("user", name=unique(), password="secret"), heard.make("project", name=unique())
    role = heard.cloud.get("identity", f"/roles?name={role}").json()["roles"][0]["id"]
    heard.do("PUT", f"/projects/{project['id']}/users/{user['id']}/roles/{role}")
    token = heard.cloud.login(user["name"], "secret", project["name"]).headers["X-Subject-Token"]
    return user["id"], project["id"], role, token


def test_catalog(heard):
    heard.life("region", {"description": "x"}, description="")
    heard.life("service", {"name": "y"}, type="t", name="x")
    service, region = heard.make("service", type="t", name=unique())["id"], unique()
    heard.names()
    point = heard.make("endpoint", service_id=service, interface="public", url="http://x", region=region)["id"]
    assert heard.names() == [("region.created", region), ("endpoint.created", point)]
    heard.do("DELETE", f"/services/{service}")
    assert heard.names() == [("service.deleted", service)]  # its endpoint goes silently
    service = heard.make("service", type="t", name=unique())["id"]
    heard.life("endpoint", {"url": "http://y"}, service_id=service, interface="public", url="http://x")


def test_resources(heard):
    heard.life("role", {"name": unique()}, name=unique())
    heard.life("policy", {"blob": "{}"}, path="/policies", blob="x", type="application/json")
    heard.life("group", {"name": unique()}, name=unique())
    heard.life("user", {"name": unique()}, name=unique())
    heard.life("project", {"name": unique()}, name=unique())
    heard.life("consumer", {"description": "x"}, path="/OS-OAUTH1/consumers", told="OS-OAUTH1:consumer", description="")
    admin = heard.cloud.get("identity", "/users?name=admin").json()["users"][0]["id"]
    heard.life("credential", {"blob": "y"}, blob="x", type="cert", user_id=admin)


def test_projects_and_tags(heard):
    project = heard.make("project", name=unique())["id"]
    heard.names()
    for method, path, body, events in (
            ("PUT", "/tags/t", None, [("project.updated", project), ("project tag.created", "t")]),
            ("DELETE", "/tags/t", None, [("project.updated", project), ("project tag.deleted", "t")]),
            ("PUT", "/tags", {"tags": ["a", "b"]}, [("project.updated", project)]),
            ("DELETE", "/tags", None, [("project.updated", project)])):
        heard.do(method, f"/projects/{project}{path}", body)
        assert heard.names() == events, (method, path)
    heard.do("PUT", f"/projects/{project}/tags/t")
    heard.names()
    heard.do("DELETE", f"/projects/{project}/tags/none", status=404)
    assert heard.names() == []


def test_a_domain_and_all_that_it_owns(heard):
    domain = heard.make("domain", name=unique())["id"]
    assert heard.names()[-1] == ("domain.created", domain)
    user = heard.make("user", name=unique(), domain_id=domain)["id"]
    group = heard.make("group", name=unique(), domain_id=domain)["id"]
    parent = heard.make("project", name=unique(), domain_id=domain)["id"]
    child = heard.make("project", name=unique(), domain_id=domain, parent_id=parent)["id"]
    heard.names()
    heard.do("PATCH", f"/domains/{domain}", {"domain": {"enabled": False}})
    assert heard.names() == [("project.updated", domain), ("domain.updated", domain)]
    heard.do("DELETE", f"/domains/{domain}")
    events = heard.names()
    assert sorted(events) == sorted([("user.deleted", user), ("group.deleted", group), ("project.deleted", child),
                                     ("project.deleted", parent), ("project.deleted", domain), ("domain.deleted", domain)])
    assert events[-2:] == [("project.deleted", domain), ("domain.deleted", domain)]
    assert events.index(("project.deleted", child)) < events.index(("project.deleted", parent))
    # the same as a project that is a domain
    domain = heard.make("project", name=unique(), is_domain=True)["id"]
    assert heard.names() == [("domain.created", domain)]
    heard.do("PATCH", f"/projects/{domain}", {"project": {"enabled": False}})
    assert heard.names() == [("project.updated", domain), ("domain.updated", domain)]
    heard.do("DELETE", f"/projects/{domain}")
    assert heard.names() == [("project.deleted", domain), ("domain.deleted", domain)]


def test_members_and_roles(heard):
    user, project, role, _ = person(heard)
    group = heard.make("group", name=unique())["id"]
    heard.events()
    for method, operation in (("PUT", "added"), ("DELETE", "removed")):
        heard.do(method, f"/groups/{group}/users/{user}")
        ((kind, payload),) = heard.check(heard.events())
        assert (kind, payload["resource_info"]) == ("identity.group.updated", group)
        if heard.form == "basic":
            assert (payload["actor_id"], payload["actor_type"], payload["actor_operation"]) == (user, "user", operation)
    for target, place in ((project, "project"), ("default", "domain")):
        for actor, kind in ((user, "user"), (group, "group")):
            for inherited in ("", "inherited"):
                path = f"/{place}s/{target}/{kind}s/{actor}/roles/{role}"
                path = f"/OS-INHERIT{path}/inherited_to_projects" if inherited else path
                for method, event in (("PUT", "created"), ("DELETE", "deleted")):
                    heard.do(method, path)
                    ((name, payload),) = heard.check(heard.events())
                    assert name == f"identity.role_assignment.{event}" and payload["outcome"] == "success"
                    assert (payload["role"], payload[place], payload[kind]) == (role, target, actor)
                    assert payload["inherited_to_projects"] is bool(inherited)
    heard.do("DELETE", path, status=404)
    ((name, payload),) = heard.events()
    assert (name, payload["outcome"]) == ("identity.role_assignment.deleted", "failure")
    heard.do("PUT", f"/system/users/{user}/roles/{role}")
    assert heard.events() == []  # the system's are not told of


def test_what_goes_with_a_user(heard):
    user, project, role, token = person(heard)
    other = person(heard)[0]
    trust = {"trustor_user_id": user, "trustee_user_id": other, "impersonation": False, "project_id": project,
             "roles": [{"id": role}]}
    heard.names()
    first = heard.do("POST", "/OS-TRUST/trusts", {"trust": trust}, token=token)["trust"]["id"]
    assert heard.names() == [("OS-TRUST:trust.created", first)]
    heard.do("DELETE", f"/OS-TRUST/trusts/{first}", token=token)
    assert heard.names() == [("OS-TRUST:trust.deleted", first)]
    trusts = [heard.do("POST", "/OS-TRUST/trusts", {"trust": trust}, token=token)["trust"]["id"] for _ in range(2)]
    heard.names()
    credentials = f"/users/{user}/application_credentials"
    rule = [{"path": "/v2.1/servers", "method": "GET", "service": "compute"}]
    made = [heard.do("POST", credentials, {"application_credential": {"name": n, "access_rules": rule}}, token=token)
            ["application_credential"] for n in ("a", "b")]
    rules = made[0]["access_rules"][0]["id"]
    assert heard.names() == [("application_credential.created", one["id"]) for one in made]
    heard.do("DELETE", f"{credentials}/{made[0]['id']}", token=token)
    assert heard.names() == [("application_credential.deleted", made[0]["id"])]
    # a user who is only disabled keeps them
    heard.do("PATCH", f"/users/{user}", {"user": {"enabled": False}})
    assert heard.names() == [("user.updated", user)]
    heard.do("DELETE", f"/users/{user}")
    events = heard.names()
    assert sorted(events[:-1]) == sorted([("application_credential.deleted", made[1]["id"]), ("access_rule.deleted", rules),
                                          *(("OS-TRUST:trust.deleted", t) for t in trusts)])
    assert events[-1] == ("user.deleted", user)


def test_credentials_of_delegates(heard):
    user, project, _, token = person(heard)
    heard.names()
    heard.do("POST", f"/users/{user}/credentials/OS-EC2", {"tenant_id": project}, token=token)
    ((name, about),) = heard.names()
    assert name == "credential.created" and re.fullmatch("[0-9a-f]{64}", about)
    access = heard.cloud.get("identity", f"/users/{user}/credentials/OS-EC2", token=token).json()["credentials"][0]["access"]
    heard.do("DELETE", f"/users/{user}/credentials/OS-EC2/{access}", token=token)
    assert heard.names() == [("credential.deleted", about)]
    rule = [{"path": "/v2.1/servers", "method": "GET", "service": "compute"}]
    body = {"application_credential": {"name": "a", "access_rules": rule}}
    made = heard.do("POST", f"/users/{user}/application_credentials", body, token=token)["application_credential"]
    heard.do("DELETE", f"/users/{user}/application_credentials/{made['id']}", token=token)
    heard.names()
    heard.do("DELETE", f"/users/{user}/access_rules/{made['access_rules'][0]['id']}", token=token)
    assert heard.names() == [("access_rule.deleted", made["access_rules"][0]["id"])]


def test_oauth(heard):
    from oauthlib import oauth1
    user, project, role, token = person(heard, "admin")
    consumer = heard.make("consumer", "/OS-OAUTH1/consumers")

    def signed(path, headers=None, **keys):
        url = heard.cloud.url("identity", path)
        client = oauth1.Client(consumer["id"], client_secret=consumer["secret"],
                               signature_method=oauth1.SIGNATURE_HMAC_SHA1, **keys)
        url, sent, _ = client.sign(url, http_method="POST", headers=headers or {})
        answer = requests.post(url, headers=sent, timeout=120)
        assert answer.status_code == 201, answer.text
        return dict(pair.split("=") for pair in answer.text.split("&"))
    heard.names()
    asked = signed("/OS-OAUTH1/request_token", {"Requested-Project-Id": project}, callback_uri="oob")
    assert heard.names() == [("OS-OAUTH1:request_token.created", asked["oauth_token"])]
    verifier = heard.do("PUT", f"/OS-OAUTH1/authorize/{asked['oauth_token']}", {"roles": [{"id": role}]}, token=token)
    access = signed("/OS-OAUTH1/access_token", resource_owner_key=asked["oauth_token"],
                    resource_owner_secret=asked["oauth_token_secret"], verifier=verifier["token"]["oauth_verifier"])
    assert heard.names() == [("OS-OAUTH1:access_token.created", access["oauth_token"])]
    heard.do("DELETE", f"/users/{user}/OS-OAUTH1/access_tokens/{access['oauth_token']}", token=token)
    assert heard.names() == [("OS-OAUTH1:access_token.deleted", access["oauth_token"])]


def test_passwords(heard):
    user = heard.make("user", name=unique(), password="secret")
    url = heard.cloud.url("identity", f"/users/{user['id']}/password")
    heard.events()

    def change(old, new):
        status = requests.post(url, json={"user": {"original_password": old, "password": new}}, timeout=120).status_code
        return status, heard.check(heard.events())
    status, ((name, tried), (told, payload)) = change("secret", "abc")
    assert (status, name, tried["outcome"], told) == (400, "identity.authenticate", "success", "identity.user.updated")
    assert payload["resource_info"] == user["id"]
    if heard.form == "cadf":
        assert payload["reason"] == {"reasonCode": "400", "reasonType": "The password does not match the requirements: four."}
    status, ((name, tried), (told, payload)) = change("secret", "second")
    assert (status, told, payload["resource_info"]) == (204, "identity.user.updated", user["id"]) and "reason" not in payload
    status, ((name, tried),) = change("secret", "third")
    assert (status, name, tried["outcome"]) == (401, "identity.authenticate", "failure")


def test_logins(heard):
    user = heard.make("user", name=unique(), password="secret")
    heard.events()
    for password, outcome in (("secret", "success"), ("wrong", "failure")):
        heard.cloud.login(user["name"], password, None)
        ((name, payload),) = heard.check(heard.events())
        assert (name, payload["outcome"], payload["initiator"]["user_id"]) == ("identity.authenticate", outcome, user["id"])
        assert payload["target"]["typeURI"] == "service/security/account/user" and "reason" not in payload
    heard.cloud.login("nobody " + user["name"], "secret", None)
    ((name, payload),) = heard.check(heard.events())
    assert (name, payload["outcome"]) == ("identity.authenticate", "failure")
    assert payload["reason"] == {"reasonCode": "404", "reasonType": f"Could not find user: nobody {user['name']}."}
    who = payload["initiator"]
    assert (who["user_name"], who["domain_id"], who["domain_name"]) == ("nobody " + user["name"], "default", "Default")
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": "f" * 32, "password": "x"}}}}}
    requests.post(heard.cloud.url("identity", "/auth/tokens"), json=body, timeout=120)
    ((name, payload),) = heard.events()
    assert payload["initiator"]["user_id"] == "f" * 32 and payload["reason"]["reasonCode"] == "404"
    heard.cloud.login(user["name"], "secret", None, domain="none")  # a domain that is not there: nobody is meant
    assert heard.events() == []


def test_federated_logins(heard):
    it, project = "idp" + unique()[:8], unique()
    rules = [{"local": [{"user": {"name": "{0}"}}, {"projects": [{"name": project, "roles": [{"name": "member"}]}]}],
              "remote": [{"type": "REMOTE_USER"}]}]
    for path, body in ((f"/mappings/{it}", {"mapping": {"rules": rules}}),
                       (f"/identity_providers/{it}", {"identity_provider": {"enabled": True}}),
                       (f"/identity_providers/{it}/protocols/mapped", {"protocol": {"mapping_id": it}})):
        heard.do("PUT", "/OS-FEDERATION" + path, body)
    heard.events()
    url = heard.cloud.url("identity", f"/OS-FEDERATION/identity_providers/{it}/protocols/mapped/auth")
    answer = requests.get(url, headers={FRONT + "REMOTE-USER": "ann"}, timeout=120)
    assert answer.status_code == 201, answer.text
    token = answer.json()["token"]
    events = heard.check(heard.events())
    (vouched,) = [payload for name, payload in events if name == "identity.authenticate"]
    assert vouched["outcome"] == "success" and vouched["initiator"]["credential"] == {
        "type": "http://docs.oasis-open.org/security/saml/v2.0", "identity_provider": it, "user": token["user"]["id"],
        "groups": [], "token": "u xxxxxxxx n"}
    (made,) = [payload for name, payload in events if name == "identity.project.created"]
    (given,) = [payload for name, payload in events if name == "identity.role_assignment.created"]
    assert given["user"] == token["user"]["id"] and given["project"] == made["resource_info"]
    body = {"auth": {"identity": {"methods": ["token"], "token": {"id": answer.headers["X-Subject-Token"]}}}}
    assert requests.post(heard.cloud.url("identity", "/auth/tokens"), json=body, timeout=120).status_code == 201
    ((name, payload),) = heard.events()
    audit = token["audit_ids"][0]
    assert payload["initiator"]["credential"]["token"] == f"{audit[:3]} xxxxxxxx {audit[-3:]}"
    assert requests.get(url, timeout=120).status_code == 401
    ((name, payload),) = heard.events()
    assert (payload["outcome"], payload["initiator"]["credential"]["user"]) == ("failure", "unknown")


def test_nothing_is_missing(heard):
    """All of keystone's were heard in this form."""
    whole = {kind: "created updated deleted" for kind in (
        "user", "group", "project", "domain", "role", "region", "service", "endpoint", "OS-OAUTH1:consumer")}
    whole.update({"policy": "created deleted", "credential": "created deleted", "application_credential": "created deleted",
                  "access_rule": "deleted", "OS-TRUST:trust": "created deleted", "OS-OAUTH1:request_token": "created",
                  "OS-OAUTH1:access_token": "created deleted", "project tag": "created deleted",
                  "role_assignment": "created deleted"})
    wanted = {f"identity.{kind}.{event}" for kind, events in whole.items() for event in events.split()}
    assert heard.seen == wanted | {"identity.authenticate"}
