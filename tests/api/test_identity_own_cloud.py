# SPDX-License-Identifier: Apache-2.0
"""Identity with settings of its own, and across a restart."""
import concurrent.futures

import pytest
import requests

from conftest import dispose, new_cloud

COMPLIANCE = {
    "OS_IDENTITY__PASSWORD_HASH_ROUNDS": "4",
    "OS_SECURITY_COMPLIANCE__LOCKOUT_FAILURE_ATTEMPTS": "3",
    "OS_SECURITY_COMPLIANCE__LOCKOUT_DURATION": "600",
    "OS_SECURITY_COMPLIANCE__UNIQUE_LAST_PASSWORD_COUNT": "2",
    "OS_SECURITY_COMPLIANCE__PASSWORD_REGEX": "^[a-z0-9-]{4,}$",
}


@pytest.fixture(scope="module")
def strict():
    it = new_cloud(["keystone"], env=COMPLIANCE).start()
    yield it
    dispose(it)


def user(cloud, name, password):
    answer = cloud.post("identity", "/users", {"user": {"name": name, "password": password}})
    assert answer.status_code == 201, answer.text
    return answer.json()["user"]["id"]


def test_parallel_guesses_cannot_pass_the_lock(strict):
    user(strict, "guessed", "right-one")

    def guess(number):
        answer = strict.login("guessed", f"wrong-{number}", None)
        assert answer.status_code == 401
        return answer.text

    def taken():
        return strict.query("keystone", "SELECT failed_auth_count FROM local_user WHERE name = 'guessed'")
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        assert len(set(pool.map(guess, range(12)))) == 1  # what was not tried is answered in the same words
    assert taken() == [("3",)]
    assert strict.login("guessed", "right-one", None).status_code == 401
    strict.execute("keystone", "UPDATE local_user SET failed_auth_at = '2020-01-01 00:00:00' WHERE name = 'guessed'")
    assert strict.login("guessed", "right-one", None).status_code == 201
    guess(0)
    assert taken() == [("1",)]


def test_passwords_do_not_come_again(strict):
    one = user(strict, "changing", "first-1")
    url = strict.url("identity", f"/users/{one}/password")

    def change(old, new):
        return requests.post(url, json={"user": {"original_password": old, "password": new}}, timeout=120)
    assert change("first-1", "first-1").status_code == 400
    assert change("first-1", "second-2").status_code == 204
    assert "The new password cannot be identical to a previous password." in change("second-2", "first-1").text
    assert change("second-2", "third-3").status_code == 204
    assert change("third-3", "first-1").status_code == 204


def test_password_pattern(strict):
    answer = strict.post("identity", "/users", {"user": {"name": "weak", "password": "A"}})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("The password does not match the requirements")


def test_a_restart_keeps_tokens_and_makes_nothing_twice(own_cloud):
    token = own_cloud.token()

    def counts():
        return {plural: len(own_cloud.get("identity", f"/{plural}").json()[plural])
                for plural in ("users", "roles", "projects", "domains", "services", "endpoints", "regions", "role_assignments")}
    before = counts()
    assert own_cloud.stop() == 0
    (own_cloud.state_dir / "run" / "ready").unlink(missing_ok=True)
    own_cloud.start()
    assert own_cloud.get("identity", "/auth/tokens", token=token, headers={"X-Subject-Token": token}).status_code == 200
    assert counts() == before


def test_the_project_of_administrators_is_told():
    """Tokens of another project say that theirs is not it, so that policies which ask for it refuse them."""
    cloud = new_cloud(["keystone"], env={"OS_RESOURCE__ADMIN_PROJECT_NAME": "admin",
                                    "OS_RESOURCE__ADMIN_PROJECT_DOMAIN_NAME": "Default"}).start()
    try:
        token = cloud.get("identity", "/auth/tokens", headers={"X-Subject-Token": cloud.token()}).json()["token"]
        assert token["project"]["name"] == "admin" and token["is_admin_project"] is True
        project = cloud.post("identity", "/projects", {"project": {"name": "other"}}).json()["project"]["id"]
        role = next(r["id"] for r in cloud.get("identity", "/roles").json()["roles"] if r["name"] == "member")
        who = user(cloud, "ann", "right-one")
        assert cloud.call("PUT", "identity", f"/projects/{project}/users/{who}/roles/{role}").status_code == 204
        other = cloud.login("ann", "right-one", "other")
        assert other.json()["token"]["is_admin_project"] is False
        unscoped = cloud.login("ann", "right-one", None)
        assert "is_admin_project" not in unscoped.json()["token"]
    finally:
        dispose(cloud)
