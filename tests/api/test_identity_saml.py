# SPDX-License-Identifier: Apache-2.0
"""This keystone as an identity provider: signed assertions, its metadata, and one cloud's user in another (K2K)."""
import http.server
import importlib.util
import json
import os
import re
import subprocess
import tempfile
import threading
import uuid
import xml.etree.ElementTree as tree

import pytest
import requests
from keystoneauth1 import session
from keystoneauth1.identity import v3

from conftest import BIN, dispose, new_cloud

FRONT = "X-Front-"
SAML = "{urn:oasis:names:tc:SAML:2.0:assertion}"
DSIG = "{http://www.w3.org/2000/09/xmldsig#}"
XMLSEC = "/usr/bin/xmlsec1"
ENTITY = "https://idp.example.com/v3/OS-FEDERATION/saml2/idp"
pytestmark = pytest.mark.skipif(not os.path.exists(XMLSEC), reason="xmlsec1 is not installed")


class Identity:
    """A cloud that vouches for its users, with the key that it signs with."""

    def __init__(self, folder):
        self.folder, self.key, self.certificate = folder, folder / "key.pem", folder / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key, "-out", self.certificate,
                        "-days", "10", "-subj", "/CN=idp"], check=True, capture_output=True)
        self.settings = {"OS_SAML__CERTFILE": str(self.certificate), "OS_SAML__KEYFILE": str(self.key),
                         "OS_SAML__IDP_ENTITY_ID": ENTITY, "OS_SAML__IDP_SSO_ENDPOINT": "https://idp.example.com/sso",
                         "OS_SAML__IDP_METADATA_PATH": str(folder / "metadata.xml"),
                         "OS_SAML__ASSERTION_EXPIRATION_TIME": "600"}
        self.cloud = new_cloud(["keystone"], env=self.settings).start()

    def provider(self, sp_url, auth_url, **more):
        name = "sp" + uuid.uuid4().hex[:8]
        body = {"sp_url": sp_url, "auth_url": auth_url, "enabled": True, **more}
        answer = self.cloud.call("PUT", "identity", f"/OS-FEDERATION/service_providers/{name}", {"service_provider": body})
        assert answer.status_code == 201, answer.text
        return name

    def ask(self, provider, token=None, ecp=False, **members):
        auth = {"identity": {"methods": ["token"], "token": {"id": token or self.cloud.token()}},
                "scope": {"service_provider": {"id": provider}}, **members}
        return requests.post(self.cloud.url("identity", "/auth/OS-FEDERATION/saml2" + ("/ecp" if ecp else "")),
                             json={"auth": auth}, timeout=120)


@pytest.fixture(scope="module")
def idp(tmp_path_factory):
    it = Identity(tmp_path_factory.mktemp("idp"))
    yield it
    dispose(it.cloud)


def message(answer):
    return answer.json()["error"]["message"]


def verify(folder, text, certificate):
    """Whether xmlsec1 finds the assertion's signature good."""
    with tempfile.NamedTemporaryFile("wb", dir=folder, suffix=".xml") as file:
        file.write(text)
        file.flush()
        done = subprocess.run([XMLSEC, "--verify", "--pubkey-cert-pem", certificate, "--id-attr:ID",
                               "urn:oasis:names:tc:SAML:2.0:assertion:Assertion", file.name], capture_output=True, text=True)
    return done.returncode == 0


def attributes(document):
    return {a.get("Name"): [v.text for v in a.findall(SAML + "AttributeValue")] for a in document.iter(SAML + "Attribute")}


@pytest.fixture(scope="module")
def user(idp):
    """One with a name that needs care, in two groups of two domains, with two roles."""
    cloud, mark = idp.cloud, uuid.uuid4().hex[:6]
    made = type("User", (), {"name": f'Zoë <&> "q" \U0001f600 {mark}', "password": "s3cret"})
    made.id = cloud.post("identity", "/users", {"user": {"name": made.name, "password": made.password}}).json()["user"]["id"]
    made.domain = cloud.post("identity", "/domains", {"domain": {"name": "Bücher " + mark}}).json()["domain"]
    made.project = "p " + mark
    project = cloud.post("identity", "/projects", {"project": {"name": made.project}}).json()["project"]["id"]
    made.groups = []
    for name, domain in (("ops " + mark, "default"), ("größe " + mark, made.domain["id"])):
        group = cloud.post("identity", "/groups", {"group": {"name": name, "domain_id": domain}}).json()["group"]
        assert cloud.call("PUT", "identity", f"/groups/{group['id']}/users/{made.id}").status_code == 204
        made.groups.append(name)
    role = cloud.get("identity", "/roles?name=member").json()["roles"][0]["id"]
    assert cloud.call("PUT", "identity", f"/projects/{project}/users/{made.id}/roles/{role}").status_code == 204
    made.token = cloud.login(made.name, made.password, made.project).headers["X-Subject-Token"]
    return made


