# SPDX-License-Identifier: Apache-2.0
"""Users and groups in a directory: a real slapd on loopback, and domains that have theirs there."""
import hashlib
import os
import pathlib
import shutil
import socket
import sqlite3
import subprocess
import time

import pytest
import requests

import ports

from conftest import BIN, dispose, new_cloud

SUFFIX = "dc=example,dc=org"
MODULE = pathlib.Path(BIN).resolve().parent.parent / "keystone" / "ldap" / "keystone_ldap.so"
pytestmark = pytest.mark.skipif(not os.path.exists("/usr/sbin/slapd") or not MODULE.exists(),
                                reason="slapd or the LDAP driver is not here")

CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {home}/pid
sizelimit 1000
TLSCACertificateFile {home}/ca.pem
TLSCertificateFile {home}/server.pem
TLSCertificateKeyFile {home}/server.key
database mdb
directory {home}/db
suffix "{suffix}"
rootdn "cn=root,{suffix}"
rootpw rootsecret
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="cn=reader,{suffix}" read by anonymous auth by * none
"""


def entry(dn, **attributes):
    lines = [f"dn: {dn}"]
    for name, values in attributes.items():
        lines += [f"{name}: {v}" for v in ([values] if isinstance(values, str) else values)]
    return "\n".join(lines) + "\n"


def person(uid, name, unit="people", **more):
    return entry(f"uid={uid},ou={unit},{SUFFIX}", objectClass=["inetOrgPerson"], uid=uid, sn=name, cn=name,
                 userPassword="secret-" + uid, **more)


def content():
    rows = [entry(SUFFIX, objectClass=["dcObject", "organization"], dc="example", o="Example"),
            entry(f"cn=reader,{SUFFIX}", objectClass=["organizationalRole", "simpleSecurityObject"], cn="reader",
                  userPassword="readsecret")]
    rows += [entry(f"ou={unit},{SUFFIX}", objectClass="organizationalUnit", ou=unit) for unit in ("people", "groups")]
    rows += [person("ann", "Ann Able", mail="ann@example.org", description="a person", employeeType="TRUE"),
             person("bob", "Bob Baker", employeeType="FALSE"),
             person("odd", "Odd (o*d) \\\\ name", employeeType="TRUE")]
    rows += [person(f"u{n:03}", f"User {n:03}", employeeType="TRUE") for n in range(120)]
    rows += [entry(f"cn=ops,ou=groups,{SUFFIX}", objectClass="groupOfNames", cn="ops", ou="Operations",
                   description="those who operate",
                   member=[f"uid=ann,ou=people,{SUFFIX}", f"UID=u001,OU=people,{SUFFIX}", f"uid=gone,ou=people,{SUFFIX}"]),
             entry(f"cn=many,ou=groups,{SUFFIX}", objectClass="groupOfNames", cn="many", ou="Many",
                   member=[f"uid=u{n:03},ou=people,{SUFFIX}" for n in range(120)]),
             entry(f"cn=enabled,ou=groups,{SUFFIX}", objectClass="groupOfNames", cn="enabled", ou="Enabled",
                   member=[f"uid=ann,ou=people,{SUFFIX}"])]
    return "\n".join(rows)


def make_certificates(home):
    """An authority, a certificate of it for 127.0.0.1, and another authority that nobody knows."""
    for name in ("ca", "other"):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", home / f"{name}.key", "-out",
                        home / f"{name}.pem", "-days", "2", "-subj", f"/CN=test {name}"], check=True, capture_output=True)
    (home / "names").write_text("subjectAltName = IP:127.0.0.1\n")
    subprocess.run(["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", home / "server.key", "-out", home / "csr",
                    "-subj", "/CN=directory"], check=True, capture_output=True)
    subprocess.run(["openssl", "x509", "-req", "-in", home / "csr", "-CA", home / "ca.pem", "-CAkey", home / "ca.key",
                    "-CAcreateserial", "-out", home / "server.pem", "-days", "2", "-extfile", home / "names"], check=True,
                   capture_output=True)


class Directory:
    """A slapd of the test's own, in the clear (StartTLS is there) and with TLS, there also by an address that its certificate
    does not name."""

    def __init__(self, home):
        self.home = home
        (home / "db").mkdir()
        make_certificates(home)
        (home / "conf").write_text(CONFIG.format(home=home, suffix=SUFFIX))
        (home / "ldif").write_text(content())
        subprocess.run(["/usr/sbin/slapadd", "-f", home / "conf", "-l", home / "ldif"], check=True, capture_output=True)
        self.port, tls_port = ports.claim(), ports.claim(1, ("127.0.0.1", "127.0.0.2"))
        self.tls_port = tls_port
        self.url, self.tls_url, self.misnamed_url = (
            f"ldap://127.0.0.1:{self.port}", f"ldaps://127.0.0.1:{tls_port}", f"ldaps://127.0.0.2:{tls_port}")
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(["/usr/sbin/slapd", "-f", self.home / "conf", "-h",
                                         f"{self.url} {self.tls_url} {self.misnamed_url}", "-d", "0"],
                                        stderr=subprocess.DEVNULL)
        for where in (("127.0.0.1", self.port), ("127.0.0.1", self.tls_port), ("127.0.0.2", self.tls_port)):
            self.wait_listens(where)

    def wait_listens(self, where):
        for _ in range(3000):
            with socket.socket() as s:
                if s.connect_ex(where) == 0:
                    return
            assert self.process.poll() is None, "slapd ended"
            time.sleep(0.05)
        raise RuntimeError("slapd does not answer")

    def stop(self):
        self.process.terminate()
        self.process.wait(120)

    def change(self, ldif, check=True):
        self.stop()
        subprocess.run(["/usr/sbin/slapmodify", "-f", self.home / "conf"], input=ldif, text=True, check=check, capture_output=True)
        self.start()

    def options(self):
        return {"url": self.url, "user": f"cn=reader,{SUFFIX}", "password": "readsecret", "suffix": SUFFIX,
                "user_tree_dn": f"ou=people,{SUFFIX}", "user_id_attribute": "uid", "user_name_attribute": "uid",
                "user_description_attribute": "description", "user_enabled_attribute": "employeeType",
                "group_tree_dn": f"ou=groups,{SUFFIX}", "group_id_attribute": "cn", "group_name_attribute": "ou", "page_size": 50}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    it = Directory(tmp_path_factory.mktemp("slapd"))
    yield it
    it.stop()
    shutil.rmtree(it.home, ignore_errors=True)


def write_config(folder, domain, options):
    rows = "".join(f"{k} = {v}\n" for k, v in options.items())
    (folder / f"keystone.{domain}.conf").write_text(f"[identity]\ndriver = ldap\n[ldap]\n{rows}")


@pytest.fixture(scope="module")
def corp(directory, tmp_path_factory):
    """A cloud with the domain corp, whose people are in the directory."""
    folder = tmp_path_factory.mktemp("domains")
    write_config(folder, "corp", directory.options())
    it = new_cloud(["keystone"], env={
        "OS_FEDERATION__TRUSTED_HEADER_PREFIX": "X-Front-", "OS_AUTH__EXTERNAL": "Domain",
        "OS_IDENTITY__DOMAIN_SPECIFIC_DRIVERS_ENABLED": "true",
        "OS_IDENTITY__DOMAIN_CONFIG_DIR": str(folder)}).start()
    it.folder = folder
    it.domain = it.post("identity", "/domains", {"domain": {"name": "corp"}}).json()["domain"]["id"]
    yield it
    dispose(it)


def listed(cloud, path, plural="users"):
    answer = cloud.get("identity", path)
    assert answer.status_code == 200, answer.text
    return {x["name"]: x for x in answer.json()[plural]}


def login(cloud, name, password=None, domain="corp", scope=None):
    auth = {"identity": {"methods": ["password"], "password": {
        "user": {"name": name, "domain": {"name": domain}, "password": password if password is not None else "secret-" + name}}}}
    if scope:
        auth["scope"] = scope
    return requests.post(cloud.url("identity", "/auth/tokens"), json={"auth": auth}, timeout=120)


def test_users_are_listed_and_shown(corp):
    users = listed(corp, f"/users?domain_id={corp.domain}")
    assert len(users) == 123
    ann = users["ann"]
    assert ann["id"] == hashlib.sha256((corp.domain + "user" + "ann").encode()).hexdigest()
    assert (ann["email"], ann["description"], ann["enabled"], ann["options"]) == ("ann@example.org", "a person", True, {})
    assert ann["links"]["self"].endswith(f"/v3/users/{ann['id']}") and users["bob"]["enabled"] is False
    assert "dn" not in ann and "userPassword" not in ann and "password" not in ann
    assert corp.get("identity", f"/users/{ann['id']}").json()["user"] == ann
    assert list(listed(corp, f"/users?domain_id={corp.domain}&name=ann")) == ["ann"]
    assert len(listed(corp, f"/users?domain_id={corp.domain}&name__startswith=u00")) == 10
    assert set(listed(corp, f"/users?domain_id={corp.domain}&enabled=false")) == {"bob"}
    for strange in ("*", "a*)(uid=*", "ann)(|(uid=*", "\\61nn"):
        assert listed(corp, f"/users?domain_id={corp.domain}&name={requests.utils.quote(strange)}") == {}
    # the other domains' are where they were
    assert "admin" in listed(corp, "/users?domain_id=default") and "ann" not in listed(corp, "/users")


def test_groups_and_members(corp):
    groups = listed(corp, f"/groups?domain_id={corp.domain}", "groups")
    assert set(groups) == {"Operations", "Many", "Enabled"}
    ops = groups["Operations"]
    assert ops["id"] == hashlib.sha256((corp.domain + "group" + "ops").encode()).hexdigest()
    assert corp.get("identity", f"/groups/{ops['id']}").json()["group"] == ops and ops["description"] == "those who operate"
    members = listed(corp, f"/groups/{ops['id']}/users")
    assert set(members) == {"ann", "u001"}
    assert len(listed(corp, f"/groups/{groups['Many']['id']}/users")) == 120
    assert set(listed(corp, f"/users/{members['ann']['id']}/groups", "groups")) == {"Operations", "Enabled"}
    assert corp.get("identity", f"/groups/{ops['id']}/users/{members['ann']['id']}").status_code == 204
    bob = listed(corp, f"/users?domain_id={corp.domain}&name=bob")["bob"]["id"]
    assert corp.get("identity", f"/groups/{ops['id']}/users/{bob}").status_code == 404


def test_logins(corp):
    answer = login(corp, "ann")
    assert answer.status_code == 201, answer.text
    user = answer.json()["token"]["user"]
    assert user["name"] == "ann" and user["domain"] == {"id": corp.domain, "name": "corp"}
    by_id = {"identity": {"methods": ["password"], "password": {"user": {"id": user["id"], "password": "secret-ann"}}}}
    assert requests.post(corp.url("identity", "/auth/tokens"), json={"auth": by_id}, timeout=120).status_code == 201
    for name, password in (("ann", "wrong"), ("ann", ""), ("bob", None), ("nobody", None), ("*", "secret-ann"),
                           ("a*", "secret-ann"), ("ann)(uid=*", "secret-ann")):
        assert login(corp, name, password).status_code == 401, name
    assert corp.login().status_code == 201  # the others log in as before


def test_roles_of_directory_groups(corp):
    body = {"project": {"name": "ldap project", "domain_id": corp.domain}}
    project = corp.post("identity", "/projects", body).json()["project"]["id"]
    member = corp.get("identity", "/roles?name=member").json()["roles"][0]["id"]
    reader = corp.get("identity", "/roles?name=reader").json()["roles"][0]["id"]
    ops = listed(corp, f"/groups?domain_id={corp.domain}", "groups")["Operations"]["id"]
    scope = {"project": {"id": project}}
    assert login(corp, "ann", scope=scope).status_code == 401
    assert corp.call("PUT", "identity", f"/projects/{project}/groups/{ops}/roles/{member}").status_code == 204
    answer = login(corp, "ann", scope=scope)
    assert answer.status_code == 201, answer.text
    assert {r["name"] for r in answer.json()["token"]["roles"]} == {"member", "reader"}
    shown = corp.get("identity", "/auth/tokens", headers={"X-Subject-Token": answer.headers["X-Subject-Token"]})
    assert {r["name"] for r in shown.json()["token"]["roles"]} == {"member", "reader"}
    mine = corp.get("identity", "/auth/projects", token=login(corp, "ann").headers["X-Subject-Token"]).json()["projects"]
    assert [p["id"] for p in mine] == [project]
    # a grant for somebody who has never been here
    u002 = listed(corp, f"/users?domain_id={corp.domain}&name=u002")["u002"]["id"]
    assert corp.call("PUT", "identity", f"/projects/{project}/users/{u002}/roles/{reader}").status_code == 204
    assert {r["name"] for r in login(corp, "u002", scope=scope).json()["token"]["roles"]} == {"reader"}


def test_a_directory_is_only_read(corp):
    ann = listed(corp, f"/users?domain_id={corp.domain}&name=ann")["ann"]["id"]
    ops = listed(corp, f"/groups?domain_id={corp.domain}", "groups")["Operations"]["id"]
    for method, path, body in (
            ("POST", "/users", {"user": {"name": "new", "domain_id": corp.domain}}),
            ("PATCH", f"/users/{ann}", {"user": {"name": "other"}}), ("DELETE", f"/users/{ann}", None),
            ("POST", "/groups", {"group": {"name": "new", "domain_id": corp.domain}}),
            ("PATCH", f"/groups/{ops}", {"group": {"name": "other"}}), ("DELETE", f"/groups/{ops}", None),
            ("PUT", f"/groups/{ops}/users/{ann}", None), ("DELETE", f"/groups/{ops}/users/{ann}", None)):
        answer = corp.call(method, "identity", path, body)
        assert answer.status_code == 403, (method, path, answer.text)


def test_enabled_by_membership_and_limits(corp, directory):
    write_config(corp.folder, "emulated", {**directory.options(), "user_enabled_emulation": "true",
                                           "user_enabled_emulation_dn": f"cn=enabled,ou=groups,{SUFFIX}"})
    with open(corp.folder / "keystone.emulated.conf", "a") as file:
        file.write("[identity]\nlist_limit = 7\n")
    domain = corp.post("identity", "/domains", {"domain": {"name": "emulated"}}).json()["domain"]["id"]
    answer = corp.get("identity", f"/users?domain_id={domain}").json()
    assert len(answer["users"]) == 7 and answer["truncated"] is True
    assert login(corp, "ann", domain="emulated").status_code == 201
    assert login(corp, "u001", domain="emulated").status_code == 401
    assert login(corp, "u001").status_code == 201


def test_a_directory_that_went_away_and_came_back(corp, directory):
    assert login(corp, "ann").status_code == 201
    directory.stop()
    try:
        assert corp.get("identity", f"/users?domain_id={corp.domain}").status_code == 500
        assert login(corp, "ann").status_code == 500
        assert corp.login().status_code == 201
    finally:
        directory.start()
    assert login(corp, "ann").status_code == 201 and len(listed(corp, f"/users?domain_id={corp.domain}")) == 123


@pytest.mark.parametrize("way", ["ldaps", "start tls"])
def test_tls(corp, directory, way):
    ca, other = str(directory.home / "ca.pem"), str(directory.home / "other.pem")
    base = {**directory.options(), **({"url": directory.tls_url} if way == "ldaps" else {"use_tls": "true"})}
    cases = [({"tls_cacertfile": ca}, 200), ({"tls_cacertfile": ca, "tls_req_cert": "demand", "use_pool": "false"}, 200),
             ({"tls_cacertfile": other}, 500), ({"tls_cacertfile": other, "tls_req_cert": "allow"}, 200),
             ({"tls_req_cert": "never"}, 200), ({}, 500), ({"tls_cacertfile": ca + ".none"}, 500)]
    if way == "ldaps":
        cases += [({"tls_cacertfile": ca, "url": directory.misnamed_url}, 500),
                  ({"tls_cacertfile": ca, "use_tls": "true"}, 500)]  # one or the other
    for case, status in cases:
        name = "tls " + os.urandom(4).hex()
        write_config(corp.folder, name, {**base, "pool_retry_max": "1", **case})
        domain = corp.post("identity", "/domains", {"domain": {"name": name}}).json()["domain"]["id"]
        assert corp.get("identity", f"/users?domain_id={domain}&name=ann").status_code == status, case
        assert login(corp, "ann", domain=name).status_code == (201 if status == 200 else 500), case
        if status == 200:
            assert login(corp, "ann", "wrong", domain=name).status_code == 401


def test_a_directory_that_wants_tls(corp, directory):
    """In the clear nothing is had of it: so the others of these tests really speak TLS."""
    directory.stop()
    text = (directory.home / "conf").read_text()
    (directory.home / "conf").write_text(text.replace("database mdb", "security tls=1\ndatabase mdb"))
    directory.start()
    try:
        assert login(corp, "ann").status_code == 500
        write_config(corp.folder, "secure", {**directory.options(), "use_tls": "true", "tls_cacertfile": directory.home / "ca.pem"})
        corp.post("identity", "/domains", {"domain": {"name": "secure"}})
        assert login(corp, "ann", domain="secure").status_code == 201
    finally:
        directory.stop()
        (directory.home / "conf").write_text(text)
        directory.start()


def test_who_is_disabled_or_gone_in_the_directory_has_no_token(corp, directory):
    def check(token):
        return corp.get("identity", "/auth/tokens", headers={"X-Subject-Token": token}).status_code

    def ended(token):
        """No request that begins a second later is answered as before."""
        since = time.monotonic()
        while True:
            begin = time.monotonic()
            status = check(token)
            if status != 200:
                return status == 404 and corp.get("identity", "/auth/projects", token=token).status_code == 401
            assert begin - since < 1.0
            time.sleep(0.05)
    group = listed(corp, f"/groups?domain_id={corp.domain}", "groups")["Operations"]["id"]
    project = corp.post("identity", "/projects", {"project": {"name": "left", "domain_id": corp.domain}}).json()["project"]["id"]
    member = corp.get("identity", "/roles?name=member").json()["roles"][0]["id"]
    assert corp.call("PUT", "identity", f"/projects/{project}/groups/{group}/roles/{member}").status_code == 204
    tokens = [login(corp, "u001", scope=scope).headers["X-Subject-Token"] for scope in (None, {"project": {"id": project}})]
    mine = corp.get("identity", f"/users/{listed(corp, f'/users?domain_id={corp.domain}&name=u001')['u001']['id']}/groups")
    assert all(g["membership_expires_at"] is None for g in mine.json()["groups"]) and mine.json()["groups"]
    assert [check(t) for t in tokens] == [200, 200]
    who = f"dn: uid=u001,ou=people,{SUFFIX}\nchangetype: "
    try:
        directory.change(f"dn: cn=ops,ou=groups,{SUFFIX}\nchangetype: modify\ndelete: member\n"
                         f"member: uid=u001,ou=people,{SUFFIX}\n")
        assert ended(tokens[1]) and check(tokens[0]) == 200  # of the group he had his role on the project
        directory.change(who + "modify\nreplace: employeeType\nemployeeType: FALSE\n")
        assert ended(tokens[0])
        directory.change(who + "modify\nreplace: employeeType\nemployeeType: TRUE\n")
        time.sleep(1.1)
        assert check(tokens[0]) == 200  # disabling in a directory revokes nothing
        directory.change(who + "delete\n")
        assert ended(tokens[0])
    finally:
        directory.change(who + "delete\n", check=False)
        directory.change(person("u001", "User 001", employeeType="TRUE").replace("\n", "\nchangetype: add\n", 1))


def test_configuration_from_the_database(directory):
    cloud = new_cloud(["keystone"], env={"OS_IDENTITY__DOMAIN_SPECIFIC_DRIVERS_ENABLED": "true",
                           "OS_IDENTITY__DOMAIN_CONFIGURATIONS_FROM_DATABASE": "true"}).start()
    try:
        domain = cloud.post("identity", "/domains", {"domain": {"name": "corp"}}).json()["domain"]["id"]
        assert listed(cloud, f"/users?domain_id={domain}") == {}
        config = {"identity": {"driver": "ldap"}, "ldap": {**directory.options(), "user": "cn=reader,dc=example,dc=org"}}
        assert cloud.call("PUT", "identity", f"/domains/{domain}/config", {"config": config}).status_code == 201
        assert len(listed(cloud, f"/users?domain_id={domain}")) == 123
        assert login(cloud, "ann").status_code == 201
        cloud.call("PATCH", "identity", f"/domains/{domain}/config/ldap/user_filter", {"config": {"user_filter": "x"}})
        cloud.call("PATCH", "identity", f"/domains/{domain}/config", {"config": {"ldap": {"user_filter": "(uid=u*)"}}})
        assert len(listed(cloud, f"/users?domain_id={domain}")) == 120
        assert login(cloud, "ann").status_code == 401
        assert cloud.call("DELETE", "identity", f"/domains/{domain}/config").status_code == 204
        assert list(listed(cloud, f"/users?domain_id={domain}")) == ["ann"]  # who has been here stays known
    finally:
        dispose(cloud)


def test_ids_made_beforehand(directory, tmp_path):
    """keystone-manage mapping_populate: the public ids that a list of the domain's users would make."""
    write_config(tmp_path, "Default", directory.options())
    base = f"sqlite:///{tmp_path}/keystone.db"
    (tmp_path / "keystone.conf").write_text(
        f"[database]\nconnection = {base}\n[identity]\ndomain_specific_drivers_enabled = true\ndomain_config_dir = {tmp_path}\n"
        f"[fernet_tokens]\nkey_repository = {tmp_path}/keys/\n[credential]\nkey_repository = {tmp_path}/more/\n")
    (tmp_path / "keystone-manage").symlink_to(BIN)

    def manage(*words):
        done = subprocess.run([tmp_path / "keystone-manage", "--config-file", tmp_path / "keystone.conf", *words],
                              capture_output=True, text=True, timeout=120)
        assert done.returncode == (0 if "--domain-name" in words or words[0] != "mapping_populate" else 2), done.stderr
        return done.stdout

    def rows():
        with sqlite3.connect(tmp_path / "keystone.db") as db:
            return db.execute("SELECT local_id, domain_id, public_id FROM id_mapping WHERE entity_type = 'user'").fetchall()

    manage("db_sync")
    manage("bootstrap", "--bootstrap-password", "secret")
    assert manage("mapping_populate", "--domain-name", "none") == "Invalid domain name: none\n"
    manage("mapping_populate")
    assert rows() == []
    assert manage("mapping_populate", "--domain-name", "Default") == ""
    found = rows()
    assert len(found) == 123
    ann = next(row for row in found if row[0] == "ann")
    assert ann == ("ann", "default", hashlib.sha256(b"defaultuserann").hexdigest())
    manage("mapping_populate", "--domain-name", "Default")
    assert sorted(rows()) == sorted(found)


def test_whom_a_front_server_has_authenticated(corp):
    """REMOTE_USER of a directory (Kerberos beside LDAP): no password is asked for here, nor is the directory's."""
    def ask(name, domain="corp"):
        return requests.post(corp.url("identity", "/auth/tokens"), timeout=120,
                             headers={"X-Front-REMOTE-USER": name, "X-Front-Remote-Domain": domain},
                             json={"auth": {"identity": {"methods": ["external"], "external": {}}}})
    answer = ask("u077")
    assert answer.status_code == 201, answer.text
    user = answer.json()["token"]["user"]
    assert user["id"] == hashlib.sha256(f"{corp.domain}useru077".encode()).hexdigest() and user["domain"]["id"] == corp.domain
    assert login(corp, "u077", "secret-u077").json()["token"]["user"]["id"] == user["id"]
    for name, domain in (("bob", "corp"), ("gone", "corp"), ("u077", "Default"), ("u0*", "corp")):
        assert ask(name, domain).status_code == 401, name
