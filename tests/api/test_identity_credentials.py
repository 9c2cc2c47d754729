# SPDX-License-Identifier: Apache-2.0
"""Identity v3: credentials and what signs with them (EC2, S3), TOTP, several methods together with receipts, and the rules of
[security_compliance]."""
import base64
import datetime
import hashlib
import hmac
import json
import struct
import time
import uuid

import pytest
import requests
from keystoneclient.contrib.ec2.utils import Ec2Signer

from conftest import dispose, new_cloud
from test_identity import DEFAULT, check, error, issue, make, name, ok, role
from test_identity_delegation import Person, app_cred_login, make_app_cred, make_trust, trust_scope

SETTINGS = {"OS_AUTH__METHODS": "external,password,token,oauth1,mapped,application_credential,totp",
            "OS_SECURITY_COMPLIANCE__LOCKOUT_FAILURE_ATTEMPTS": "2",
            "OS_SECURITY_COMPLIANCE__LOCKOUT_DURATION": "3600",
            "OS_SECURITY_COMPLIANCE__UNIQUE_LAST_PASSWORD_COUNT": "3",
            "OS_SECURITY_COMPLIANCE__PASSWORD_REGEX": "^(?=.*\\d).{4,}$",
            "OS_SECURITY_COMPLIANCE__PASSWORD_REGEX_DESCRIPTION": "four characters, a digit among them"}


@pytest.fixture(scope="module")
def strict():
    """A cloud with more methods and with rules for passwords."""
    it = new_cloud(["keystone"], env=SETTINGS).start()
    yield it
    dispose(it)


@pytest.fixture
def project(cloud):
    return make(cloud, "projects", name=name("project"))


@pytest.fixture
def person(cloud, project):
    return Person(cloud, project, "member")


def make_credential(cloud, token=None, **members):
    answer = cloud.post("identity", "/credentials", {"credential": members}, token=token)
    assert answer.status_code == 201, answer.text
    return answer.json()["credential"]


# ---- credentials

def test_credential(cloud, person, project):
    token = person.token()
    made = make_credential(cloud, token, user_id=person.id, type="cert", blob="secret text", project_id=project["id"], note="x")
    assert made["links"]["self"].endswith(f"/v3/credentials/{made['id']}") and made["note"] == "x"
    path = f"/credentials/{made['id']}"
    assert cloud.get("identity", path, token=token).json()["credential"] == made
    changed = ok(cloud.call("PATCH", "identity", path, {"credential": {"blob": "other"}}, token=token), 200)
    assert changed.json()["credential"] == {**made, "blob": "other"}
    other = Person(cloud, project, "member")
    ok(cloud.get("identity", path, token=other.token()), 403)
    ok(cloud.call("PATCH", "identity", path, {"credential": {"user_id": other.id}}, token=token), 403)
    ok(cloud.post("identity", "/credentials", {"credential": {"user_id": other.id, "type": "cert", "blob": "x"}}, token=token), 403)
    assert cloud.get("identity", "/credentials", token=other.token()).json()["credentials"] == []
    listed = cloud.get("identity", f"/credentials?user_id={person.id}&type=cert").json()["credentials"]
    assert [c["blob"] for c in listed] == ["other"]
    assert cloud.get("identity", f"/credentials?user_id={person.id}&type=totp").json()["credentials"] == []
    ok(cloud.call("DELETE", "identity", path, token=token))
    gone = cloud.get("identity", path)
    assert (gone.status_code, error(gone)) == (404, f"Could not find credential: {made['id']}.")


def test_credentials_are_encrypted(cloud, person):
    made = make_credential(cloud, user_id=person.id, type="totp", blob="VERYSECRETSEED")
    [(sealed, key_hash)] = cloud.query("keystone", f"SELECT encrypted_blob, key_hash FROM credential WHERE id = '{made['id']}'")
    keys = sorted(next(cloud.state_dir.rglob("credential-keys")).iterdir(), key=lambda p: -int(p.name))
    primary = keys[0].read_bytes()
    assert key_hash == hashlib.sha1(primary).hexdigest()
    from cryptography.fernet import Fernet
    assert Fernet(primary).decrypt(sealed.encode()) == b"VERYSECRETSEED"