def test_an_assertion(idp, user):
    provider = idp.provider('https://sp/Shib?a=1&b="x"', "https://sp/v3/OS-FEDERATION/identity_providers/k/protocols/m/auth")
    answer = idp.ask(provider, user.token)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/xml" and answer.headers["X-sp-url"] == 'https://sp/Shib?a=1&b="x"'
    assert answer.headers["X-auth-url"].endswith("/m/auth")
    assert verify(idp.folder, answer.content, idp.certificate)
    assert not verify(idp.folder, answer.content.replace(b">member<", b">admin<"), idp.certificate)
    document = tree.fromstring(answer.content)
    assert document.get("Destination") == 'https://sp/Shib?a=1&b="x"'
    said = attributes(document)
    groups = said.pop("openstack_groups")
    assert sorted(said.pop("openstack_roles")) == ["member", "reader"]
    assert said == {"openstack_user": [user.name], "openstack_user_domain": ["Default"], "openstack_project": [user.project],
                    "openstack_project_domain": ["Default"]}
    assert all(g.startswith('JSON:{"name": "') and '"domain": {"name": "' in g for g in groups) and len(groups) == 2
    assert any(re.search(r'"name": "B\\u00fc', g, re.I) for g in groups)
    # the key is the one of the certificate that goes with it
    certificate = "".join(document.find(f".//{DSIG}X509Certificate").text.split())
    assert certificate in "".join(idp.certificate.read_text().split())


def test_the_same_as_the_reference_writes(idp, user):
    """Debian's keystone with the same input: the same elements, attributes and texts, but for what is new each time."""
    if importlib.util.find_spec("keystone") is None or importlib.util.find_spec("saml2") is None:
        pytest.skip("Debian's keystone is not installed")
    provider = idp.provider("https://sp/ecp", "https://sp/auth", relay_state_prefix="ss:mem:")
    token = idp.cloud.get("identity", "/auth/tokens", headers={"X-Subject-Token": user.token}).json()["token"]
    script = """
import json, sys
import keystone.conf
keystone.conf.configure()
CONF = keystone.conf.CONF
asked = json.load(sys.stdin)
CONF([], project="keystone", default_config_files=[])
for name, value in asked["options"].items():
    CONF.set_override(name, value, "saml")
from keystone.federation import idp
made = idp.SAMLGenerator().samlize_token(CONF.saml.idp_entity_id, *asked["arguments"])
print(json.dumps([made.to_string().decode(), idp.ECPGenerator.generate_ecp(made, "ss:mem:").to_string().decode(),
                  str(idp.MetadataGenerator().generate_metadata())]))
"""
    ours = [idp.ask(provider, user.token).content, idp.ask(provider, user.token, ecp=True).content, metadata(idp).encode()]
    said = attributes(tree.fromstring(ours[0]))
    options = {"certfile": str(idp.certificate), "keyfile": str(idp.key), "idp_entity_id": ENTITY,
               "idp_sso_endpoint": "https://idp.example.com/sso", "assertion_expiration_time": 600}
    arguments = ["https://sp/ecp", token["user"]["name"], token["user"]["domain"]["name"], said["openstack_roles"],
                 token["project"]["name"], token["project"]["domain"]["name"], said["openstack_groups"]]
    done = subprocess.run(["/usr/bin/python3", "-c", script], input=json.dumps({"options": options, "arguments": arguments}),
                          capture_output=True, text=True, timeout=120, check=True)
    for one, other in zip(ours, json.loads(done.stdout.splitlines()[-1])):
        assert flat(tree.fromstring(one)) == flat(tree.fromstring(other))


