# SPDX-License-Identifier: Apache-2.0
"""Tokens of ours are read by what keystone reads them with (cryptography, msgpack), and the other way round."""

import base64
import json
import os
import pathlib
import subprocess
import uuid

import pytest

fernet = pytest.importorskip("cryptography.fernet", reason="python3-cryptography is not installed")
msgpack = pytest.importorskip("msgpack", reason="python3-msgpack is not installed")

BUILD = pathlib.Path(os.environ.get("NUBO_BUILD", pathlib.Path(__file__).parents[2] / "build"))
TOOL = BUILD / "tests" / "unit" / "token_tool"
pytestmark = pytest.mark.skipif(not TOOL.exists(), reason=f"{TOOL} is not built")

USER, PROJECT, DOMAIN = (uuid.UUID(int=n << 96 | n) for n in (0xA1, 0xB2, 0xFFFFFFFF))
TRUST = uuid.uuid4()
AUDIT = [bytes(range(16)), bytes(range(255, 239, -1))]
EXPIRES_US = 1763841350123457


def packed(value):
    return [True, value.bytes] if isinstance(value, uuid.UUID) else [False, value]


def shown(value):
    return value.hex if isinstance(value, uuid.UUID) else value


GROUPS = [PROJECT, "a-group"]
TAIL = [EXPIRES_US / 10**6, AUDIT]
FEDERATION = [[packed(g) for g in GROUPS], packed("my-idp"), "saml2"]
FEDERATION_NAMES = {"group_ids": GROUPS, "identity_provider_id": "my-idp", "protocol_id": "saml2"}
# (version, what lies between the methods and the expiry, what lies behind the audit ids, the names of both)
CASES = [
    (0, [], [], {}),
    (1, [DOMAIN.bytes], [], {"domain_id": DOMAIN}),
    (1, ["default"], [], {"domain_id": "default"}),
    (2, [packed(PROJECT)], [], {"project_id": PROJECT}),
    (2, [packed("not-a-uuid")], [], {"project_id": "not-a-uuid"}),
    (3, [packed(PROJECT)], [TRUST.bytes], {"project_id": PROJECT, "trust_id": TRUST}),
    (4, FEDERATION, [], FEDERATION_NAMES),
    (5, [packed(PROJECT)] + FEDERATION, [], {"project_id": PROJECT, **FEDERATION_NAMES}),
    (6, [packed("default")] + FEDERATION, [], {"domain_id": "default", **FEDERATION_NAMES}),
    (7, [packed(PROJECT), packed(TRUST)], [], {"project_id": PROJECT, "access_token_id": TRUST}),
    (8, ["all"], [], {"system": "all"}),
    (9, [packed(PROJECT)], [packed(TRUST)], {"project_id": PROJECT, "app_cred_id": TRUST}),
    (10, [packed(PROJECT), packed("default")], [packed("aBc")],
     {"project_id": PROJECT, "domain_id": "default", "thumbprint": "aBc"}),
]
IDS = [f"version-{c[0]}-{n}" for n, c in enumerate(CASES)]


@pytest.fixture
def repository(tmp_path):
    for number in (0, 1, 2):
        (tmp_path / str(number)).write_bytes(fernet.Fernet.generate_key())
    return tmp_path


def multi(repository):
    return fernet.MultiFernet([fernet.Fernet((repository / str(n)).read_bytes()) for n in (2, 1, 0)])


def payload(case, user):
    version, middle, end, _ = case
    return [version, packed(user), 2] + middle + TAIL + end


def names(case, user):
    out = {"version": case[0], "methods": 2, "user_id": shown(user), "expires_us": EXPIRES_US, "group_ids": [],
           "audit_ids": [base64.urlsafe_b64encode(a).decode().rstrip("=") for a in AUDIT]}
    for name, value in case[3].items():
        out[name] = [shown(v) for v in value] if isinstance(value, list) else shown(value)
    return out


def run(*args, stdin=None):
    return subprocess.run([TOOL, *map(str, args)], input=stdin, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("user", [USER, "jane@example"], ids=["uuid", "text"])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_keystone_reads_ours(case, user, repository):
    done = run("pack", repository, stdin=json.dumps(names(case, user)))
    assert done.returncode == 0, done.stderr
    token = done.stdout.strip()
    assert "=" not in token
    data = multi(repository).decrypt((token + "=" * (-len(token) % 4)).encode())
    assert data == msgpack.packb(payload(case, user)), "the very bytes that keystone packs"
    assert msgpack.unpackb(data) == payload(case, user)


@pytest.mark.parametrize("old", [False, True], ids=["msgpack-1", "msgpack-0"])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_we_read_keystones(case, old, repository):
    data = msgpack.packb(payload(case, USER), use_bin_type=not old)
    token = multi(repository).encrypt(data).rstrip(b"=").decode()
    done = run("unpack", repository, token)
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)
    sealed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    assert got.pop("issued_us") == int.from_bytes(sealed[1:9], "big") * 10**6
    assert got == names(case, USER)


def test_secondary_keys_open_and_others_do_not(repository):
    data = msgpack.packb(payload(CASES[0], USER))
    for number in (0, 1, 2):
        token = fernet.Fernet((repository / str(number)).read_bytes()).encrypt(data).decode()
        assert run("unpack", repository, token).returncode == 0
    token = fernet.Fernet(fernet.Fernet.generate_key()).encrypt(data).decode()
    assert "Could not recognize Fernet token" in run("unpack", repository, token).stderr
