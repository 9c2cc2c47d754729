# SPDX-License-Identifier: Apache-2.0
"""Garbage for every route of identity: valid bodies with one member wrong, bodies that are none, strange ids and queries.
Whatever it is, it is refused in an orderly way (or taken): never a 500. With a sanitized program the session's end tells the
rest."""
import contextlib
import copy
import http.client
import json
import random
import re
import urllib.parse
import uuid

import pytest

from conftest import dispose, new_cloud
from test_personas import routes

SEED = 4
BODIES_PER_MEMBER = 5   # of the values below, for each member; all of them would take minutes
RAW = "\x01raw:"        # a text that begins so stands in the body without quotes

VALUES = [
    None, True, False, 0, -1, 2**31, 2**63, 2**64, 10**40, 0.5, RAW + "1e400", RAW + "-0", RAW + "1" * 5000, "", " ", "0", "a" * 65,
    "a" * 256, "a" * 70000, "\u0000", "a\u0000b", "\ud800", "\U0001f600" * 70, "%s%n", "'; DROP TABLE user; --", "<<null>>",
    "../../etc",
    "2026-99-99T99:99:99Z", "9999-12-31T23:59:59.999999Z", "0000-00-00", [], [[]], [None], [1, "a", {}], ["a"] * 3000, {}, {"": ""},
    {"id": {"id": []}}, {"name": None}, RAW + "[" * 60 + "]" * 60, RAW + "[" * 5000 + "]" * 5000,
    RAW + '{"a":' * 60 + "1" + "}" * 60,
]

BROKEN = [
    b"", b" ", b"{", b"}", b"nul", b"null", b"[]", b"5", b'"x"', b"\xff\xfe", b"\x00", b'{"a": 1}\x00', b"{}{}", b"[" * 100000,
    b'{"a":' * 20000, b'{"\xff": "\xc0\xaf"}', b'{"user": {"name": "\xed\xa0\x80"}}', b'{"user": "a", "user": {}}', b'{"a": 01}',
    b'{"a": NaN}', b"\xef\xbb\xbf{}", b'{"a": "' + b"x" * 200000 + b'"}', b"<xml/>", b'{"a": "\\ud800\\u0000"}',
]

STRANGE = ["%00", "%ff", "%ed%a0%80", "..%2f..", "%2e%2e", "'", '%22', "%25n", "%F0%9F%98%80" * 30, "a" * 300, "a" * 7000,
           "<<null>>", "None", "-1", "%20", "%0d%0aX:%20y", "*", "__", "default%00"]

QUERIES = ["name=%00", "name=%ff", "name__contains=%f0%9f", "name__nothing=x", "enabled=maybe", "enabled=", "limit=abc", "limit=-1",
           "limit=99999999999999999999", "marker=..", "domain_id=" + "a" * 3000, "password_expires_at=lt:zzz",
           "password_expires_at=xx:2026-01-01", "password_expires_at=lt:", "=", "&&&", "effective&include_names&scope.system=x",
           "user.id=x&group.id=y", "scope.project.id=a&scope.domain.id=b", "include_subtree=1&scope.project.id=none",
           "tags=a,b&tags-any=,", "sort_key=password", "since=yesterday", "since=9999-99-99", "a" * 2000,
           "&".join("name=x" for _ in range(200)), "type=%2e",
           "role.id=%27&scope.OS-INHERIT:inherited_to=x", "parents_as_list&parents_as_ids", "subtree_as_ids=&subtree_as_list=1"]


@pytest.fixture(scope="module")
def target():
    """A cloud with one of everything, that may be spoiled."""
    methods = "external,password,token,totp,mapped,oauth1,application_credential,openid"
    cloud = new_cloud(env={"OS_IDENTITY__PASSWORD_HASH_ROUNDS": "4", "OS_AUTH__METHODS": methods,
                           "OS_FEDERATION__TRUSTED_HEADER_PREFIX": "X-Front-",
                           "OS_OSLO_MESSAGING_NOTIFICATIONS__DRIVER": "log"}).start()
    cloud.made = things(cloud)
    yield cloud
    dispose(cloud)


