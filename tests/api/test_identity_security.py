# SPDX-License-Identifier: Apache-2.0
"""What must hold whatever happens: who exists cannot be found out by waiting, locks hold over processes, nothing that was revoked
lives for longer than a second on another process, and keys are rotated under load."""
import concurrent.futures
import os
import subprocess
import threading
import time
import uuid

import pytest
import requests

import engines
from conftest import BIN, dispose, new_cloud
from processes import trace
from test_cluster import Second, cloud_on
from test_identity import ok
from test_identity_delegation import make_app_cred, make_trust
from test_identity_federation import FRONT, Provider
from test_identity_oauth import OAUTH, authenticate, granted, make_consumer

ATTEMPTS = 3
REFUSED = {"trustor disabled": 403}  # as the reference's; all else is 404
QUICK = {"OS_IDENTITY__PASSWORD_HASH_ROUNDS": "4"}
COMPLIANCE = {**QUICK, "OS_SECURITY_COMPLIANCE__LOCKOUT_FAILURE_ATTEMPTS": str(ATTEMPTS)}


def unique():
    return uuid.uuid4().hex


def named(cloud, plural, name):
    return cloud.get("identity", f"/{plural}?name={name}").json()[plural][0]["id"]


def make(cloud, kind, **members):
    return ok(cloud.post("identity", f"/{kind}s", {kind: {"name": unique(), **members}}), 201).json()[kind]


class Person:
    """A user with the role member on a project (and what test_identity_delegation and test_identity_oauth want of one)."""

    def __init__(self, cloud, role="member", domain="default"):
        self.cloud, self.domain = cloud, domain
        self.user = make(cloud, "user", password="secret", domain_id=domain)
        self.id, self.name = self.user["id"], self.user["name"]
        self.project = make(cloud, "project", domain_id=domain)
        self.role = named(cloud, "roles", role)
        ok(cloud.call("PUT", "identity", self.grant))

    @property
    def grant(self):
        return f"/projects/{self.project['id']}/users/{self.id}/roles/{self.role}"

    def login(self, scope=None):
        auth = {"identity": {"methods": ["password"], "password": {"user": {"id": self.id, "password": "secret"}}}}
        auth["scope"] = scope or {"project": {"id": self.project["id"]}}
        return ok(requests.post(self.cloud.url("identity", "/auth/tokens"), json={"auth": auth}, timeout=120), 201).headers[
            "X-Subject-Token"]

    token = login


# ---- one process

@pytest.fixture(scope="module")
def strict():
    it = new_cloud(["keystone"], env=COMPLIANCE).start()
    yield it
    dispose(it)


def test_time_does_not_tell_who_exists(strict):
    """Whatever is wrong, one password is hashed and the same is said."""
    person, disabled = Person(strict), make(strict, "user", password="secret", enabled=False)
    locked, bare = Person(strict), make(strict, "user")
    domain = make(strict, "domain")
    inside = make(strict, "user", password="secret", domain_id=domain["id"])
    ok(strict.call("PATCH", "identity", f"/domains/{domain['id']}", {"domain": {"enabled": False}}), 200)

    def attempt(**user):
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": {"password": "wrong", **user}}}}}
        answer = requests.post(strict.url("identity", "/auth/tokens"), json=body, timeout=120)
        steps = trace(strict, answer.headers["X-Openstack-Request-Id"])
        return answer.status_code, answer.text, steps.count("hash a password")

    def by_name(user, domain="default"):
        return {"name": user["name"], "domain": {"id": domain}}
    for _ in range(ATTEMPTS):
        attempt(id=locked.id)
    said = {attempt(**user) for user in (
        by_name(person.user), {"id": person.id}, by_name({"name": "nobody"}), {"id": "0" * 32}, {"id": "none"}, by_name(disabled),
        {"id": disabled["id"]}, by_name(person.user, "none"), by_name(inside, domain["id"]), {"id": inside["id"]},
        by_name(locked.user), {"id": locked.id}, by_name(bare), {"id": locked.id, "password": "secret"})}
    ((status, _, hashed),) = said
    assert (status, hashed) == (401, 1)
    # nor does the change of one's own password
    said = set()
    for user in (person.id, locked.id, disabled["id"], "0" * 32):
        body = {"user": {"original_password": "wrong", "password": "other"}}
        answer = requests.post(strict.url("identity", f"/users/{user}/password"), json=body, timeout=120)
        steps = trace(strict, answer.headers["X-Openstack-Request-Id"])
        said.add((answer.status_code, answer.text, steps.count("hash a password")))
    ((status, _, hashed),) = said
    assert (status, hashed) == (401, 1)


