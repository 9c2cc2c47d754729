# SPDX-License-Identifier: Apache-2.0
"""Identity v3: OS-OAUTH1 (consumers, request and access tokens, signed requests) and OS-OAUTH2 (client credentials)."""
import json
import os
import re
import subprocess
import time
import urllib.parse

import oauthlib.oauth1
import pytest
import requests

from conftest import dispose, new_cloud
from test_identity import check, error, make, name, ok, role
from test_identity_delegation import Person, make_app_cred

OAUTH = "/OS-OAUTH1"


@pytest.fixture
def project(cloud):
    return make(cloud, "projects", name=name("project"))


@pytest.fixture
def person(cloud, project):
    """Who may authorize: an administrator of the project."""
    return Person(cloud, project, "member", "admin")


def make_consumer(cloud, **members):
    return ok(cloud.post("identity", f"{OAUTH}/consumers", {"consumer": members}), 201).json()["consumer"]


def send(cloud, path, headers=None, body=None, way=oauthlib.oauth1.SIGNATURE_HMAC_SHA1, **client):
    url = cloud.url("identity", path)
    signer = oauthlib.oauth1.Client(signature_method=way, **client)
    _, signed, _ = signer.sign(url, "POST", headers=dict(headers or {}))
    return requests.post(url, headers=signed, json=body, timeout=120)


def form(answer):
    assert answer.headers["Content-Type"] == "application/x-www-form-urlencoded"
    return dict(urllib.parse.parse_qsl(answer.text))


def request_token(cloud, consumer, project, **more):
    return send(cloud, f"{OAUTH}/request_token", {"Requested-Project-Id": project["id"]}, client_key=consumer["id"],
                client_secret=more.pop("secret", consumer["secret"]), **{"callback_uri": "oob", **more})


def authorize(cloud, token, person, *roles):
    return cloud.call("PUT", "identity", f"{OAUTH}/authorize/{token['oauth_token']}",
                      {"roles": [{"name": r} for r in roles]}, token=person.token())


def access_token(cloud, consumer, token, verifier, **more):
    return send(cloud, f"{OAUTH}/access_token", client_key=consumer["id"], client_secret=consumer["secret"],
                resource_owner_key=token["oauth_token"], resource_owner_secret=token["oauth_token_secret"], verifier=verifier,
                **more)


def authenticate(cloud, consumer, access, **more):
    return send(cloud, "/auth/tokens", body={"auth": {"identity": {"methods": ["oauth1"], "oauth1": {}}}},
                client_key=consumer["id"], client_secret=consumer["secret"], resource_owner_key=access["oauth_token"],
                resource_owner_secret=more.pop("secret", access["oauth_token_secret"]), **more)


def granted(cloud, person, project, consumer):
    asked = form(ok(request_token(cloud, consumer, project), 201))
    verifier = ok(authorize(cloud, asked, person, "member"), 200).json()["token"]["oauth_verifier"]
    return form(ok(access_token(cloud, consumer, asked, verifier), 201))


def test_consumers(cloud, person):
    made = make_consumer(cloud, description="a program", color="red")
    assert len(made["secret"]) == 32 and made["color"] == "red"
    path = f"{OAUTH}/consumers/{made['id']}"
    assert made["links"]["self"].endswith("/v3" + path)
    shown = cloud.get("identity", path).json()["consumer"]
    assert shown == {k: v for k, v in made.items() if k != "secret"}
    assert shown in cloud.get("identity", f"{OAUTH}/consumers").json()["consumers"]
    changed = ok(cloud.call("PATCH", "identity", path, {"consumer": {"description": None, "size": 1}}), 200).json()["consumer"]
    assert (changed["description"], changed["color"], changed["size"]) == (None, "red", 1) and "secret" not in changed
    secret = cloud.call("PATCH", "identity", path, {"consumer": {"secret": "x"}})
    assert secret.status_code == 400 and "{'required': ['secret']}" in error(secret)
    ok(cloud.call("PATCH", "identity", path, {"consumer": {}}), 400)
    ok(cloud.post("identity", f"{OAUTH}/consumers", {"consumer": {"description": 5}}), 400)
    member = Person(cloud, person.project, "member")
    ok(cloud.get("identity", path, token=member.token()), 403)
    ok(cloud.call("DELETE", "identity", path))
    gone = cloud.get("identity", path)
    assert (gone.status_code, error(gone)) == (404, "Consumer not found")


