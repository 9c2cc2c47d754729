# SPDX-License-Identifier: Apache-2.0
"""Tokens that keystone itself writes are validated by ours, and ours by keystone's own code, for every scope, in Fernet and in
JWS. (keystone: Debian's python3-keystone, imported; its database is not used.)"""
import datetime
import os
import pathlib
import subprocess
import tempfile

import pytest

from conftest import BIN, dispose, new_cloud
from test_identity import check, make, name, ok, role
from test_identity_delegation import Person, app_cred_login, make_app_cred, make_trust, trust_scope

pytest.importorskip("keystone.token.token_formatters", reason="python3-keystone is not installed")

METHODS = ["external", "password", "token", "oauth1", "mapped", "application_credential"]


def program(name_):
    """The program under another name, as its links are called."""
    link = pathlib.Path(tempfile.mkdtemp(prefix="nubo-link-")) / name_
    link.symlink_to(BIN)
    return str(link)


def key_pair():
    home = pathlib.Path(tempfile.mkdtemp(prefix="nubo-jws-"))
    conf = home / "keystone.conf"
    conf.write_text(f"[database]\nconnection = sqlite:///{home}/unused.db\n")
    done = subprocess.run([program("keystone-manage"), "--config-file", str(conf), "create_jws_keypair", "--keystone-user",
                           str(os.getuid()), "--keystone-group", str(os.getgid())], cwd=home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
    for side in ("public", "private"):
        (home / side).mkdir()
        (home / f"{side}.pem").rename(home / side / f"{side}.pem")
    return home


class Reference:
    """keystone's own formatter of tokens, on a cloud's keys."""
    configured = False

    def __init__(self, provider, cloud, keys):
        import keystone.conf
        self.conf = keystone.conf.CONF
        if not Reference.configured:
            keystone.conf.configure()
            self.conf([], project="keystone", default_config_files=[])
            Reference.configured = True
        self.conf.set_override("methods", METHODS, group="auth")
        self.jws = provider == "jws"
        if self.jws:
            from keystone.token.providers.jws.core import JWSFormatter
            self.conf.set_override("jws_public_key_repository", str(keys / "public"), group="jwt_tokens")
            self.conf.set_override("jws_private_key_repository", str(keys / "private"), group="jwt_tokens")
            self.formatter = JWSFormatter()
        else:
            from keystone.token.token_formatters import TokenFormatter
            self.conf.set_override("key_repository", str(next(cloud.state_dir.rglob("fernet-keys"))), group="fernet_tokens")
            self.formatter = TokenFormatter()

    NAMES = ("user_id", "methods", "audit_ids", "system", "domain_id", "project_id", "trust_id", "group_ids", "idp_id",
             "protocol_id", "access_token_id", "app_cred_id")

    def read(self, text):
        values = self.formatter.validate_token(text)
        return {k: v for k, v in zip(self.NAMES, values) if v is not None}

    def write(self, user_id, methods, **claims):
        expires = (datetime.datetime.utcnow() + datetime.timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
        audit_ids = ["AAECAwQFBgcICQoLDA0ODw"]
        if self.jws:
            return self.formatter.create_token(user_id, expires, audit_ids, methods, **claims)[0]
        from keystone.token import token_formatters as forms
        kinds = [(forms.TrustScopedPayload, "trust_id"), (forms.ApplicationCredentialScopedPayload, "app_cred_id"),
                 (forms.SystemScopedPayload, "system"), (forms.DomainScopedPayload, "domain_id"),
                 (forms.ProjectScopedPayload, "project_id")]
        kind = next((k for k, word in kinds if word in claims), forms.UnscopedPayload)
        return self.formatter.create_token(user_id, expires, audit_ids, kind, methods, **claims)


@pytest.fixture(scope="module", params=["fernet", "jws"])
def world(request):
    keys = key_pair()
    env = {}
    if request.param == "jws":
        env = {"OS_TOKEN__PROVIDER": "jws", "OS_JWT_TOKENS__JWS_PUBLIC_KEY_REPOSITORY": str(keys / "public"),
               "OS_JWT_TOKENS__JWS_PRIVATE_KEY_REPOSITORY": str(keys / "private")}
    cloud = new_cloud(["keystone"], env=env).start()
    yield cloud, Reference(request.param, cloud, keys)
    dispose(cloud)


def test_scopes(world):
    """Each scope in both directions: what one wrote, the other reads, and it means the same."""
    cloud, reference = world
    project = make(cloud, "projects", name=name("project"))
    trustor, trustee = Person(cloud, project, "member"), Person(cloud, project)
    admin = ok(cloud.call("GET", "identity", "/auth/tokens", headers={"X-Subject-Token": cloud.token()}), 200).json()["token"]
    ok(cloud.call("PUT", "identity", f"/domains/default/users/{trustor.id}/roles/{role(cloud, 'reader')}"))
    trust = make_trust(cloud, trustor, trustee)
    cred = make_app_cred(cloud, trustor)
    cases = [
        (trustor.login({"unscoped": {}}), trustor.id, {}),
        (trustor.login({"project": {"id": project["id"]}}), trustor.id, {"project_id": project["id"]}),
        (trustor.login({"domain": {"id": "default"}}), trustor.id, {"domain_id": "default"}),
        (cloud.login(project=None, scope={"system": {"all": True}}), admin["user"]["id"], {"system": "all"}),
        (trustee.login(trust_scope(trust)), trustee.id, {"project_id": project["id"], "trust_id": trust["id"]}),
        (app_cred_login(cloud, id=cred["id"], secret=cred["secret"]), trustor.id,
         {"project_id": project["id"], "app_cred_id": cred["id"]}),
    ]
    for answer, user_id, claims in cases:
        ours = ok(answer, 201).json()["token"]
        told = reference.read(answer.headers["X-Subject-Token"])
        assert told.pop("audit_ids") == ours["audit_ids"]
        assert told == {"user_id": user_id, "methods": ours["methods"], **claims}
        theirs = check(cloud, reference.write(user_id, ours["methods"], **claims), 200).json()["token"]
        varying = ("audit_ids", "issued_at", "expires_at")
        assert {k: v for k, v in theirs.items() if k not in varying} == {k: v for k, v in ours.items() if k not in varying}
        assert theirs["audit_ids"] == ["AAECAwQFBgcICQoLDA0ODw"]


def test_tokens_that_are_none(world):
    cloud, reference = world
    text = cloud.token()
    other = "B" if text[10] == "A" else "A"  # of the time of issue: either may stand there
    for wrong in (text[:-2], text[:10] + other + text[11:], "a.b.c", "..", "eyJhbGciOiJub25lIn0.e30.", text + ".x"):
        check(cloud, wrong, 404)
        ok(cloud.get("identity", "/auth/projects", token=wrong), 401)


@pytest.mark.parametrize("world", ["jws"], indirect=True, scope="module")
def test_a_foreign_key_does_not_sign(world):
    cloud, reference = world
    import jwt
    keys = key_pair()
    payload = jwt.decode(cloud.token(), options={"verify_signature": False})
    forged = jwt.encode(payload, (keys / "private" / "private.pem").read_text(), algorithm="ES256")
    check(cloud, forged, 404)
    public = pathlib.Path(reference.conf.jwt_tokens.jws_public_key_repository)
    (public / "second.pem").write_text((keys / "public" / "public.pem").read_text())
    check(cloud, forged, 200)
    (public / "second.pem").unlink()
    good = cloud.token()
    symmetric = jwt.encode(payload, "secret", algorithm="HS256")
    check(cloud, symmetric, 404)
    check(cloud, good, 200)