# ---- two processes, beside one that is all of a cloud

of_one_process = pytest.mark.form("one")


@pytest.fixture(scope="module")
def two():
    """Two keystones on one MariaDB and one key repository; `ask` asks the second."""
    server = engines.MariaDB().start()
    cloud = cloud_on(server, env={
        **COMPLIANCE, "OS_FEDERATION__TRUSTED_HEADER_PREFIX": FRONT, "OS_FERNET_TOKENS__MAX_ACTIVE_KEYS": "8",
        "OS_AUTH__METHODS": "password,token,mapped,oauth1,application_credential"})
    cloud.key_hashes = lambda: set(server.sql("SELECT key_hash FROM credential", f"k{cloud.offset}_keystone").split())
    cloud.second = Second(cloud, "keystone")
    cloud.second.wait("identity")
    yield cloud
    cloud.second.stop()
    dispose(cloud)
    server.dispose()


def shown(place, token, headers):
    headers = {**headers, "X-Subject-Token": token}
    return requests.get(place.url("identity", "/auth/tokens"), timeout=120, headers=headers).status_code


@of_one_process
def test_guesses_through_two_processes_cannot_pass_the_lock(two):
    person = Person(two)

    def guess(number):
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": person.id, "password": f"no{number}"}}}}}
        place = (two, two.second)[number % 2]
        answer = requests.post(place.url("identity", "/auth/tokens"), json=body, timeout=120)
        return answer.status_code, answer.text, answer.headers["X-Openstack-Request-Id"]
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(guess, range(24)))
    assert len({answer[:2] for answer in answers}) == 1 and answers[0][0] == 401  # whether it was tried is not said
    logs = two.log.read_text() + (two.state_dir / "second.log").read_text()
    assert logs.count(f"The account is locked for user: {person.id}") == 24 - ATTEMPTS
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": person.id, "password": "secret"}}}}}
    for place in (two, two.second):
        assert requests.post(place.url("identity", "/auth/tokens"), json=body, timeout=120).status_code == 401
    ok(two.call("PATCH", "identity", f"/users/{person.id}", {"user": {"enabled": True}}), 200)
    for place in (two, two.second):
        ok(requests.post(place.url("identity", "/auth/tokens"), json=body, timeout=120), 201)