def flat(element):
    """An element with its attributes in order, with what differs from one assertion to the next put away."""
    masked = {"ID", "IssueInstant", "NotOnOrAfter", "AuthnInstant", "SessionIndex", "SessionNotOnOrAfter", "URI"}
    form = sorted((k, re.sub(r"[0-9a-f]", "x", v) if k in masked else v) for k, v in element.attrib.items())
    text = (element.text or "").strip()
    if element.tag in (DSIG + "DigestValue", DSIG + "SignatureValue"):
        text = len("".join(text.split()))
    elif element.tag.endswith("RelayState"):
        text = re.sub(r"[0-9a-f]{32}", "x", text)
    elif element.tag == DSIG + "X509Certificate":
        text = "".join(text.split())
    return [element.tag, form, text, [flat(child) for child in element]]


def test_what_pysaml2_says(idp, user):
    saml2 = pytest.importorskip("saml2")
    from saml2 import samlp, sigver  # only where it is installed
    provider = idp.provider("https://sp/ecp", "https://sp/auth")
    answer = idp.ask(provider, user.token)
    response = samlp.response_from_string(answer.content)
    assert response.status.status_code.value == saml2.samlp.STATUS_SUCCESS
    assert response.assertion[0].subject.name_id.text == user.name
    backend = sigver.CryptoBackendXmlSec1(XMLSEC)
    assert backend.validate_signature(answer.text, str(idp.certificate), "pem", "urn:oasis:names:tc:SAML:2.0:assertion:Assertion",
                                      response.assertion[0].id)


def test_who_gets_none(idp, user):
    cloud, provider = idp.cloud, idp.provider("https://sp/ecp", "https://sp/auth")
    answer = idp.ask("none", user.token)
    assert (answer.status_code, message(answer)) == (404, "Could not find Service Provider: none.")
    answer = idp.ask(provider, "gAAAAAnothing")
    assert answer.status_code == 404
    unscoped = cloud.login(user.name, user.password, project=None, scope="unscoped").headers["X-Subject-Token"]
    answer = idp.ask(provider, unscoped)
    assert (answer.status_code, message(answer)) == (
        403, "You are not authorized to perform the requested action: Use a project scoped token when attempting to create a SAML "
        "assertion.")
    cloud.call("PATCH", "identity", f"/OS-FEDERATION/service_providers/{provider}", {"service_provider": {"enabled": False}})
    answer = idp.ask(provider, user.token)
    assert answer.status_code == 403
    url = cloud.url("identity", "/auth/OS-FEDERATION/saml2")
    for body, words in (({}, "None is not of type 'object'"), ({"auth": {}}, "'identity' is a required property"),
                        ({"auth": {"identity": {"token": {"id": 5}}, "scope": {"service_provider": {"id": "x"}}}},
                         "Invalid input for field 'identity/token/id': 5 is not of type 'string'"),
                        ({"auth": {"identity": {"token": {"id": "x"}}, "scope": {"project": {}}}}, "is a required property")):
        answer = requests.post(url, json=body, timeout=120)
        assert answer.status_code == 400 and words in message(answer), answer.text
    assert requests.post(url, data="{", headers={"Content-Type": "application/json"}, timeout=120).status_code == 400
    assert requests.post(url, json=[], timeout=120).status_code == 400
    assert requests.get(url, timeout=120).status_code == 405
    assert requests.get(url + "/ecp", timeout=120).status_code == 405
    # a name that XML cannot say
    name = "bell \x07 " + uuid.uuid4().hex
    cloud.post("identity", "/users", {"user": {"name": name, "password": "s3cret"}})
    admin = cloud.get("identity", "/roles?name=member").json()["roles"][0]["id"]
    bell = cloud.get("identity", "/users", params={"name": name}).json()["users"][0]["id"]
    project = cloud.get("identity", "/projects", params={"name": user.project}).json()["projects"][0]["id"]
    cloud.call("PUT", "identity", f"/projects/{project}/users/{bell}/roles/{admin}")
    provider = idp.provider("https://sp/ecp", "https://sp/auth")
    answer = idp.ask(provider, cloud.login(name, "s3cret", user.project).headers["X-Subject-Token"])
    assert (answer.status_code, message(answer)) == (400, "A name has a character that a SAML assertion cannot carry.")


def test_without_a_key(idp):
    """The operator's fault is his log's, and no client's."""
    moved = idp.key.rename(idp.folder / "away.pem")
    try:
        answer = idp.ask(idp.provider("https://sp/ecp", "https://sp/auth"))
    finally:
        moved.rename(idp.key)
    assert (answer.status_code, message(answer)) == (500, "An unexpected error prevented the server from fulfilling your request.")
    assert "Unable to sign SAML assertion." in idp.cloud.log.read_text()