@pytest.mark.parametrize("way", ["HMAC-SHA1", "HMAC-SHA256", "HMAC-SHA512", "PLAINTEXT"])
def test_from_consumer_to_token(cloud, person, project, way):
    consumer = make_consumer(cloud)
    asked = form(ok(request_token(cloud, consumer, project, way=way), 201))
    assert set(asked) == {"oauth_token", "oauth_token_secret", "oauth_expires_at"}
    verifier = ok(authorize(cloud, asked, person, "member"), 200).json()["token"]["oauth_verifier"]
    assert len(verifier) == 8
    given = form(ok(access_token(cloud, consumer, asked, verifier, way=way), 201))
    ok(access_token(cloud, consumer, asked, verifier), 404)  # once only
    answer = ok(authenticate(cloud, consumer, given, way=way), 201)
    token = answer.json()["token"]
    assert token["OS-OAUTH1"] == {"access_token_id": given["oauth_token"], "consumer_id": consumer["id"]}
    assert token["user"]["id"] == person.id and token["project"]["id"] == project["id"] and token["methods"] == ["oauth1"]
    assert {r["name"] for r in token["roles"]} == {"member", "reader"}, "not the other roles of the user"
    text = answer.headers["X-Subject-Token"]
    assert check(cloud, text, 200).json()["token"] == token
    again = requests.post(cloud.url("identity", "/auth/tokens"), timeout=120, json={
        "auth": {"identity": {"methods": ["token"], "token": {"id": text}}}})
    assert again.status_code == 403 and "OAuth-scoped" in error(again)
    ok(cloud.call("DELETE", "identity", f"{OAUTH}/consumers/{consumer['id']}"))
    check(cloud, text, 404)
    ok(authenticate(cloud, consumer, given), 404)


def test_signatures_that_are_wrong(cloud, person, project):
    consumer = make_consumer(cloud)
    ok(request_token(cloud, consumer, project, secret="wrong"), 401)
    ok(request_token(cloud, {"id": "0" * 32, "secret": "x"}, project), 404)
    ok(request_token(cloud, consumer, {"id": "nowhere"}), 404)
    late = request_token(cloud, consumer, project, timestamp=str(int(time.time()) - 700))
    assert (late.status_code, error(late)) == (400, "Validation failed with errors: invalid_request, detail message is: "
                                                    "Timestamp given is invalid, differ from allowed by over 600 seconds..")
    ok(request_token(cloud, consumer, project, callback_uri=None), 400)
    odd = request_token(cloud, consumer, project, nonce="XYZ")
    assert (odd.status_code, error(odd)) == (400, "Validation failed with errors: invalid_request, detail message is: Invalid "
                                                  "nonce format..")
    url = cloud.url("identity", f"{OAUTH}/request_token")
    for header in (None, "Basic eDp5", "OAuth", 'OAuth oauth_consumer_key="x"', 'OAuth a="b",' * 100, "OAuth %%%=%zz"):
        headers = {"Requested-Project-Id": project["id"], **({"Authorization": header} if header else {})}
        assert requests.post(url, headers=headers, timeout=120).status_code in (400, 404)
    asked = form(ok(request_token(cloud, consumer, project), 201))
    ok(access_token(cloud, consumer, asked, "AAAAAAAA"), 401)  # nobody authorized it
    verifier = ok(authorize(cloud, asked, person, "member"), 200).json()["token"]["oauth_verifier"]
    ok(access_token(cloud, consumer, {**asked, "oauth_token_secret": "x"}, verifier), 401)
    ok(access_token(cloud, make_consumer(cloud), asked, verifier), 401)
    ok(access_token(cloud, consumer, asked, "BBBBBBBB"), 401)
    given = form(ok(access_token(cloud, consumer, asked, verifier), 201))
    ok(authenticate(cloud, consumer, given, secret="x"), 401)
    ok(authenticate(cloud, make_consumer(cloud), given), 401)


