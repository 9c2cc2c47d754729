# SPDX-License-Identifier: Apache-2.0
"""Every route of every API, as strangers and as personas: who may not is told 401 or 403 (or 404, where existence is a
secret), and no request is answered 500. The routes come from the program itself: `nubo routes`."""
import csv
import io
import re
import subprocess

import pytest

from conftest import BIN

TYPES = {"keystone": "identity", "placement": "placement", "glance": "image", "nova": "compute", "neutron": "network"}
# Anybody may end their own token, and an image needs nothing to be created (add_image, with its deprecated default).
OPEN_TO_ALL = {("DELETE", "/v3/auth/tokens"), ("POST", "/v2/images")}
NOBODY = "00000000-0000-4000-8000-000000000000"


def routes():
    text = subprocess.run([BIN, "routes"], capture_output=True, text=True, check=True).stdout
    rows = [r for r in csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE) if r["listener"] == "api"]
    assert len(rows) > 50
    return rows


def call(cloud, row, token):
    base = cloud.url(TYPES[row["service"]])
    root = re.match(r"http://[^/]+", base).group(0)
    path = re.sub(r"\{[^}]+\}", NOBODY, row["path"])
    version = {"nova": "compute 2.95", "placement": "placement 1.39"}.get(row["service"])
    headers = {"OpenStack-API-Version": version} if version else {}
    if token is not None:
        headers["X-Auth-Token"] = token
    body = {} if row["method"] in ("POST", "PUT", "PATCH") else None
    import requests
    return requests.request(row["method"], root + path, json=body, headers=headers, timeout=120)


def test_without_a_token(cloud):
    wrong = []
    for row in routes():
        status = call(cloud, row, None).status_code
        if (row["token"] == "required") != (status == 401) and not (row["token"] != "required" and status == 401):
            wrong.append((row["method"], row["path"], status))
    assert not wrong


@pytest.mark.parametrize("token", ["gAAAAABforged", "x" * 5000, "\x7f"], ids=["forged", "long", "control"])
def test_with_a_wrong_token(cloud, token):
    wrong = []
    for row in routes():
        status = call(cloud, row, token).status_code
        if row["token"] == "required" and status not in (401, 400):
            wrong.append((row["method"], row["path"], status))
    assert not wrong


@pytest.mark.parametrize("role", ["reader", "member"])
def test_writes_that_only_admins_may(cloud, role):
    """An empty body and an unknown object: whoever may not is refused first, and nobody sees a 500 or a success."""
    token = cloud.make_user("persona-" + role, role, "persona-project")
    wrong = []
    for row in routes():
        if (row["method"], row["path"]) in OPEN_TO_ALL:
            continue
        if role == "member" and (row["method"], row["path"]) == ("POST", "/v2/images"):
            continue  # {} is an image, and members may make images
        status = call(cloud, row, token).status_code
        refused_for_good = row["method"] != "GET" and row["method"] != "HEAD" and status < 300
        if status >= 500 or refused_for_good:
            wrong.append((row["method"], row["path"], status))
    assert not wrong


def test_nothing_is_a_500_for_the_admin(cloud):
    wrong = []
    for row in routes():
        status = call(cloud, row, cloud.token()).status_code
        if status >= 500:
            wrong.append((row["method"], row["path"], status))
    assert not wrong