def things(cloud):
    """What stands for each {name} of a path."""
    def make(path, kind, body, method="POST"):
        answer = cloud.call(method, "identity", path, {kind: body})
        assert answer.status_code in (200, 201), answer.text
        found = answer.json()[kind if kind in answer.json() else kind]
        return found[0]["id"] if isinstance(found, list) else found["id"]
    it = {"domain_id": make("/domains", "domain", {"name": uuid.uuid4().hex})}
    it.update({"user_id": make("/users", "user", {"name": "u", "password": "secret"}),
               "group_id": make("/groups", "group", {"name": "g"}),
               "project_id": make("/projects", "project", {"name": "p"}), "role_id": make("/roles", "role", {"name": "r"}),
               "implied_role_id": make("/roles", "role", {"name": "s"}), "region_id": make("/regions", "region", {"id": "r1"}),
               "service_id": make("/services", "service", {"type": "t", "name": "n"}),
               "policy_id": make("/policies", "policy", {"blob": "{}", "type": "application/json"}),
               "consumer_id": make("/OS-OAUTH1/consumers", "consumer", {}),
               "idp_id": make("/OS-FEDERATION/identity_providers/i", "identity_provider", {"enabled": True}, "PUT")})
    it["endpoint_id"] = make("/endpoints", "endpoint", {"service_id": it["service_id"], "interface": "public", "url": "http://x"})
    it["credential_id"] = make("/credentials", "credential", {"type": "cert", "blob": "x", "user_id": it["user_id"]})
    it["registered_limit_id"] = make("/registered_limits", "registered_limits", [
        {"service_id": it["service_id"], "resource_name": "x", "default_limit": 5}])
    it["limit_id"] = make("/limits", "limits", [{"service_id": it["service_id"], "resource_name": "x", "resource_limit": 5,
                                                "project_id": it["project_id"]}])
    filters = {"name": "e", "filters": {"interface": "public"}}
    it["endpoint_group_id"] = make("/OS-EP-FILTER/endpoint_groups", "endpoint_group", filters)
    rules = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "REMOTE_USER"}]}]
    it["mapping_id"] = make("/OS-FEDERATION/mappings/m", "mapping", {"rules": rules}, "PUT")
    it["protocol_id"] = make("/OS-FEDERATION/identity_providers/i/protocols/mapped", "protocol", {"mapping_id": "m"}, "PUT")
    it["sp_id"] = make("/OS-FEDERATION/service_providers/s", "service_provider",
                       {"auth_url": "http://x", "sp_url": "http://x", "enabled": True}, "PUT")
    it.update(prior_role_id=it["role_id"], value="tag", group="identity", option="driver", request_token_id="x" * 32)
    admin = cloud.get("identity", "/users?name=admin").json()["users"][0]["id"]
    it.update(admin=admin, project=cloud.get("identity", "/projects?name=admin").json()["projects"][0]["id"],
              member=cloud.get("identity", "/roles?name=member").json()["roles"][0]["id"])
    return it