def test_methods_of_signing(cloud, person, project):
    """What oauthlib knows; by RSA nobody can sign, as keystone keeps no key of a consumer (the reference fails with a 500)."""
    consumer = make_consumer(cloud)
    asked = form(ok(request_token(cloud, consumer, project), 201))
    url = cloud.url("identity", f"{OAUTH}/request_token")

    def by(method, path_url=url, **more):
        values = {"oauth_consumer_key": consumer["id"], "oauth_nonce": "123", "oauth_timestamp": str(int(time.time())),
                  "oauth_signature_method": method, "oauth_signature": "AAAA", "oauth_callback": "oob", **more}
        header = "OAuth " + ", ".join(f'{k}="{v}"' for k, v in values.items())
        return requests.post(path_url, headers={"Requested-Project-Id": project["id"], "Authorization": header}, timeout=120,
                             json={"auth": {"identity": {"methods": ["oauth1"], "oauth1": {}}}})
    for method in ("RSA-SHA1", "RSA-SHA256", "RSA-SHA512"):
        ok(by(method), 401)
        ok(by(method, cloud.url("identity", f"{OAUTH}/access_token"), oauth_token=asked["oauth_token"],
              oauth_verifier="A" * 8), 401)
    given = granted(cloud, person, project, consumer)
    for method in ("RSA-SHA1", "HMAC-MD5"):
        ok(by(method, cloud.url("identity", "/auth/tokens"), oauth_token=given["oauth_token"]), 401)
    unknown = by("HMAC-MD5")
    assert (unknown.status_code, error(unknown)) == (
        400, "Validation failed with errors: invalid_signature_method, detail message is: Invalid signature, HMAC-MD5 not in "
        "('HMAC-SHA1', 'HMAC-SHA256', 'HMAC-SHA512', 'RSA-SHA1', 'RSA-SHA256', 'RSA-SHA512', 'PLAINTEXT')..")


def test_who_may_authorize(cloud, person, project):
    consumer = make_consumer(cloud)
    asked = form(ok(request_token(cloud, consumer, project), 201))
    ok(authorize(cloud, asked, Person(cloud, project, "member"), "member"), 403)
    ok(authorize(cloud, {"oauth_token": "nothing"}, person, "member"), 404)
    ok(authorize(cloud, asked, person, "no-such-role"), 404)
    ok(authorize(cloud, asked, person, "service"), 401)
    text = ok(authenticate(cloud, consumer, granted(cloud, person, project, consumer)), 201).headers["X-Subject-Token"]
    ok(cloud.call("PUT", "identity", f"{OAUTH}/authorize/{asked['oauth_token']}", {"roles": []}, token=text), 403)


def test_access_tokens_of_a_user(cloud, person, project):
    consumer = make_consumer(cloud)
    given = granted(cloud, person, project, consumer)
    path = f"/users/{person.id}{OAUTH}/access_tokens"
    listed = cloud.get("identity", path).json()["access_tokens"]
    assert [t["id"] for t in listed] == [given["oauth_token"]]
    one = cloud.get("identity", f"{path}/{given['oauth_token']}").json()["access_token"]
    assert one == listed[0]
    assert set(one) == {"id", "consumer_id", "authorizing_user_id", "project_id", "expires_at", "links"}
    assert one["links"]["roles"].endswith(f"{path}/{one['id']}/roles")
    roles = cloud.get("identity", f"{path}/{one['id']}/roles").json()["roles"]
    assert [r["name"] for r in roles] == ["member"]
    ok(cloud.get("identity", f"{path}/{one['id']}/roles/{roles[0]['id']}"), 200)
    ok(cloud.get("identity", f"{path}/{one['id']}/roles/{role(cloud, 'admin')}"), 404)
    ok(cloud.get("identity", f"/users/{Person(cloud, project).id}{OAUTH}/access_tokens/{one['id']}"), 404)
    text = ok(authenticate(cloud, consumer, given), 201).headers["X-Subject-Token"]
    ok(cloud.call("DELETE", "identity", f"{path}/{one['id']}"))
    check(cloud, text, 404)
    ok(cloud.get("identity", f"{path}/{one['id']}"), 404)


def test_real_clients(cloud, person, project):
    from keystoneauth1 import session
    from keystoneauth1.extras.oauth1 import V3OAuth1
    consumer = cloud.openstack("consumer", "create", "--description", "cli")
    asked = cloud.openstack("request", "token", "create", "--consumer-key", consumer["id"], "--consumer-secret",
                            consumer["secret"], "--project", project["id"])
    env = {"OS_USERNAME": person.user["name"], "OS_PASSWORD": person.password, "OS_PROJECT_NAME": project["name"]}
    done = cloud.openstack("request", "token", "authorize", "--request-key", asked["id"], "--role", "member", user_env=env)
    given = cloud.openstack("access", "token", "create", "--consumer-key", consumer["id"], "--consumer-secret",
                            consumer["secret"], "--request-key", asked["id"], "--request-secret", asked["secret"], "--verifier",
                            done["oauth_verifier"])
    auth = V3OAuth1(cloud.url("identity"), consumer_key=consumer["id"], consumer_secret=consumer["secret"],
                    access_key=given["id"], access_secret=given["secret"])
    assert session.Session(auth=auth).get_project_id() == project["id"]
    cloud.openstack("consumer", "delete", consumer["id"], parse=False)


# ---- OAuth2

