# SPDX-License-Identifier: Apache-2.0
"""What stands in front of every API: health checks, other origins, the headers of proxies, the limit of bodies."""
import pytest
import requests

from conftest import PORTS, dispose, new_cloud

PAGE = "https://dashboard.example.com"


@pytest.fixture(scope="module")
def behind(tmp_path_factory):
    """A cloud behind a proxy, with a dashboard on another origin, that can be told to be unhealthy."""
    flag = tmp_path_factory.mktemp("health") / "disabled"
    it = new_cloud(env={"OS_CORS__ALLOWED_ORIGIN": PAGE, "OS_OSLO_MIDDLEWARE__ENABLE_PROXY_HEADERS_PARSING": "true",
                        "OS_HEALTHCHECK__BACKENDS": "disable_by_file", "OS_HEALTHCHECK__DISABLE_BY_FILE_PATH": str(flag),
                        "OS_OSLO_MIDDLEWARE__MAX_REQUEST_BODY_SIZE": "2000"}).start()
    it.flag = flag
    yield it
    dispose(it)


def root(cloud, service):
    return f"http://127.0.0.1:{PORTS[service] + cloud.offset}"


@pytest.mark.parametrize("service", ["identity", "compute", "network", "image", "placement"])
def test_health(cloud, behind, service):
    answer = requests.get(root(cloud, service) + "/healthcheck", timeout=120)
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/plain")
    assert answer.text == ("" if service == "identity" else "OK")
    assert requests.head(root(cloud, service) + "/healthcheck", timeout=120).status_code == 204
    url = root(behind, service) + "/healthcheck"
    assert requests.get(url, headers={"Accept": "application/json"}, timeout=120).json() == {"detailed": False, "reasons": ["OK"]}
    assert "<TD>OK</TD>" in requests.get(url, headers={"Accept": "text/html"}, timeout=120).text
    behind.flag.touch()
    try:
        answer = requests.get(url, timeout=120)
        assert (answer.status_code, answer.text) == (503, "DISABLED BY FILE")
        assert requests.head(url, timeout=120).status_code == 503
    finally:
        behind.flag.unlink()


def preflight(cloud, service, origin=PAGE, method="POST", headers="X-Auth-Token, Content-Type"):
    return requests.options(root(cloud, service) + "/v3/users", timeout=120, headers={
        "Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers})


@pytest.mark.parametrize("service", ["identity", "compute", "network", "image", "placement"])
def test_other_origins(cloud, behind, service):
    answer = preflight(behind, service)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE and answer.headers["Access-Control-Allow-Methods"] == "POST"
    assert answer.headers["Access-Control-Allow-Headers"] == "X-Auth-Token, Content-Type"
    assert answer.headers["Access-Control-Max-Age"] == "3600" and answer.headers["Access-Control-Allow-Credentials"] == "true"
    for wrong in ({"origin": "https://elsewhere.example.com"}, {"method": "TRACE"}, {"headers": "X-Colour"}):
        assert "Access-Control-Allow-Origin" not in preflight(behind, service, **wrong).headers
    answer = requests.get(root(behind, service) + "/", headers={"Origin": PAGE}, timeout=120)
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE and "Origin" in answer.headers["Vary"]
    assert "X-Subject-Token" in answer.headers["Access-Control-Expose-Headers"]
    # who did not ask for it does not have it
    plain = requests.get(root(cloud, service) + "/", headers={"Origin": PAGE}, timeout=120)
    assert "Access-Control-Allow-Origin" not in plain.headers


@pytest.mark.parametrize("headers, expected", [
    ({"X-Forwarded-Proto": "https", "X-Forwarded-Host": "cloud.example.com"}, "https://cloud.example.com/v3/"),
    ({"X-Forwarded-Proto": "https", "X-Forwarded-Host": "cloud.example.com", "X-Forwarded-Prefix": "/identity"},
     "https://cloud.example.com/identity/v3/"),
    ({"Forwarded": 'for=1.2.3.4;proto=https;host="a.example.com", for=5.6.7.8;host=b.example.com'}, "https://a.example.com/v3/"),
    ({"X-Forwarded-Host": "bad host/\"", "X-Forwarded-Proto": "javascript", "X-Forwarded-Prefix": "//x\"y"}, None),
])
def test_proxies(cloud, behind, headers, expected):
    href = requests.get(root(behind, "identity") + "/v3", headers=headers, timeout=120).json()["version"]["links"][0]["href"]
    assert href == (expected or root(behind, "identity") + "/v3/")
    # nobody but a proxy says so
    href = requests.get(root(cloud, "identity") + "/v3", headers=headers, timeout=120).json()["version"]["links"][0]["href"]
    assert href == root(cloud, "identity") + "/v3/"


def test_long_bodies(cloud, behind):
    body = {"user": {"name": "n", "description": "x" * 3000}}
    assert behind.post("identity", "/users", body).status_code == 413
    assert cloud.post("identity", "/users", {"user": {"name": "long", "description": "x" * 120000}}).status_code == 413
    made = cloud.post("identity", "/users", {"user": {"name": "long", "description": "x" * 60000}})
    assert made.status_code == 201
    assert cloud.post("identity", "/users", {"user": {"name": "longer", "description": "x" * 100000}}).status_code in (201, 400)
    cloud.call("DELETE", "identity", f"/users/{made.json()['user']['id']}")
