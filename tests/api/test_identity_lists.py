# SPDX-License-Identifier: Apache-2.0
"""Lists of identity: exact and inexact filters, and the limits that an operator sets."""
import uuid

import pytest

from conftest import dispose, new_cloud


@pytest.fixture(scope="module")
def limited():
    """A cloud whose lists are short: three users, two roles; other lists as they are."""
    it = new_cloud(["keystone"], env={"OS_IDENTITY__LIST_LIMIT": "3", "OS_ROLE__LIST_LIMIT": "2"}).start()
    yield it
    dispose(it)


def test_a_list_is_cut_and_says_so(limited):
    domain = limited.post("identity", "/domains", {"domain": {"name": "cut"}}).json()["domain"]["id"]
    for number in range(5):
        limited.post("identity", "/users", {"user": {"name": f"user{number}", "domain_id": domain}})
    body = limited.get("identity", f"/users?domain_id={domain}").json()
    assert len(body["users"]) == 3 and body["truncated"] is True
    # filters come first, the inexact ones too
    body = limited.get("identity", f"/users?domain_id={domain}&name__contains=4").json()
    assert [u["name"] for u in body["users"]] == ["user4"] and "truncated" not in body
    body = limited.get("identity", f"/users?domain_id={domain}&name__startswith=user").json()
    assert len(body["users"]) == 3 and body["truncated"] is True
    body = limited.get("identity", "/roles").json()
    assert len(body["roles"]) == 2 and body["truncated"] is True
    body = limited.get("identity", "/roles?name=admin").json()
    assert len(body["roles"]) == 1 and "truncated" not in body
    assert "truncated" not in limited.get("identity", "/projects").json()


def names(cloud, query):
    return sorted(g["name"] for g in cloud.get("identity", "/groups?" + query).json()["groups"])


def test_inexact_filters(cloud):
    mark = uuid.uuid4().hex[:8]
    made = [f"{mark}-Alpha", f"{mark}-beta", f"{mark}-ALPHABET"]
    ids = [cloud.post("identity", "/groups", {"group": {"name": name}}).json()["group"]["id"] for name in made]
    try:
        base = f"name__startswith={mark}"
        assert names(cloud, base) == sorted(made)
        assert names(cloud, f"{base}&name__contains=Alpha") == [made[0]]
        assert names(cloud, f"{base}&name__icontains=alpha") == sorted([made[0], made[2]])
        assert names(cloud, f"{base}&name__endswith=beta") == [made[1]]
        assert names(cloud, f"{base}&name__iendswith=BETA") == [made[1]]
        assert names(cloud, f"name__istartswith={mark.upper()}-alpha") == sorted([made[0], made[2]])
        assert names(cloud, f"name={made[0]}") == [made[0]]
        # what the reference does not know filters nothing
        assert names(cloud, f"{base}&name__resembles=x") == sorted(made)
        assert names(cloud, f"{base}&colour=red") == sorted(made)
        assert names(cloud, f"{base}&name=%25") == []
    finally:
        for group in ids:
            cloud.call("DELETE", "identity", f"/groups/{group}")