def test_credential_requests_that_are_wrong(cloud, person):
    def refused(status, **members):
        answer = cloud.post("identity", "/credentials", {"credential": {"user_id": person.id, **members}})
        assert answer.status_code == status, answer.text
        return error(answer)

    assert "is not valid under any of the given schemas" in refused(400, type="ec2", blob="{}")
    assert "is not valid under any of the given schemas" in refused(400, type="cert")
    assert refused(400, type="ec2", blob="text", project_id="p") == "Invalid blob in credential"
    assert refused(400, type="ec2", blob='{"secret": "x"}', project_id="p").startswith("Expecting to find access in credential.")
    access = uuid.uuid4().hex
    made = make_credential(cloud, user_id=person.id, type="ec2", project_id="p", blob=json.dumps({"access": access, "secret": "s"}))
    assert made["id"] == hashlib.sha256(access.encode()).hexdigest()
    twice = cloud.post("identity", "/credentials", {"credential": {
        "user_id": person.id, "type": "ec2", "project_id": "p", "blob": made["blob"]}})
    assert (twice.status_code, error(twice)) == (
        409, f"Conflict occurred attempting to store credential - Duplicate entry found with ID {made['id']}.")
    tied = cloud.call("PATCH", "identity", f"/credentials/{made['id']}", {"credential": {
        "blob": json.dumps({"access": access, "secret": "s", "trust_id": "t"})}})
    assert (tied.status_code, error(tied)) == (400, "trust_id can not be updated for credential")


# ---- EC2 and S3

@pytest.fixture
def ec2(cloud, person, project):
    answer = cloud.post("identity", f"/users/{person.id}/credentials/OS-EC2", {"tenant_id": project["id"]}, token=person.token())
    return ok(answer, 201).json()["credential"]


def test_ec2_credentials(cloud, person, project, ec2):
    assert set(ec2) == {"user_id", "tenant_id", "access", "secret", "trust_id", "links"}
    path = f"/users/{person.id}/credentials/OS-EC2"
    token = person.token()
    assert cloud.get("identity", path, token=token).json()["credentials"] == [ec2]
    assert cloud.get("identity", f"{path}/{ec2['access']}", token=token).json()["credential"] == ec2
    stored = cloud.get("identity", "/credentials/" + hashlib.sha256(ec2["access"].encode()).hexdigest()).json()["credential"]
    assert stored["type"] == "ec2" and json.loads(stored["blob"])["secret"] == ec2["secret"]
    ok(cloud.post("identity", path, {"tenant_id": "nowhere"}, token=token), 404)
    ok(cloud.get("identity", f"{path}/nothing", token=token), 404)
    ok(cloud.call("DELETE", "identity", f"{path}/{ec2['access']}", token=token))
    assert cloud.get("identity", path, token=token).json()["credentials"] == []


def now(form="%Y-%m-%dT%H:%M:%SZ", **delta):
    return (datetime.datetime.utcnow() + datetime.timedelta(**delta)).strftime(form)


def request_of(ec2, version, timestamp=None):
    one = {"access": ec2["access"], "host": "Cloud.example:8773", "verb": "GET", "path": "/services/Cloud", "headers": {},
           "body_hash": hashlib.sha256(b"").hexdigest(),
           "params": {"Action": "DescribeInstances", "AWSAccessKeyId": ec2["access"], "a b": "c/d~é", "Zebra": "1", "n": 7}}
    if version == "4":
        date = timestamp or now("%Y%m%dT%H%M%SZ")
        one["headers"] = {"Host": "cloud.example", "X-Amz-Date": date, "Content-Type": " text/plain ",
                          "Authorization": f"AWS4-HMAC-SHA256 Credential={ec2['access']}/{date[:8]}/RegionOne/ec2/aws4_request,"
                                           "SignedHeaders=content-type;host;x-amz-date,Signature=none"}
    elif version == "4-query":
        date = timestamp or now("%Y%m%dT%H%M%SZ")
        one["headers"] = {"host": "cloud.example:80", "User-Agent": "Boto/2.9.1"}
        one["params"].update({"X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Date": date, "X-Amz-SignedHeaders": "host",
                              "X-Amz-Credential": f"{ec2['access']}/{date[:8]}/RegionOne/ec2/aws4_request"})
    else:
        one["params"].update({"SignatureVersion": version, "Timestamp": timestamp or now()})
    return one