def metadata(idp, status=0, **options):
    """What keystone-manage saml_idp_metadata prints."""
    with tempfile.TemporaryDirectory() as home:
        os.symlink(BIN, home + "/keystone-manage")
        with open(home + "/keystone.conf", "w") as file:
            rows = {k.split("__")[1].lower(): v for k, v in idp.settings.items()} | options
            file.write("[saml]\n" + "".join(f"{k} = {v}\n" for k, v in rows.items() if v is not None))
        done = subprocess.run([home + "/keystone-manage", "--config-file", home + "/keystone.conf", "saml_idp_metadata"],
                              capture_output=True, text=True, timeout=120)
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stderr


def test_metadata(idp):
    url = idp.cloud.url("identity", "/OS-FEDERATION/saml2/metadata")
    file = idp.folder / "metadata.xml"
    file.unlink(missing_ok=True)
    assert requests.get(url, timeout=120).status_code == 404  # the reference's MetadataFileError is a 500
    text = metadata(idp)
    file.write_text(text)
    answer = requests.get(url, timeout=120)
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "text/xml" and answer.text == text
    assert requests.head(url, timeout=120).status_code == 200
    document = tree.fromstring(text)
    assert document.get("entityID") == ENTITY and document.tag.endswith("}EntityDescriptor")
    assert document.find(f".//{DSIG}X509Certificate").text in "".join(idp.certificate.read_text().split())
    assert "idp_entity_id is set" in metadata(idp, 1, idp_entity_id=None)
    assert "idp_sso_endpoint is set" in metadata(idp, 1, idp_sso_endpoint=None)
    assert "Cannot open certificate /nowhere" in metadata(idp, 1, certfile="/nowhere")
    assert "Tom &#38; &#201;va" in metadata(idp, idp_contact_name="Tom & Éva")
    home = requests.get(idp.cloud.url("identity"), headers={"Accept": "application/json-home"}, timeout=120).json()["resources"]
    hrefs = {one.get("href") for one in home.values()}
    assert {"/auth/OS-FEDERATION/saml2", "/auth/OS-FEDERATION/saml2/ecp", "/OS-FEDERATION/saml2/metadata"} <= hrefs


# ---- Two clouds ----

class Front(http.server.BaseHTTPRequestHandler):
    """The web server before the service provider, as Apache with mod_shib: it takes ECP responses that the identity provider of
    its metadata has signed, remembers what they say by a cookie, and asserts that to keystone behind it."""
    keystone = certificate = folder = None
    sessions = {}

    def log_message(self, *_):
        pass

    def answer(self, status, headers=(), body=b""):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def take_assertion(self, text):
        if not verify(self.folder, text, self.certificate):
            self.answer(403)
            return
        name = uuid.uuid4().hex
        self.sessions[name] = attributes(tree.fromstring(text))
        self.answer(302, [("Set-Cookie", f"_shibsession={name}; Path=/"), ("Location", "/secure")])

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/Shibboleth.sso/SAML2/ECP":
            self.take_assertion(body)
            return
        headers = {k: v for k, v in self.headers.items()
                   if not k.lower().startswith(FRONT.lower()) and k.lower() not in ("host", "content-length", "connection")}
        said = self.sessions.get(re.sub(r".*_shibsession=(\w+).*", r"\1", self.headers.get("Cookie") or ""))
        if self.path.endswith("/auth") and said is None:
            self.answer(401)
            return
        if self.path.endswith("/auth"):
            headers.update({FRONT + name.replace("_", "-"): ";".join(values).encode() for name, values in said.items()})
            headers[FRONT + "Shib-Identity-Provider"] = ENTITY
        answer = requests.request(self.command, self.keystone + self.path, headers=headers, data=body, timeout=120)
        self.answer(answer.status_code, [(k, v) for k, v in answer.headers.items()
                                         if k in ("Content-Type", "X-Subject-Token", "Vary")], answer.content)

    do_GET = do_POST = do_HEAD = do_DELETE = handle_any


