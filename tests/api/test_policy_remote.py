# SPDX-License-Identifier: Apache-2.0
"""Policies that another server decides, and policies of a file."""
import http.server
import json
import threading
import urllib.parse

import pytest

from conftest import dispose, new_cloud


class Decider(http.server.BaseHTTPRequestHandler):
    answer, asked = "True", []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        Decider.asked.append((self.path, {k: json.loads(v[0]) for k, v in urllib.parse.parse_qs(body).items()}))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(Decider.answer.encode())

    def log_message(self, *words):
        pass


@pytest.fixture(scope="module")
def decided(tmp_path_factory):
    server = http.server.HTTPServer(("127.0.0.1", 0), Decider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    file = tmp_path_factory.mktemp("policy") / "policy.yaml"
    url = f"http://127.0.0.1:{server.server_port}"
    file.write_text(f'"identity:get_user": "{url}/decide/%(target.user.id)s"\n'
                    f'"identity:list_regions": "role:admin and not {url}/deny"\n'
                    '"identity:list_services": "@"\n"identity:list_endpoints": "!"\n'
                    '"identity:get_region": "role:nobody or (\'default\':%(target.no.such)s)"\n')
    it = new_cloud(["keystone"], env={"OS_OSLO_POLICY__POLICY_FILE": str(file)}).start()
    yield it
    dispose(it)
    server.shutdown()


def test_another_server_decides(decided):
    user = decided.get("identity", "/users?name=admin").json()["users"][0]
    Decider.asked.clear()
    for answer, status in (("True", 200), ('"True"', 200), ("False", 403), ("true", 403), ("", 403), ("True\n", 403)):
        Decider.answer = answer
        assert decided.get("identity", f"/users/{user['id']}").status_code == status, answer
    path, told = Decider.asked[0]
    assert path == f"/decide/{user['id']}" and told["rule"] == "identity:get_user"
    assert told["target"]["target"]["user"]["id"] == user["id"] and "admin" in told["credentials"]["roles"]
    assert told["credentials"]["user_id"] == user["id"]
    Decider.answer = "False"
    assert decided.get("identity", "/regions").status_code == 200
    Decider.answer = "True"
    assert decided.get("identity", "/regions").status_code == 403


def test_rules_of_a_file(decided):
    assert decided.get("identity", "/services").status_code == 200
    assert decided.get("identity", "/endpoints").status_code == 403
    assert decided.get("identity", "/regions/RegionOne").status_code == 403