def signed(ec2, version, **more):
    one = request_of(ec2, version, **more)
    return {**one, "signature": Ec2Signer(ec2["secret"]).generate(json.loads(json.dumps(one)))}


@pytest.mark.parametrize("version", ["0", "1", "2", "4", "4-query"])
def test_ec2_tokens(cloud, person, project, ec2, version):
    answer = ok(cloud.post("identity", "/ec2tokens", {"credentials": signed(ec2, version)}), 200)
    token = answer.json()["token"]
    assert token["methods"] == ["ec2credential"] and token["user"]["id"] == person.id and token["catalog"]
    assert token["project"]["id"] == project["id"]
    check(cloud, answer.headers["X-Subject-Token"], 200)
    wrong = signed(ec2, version)
    wrong["params"]["Action"] = "Other"
    ok(cloud.post("identity", "/ec2tokens", {"ec2Credentials": wrong}), 401)
    old = {"timestamp": now("%Y%m%dT%H%M%SZ" if version[0] == "4" else "%Y-%m-%dT%H:%M:%SZ", minutes=-16)}
    ok(cloud.post("identity", "/ec2tokens", {"credentials": signed(ec2, version, **old)}), 401)


def test_ec2_tokens_that_are_refused(cloud, person, ec2):
    without_port = signed({**ec2}, "2")
    bare = {**request_of(ec2, "2"), "host": "cloud.example"}
    without_port["signature"] = Ec2Signer(ec2["secret"]).generate(json.loads(json.dumps(bare)))
    without_port["params"]["Timestamp"] = bare["params"]["Timestamp"]
    ok(cloud.post("identity", "/ec2tokens", {"credential": without_port}), 200)
    good = signed(ec2, "2")
    ok(cloud.post("identity", "/ec2tokens", {"credentials": good}, token=person.token()), 403)
    ok(cloud.post("identity", "/ec2tokens", {"credentials": good}, token=""), 401)
    ok(cloud.post("identity", "/ec2tokens", {"credentials": {}}), 401)
    ok(cloud.post("identity", "/ec2tokens", {}), 400)
    ok(cloud.get("identity", "/ec2tokens"), 405)
    ok(cloud.post("identity", "/ec2tokens", {"credentials": {**good, "access": "nobody"}}), 404)
    for odd in ({}, {"params": 7}, {"params": {"SignatureVersion": "9"}}, {"params": {}, "headers": {"Authorization": 5}},
                {"params": {"SignatureVersion": "0"}}, {"params": {"SignatureVersion": "2"}, "host": 4},
                {"params": {}, "headers": {"Authorization": "AWS4-HMAC-SHA256 Credential=a/b"}}):
        ok(cloud.post("identity", "/ec2tokens", {"credentials": {"access": ec2["access"], "signature": "x", **odd}}), 401)