@pytest.fixture(scope="module")
def sp(idp):
    it = new_cloud(["keystone"], env={"OS_FEDERATION__TRUSTED_HEADER_PREFIX": FRONT, "OS_AUTH__METHODS": "password,token,mapped",
                        "OS_FEDERATION__REMOTE_ID_ATTRIBUTE": "Shib_Identity_Provider"}).start()
    handler = type("Handler", (Front,), {"keystone": it.url("identity")[:-3], "certificate": idp.certificate, "folder": idp.folder})
    front = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=front.serve_forever, daemon=True).start()
    it.front = f"http://127.0.0.1:{front.server_port}"
    yield it
    front.shutdown()
    front.server_close()
    dispose(it)


def test_keystone_to_keystone(idp, sp, user):
    """keystoneauth's plugin, as it is: a token of the one cloud becomes one of the other."""
    project = sp.post("identity", "/projects", {"project": {"name": "guests"}}).json()["project"]["id"]
    group = sp.post("identity", "/groups", {"group": {"name": user.groups[0]}}).json()["group"]["id"]
    role = sp.get("identity", "/roles?name=member").json()["roles"][0]["id"]
    sp.call("PUT", "identity", f"/projects/{project}/groups/{group}/roles/{role}")
    rules = [{"local": [{"user": {"name": "{0}"}}, {"groups": "{1}"}],
              "remote": [{"type": "openstack_user"}, {"type": "openstack_groups", "whitelist": ["ops"], "regex": True},
                         {"type": "openstack_roles", "any_one_of": ["member"]}]}]
    put = lambda path, body: sp.call("PUT", "identity", "/OS-FEDERATION" + path, body)
    assert put("/mappings/k2k", {"mapping": {"rules": rules}}).status_code == 201
    assert put("/identity_providers/keystone", {"identity_provider": {"enabled": True, "remote_ids": [ENTITY]}}).status_code == 201
    assert put("/identity_providers/keystone/protocols/mapped", {"protocol": {"mapping_id": "k2k"}}).status_code == 201
    auth_url = sp.front + "/v3/OS-FEDERATION/identity_providers/keystone/protocols/mapped/auth"
    provider = idp.provider(sp.front + "/Shibboleth.sso/SAML2/ECP", auth_url)
    at_home = v3.Password(auth_url=idp.cloud.url("identity"), username=user.name, password=user.password,
                          user_domain_name="Default", project_name=user.project, project_domain_name="Default")
    away = v3.Keystone2Keystone(at_home, provider, project_name="guests", project_domain_name="Default")
    talk = session.Session(auth=away)
    token = talk.get_token()
    shown = sp.get("identity", "/auth/tokens", headers={"X-Subject-Token": token}).json()["token"]
    assert shown["user"]["name"] == user.name and shown["project"]["id"] == project
    assert shown["user"]["OS-FEDERATION"]["identity_provider"]["id"] == "keystone"
    assert {r["name"] for r in shown["roles"]} == {"member", "reader"}
    mine = talk.get(sp.url("identity", "/auth/projects")).json()["projects"]
    assert [p["id"] for p in mine] == [project]
    # what was changed on the way is not believed
    text = idp.ask(provider, user.token, ecp=True).content.replace(b">member<", b">admin<")
    assert requests.post(sp.front + "/Shibboleth.sso/SAML2/ECP", data=text, timeout=120).status_code == 403
    assert requests.get(auth_url, timeout=120).status_code == 401


def test_keystone_to_keystone_by_the_client(idp, sp, user):
    """The openstack command with OS_SERVICE_PROVIDER: it asks the one cloud and acts in the other."""
    provider = next(p["id"] for p in idp.cloud.get("identity", "/OS-FEDERATION/service_providers").json()["service_providers"]
                    if p["sp_url"].startswith(sp.front))
    env = {"OS_USERNAME": user.name, "OS_PASSWORD": user.password, "OS_PROJECT_NAME": user.project,
           "OS_SERVICE_PROVIDER": provider, "OS_REMOTE_PROJECT_NAME": "guests", "OS_REMOTE_PROJECT_DOMAIN_NAME": "Default"}
    token, projects = idp.cloud.openstack_lines("token issue -f json", "federation project list -f json", user_env=env)
    assert [p["Name"] for p in projects] == ["guests"]
    shown = sp.get("identity", "/auth/tokens", headers={"X-Subject-Token": token["id"]})
    assert shown.status_code == 200 and shown.json()["token"]["user"]["name"] == user.name
