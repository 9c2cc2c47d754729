# SPDX-License-Identifier: Apache-2.0
"""The reference's keystone and ours side by side, on one MariaDB, one keystone.conf and one set of keys: what either issues or
writes the other accepts and shows alike."""
import difflib
import json
import subprocess
import time
import uuid

import pytest
import requests

import engines
import ports
import reference
from conftest import BIN

WHY_NOT = reference.missing("keystone")
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
PASSWORD = "admin password"


class Side:
    """One of the two servers."""

    def __init__(self, url):
        self.url = url + "/v3"

    def call(self, method, path, body=None, token=None, **headers):
        sent = dict({"X-Auth-Token": token or self.admin()}, **headers)
        return requests.request(method, self.url + path, json=body, headers=sent, timeout=120)

    def login(self, identity, scope=None):
        auth = {"identity": identity, **({"scope": scope} if scope else {})}
        return requests.post(self.url + "/auth/tokens", json={"auth": auth}, timeout=120)

    def token(self, identity, scope=None):
        answer = self.login(identity, scope)
        assert answer.status_code == 201, answer.text
        return answer.headers["X-Subject-Token"]

    def admin(self):
        if not hasattr(self, "_admin"):
            self._admin = self.token(password("admin", PASSWORD), project("admin"))
        return self._admin

    def validate(self, token):
        return self.call("GET", "/auth/tokens", **{"X-Subject-Token": token})


def password(name, text):
    return {"methods": ["password"], "password": {"user": {"name": name, "domain": {"id": "default"}, "password": text}}}


def project(name):
    return {"project": {"name": name, "domain": {"id": "default"}}}


def ok(answer):
    assert answer.status_code < 300, answer.text
    return answer.json() if answer.text else None