def oauth2(cloud, method="POST", auth=None, **values):
    return requests.request(method, cloud.url("identity", "/OS-OAUTH2/token"), data=values, auth=auth, timeout=120)


def test_client_credentials(cloud, person, project):
    cred = make_app_cred(cloud, person, roles=[{"name": "reader"}])
    for answer in (oauth2(cloud, auth=(cred["id"], cred["secret"]), grant_type="client_credentials"),
                   oauth2(cloud, grant_type="client_credentials", client_id=cred["id"], client_secret=cred["secret"])):
        body = ok(answer, 200).json()
        assert set(body) == {"access_token", "token_type", "expires_in"} and body["token_type"] == "Bearer"
        token = check(cloud, body["access_token"], 200).json()["token"]
        assert token["application_credential"]["id"] == cred["id"] and token["project"]["id"] == project["id"]


def test_client_credentials_that_are_refused(cloud, person):
    cred = make_app_cred(cloud, person)

    def refused(status, word, answer):
        assert answer.status_code == status, answer.text
        assert answer.json()["error"] == word
        return answer

    refused(400, "invalid_request", oauth2(cloud))
    other = refused(400, "unsupported_grant_type", oauth2(cloud, grant_type="password"))
    assert other.json()["error_description"] == "The parameter grant_type password is not supported."
    refused(401, "invalid_client", oauth2(cloud, grant_type="client_credentials"))
    refused(401, "invalid_client", oauth2(cloud, grant_type="client_credentials", client_id=cred["id"]))
    wrong = refused(401, "invalid_client", oauth2(cloud, auth=(cred["id"], "wrong"), grant_type="client_credentials"))
    assert wrong.headers["WWW-Authenticate"].startswith("Keystone uri=")
    refused(404, "other_error", oauth2(cloud, auth=("nobody", "x"), grant_type="client_credentials"))
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        refused(405, "other_error", oauth2(cloud, method))
    for path in ("/OS-SIMPLE-CERT/ca", "/OS-SIMPLE-CERT/certificates"):
        assert "PKI tokens" in error(ok(cloud.get("identity", path, token=""), 410))


@pytest.fixture(scope="module")
def fronted():
    """Behind a front server that checks certificates."""
    it = new_cloud(["keystone"], env={"OS_FEDERATION__TRUSTED_HEADER_PREFIX": "X-Front-"}).start()
    yield it
    dispose(it)


def test_certificates(fronted, tmp_path):
    cloud = fronted
    project = make(cloud, "projects", name=name("project"))
    person = Person(cloud, project, "member")
    ok(cloud.call("PATCH", "identity", f"/users/{person.id}", {"user": {"default_project_id": project["id"],
                                                                        "email": "robot@example.org"}}), 200)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days",
                    "1", "-subj", f"/CN={person.user['name']}/emailAddress=robot@example.org/DC=Default/O=Example"],
                   cwd=tmp_path, check=True, capture_output=True)
    pem = (tmp_path / "cert.pem").read_text()
    rules = [{"local": [{"user": {"name": "{0}", "email": "{1}", "domain": {"name": "{2}"}}}],
              "remote": [{"type": "SSL_CLIENT_SUBJECT_DN_CN"}, {"type": "SSL_CLIENT_SUBJECT_DN_EMAILADDRESS"},
                         {"type": "SSL_CLIENT_SUBJECT_DN_DC"}, {"type": "SSL_CLIENT_ISSUER_DN_O", "any_one_of": ["Example"]}]}]

    def ask(**more):
        return requests.post(cloud.url("identity", "/OS-OAUTH2/token"), timeout=120,
                             data={"grant_type": "client_credentials", "client_id": person.id, **more},
                             headers={"X-Front-SSL-CLIENT-CERT": urllib.parse.quote(pem)})

    ok(ask(), 401)  # no mapping yet
    ok(cloud.call("PUT", "identity", "/OS-FEDERATION/mappings/oauth2_mapping", {"mapping": {"rules": rules}}), 201)
    body = ok(ask(), 200).json()
    token = check(cloud, body["access_token"], 200).json()["token"]
    import base64
    import hashlib
    assert token["oauth2_credential"]["x5t#S256"] == base64.urlsafe_b64encode(hashlib.sha256(pem.encode()).digest()).decode()
    assert token["user"]["id"] == person.id and token["project"]["id"] == project["id"]
    ok(ask(client_id=Person(cloud, project).id), 401)
    ok(ask(client_id="nobody"), 401)
    ok(cloud.call("PATCH", "identity", f"/users/{person.id}", {"user": {"email": "other@example.org"}}), 200)
    ok(ask(), 401)