def valid(made):
    """A valid body of each route that wants one, with all the members that it knows."""
    rules = [{"local": [{"user": {"name": "{0}", "type": "ephemeral", "domain": {"id": "x"}, "email": "{1}"}},
                        {"group": {"name": "g", "domain": {"name": "Default"}}}, {"groups": "{0}", "domain": {"id": "default"}},
                        {"projects": [{"name": "p", "roles": [{"name": "member"}]}]}],
              "remote": [{"type": "REMOTE_USER", "any_one_of": ["a"], "regex": True}, {"type": "X", "whitelist": ["b"]}]}]
    user = {"name": "n", "domain_id": "default", "password": "secret", "enabled": True, "description": "d", "email": "e",
            "default_project_id": made["project_id"], "options": {
                "ignore_password_expiry": True, "lock_password": False, "multi_factor_auth_rules": [["password", "totp"]],
                "multi_factor_auth_enabled": False},
            "federated": [{"idp_id": "i", "protocols": [{"protocol_id": "mapped", "unique_id": "x"}]}]}
    project = {"name": "n", "domain_id": "default", "parent_id": "default", "is_domain": False, "enabled": True, "description": "d",
               "tags": ["a", "b"], "options": {"immutable": False}}
    limit = {"service_id": made["service_id"], "resource_name": "y", "region_id": made["region_id"], "description": "d"}
    who = {"name": "u", "id": made["user_id"], "domain": {"id": "default", "name": "Default"}, "password": "wrong",
           "passcode": "123456"}
    auth = {"identity": {"methods": ["password", "token", "totp", "application_credential", "mapped"], "password": {"user": who},
                         "token": {"id": "gAAAAAx"}, "totp": {"user": who}, "application_credential": {
                             "id": "x", "name": "y", "user": who, "secret": "s"},
                         "mapped": {"identity_provider": "i", "protocol": "mapped", "id": "x"}},
            "scope": {"project": {"id": made["project_id"], "name": "p", "domain": {"id": "default", "name": "Default"}},
                      "domain": {"id": "default", "name": "Default"}, "system": {"all": True}, "OS-TRUST:trust": {"id": "x"}}}
    sign = {"access": "a", "signature": "s", "host": "h", "verb": "GET", "path": "/", "params": {
        "SignatureVersion": "2", "SignatureMethod": "HmacSHA256", "AWSAccessKeyId": "a", "X-Amz-Date": "20260101T000000Z",
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": "a/b/c/d/e", "X-Amz-SignedHeaders": "host"},
        "headers": {"Authorization": "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=x", "X-Amz-Date": "x"},
        "body_hash": "x", "token": "eA==", "version": "2", "data": "x"}
    elsewhere = {"identity": {"methods": ["token"], "token": {"id": "x"}}, "scope": {"service_provider": {"id": "s"}}}
    return {
        "/auth/tokens": {"auth": auth},
        "/regions": {"region": {"id": "r", "description": "d", "parent_region_id": made["region_id"]}},
        "/services": {"service": {"type": "t", "name": "n", "description": "d", "enabled": True}},
        "/endpoints": {"endpoint": {"service_id": made["service_id"], "interface": "public", "url": "http://x/%(tenant_id)s",
                                    "region_id": made["region_id"], "enabled": True, "name": "n"}},
        "/domains": {"domain": {"name": "n", "description": "d", "enabled": True, "tags": ["a"], "options": {"immutable": False},
                                "explicit_domain_id": uuid.uuid4().hex}},
        "/projects": {"project": project}, "/tags": {"tags": ["a", "b"]}, "/users": {"user": user},
        "/password": {"user": {"original_password": "secret", "password": "second"}},
        "/groups": {"group": {"name": "n", "domain_id": "default", "description": "d"}},
        "/roles": {"role": {"name": "n", "domain_id": "default", "description": "d", "options": {"immutable": False}}},
        "/registered_limits": {"registered_limits": [{**limit, "default_limit": 5}]},
        "/limits": {"limits": [{**limit, "resource_limit": 5, "project_id": made["project_id"], "domain_id": "default"}]},
        "/registered_limits/": {"registered_limit": {**limit, "default_limit": 5}},
        "/limits/": {"limit": {"resource_limit": 5, "description": "d"}},
        "/endpoint_groups": {"endpoint_group": {"name": "n", "description": "d",
                                                "filters": {"interface": "public", "service_id": "s"}}},
        "/policies": {"policy": {"blob": "{}", "type": "application/json"}},
        "/config": {"config": {"identity": {"driver": "ldap"}, "ldap": {"url": "ldap://127.0.0.1:1", "user_tree_dn": "x"}}},
        "/config/{group}": {"config": {"identity": {"driver": "ldap"}}}, "/config/{group}/{option}": {"config": {"driver": "ldap"}},
        "/identity_providers": {"identity_provider": {"enabled": True, "description": "d", "remote_ids": ["a"],
                                                      "domain_id": "default", "authorization_ttl": 5}},
        "/protocols": {"protocol": {"mapping_id": "m", "remote_id_attribute": "X"}}, "/mappings": {"mapping": {"rules": rules}},
        "/service_providers": {"service_provider": {"auth_url": "http://x", "sp_url": "http://x", "enabled": True,
                                                    "description": "d", "relay_state_prefix": "ss:mem:"}},
        "/OS-TRUST/trusts": {"trust": {"trustor_user_id": made["admin"], "trustee_user_id": made["user_id"], "impersonation": True,
                                       "project_id": made["project"], "roles": [{"id": made["member"], "name": "member"}],
                                       "expires_at": "2036-01-01T00:00:00.0Z", "remaining_uses": 3, "allow_redelegation": True,
                                       "redelegation_count": 2, "redelegated_trust_id": None}},
        "/application_credentials": {"application_credential": {
            "name": "n", "description": "d", "secret": "s", "unrestricted": False, "expires_at": "2036-01-01T00:00:00Z",
            "roles": [{"id": made["member"]}, {"name": "member"}], "access_rules": [
                {"path": "/v2.1/servers/**", "method": "GET", "service": "compute", "id": "x"}]}},
        "/credentials": {"credential": {"type": "ec2", "blob": '{"access": "a", "secret": "b"}', "user_id": made["user_id"],
                                        "project_id": made["project_id"]}},
        "/OS-EC2": {"tenant_id": made["project_id"]}, "/ec2tokens": {"credentials": sign}, "/s3tokens": {"credentials": sign},
        "/consumers": {"consumer": {"description": "d"}}, "/authorize": {"roles": [{"id": made["member"]}, {"name": "member"}]},
        "/saml2": {"auth": elsewhere}, "/saml2/ecp": {"auth": elsewhere},
    }


def body_of(path, bodies):
    """By the longest name that the route ends with; "NAME/" are those that end with NAME/{id}, where they differ."""
    collection = re.sub(r"/\{[^}]+\}$", "", path)
    if collection != path and collection.removeprefix("/v3") + "/" in bodies:
        return bodies[collection.removeprefix("/v3") + "/"]
    names = [n for n in bodies if path.endswith(n) or collection.endswith(n)]
    return bodies[max(names, key=len)] if names else None


def members(value, path=()):
    """All places within a document."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from members(inner, (*path, key))


def with_value(document, path, value):
    if not path:
        return value
    changed = copy.deepcopy(document)
    at = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return changed


def text_of(document):
    return re.sub(r'"\\u0001raw:((?:[^"\\]|\\.)*)"', lambda m: json.loads(f'"{m.group(1)}"'), json.dumps(document)).encode()


class Asker:
    """Requests as they stand: no client's quoting or checks."""

    def __init__(self, cloud):
        self.cloud, self.asked, self.wrong = cloud, 0, []
        self.wire = http.client.HTTPConnection(urllib.parse.urlsplit(cloud.url("identity")).netloc, timeout=120)

    def __call__(self, method, path, body=None, **headers):
        if self.asked % 500 == 0:  # somebody may have spoilt what it stands on
            self.token = self.cloud.login().headers["X-Subject-Token"]
        self.asked += 1
        sent = {"X-Auth-Token": self.token, "Content-Type": "application/json", "Content-Length": str(len(body or b"")), **headers}
        self.wire.putrequest(method, path, skip_accept_encoding=True)
        for name, value in sent.items():
            self.wire._buffer.append(f"{name}: {value}".encode("latin-1"))
        with contextlib.suppress(BrokenPipeError):  # who is refused early is told all the same
            self.wire.endheaders(body)
        answer = self.wire.getresponse()
        text = answer.read()
        if answer.status >= 500 and answer.status != 501:
            self.wrong.append((method, path[:200], (body or b"")[:300], headers, answer.status, text[:200]))


def keystone_routes():
    return [row for row in routes() if row["service"] == "keystone"]


def filled(path, made):
    return re.sub(r"\{([^}]+)\}", lambda m: urllib.parse.quote(str(made.get(m.group(1), "x" * 32))), path)


def test_members_that_are_wrong(target):
    """Each member of each body in turn has another's type, size or characters, is there twice, or not at all."""
    ask, chance, bodies = Asker(target), random.Random(SEED), valid(target.made)
    seen = set()
    for row in keystone_routes():
        if row["method"] not in ("POST", "PUT", "PATCH"):
            continue
        body = body_of(row["path"], bodies)
        if body is None:
            continue
        seen.add(json.dumps(body))
        path = filled(row["path"], target.made)
        ask(row["method"], path, text_of(body))
        for place in members(body):
            for value in chance.sample(VALUES, BODIES_PER_MEMBER):
                ask(row["method"], path, text_of(with_value(body, place, value)))
            if place and isinstance(place[-1], str):
                less = copy.deepcopy(body)
                at = less
                for key in place[:-1]:
                    at = at[key]
                twice = text_of(body).replace(json.dumps(place[-1]).encode() + b":", b'"%s": 5, "%s":' % (
                    place[-1].encode(), place[-1].encode()), 1)
                del at[place[-1]]
                ask(row["method"], path, text_of(less))
                ask(row["method"], path, twice)
    assert {json.dumps(body) for body in bodies.values()} == seen  # each was some route's
    assert not ask.wrong, ask.wrong[:5]


def test_bodies_that_are_none(target):
    ask = Asker(target)
    for row in keystone_routes():
        path = filled(row["path"], target.made)
        for body in BROKEN if row["method"] in ("POST", "PUT", "PATCH") else BROKEN[10:13]:
            if row["method"] != "DELETE":
                ask(row["method"], path, body)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=utf-16", "multipart/form-data"):
        for path in ("/v3/auth/tokens", "/v3/users", "/v3/OS-OAUTH2/token", "/v3/OS-OAUTH1/access_token"):
            ask("POST", path, b"grant_type=client_credentials&a=%ff&b=%00&=", **{"Content-Type": kind})
    assert not ask.wrong, ask.wrong[:5]


def test_ids_and_queries_that_are_strange(target):
    ask, chance = Asker(target), random.Random(SEED)
    for row in keystone_routes():
        names = re.findall(r"\{[^}]+\}", row["path"])
        for name in names:
            for strange in chance.sample(STRANGE, 6):
                ask(row["method"], filled(row["path"].replace(name, strange), target.made))
        if row["method"] == "GET":
            for query in chance.sample(QUERIES, 10) if names else QUERIES:
                ask("GET", filled(row["path"], target.made) + "?" + query)
    assert not ask.wrong, ask.wrong[:5]


@pytest.mark.parametrize("header", ["X-Auth-Token", "X-Subject-Token", "Authorization", "Openstack-Auth-Receipt", "X-Service-Token",
                                    "Accept", "Content-Type", "X-Forwarded-Proto", "Origin", "OpenStack-Identity-Access-Rules",
                                    "X-Front-REMOTE-USER", "X-Openstack-Request-Id", "Requested-Project-Id"])
def test_headers_that_are_wrong(target, header):
    ask, token = Asker(target), target.token()
    for value in ("", " ", "x" * 8000, "\xff\xfe", "gAAAAA" + "A" * 300, token[:-5], token + "=", "OAuth " + 'oauth_x="' * 50,
                  "Basic " + "=" * 20, "OAuth oauth_consumer_key=,oauth_signature_method=HMAC-SHA1,oauth_timestamp=-1", "a,b;c=\"",
                  "%00",
                  "AWS4-HMAC-SHA256 Credential=", "Bearer x", "99999999999999999999"):
        for method, path in (("GET", "/v3/auth/tokens"), ("GET", "/v3/users"), ("POST", "/v3/OS-OAUTH1/request_token"),
                             ("POST", "/v3/OS-OAUTH2/token"), ("POST", "/v3/auth/tokens"), ("GET", "/v3"),
                             ("GET", "/v3/OS-FEDERATION/identity_providers/i/protocols/mapped/auth")):
            ask(method, path, b'{"auth": {"identity": {"methods": ["oauth1"], "oauth1": {}}}}' if method == "POST" else None,
                **{header: value})
    assert not ask.wrong, ask.wrong[:5]


def test_it_still_works(target):
    assert target.login().status_code == 201
    assert target.get("identity", "/users", token=target.login().headers["X-Subject-Token"]).status_code == 200