class Pair:
    def __init__(self, folder, made_by):
        self.folder = folder
        self.server = engines.MariaDB(password=uuid.uuid4().hex).start()  # the reference cannot migrate with a % in the URL
        self.server.create("keystone")
        self.port = ports.claim()
        self.config = folder / "keystone.conf"
        keys = "".join(f"[{section}]\nkey_repository = {folder}/{section}\n"
                       for section in ("fernet_tokens", "fernet_receipts", "credential"))
        self.config.write_text(f"[DEFAULT]\npublic_endpoint = http://127.0.0.1:{self.port}\n[database]\n"
                               f"connection = {self.server.url('keystone')}\n[cache]\nenabled = false\n"
                               f"[federation]\ntrusted_header_prefix = X-Front-\n{keys}")
        self.peer = reference.Reference(folder, "keystone", "keystone.server.wsgi", "initialize_public_application",
                                        {"OS_KEYSTONE_CONFIG_DIR": str(folder)})
        for section in ("fernet_tokens", "fernet_receipts", "credential"):
            (folder / section).mkdir(mode=0o700)
        (folder / "state").mkdir()
        manage = self.theirs_manage if made_by == "theirs" else self.ours_manage
        manage("db_sync")
        for command in ("fernet_setup", "credential_setup"):
            manage(command, "--keystone-user", "root", "--keystone-group", "root")
        manage("bootstrap", "--bootstrap-password", PASSWORD, "--bootstrap-region-id", "RegionOne",
               "--bootstrap-public-url", f"http://127.0.0.1:{self.port}/v3")
        # an operator who stops theirs and starts ours need do nothing else
        with open(folder / "ours.log", "ab") as log:
            self.process = subprocess.Popen([BIN, "run", "keystone", "--config-file", str(self.config), "--port", str(self.port),
                                             "--state-dir", str(folder / "state")], stdout=log, stderr=log)
        self.peer.start()
        self.theirs, self.ours = Side(self.peer.url), Side(f"http://127.0.0.1:{self.port}")
        end = time.monotonic() + 300
        while True:
            try:
                requests.get(self.ours.url, timeout=120)
                return
            except requests.ConnectionError:
                assert self.process.poll() is None and time.monotonic() < end, (folder / "ours.log").read_text()[-3000:]
                time.sleep(0.05)

    def ours_manage(self, *words):
        done = subprocess.run([BIN, "keystone-manage", "--config-file", str(self.config), *words],
                              capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def theirs_manage(self, *words):
        return self.peer.manage("manage", "--config-file", str(self.config), *words)

    def dispose(self):
        self.process.terminate()
        self.process.wait(120)
        self.peer.stop()
        self.server.dispose()


@pytest.fixture(scope="module", params=["theirs", "ours"])
def pair(request, tmp_path_factory):
    """Once on a database and keys that the reference's commands made, and no command of ours touched; once on ours."""
    it = Pair(tmp_path_factory.mktemp("keystone"), request.param)
    yield it
    it.dispose()


@pytest.fixture(params=["theirs to ours", "ours to theirs"])
def sides(request, pair):
    return (pair.theirs, pair.ours) if request.param == "theirs to ours" else (pair.ours, pair.theirs)


def person(side, *roles):
    """A user with these roles on a project of his own; made by `side`. Returns (name, password, user id, project id)."""
    name, secret = f"user-{uuid.uuid4().hex}", uuid.uuid4().hex
    one = ok(side.call("POST", "/projects", {"project": {"name": name, "description": "ä project"}}))["project"]
    user = ok(side.call("POST", "/users", {"user": {"name": name, "password": secret, "email": "x@example.org",
                                                    "options": {"ignore_password_expiry": True}}}))["user"]
    known = {r["name"]: r["id"] for r in ok(side.call("GET", "/roles"))["roles"]}
    for role in roles:
        ok(side.call("PUT", f"/projects/{one['id']}/users/{user['id']}/roles/{known[role]}"))
    return name, secret, user["id"], one["id"]


def plain(value):
    """Links name the server that answers; lists of the catalog and of roles have no order."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if k != "links"}
    if isinstance(value, list):
        return sorted((plain(v) for v in value), key=lambda v: json.dumps(v, sort_keys=True))
    return value


def same(answers):
    """Both succeeded and say the same; the difference is shown line by line. Returns the body."""
    assert [a.status_code // 100 for a in answers] == [2, 2], [a.text for a in answers]
    bodies = [plain(a.json()) for a in answers]
    lines = [json.dumps(body, indent=1, sort_keys=True).splitlines() for body in bodies]
    difference = [line for line in difflib.unified_diff(*lines, lineterm="", n=1)]
    assert not difference, "\n".join(difference)
    return bodies[0]


def same_token(sides, token):
    return same([side.validate(token) for side in sides])["token"]


def test_schemas_are_taken_as_they_stand(pair):
    assert pair.theirs_manage("db_version").split()[-1] == pair.ours_manage("db_version").split()[-1]
    pair.theirs_manage("db_sync", "--check")
    pair.ours_manage("db_sync", "--check")


def test_tokens_of_every_scope(sides):
    issuer, _ = sides
    me = password("admin", PASSWORD)
    assert same_token(sides, issuer.token(me, project("admin")))["project"]["name"] == "admin"
    assert "catalog" in same_token(sides, issuer.token(me, project("admin")))
    assert "project" not in same_token(sides, issuer.token(me, {"system": {"all": True}}))
    admin = {r["name"]: r["id"] for r in ok(issuer.call("GET", "/roles"))["roles"]}["admin"]
    mine = issuer.validate(issuer.admin()).json()["token"]["user"]["id"]
    ok(issuer.call("PUT", f"/domains/default/users/{mine}/roles/{admin}"))
    assert same_token(sides, issuer.token(me, {"domain": {"id": "default"}}))["domain"]["id"] == "default"
    name, secret, _, _ = person(issuer)
    unscoped = issuer.token(password(name, secret))
    assert same_token(sides, unscoped)["methods"] == ["password"]
    again = issuer.token({"methods": ["token"], "token": {"id": unscoped}})
    body = same_token(sides, again)
    assert sorted(body["methods"]) == ["password", "token"] and len(body["audit_ids"]) == 2


def test_users_are_the_others_too(sides):
    writer, reader = sides
    name, secret, user, one = person(writer, "member")
    token = reader.token(password(name, secret), {"project": {"id": one}})
    assert {r["name"] for r in same_token(sides, token)["roles"]} == {"member", "reader"}
    for path in (f"/users/{user}", f"/projects/{one}", "/roles", "/services", "/endpoints", f"/role_assignments?user.id={user}"):
        same([side.call("GET", path) for side in sides])
    change = {"user": {"password": secret + "2", "original_password": secret}}
    ok(reader.call("POST", f"/users/{user}/password", change, token=token))
    assert writer.login(password(name, secret)).status_code == 401
    assert writer.login(password(name, secret + "2")).status_code == 201


def test_trusts(sides):
    writer, reader = sides
    name, secret, trustor, one = person(writer, "member")
    trustee_name, trustee_secret, trustee, _ = person(writer)
    token = writer.token(password(name, secret), {"project": {"id": one}})
    trust = ok(writer.call("POST", "/OS-TRUST/trusts", {"trust": {
        "trustor_user_id": trustor, "trustee_user_id": trustee, "project_id": one, "impersonation": True,
        "roles": [{"name": "member"}]}}, token=token))["trust"]
    delegated = reader.token(password(trustee_name, trustee_secret), {"OS-TRUST:trust": {"id": trust["id"]}})
    assert same_token(sides, delegated)["OS-TRUST:trust"]["id"] == trust["id"]
    back = writer.token(password(trustee_name, trustee_secret), {"OS-TRUST:trust": {"id": trust["id"]}})
    assert same_token(sides, back)["user"]["id"] == trustor


def test_application_credentials(sides):
    writer, reader = sides
    name, secret, user, one = person(writer, "member")
    token = writer.token(password(name, secret), {"project": {"id": one}})
    made = ok(writer.call("POST", f"/users/{user}/application_credentials", {"application_credential": {
        "name": "automat", "access_rules": [{"service": "compute", "method": "GET", "path": "/v2.1/servers"}]}},
        token=token))["application_credential"]
    identity = {"methods": ["application_credential"], "application_credential": {"id": made["id"], "secret": made["secret"]}}
    for side in (reader, writer):
        headers = {"X-Subject-Token": side.token(identity), "OpenStack-Identity-Access-Rules": "1.0"}
        same([one.call("GET", "/auth/tokens", **headers) for one in sides])


def test_credentials_are_read_by_the_other(sides):
    writer, reader = sides
    _, _, user, one = person(writer, "member")
    made = ok(writer.call("POST", "/credentials", {"credential": {"type": "cert", "blob": "a secret", "user_id": user,
                                                                  "project_id": one}}))["credential"]
    assert plain(ok(reader.call("GET", f"/credentials/{made['id']}"))) == plain({"credential": made})
    pair = ok(writer.call("POST", f"/users/{user}/credentials/OS-EC2", {"tenant_id": one}))["credential"]
    assert ok(reader.call("GET", f"/users/{user}/credentials/OS-EC2/{pair['access']}"))["credential"]["secret"] == pair["secret"]


def refused(side, token):
    """Soon: what one process knows of another's writes is at most a second old."""
    end = time.time() + 60
    while side.validate(token).status_code != 404:
        assert time.time() < end, "the token is still good"
        time.sleep(0.1)


def test_what_one_revokes_the_other_refuses(sides):
    issuer, other = sides
    name, secret, user, one = person(issuer, "member")
    tokens = [issuer.token(password(name, secret), {"project": {"id": one}}) for _ in range(2)]
    for token in tokens:
        same_token(sides, token)
    assert issuer.call("DELETE", "/auth/tokens", **{"X-Subject-Token": tokens[0]}).status_code == 204
    refused(other, tokens[0])
    assert other.validate(tokens[1]).status_code == 200
    ok(issuer.call("PATCH", f"/users/{user}", {"user": {"enabled": False}}))
    refused(other, tokens[1])
    assert other.login(password(name, secret)).status_code == 401


def test_names_differ_by_more_than_their_case(pair, sides):
    """As in the reference's tables, on its own schema and on ours: Ann is ann when she is made, looked for and lets herself in."""
    first, second = sides
    mark = uuid.uuid4().hex
    wanted = {}
    for kind, more in (("user", {"password": "secret"}), ("group", {}), ("project", {}), ("domain", {}), ("role", {})):
        made = ok(first.call("POST", f"/{kind}s", {kind: {"name": f"Ann-{mark}", **more}}))[kind]
        again = [side.call("POST", f"/{kind}s", {kind: {"name": f"aNN-{mark}", **more}}).status_code for side in sides]
        assert again == [409, 409], kind
        found = [ok(side.call("GET", f"/{kind}s?name=ANN-{mark}"))[f"{kind}s"] for side in sides]
        assert [[one["name"] for one in list_] for list_ in found] == [[f"Ann-{mark}"]] * 2, kind
        wanted[kind] = made["id"]
    for query, there in (("name__contains=NN-", False), ("name__icontains=NN-", True), ("name__contains=nn-", True),
                         ("name__startswith=ann-", False), ("name__istartswith=ann-", True)):
        found = [{g["id"] for g in ok(side.call("GET", f"/groups?{query}"))["groups"]} for side in sides]
        assert found[0] == found[1] and (wanted["group"] in found[0]) is there, query
    known = {r["name"]: r["id"] for r in ok(first.call("GET", "/roles"))["roles"]}
    ok(first.call("PUT", f"/projects/{wanted['project']}/users/{wanted['user']}/roles/{known['member']}"))
    for side in sides:
        auth = {"identity": {"methods": ["password"], "password": {"user": {
            "name": f"ann-{mark}".upper(), "domain": {"name": "DEFAULT"}, "password": "secret"}}},
            "scope": {"project": {"name": f"ann-{mark}", "domain": {"id": "default"}}}}
        answer = requests.post(side.url + "/auth/tokens", json={"auth": auth}, timeout=120)
        assert answer.status_code == 201, answer.text
        token = answer.json()["token"]
        assert (token["user"]["name"], token["project"]["name"]) == (f"Ann-{mark}", f"Ann-{mark}")
    renamed = [side.call("PATCH", f"/groups/{wanted['group']}", {"group": {"name": f"ANN-{mark}"}}).status_code for side in sides]
    assert renamed == [200, 200]  # one's own name in other letters is free