def events(cloud):
    """[(what happens, the tokens that end by it, what makes it happen)], as the reference's managers revoke."""
    call = lambda method, path, body=None, token=None: lambda: cloud.call(method, "identity", path, body, token=token)

    def one(what, event):
        person = Person(cloud)
        return what, [person.login()], event(person)
    rows = [
        one("password set", lambda p: call("PATCH", f"/users/{p.id}", {"user": {"password": "other"}})),
        one("own password changed", lambda p: call("POST", f"/users/{p.id}/password", {
            "user": {"original_password": "secret", "password": "other"}})),
        one("user disabled", lambda p: call("PATCH", f"/users/{p.id}", {"user": {"enabled": False}})),
        one("user deleted", lambda p: call("DELETE", f"/users/{p.id}")),
        one("project disabled", lambda p: call("PATCH", f"/projects/{p.project['id']}", {"project": {"enabled": False}})),
        one("project deleted", lambda p: call("DELETE", f"/projects/{p.project['id']}")),
        one("role removed", lambda p: call("DELETE", p.grant)),
    ]
    person = Person(cloud)
    below = make(cloud, "project", parent_id=person.project["id"])["id"]
    path = f"/OS-INHERIT{person.grant}/inherited_to_projects"
    ok(cloud.call("PUT", "identity", path))
    rows.append(("inherited role removed", [person.login({"project": {"id": below}})], call("DELETE", path)))
    own = Person(cloud).login()
    rows.append(("explicit", [own], lambda: cloud.call("DELETE", "identity", "/auth/tokens", headers={"X-Subject-Token": own})))
    # domains: of the scope, of the project, of the user
    for what, change in (("domain disabled", ("PATCH", {"domain": {"enabled": False}})), ("domain deleted", ("DELETE", None))):
        domain = make(cloud, "domain")["id"]
        person = Person(cloud, domain=domain)
        ok(cloud.call("PUT", "identity", f"/domains/{domain}/users/{person.id}/roles/{person.role}"))
        tokens = [person.login(), person.login("unscoped"), person.login({"domain": {"id": domain}})]

        def change_it(domain=domain, change=change):
            if change[0] == "DELETE":
                cloud.call("PATCH", "identity", f"/domains/{domain}", {"domain": {"enabled": False}})
            return cloud.call(change[0], "identity", f"/domains/{domain}", change[1])
        rows.append((what, tokens, change_it))
    # roles on domains and the system
    person = Person(cloud)
    for place in ("/domains/default", "/system"):
        ok(cloud.call("PUT", "identity", f"{place}/users/{person.id}/roles/{person.role}"))
    rows.append(("role on a domain removed", [person.login({"domain": {"id": "default"}})],
                 call("DELETE", f"/domains/default/users/{person.id}/roles/{person.role}")))
    rows.append(("role on the system removed", [person.login({"system": {"all": True}})],
                 call("DELETE", f"/system/users/{person.id}/roles/{person.role}")))
    # groups
    for what in ("group member removed", "group deleted", "role of a group removed"):
        person, group = Person(cloud), make(cloud, "group")["id"]
        grant = f"/projects/{person.project['id']}/groups/{group}/roles/{person.role}"
        for path in (grant, f"/groups/{group}/users/{person.id}"):
            ok(cloud.call("PUT", "identity", path))
        ok(cloud.call("DELETE", "identity", person.grant))
        rows.append((what, [person.login()], call("DELETE", {"group member removed": f"/groups/{group}/users/{person.id}",
                                                             "group deleted": f"/groups/{group}"}.get(what, grant))))
    # the only role is deleted
    person, role = Person(cloud), make(cloud, "role")["id"]
    ok(cloud.call("PUT", "identity", f"/projects/{person.project['id']}/users/{person.id}/roles/{role}"))
    ok(cloud.call("DELETE", "identity", person.grant))
    rows.append(("role deleted", [person.login()], call("DELETE", f"/roles/{role}")))
    # what was delegated
    for what in ("trust deleted", "trustor disabled"):
        giver, taker = Person(cloud), Person(cloud)
        trust = make_trust(cloud, giver, taker)
        token = taker_token(cloud, taker, trust)
        rows.append((what, [token], call("DELETE", f"/OS-TRUST/trusts/{trust['id']}", token=giver.login()) if what[:6] == "trust "
                     else call("PATCH", f"/users/{giver.id}", {"user": {"enabled": False}})))
    for what in ("application credential deleted", "role behind an application credential removed"):
        giver = Person(cloud)
        cred = make_app_cred(cloud, giver)
        body = {"auth": {"identity": {"methods": ["application_credential"], "application_credential": {
            "id": cred["id"], "secret": cred["secret"]}}}}
        token = ok(requests.post(cloud.url("identity", "/auth/tokens"), json=body, timeout=120), 201).headers["X-Subject-Token"]
        rows.append((what, [token], call("DELETE", giver.grant) if "role" in what else
                     call("DELETE", f"/users/{giver.id}/application_credentials/{cred['id']}", token=giver.login())))
    for what in ("consumer deleted", "access token deleted"):
        giver, consumer = Person(cloud, "admin"), make_consumer(cloud)
        access = granted_of(cloud, giver, consumer)
        token = ok(authenticate(cloud, consumer, access), 201).headers["X-Subject-Token"]
        rows.append((what, [token], call("DELETE", f"{OAUTH}/consumers/{consumer['id']}") if "consumer" in what else
                     call("DELETE", f"/users/{giver.id}/OS-OAUTH1/access_tokens/{access['oauth_token']}", token=giver.login())))
    # users of others
    it = Provider(cloud, [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "REMOTE_USER"}]}])
    rows.append(("identity provider deleted", [it.login(REMOTE_USER="ann").headers["X-Subject-Token"]],
                 call("DELETE", f"/OS-FEDERATION/identity_providers/{it.id}")))
    return rows


def taker_token(cloud, taker, trust):
    return taker.login({"OS-TRUST:trust": {"id": trust["id"]}})


def granted_of(cloud, giver, consumer):
    return granted(cloud, giver, giver.project, consumer)


@of_one_process
def test_no_token_survives_a_revocation_for_a_second(two):
    """Each event happens at the first process; the second has just been asked about the tokens and keeps what it knows."""
    rows = events(two)
    headers = {"X-Auth-Token": two.token()}
    assert [what for what, tokens, _ in rows for token in tokens if shown(two.second, token, headers) != 200] == []
    alive = {}
    for what, tokens, event in rows:
        for token in tokens:
            shown(two.second, token, headers)  # it knows the token anew
        answer = event()
        assert answer.status_code < 300, (what, answer.text)
        assert {shown(two, token, headers) for token in tokens} == {REFUSED.get(what, 404)}, what
        alive.update({(what, token): time.monotonic() for token in tokens})
        ask_again(two, alive, headers)
    while alive:
        ask_again(two, alive, headers)