def test_s3_tokens(cloud, person, ec2):
    def ask(text, signature):
        token = base64.urlsafe_b64encode(text.encode()).decode()
        credentials = {"access": ec2["access"], "token": token, "signature": signature}
        return cloud.post("identity", "/s3tokens", {"credentials": credentials})

    text = "GET\n\n\nSun, 22 Nov 2026 00:00:00 GMT\n/bucket/object"
    first = base64.b64encode(hmac.new(ec2["secret"].encode(), text.encode(), hashlib.sha1).digest()).decode()
    answer = ok(ask(text, first), 200)
    assert answer.json()["token"]["user"]["id"] == person.id and "X-Subject-Token" not in answer.headers
    ok(ask(text, ("B" if first[0] == "A" else "A") + first[1:]), 401)
    moment = now("%Y%m%dT%H%M%SZ")
    day, key = moment[:8], ("AWS4" + ec2["secret"]).encode()
    text = f"AWS4-HMAC-SHA256\n{moment}\n{day}/us-east-1/s3/aws4_request\n" + "a" * 64
    for part in (day, "us-east-1", "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    ok(ask(text, hmac.new(key, text.encode(), hashlib.sha256).hexdigest()), 200)
    ok(ask(text.replace("/s3/", "/ec2/"), "0" * 64), 401)
    ok(ask("AWS4\n\n", "0" * 64), 401)


def test_ec2_credentials_of_delegates(cloud, person, project):
    """A credential gives no more than the token that it was made with."""
    cred = make_app_cred(cloud, person, roles=[{"name": "reader"}], unrestricted=True)
    text = ok(app_cred_login(cloud, id=cred["id"], secret=cred["secret"]), 201).headers["X-Subject-Token"]
    access = uuid.uuid4().hex
    make_credential(cloud, text, user_id=person.id, type="ec2", project_id=project["id"],
                    blob=json.dumps({"access": access, "secret": "s"}))
    request = signed({"access": access, "secret": "s"}, "2")
    token = ok(cloud.post("identity", "/ec2tokens", {"credentials": request}), 200).json()["token"]
    assert [r["name"] for r in token["roles"]] == ["reader"] and token["application_credential"]["id"] == cred["id"]
    trustee = Person(cloud, project)
    trust = make_trust(cloud, person, trustee)
    text = ok(trustee.login(trust_scope(trust)), 201).headers["X-Subject-Token"]
    access = uuid.uuid4().hex
    make_credential(cloud, text, user_id=person.id, type="ec2", project_id=project["id"],
                    blob=json.dumps({"access": access, "secret": "s"}))
    request = signed({"access": access, "secret": "s"}, "2")
    token = ok(cloud.post("identity", "/ec2tokens", {"credentials": request}), 200).json()["token"]
    assert token["OS-TRUST:trust"]["id"] == trust["id"] and token["user"]["id"] == person.id


def test_openstack_credentials(cloud, person, project):
    made = cloud.openstack("credential", "create", "--type", "cert", person.id, "text")
    assert made["id"] in [c["ID"] for c in cloud.openstack("credential", "list", "--user", person.id)]
    cloud.openstack("credential", "set", "--user", person.id, "--type", "cert", "--data", "new", made["id"], parse=False)
    assert cloud.openstack("credential", "show", made["id"])["blob"] == "new"
    cloud.openstack("credential", "delete", made["id"], parse=False)
    ec2 = cloud.openstack("ec2", "credentials", "create", "--user", person.id, "--project", project["id"])
    assert ec2["access"] in [c["Access"] for c in cloud.openstack("ec2", "credentials", "list", "--user", person.id)]
    cloud.openstack("ec2", "credentials", "delete", "--user", person.id, ec2["access"], parse=False)


# ---- TOTP, several methods

def passcode(seed, at=None):
    key = base64.b32decode(seed + "=" * (-len(seed) % 8))
    mac = hmac.new(key, struct.pack(">Q", int(at or time.time()) // 30), hashlib.sha1).digest()
    return f"{(struct.unpack('>I', mac[mac[19] & 15:][:4])[0] & 0x7fffffff) % 1000000:06}"


SEED = "GEZDGNBVGY3TQOJQGEZDGNBVGY"


def in_one_step(attempt):
    """The answer of attempt(moment) that began and ended within the same half minute: codes are good for steps of 30 s."""
    while True:
        moment = time.time()
        answer = attempt(moment)
        if time.time() // 30 == moment // 30:
            return answer


def totp_part(user, code):
    return {"user": {"id": user["id"], "passcode": code}}


def login(cloud, headers=None, **methods):
    auth = {"identity": {"methods": list(methods), **methods}}
    return requests.post(cloud.url("identity", "/auth/tokens"), json={"auth": auth}, headers=headers, timeout=120)


def password_part(user, password="first1"):
    return {"user": {"id": user["id"], "password": password}}


@pytest.fixture
def mfa(strict):
    user = make(strict, "users", name=name("mfa"), password="first1")
    make_credential(strict, user_id=user["id"], type="totp", blob=SEED)
    make_credential(strict, user_id=user["id"], type="totp", blob="not base32!")
    return user


def test_totp(strict, mfa):
    token = ok(login(strict, totp=totp_part(mfa, passcode(SEED))), 201).json()["token"]
    assert token["methods"] == ["totp"] and token["user"]["id"] == mfa["id"]
    ok(in_one_step(lambda moment: login(strict, totp=totp_part(mfa, passcode(SEED, moment - 30)))), 201)

    def stale(moment):
        """A code of a step that is over, which no present one happens to be."""
        steps = [passcode(SEED, moment - 30 * back) for back in range(-1, 8)]
        return login(strict, totp=totp_part(mfa, next(code for code in steps[4:] if code not in steps[:4])))
    ok(in_one_step(stale), 401)
    ok(login(strict, totp=totp_part(mfa, "")), 401)
    ok(login(strict, totp={"user": {"id": mfa["id"]}}), 401)
    ok(login(strict, totp={"user": {"id": "nobody", "passcode": "000000"}}), 401)
    both = ok(login(strict, totp=totp_part(mfa, passcode(SEED)), password=password_part(mfa)), 201).json()["token"]
    assert set(both["methods"]) == {"totp", "password"}
    other = make(strict, "users", name=name("other"), password="first1")
    ok(login(strict, totp=totp_part(mfa, passcode(SEED)), password=password_part(other)), 401)


def test_totp_is_no_method_by_default(cloud, person):
    answer = login(cloud, totp=totp_part(person.user, "000000"))
    assert answer.status_code == 401 and "totp" not in answer.json()["error"]["identity"]["methods"]


def test_receipts(strict, mfa):
    rules = [["password", "totp"], ["password", "no-such-method", "oauth1"]]
    ok(strict.call("PATCH", "identity", f"/users/{mfa['id']}", {"user": {"options": {"multi_factor_auth_rules": rules}}}), 200)
    asked = login(strict, password=password_part(mfa))
    assert asked.status_code == 401
    receipt, body = asked.headers["Openstack-Auth-Receipt"], asked.json()
    assert body["receipt"]["methods"] == ["password"] and body["receipt"]["user"]["id"] == mfa["id"]
    assert body["receipt"]["user"]["domain"] == {"id": "default", "name": "Default"}
    assert body["required_auth_methods"] == [["password", "totp"], ["password", "oauth1"]]
    assert body["receipt"]["issued_at"] < body["receipt"]["expires_at"]
    done = login(strict, {"Openstack-Auth-Receipt": receipt}, totp=totp_part(mfa, passcode(SEED)))
    token = ok(done, 201).json()["token"]
    assert set(token["methods"]) == {"password", "totp"}
    # a token of both goes on; a receipt is somebody's, and is no token
    ok(login(strict, token={"id": done.headers["X-Subject-Token"]}), 201)
    other = make(strict, "users", name=name("other"), password="first1")
    ok(login(strict, {"Openstack-Auth-Receipt": receipt}, password=password_part(other)), 401)
    ok(login(strict, {"Openstack-Auth-Receipt": "gAAAAA"}, password=password_part(mfa)), 401)
    check(strict, receipt, 404)
    ok(strict.call("PATCH", "identity", f"/users/{mfa['id']}",
                   {"user": {"options": {"multi_factor_auth_enabled": False}}}), 200)
    ok(login(strict, password=password_part(mfa)), 201)


def test_receipts_are_keystones(strict, mfa):
    """The very bytes that upstream packs."""
    msgpack = pytest.importorskip("msgpack")
    from cryptography.fernet import Fernet, MultiFernet
    ok(strict.call("PATCH", "identity", f"/users/{mfa['id']}",
                   {"user": {"options": {"multi_factor_auth_rules": [["password", "totp"]]}}}), 200)
    asked = login(strict, password=password_part(mfa))
    keys = sorted(next(strict.state_dir.rglob("fernet-keys")).iterdir(), key=lambda p: -int(p.name))
    box = MultiFernet([Fernet(k.read_bytes()) for k in keys])
    text = asked.headers["Openstack-Auth-Receipt"]
    user_id, methods, expires = msgpack.unpackb(box.decrypt((text + "=" * (-len(text) % 4)).encode()))
    assert user_id == [True, uuid.UUID(mfa["id"]).bytes] and methods == 2 and expires > time.time()
    theirs = box.encrypt(msgpack.packb((user_id, 2, time.time() + 600.5))).decode().rstrip("=")
    ok(login(strict, {"Openstack-Auth-Receipt": theirs}, totp=totp_part(mfa, passcode(SEED))), 201)
    late = box.encrypt(msgpack.packb((user_id, 2, time.time() - 1))).decode()
    ok(login(strict, {"Openstack-Auth-Receipt": late}, totp=totp_part(mfa, passcode(SEED))), 401)


# ---- [security_compliance]

def change(cloud, user, old, new):
    return requests.post(cloud.url("identity", f"/users/{user['id']}/password"), timeout=120,
                         json={"user": {"original_password": old, "password": new}})


def test_lockout(strict):
    user = make(strict, "users", name=name("user"), password="first1")
    for _ in range(2):
        ok(login(strict, password=password_part(user, "wrong1")), 401)
    nobody = error(login(strict, password=password_part({"id": "0" * 32})))
    for locked in (login(strict, password=password_part(user)), change(strict, user, "first1", "second2")):
        assert (locked.status_code, error(locked)) == (401, nobody)  # nor is it told that there is somebody to be locked
    strict.execute("keystone", f"UPDATE local_user SET failed_auth_at = '{now('%Y-%m-%d %H:%M:%S', minutes=-59)}' "
                   f"WHERE user_id = '{user['id']}'")
    ok(login(strict, password=password_part(user)), 401)
    strict.execute("keystone", f"UPDATE local_user SET failed_auth_at = '{now('%Y-%m-%d %H:%M:%S', minutes=-61)}' "
                   f"WHERE user_id = '{user['id']}'")
    ok(login(strict, password=password_part(user)), 201)
    exempt = make(strict, "users", name=name("user"), password="first1", options={"ignore_lockout_failure_attempts": True})
    for _ in range(4):
        ok(login(strict, password=password_part(exempt, "wrong1")), 401)
    ok(login(strict, password=password_part(exempt)), 201)
    # an administrator unlocks by enabling
    for _ in range(2):
        ok(login(strict, password=password_part(user, "wrong1")), 401)
    ok(strict.call("PATCH", "identity", f"/users/{user['id']}", {"user": {"enabled": True}}), 200)
    ok(login(strict, password=password_part(user)), 201)


def test_rules_for_new_passwords(strict):
    weak = strict.post("identity", "/users", {"user": {"name": name("user"), "password": "weak"}})
    assert (weak.status_code, error(weak)) == (
        400, "The password does not match the requirements: four characters, a digit among them.")
    user = make(strict, "users", name=name("user"), password="first1")
    ok(change(strict, user, "first1", "second2"), 204)
    again = change(strict, user, "second2", "first1")
    assert (again.status_code, error(again)) == (
        400, "The new password cannot be identical to a previous password. The total number which includes the new password "
             "must be unique is 3.")
    ok(change(strict, user, "second2", "third3"), 204)
    ok(change(strict, user, "third3", "fourth4"), 204)
    ok(change(strict, user, "fourth4", "first1"), 204)
    ok(strict.call("PATCH", "identity", f"/users/{user['id']}", {"user": {"options": {"lock_password": True}}}), 200)
    locked = change(strict, user, "first1", "fifth5")
    assert locked.status_code == 400 and "disallowing password changes" in error(locked)


@pytest.fixture(scope="module")
def aging():
    """A cloud where passwords age and idle users are disabled."""
    group = "OS_SECURITY_COMPLIANCE__"
    it = new_cloud(["keystone"], env={group + "CHANGE_PASSWORD_UPON_FIRST_USE": "true", group + "MINIMUM_PASSWORD_AGE": "1",
                        group + "DISABLE_USER_ACCOUNT_DAYS_INACTIVE": "30", group + "PASSWORD_EXPIRES_DAYS": "10"}).start()
    yield it
    dispose(it)


def test_first_use_and_age(aging):
    user = make(aging, "users", name=name("user"), password="first1")
    assert user["password_expires_at"] <= now("%Y-%m-%dT%H:%M:%S.%f", seconds=1)
    first = login(aging, password=password_part(user))
    assert (first.status_code, error(first)) == (
        401, f"The password is expired and needs to be changed for user: {user['id']}.")
    ok(change(aging, user, "first1", "second2"), 204)
    token = ok(login(aging, password=password_part(user, "second2")), 201).json()["token"]
    assert now("%Y-%m-%d", days=9) <= token["user"]["password_expires_at"][:10] <= now("%Y-%m-%d", days=10)
    young = change(aging, user, "second2", "third3")
    assert young.status_code == 400 and "it must be used for 1 day(s)" in error(young) and "in 0 day(s)" in error(young)
    ok(aging.call("PATCH", "identity", f"/users/{user['id']}", {"user": {"password": "reset1"}}), 200)
    ok(login(aging, password=password_part(user, "reset1")), 401)
    exempt = make(aging, "users", name=name("user"), password="first1", options={
        "ignore_change_password_upon_first_use": True, "ignore_password_expiry": True})
    token = ok(login(aging, password=password_part(exempt)), 201).json()["token"]
    assert token["user"]["password_expires_at"] is None


def test_idle_users_are_disabled(aging):
    def idle(user, days, **more):
        day = now("%Y-%m-%d", days=-days, **more)
        aging.execute("keystone", f"UPDATE user SET last_active_at = '{day}' WHERE id = '{user['id']}'")

    def shown(user):
        lists = [aging.get("identity", path).json()["users"] for path in (f"/users?name={user['name']}", f"/groups/{group}/users")]
        return [aging.get("identity", f"/users/{user['id']}").json()["user"]["enabled"], *(users[0]["enabled"] for users in lists)]
    options = {"ignore_change_password_upon_first_use": True}
    user = make(aging, "users", name=name("user"), password="first1", options=options)
    group = make(aging, "groups", name=name("group"))["id"]
    ok(aging.call("PUT", "identity", f"/groups/{group}/users/{user['id']}"), 204)
    ok(login(aging, password=password_part(user)), 201)
    idle(user, 29, minutes=10)  # also when a day ends meanwhile
    ok(login(aging, password=password_part(user)), 201)
    assert shown(user) == [True, True, True]
    idle(user, 30)
    ok(login(aging, password=password_part(user)), 401)
    assert shown(user) == [False, False, False]
    # a filter sees what is stored, as the reference's does
    assert aging.get("identity", f"/users?name={user['name']}&enabled=false").json()["users"] == []
    assert aging.get("identity", f"/users?name={user['name']}&enabled=true").json()["users"][0]["enabled"] is False
    ok(aging.call("PATCH", "identity", f"/users/{user['id']}", {"user": {"enabled": True}}), 200)
    assert shown(user) == [True, True, True]
    ok(login(aging, password=password_part(user)), 201)
    idle(user, 30)
    # any other change makes it so for good
    assert aging.call("PATCH", "identity", f"/users/{user['id']}", {"user": {"email": "x"}}).json()["user"]["enabled"] is False
    assert aging.get("identity", f"/users?name={user['name']}&enabled=true").json()["users"] == []
    exempt = make(aging, "users", name=name("user"), password="first1", options={**options, "ignore_user_inactivity": True})
    idle(exempt, 90)
    assert aging.get("identity", f"/users/{exempt['id']}").json()["user"]["enabled"] is True
    ok(login(aging, password=password_part(exempt)), 201)
