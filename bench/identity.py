# SPDX-License-Identifier: Apache-2.0
"""Identity: tokens of each kind, logins, lists; then the same with 100,000 users, 10,000 projects and 100,000 assignments, which
are written into the database at once while keystone is down."""
import concurrent.futures
import os
import sqlite3
import time
import uuid

import crypt

from common import Admin, cpu_seconds, empty_handler, line, measure_rate

USERS, PROJECTS, ASSIGNMENTS = 100_000, 10_000, 100_000


def validation(cloud, what, token):
    headers = {"X-Auth-Token": cloud.token(), "X-Subject-Token": token}
    rate, cpu = measure_rate(cloud, cloud.url("identity", "/auth/tokens"), headers)
    ceiling, ceiling_cpu = empty_handler(cloud)
    line(what, f"{rate:.0f}", "/s", f"{cpu:.1f} us of CPU each; empty handler {ceiling:.0f}/s, {ceiling_cpu:.1f} us", "Zed 133/s")


def subject(answer):
    assert answer.status_code == 201, answer.text
    return answer.headers["X-Subject-Token"]


def kinds(cloud, admin):
    """(what it is, a token of that kind)"""
    me = admin.call("GET", "identity", "/users?name=admin")["users"][0]["id"]
    one = admin.call("GET", "identity", "/projects?name=admin")["projects"][0]["id"]
    body = {"trustor_user_id": me, "trustee_user_id": me, "project_id": one, "impersonation": False, "roles": [{"name": "member"}]}
    trust = admin.call("POST", "identity", "/OS-TRUST/trusts", {"trust": body})["trust"]["id"]
    made = admin.call("POST", "identity", f"/users/{me}/application_credentials",
                      {"application_credential": {"name": uuid.uuid4().hex}})["application_credential"]
    yield "a project's token validated", cloud.token()
    yield "the system's token validated", subject(cloud.login(scope={"system": {"all": True}}))
    yield "a trust's token validated", subject(cloud.login(scope={"OS-TRUST:trust": {"id": trust}}))
    import requests
    yield "an application credential's token validated", subject(requests.post(
        cloud.url("identity", "/auth/tokens"), timeout=60, json={"auth": {"identity": {
            "methods": ["application_credential"], "application_credential": {"id": made["id"], "secret": made["secret"]}}}}))


def first_logins(cloud, count=24):
    """Each with another user: bound by bcrypt, beside a bare bcrypt on as many cores; and what other requests feel of it."""
    admin = Admin(cloud)
    names = [f"login-{uuid.uuid4().hex}" for _ in range(count)]
    for name in names:
        admin.call("POST", "identity", "/users", {"user": {"name": name, "password": "a password"}})
    begin, before = time.time(), cpu_seconds(cloud)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        running = [pool.submit(lambda n=n: subject(cloud.login(n, "a password", project=None))) for n in names]
        slowest = 0.0
        while not all(r.done() for r in running):
            at = time.perf_counter()
            admin.call("GET", "identity", "/roles")
            slowest = max(slowest, time.perf_counter() - at)
        [r.result() for r in running]
    rate, cpu = count / (time.time() - begin), (cpu_seconds(cloud) - before) / count
    at = time.process_time()
    crypt.crypt("a password", crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=2 ** 12))
    bare = time.process_time() - at
    line("first logins of 24 users, 8 at a time", f"{rate:.1f}", "/s",
         f"{cpu * 1000:.0f} ms of CPU each; a bare bcrypt {bare * 1000:.0f} ms", "Zed 217 ms each")
    line("  the slowest GET /roles meanwhile", f"{slowest * 1000:.1f}", "ms")


def lists(cloud, what, path, wanted=None):
    headers = {"X-Auth-Token": cloud.token()}
    answer = cloud.get("identity", path)
    count = len(next(v for v in answer.json().values() if isinstance(v, list)))
    assert wanted is None or count >= wanted, (path, count)
    rate, cpu = measure_rate(cloud, cloud.url("identity", path), headers)
    line(what, f"{rate:.0f}", "/s", f"{cpu / 1000:.2f} ms of CPU each, {count} rows")


def fill(cloud):
    """Users without passwords but one, projects, and assignments of every user on some project, in one transaction."""
    db = sqlite3.connect(cloud.state_dir / "db" / "keystone.db")
    now = time.strftime("%Y-%m-%d %H:%M:%S.000000")
    role = db.execute("SELECT id FROM role WHERE name = 'member'").fetchone()[0]
    users = [uuid.uuid4().hex for _ in range(USERS)]
    projects = [uuid.uuid4().hex for _ in range(PROJECTS)]
    db.executemany("INSERT INTO project (id, name, extra, description, enabled, domain_id, parent_id, is_domain)"
                   " VALUES (?, ?, '{}', '', 1, 'default', 'default', 0)", [(p, "many-" + p) for p in projects])
    db.executemany("INSERT INTO user (id, extra, enabled, created_at, domain_id) VALUES (?, '{}', 1, ?, 'default')",
                   [(u, now) for u in users])
    db.executemany("INSERT INTO local_user (user_id, domain_id, name) VALUES (?, 'default', ?)", [(u, "many-" + u) for u in users])
    db.executemany("INSERT INTO assignment (type, actor_id, target_id, role_id, inherited) VALUES ('UserProject', ?, ?, ?, 0)",
                   [(u, projects[i % PROJECTS], role) for i, u in enumerate(users[:ASSIGNMENTS])])
    db.commit()
    db.close()
    return users[0], projects[0]


def bench_identity(cloud):
    admin = Admin(cloud)
    for what, token in kinds(cloud, admin):
        validation(cloud, what, token)
    first_logins(cloud)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: Admin(cloud).call("POST", "identity", "/users", {"user": {"name": uuid.uuid4().hex}}), range(1000)))
    lists(cloud, "lists of 1,000 users", "/users?limit=1000", 1000)
    if os.environ.get("NUBO_TEST_DATABASE", "sqlite") != "sqlite":
        return
    cloud.stop()
    (cloud.state_dir / "run" / "ready").unlink(missing_ok=True)
    user, project = fill(cloud)
    cloud.start()
    print(f"-- {USERS:,} users, {PROJECTS:,} projects, {ASSIGNMENTS:,} assignments")
    validation(cloud, "a project's token validated", subject(cloud.login()))
    lists(cloud, "users of a name that begins so", f"/users?name__startswith=many-{user[:8]}", 1)
    lists(cloud, "one user by name", f"/users?name=many-{user}", 1)
    lists(cloud, "effective assignments of one user", f"/role_assignments?effective&user.id={user}", 1)
    lists(cloud, "effective assignments on one project", f"/role_assignments?effective&scope.project.id={project}", 10)
    lists(cloud, "projects of one user", f"/users/{user}/projects", 1)
    body = {"auth": {"identity": {"methods": ["token"], "token": {"id": subject(cloud.login(project=None))}},
                     "scope": {"project": {"name": "admin", "domain": {"id": "default"}}}}}
    rate, cpu = measure_rate(cloud, cloud.url("identity", "/auth/tokens"), {"Content-Type": "application/json"}, body)
    line("tokens issued from a token", f"{rate:.0f}", "/s", f"{cpu:.0f} us of CPU each")