def ask_again(two, alive, headers):
    """A request that begins a second after the event must be refused."""
    for (what, token), since in list(alive.items()):
        begin = time.monotonic()
        status = shown(two.second, token, headers)
        assert status in (200, REFUSED.get(what, 404)) and (status != 200 or begin - since < 1.0), (what, status, begin - since)
        if status != 200:
            del alive[what, token]


# ---- keys

def manage(cloud, *words):
    program = cloud.state_dir / "keystone-manage"
    if not program.exists():
        program.symlink_to(BIN)
    owner = ["--keystone-user", "root", "--keystone-group", "root"] if os.getuid() == 0 else []
    done = subprocess.run([str(program), "--config-file", str(cloud.state_dir / "etc" / "keystone.conf"), *words, *owner],
                          env={**cloud.env, "NUBO_STATE_DIR": str(cloud.state_dir)}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, (words, done.stderr)


class Load(threading.Thread):
    """Makes tokens at either process, and validates them and those from before at both."""

    def __init__(self, cloud, first):
        super().__init__()
        self.cloud, self.tokens, self.end, self.made, self.wrong = cloud, [first], threading.Event(), 0, []

    def run(self):
        session = requests.Session()
        places = (self.cloud, self.cloud.second)
        while not self.end.is_set():
            for place in places:
                body = {"auth": {"identity": {"methods": ["token"], "token": {"id": self.tokens[0]}}}}
                answer = session.post(place.url("identity", "/auth/tokens"), json=body, timeout=120)
                if answer.status_code != 201:
                    self.wrong.append(("made", answer.status_code, answer.text))
                    continue
                self.made += 1
                self.tokens.append(answer.headers["X-Subject-Token"])
                for token in {self.tokens[-1], self.tokens[0], self.tokens[self.made // 2]}:
                    for at in places:
                        status = session.get(at.url("identity", "/auth/tokens"), timeout=120, headers={
                            "X-Auth-Token": token, "X-Subject-Token": token}).status_code
                        if status != 200:
                            self.wrong.append(("asked", status, token[:20]))


@of_one_process
def test_keys_of_tokens_are_rotated_under_load(two):
    keys = two.state_dir / "keys" / "fernet-keys"
    keys = keys if keys.exists() else next(p for p in two.state_dir.rglob("fernet-keys"))
    loads = [Load(two, Person(two).login("unscoped")) for _ in range(3)]
    for load in loads:
        load.start()
    before = set(os.listdir(keys))
    def more(count):
        """Until each load has made that many more."""
        wanted = [load.made + count for load in loads]
        two.wait(lambda: all(load.made >= least or load.wrong or not load.is_alive() for load, least in zip(loads, wanted)))
    for _ in range(5):
        more(4)
        manage(two, "fernet_rotate")
    more(4)
    for load in loads:
        load.end.set()
    for load in loads:
        load.join()
        assert not load.wrong and load.made > 20, (load.made, load.wrong[:3])
    assert len(set(os.listdir(keys)) - before) == 5
    newest = loads[0].tokens[-1]
    # a token of a key that was rotated away is none
    for _ in range(8):
        manage(two, "fernet_rotate")
    admin = {"X-Auth-Token": two.login().headers["X-Subject-Token"]}
    two.forget_tokens()
    time.sleep(1.1)
    assert [shown(place, newest, admin) for place in (two, two.second)] == [404, 404]


@of_one_process
def test_keys_of_credentials_are_rotated_while_they_are_used(two):
    person = Person(two)
    wanted = {}

    def add():
        blob = unique()
        made = ok(two.post("identity", "/credentials", {"credential": {"type": "cert", "blob": blob, "user_id": person.id}}), 201)
        wanted[made.json()["credential"]["id"]] = blob

    def read(place):
        answer = ok(requests.get(place.url("identity", f"/credentials?user_id={person.id}"), timeout=120,
                                 headers={"X-Auth-Token": two.token()}), 200)
        return {c["id"]: c["blob"] for c in answer.json()["credentials"]}
    for _ in range(4):
        add()
        before = two.key_hashes()
        manage(two, "credential_rotate")
        assert read(two) == read(two.second) == wanted
        add()
        manage(two, "credential_migrate")
        assert len(two.key_hashes()) == 1 and two.key_hashes() != before
        assert read(two) == read(two.second) == wanted
