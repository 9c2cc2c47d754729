# SPDX-License-Identifier: Apache-2.0
"""Images through the API and through the real openstack client."""
import concurrent.futures
import contextlib
import hashlib
import json
import os
import socket
import struct
import subprocess
import time

import pytest
import requests
from conftest import dispose, new_cloud

PATCH = "application/openstack-images-v2.1-json-patch"
BYTES = {"Content-Type": "application/octet-stream"}


def create(cloud, token=None, **members):
    body = {"name": "test", "disk_format": "raw", "container_format": "bare", **members}
    answer = cloud.post("image", "/v2/images", body, token=token)
    assert answer.status_code == 201, answer.text
    return answer.json()


def upload(cloud, image_id, data, token=None):
    return requests.put(cloud.url("image", f"/v2/images/{image_id}/file"), data=data, timeout=120,
                        headers={**BYTES, "X-Auth-Token": token or cloud.token()})


def patch(cloud, image_id, *changes, token=None):
    return requests.patch(cloud.url("image", f"/v2/images/{image_id}"), data=json.dumps(changes), timeout=120,
                          headers={"Content-Type": PATCH, "X-Auth-Token": token or cloud.token()})


def show(cloud, image_id, token=None):
    return cloud.get("image", f"/v2/images/{image_id}", token=token)


def files(cloud):
    return sorted(os.listdir(cloud.state_dir / "images"))


def begin_upload(cloud, image_id, length=1 << 20, sent=300000):
    """An upload that stops in the middle; the socket is still open."""
    s = socket.create_connection(("127.0.0.1", int(cloud.url("image").rsplit(":", 1)[1])))
    s.sendall(f"PUT /v2/images/{image_id}/file HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {cloud.token()}\r\n"
              f"Content-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n".encode() + b"x" * sent)
    cloud.wait(lambda: show(cloud, image_id).json()["status"] == "saving")
    cloud.wait(lambda: f".{image_id}.part" in files(cloud))
    return s


def test_life_of_an_image(cloud):
    image = create(cloud, colour="red", tags=["b", "a", "b"])
    assert image["status"] == "queued" and image["tags"] == ["a", "b"] and image["colour"] == "red"
    data = os.urandom(1_500_000)
    assert upload(cloud, image["id"], data).status_code == 204
    now = show(cloud, image["id"]).json()
    assert (now["status"], now["size"], now["virtual_size"]) == ("active", len(data), len(data))
    assert now["checksum"] == hashlib.md5(data).hexdigest()
    assert (now["os_hash_algo"], now["os_hash_value"]) == ("sha512", hashlib.sha512(data).hexdigest())
    got = cloud.get("image", f"/v2/images/{image['id']}/file")
    assert got.content == data and got.headers["Content-MD5"] == now["checksum"]
    part = cloud.get("image", f"/v2/images/{image['id']}/file", headers={"Range": "bytes=10-19"})
    assert part.status_code == 206 and part.content == data[10:20]
    assert upload(cloud, image["id"], b"again").status_code == 409
    answer = patch(cloud, image["id"], {"op": "replace", "path": "/name", "value": "new"},
                   {"op": "remove", "path": "/colour"}, {"op": "add", "path": "/a~1b", "value": "1"})
    assert answer.json()["name"] == "new" and "colour" not in answer.json() and answer.json()["a/b"] == "1"
    assert cloud.call("DELETE", "image", f"/v2/images/{image['id']}").status_code == 204
    assert show(cloud, image["id"]).status_code == 404
    assert image["id"] not in files(cloud)


@pytest.mark.parametrize("change, status", [
    ({"op": "replace", "path": "/status", "value": "active"}, 403),
    ({"op": "replace", "path": "/deleted", "value": "x"}, 403),
    ({"op": "remove", "path": "/nothing"}, 409),
    ({"op": "replace", "path": "/nothing", "value": "x"}, 409),
    ({"op": "remove", "path": "/name"}, 403),
    ({"op": "add", "path": "/min_disk", "value": "x"}, 400),
    ({"op": "add", "path": "/min_disk", "value": -1}, 400),
    ({"op": "add", "path": "/x/y", "value": "x"}, 400),
    ({"op": "add", "path": "x", "value": "x"}, 400),
    ({"op": "add", "path": "/x~2", "value": "x"}, 400),
    ({"op": "add", "path": "/x"}, 400),
    ({"op": "move", "path": "/x"}, 400),
    ({"op": "add", "path": "/locations/-", "value": {}}, 403),
])
def test_changes_that_are_refused(cloud, change, status):
    image = create(cloud)
    before = show(cloud, image["id"]).json()
    assert patch(cloud, image["id"], change).status_code == status
    assert show(cloud, image["id"]).json() == before


def test_bodies_that_are_refused(cloud):
    for body, status in (({"size": 3}, 403), ({"colour": 1}, 400), ({"id": "x"}, 400), ({"disk_format": "odd"}, 400),
                         ({"deleted": "x"}, 403), ({"self": "x"}, 403), ([], 400), ({"tags": ["x" * 256]}, 400)):
        assert cloud.post("image", "/v2/images", body).status_code == status, body
    answer = requests.post(cloud.url("image", "/v2/images"), data="{", timeout=120,
                           headers={"X-Auth-Token": cloud.token(), "Content-Type": "application/json"})
    assert answer.status_code == 400 and "Malformed JSON in request body." in answer.text
    image = create(cloud, disk_format=None)
    answer = upload(cloud, image["id"], b"x")
    assert answer.status_code == 400 and "disk_format must be set prior to saving data." in answer.text
    answer = requests.put(cloud.url("image", f"/v2/images/{image['id']}/file"), data=b"x", timeout=120,
                          headers={"X-Auth-Token": cloud.token(), "Content-Type": "text/plain"})
    assert answer.status_code == 415


def test_qcow2(cloud):
    head = bytearray(4096)
    head[0:8] = b"QFI\xfb" + struct.pack(">I", 3)
    head[24:32] = struct.pack(">Q", 10 << 20)
    head[100:104] = struct.pack(">I", 104)
    image = create(cloud, disk_format="qcow2")
    assert upload(cloud, image["id"], bytes(head)).status_code == 204
    assert show(cloud, image["id"]).json()["virtual_size"] == 10 << 20
    head[8:16] = struct.pack(">Q", 512)
    for disk_format in ("qcow2", "raw"):
        image = create(cloud, disk_format=disk_format)
        answer = upload(cloud, image["id"], bytes(head))
        assert answer.status_code == 400 and "backing file" in answer.text
        assert show(cloud, image["id"]).json()["status"] == "queued" and image["id"] not in files(cloud)


def test_upload_that_is_cut_off(cloud):
    image = create(cloud)
    before = files(cloud)
    begin_upload(cloud, image["id"]).close()
    cloud.wait(lambda: show(cloud, image["id"]).json()["status"] == "queued")
    assert files(cloud) == before
    assert upload(cloud, image["id"], b"whole").status_code == 204
    image = create(cloud)
    s = begin_upload(cloud, image["id"])
    assert upload(cloud, image["id"], b"second").status_code == 409
    assert cloud.call("DELETE", "image", f"/v2/images/{image['id']}").status_code == 204
    s.sendall(b"x" * ((1 << 20) - 300000))
    with s, s.makefile("rb") as answer:
        assert b" 410 " in answer.readline()
    assert not [name for name in files(cloud) if image["id"] in name]


def test_uploads_that_their_clients_reset(cloud):
    """The worker of an upload read a header after the client, and the memory of its connection, had gone."""
    images = [create(cloud)["id"] for _ in range(12)]
    before = files(cloud)

    token, port = cloud.token(), int(cloud.url("image").rsplit(":", 1)[1])

    def reset(number):
        s = socket.create_connection(("127.0.0.1", port))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.sendall(f"PUT /v2/images/{images[number % len(images)]}/file HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {token}\r\n"
                  "Content-Type: application/octet-stream\r\nContent-Length: 1000000\r\n\r\n".encode())
        with contextlib.suppress(OSError):  # 409 to the second one of an image
            s.sendall(b"x" * (number % 7 * 30000))
            time.sleep(number % 3 * 0.005)
        s.close()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(reset, range(240)))
    # some of the connections may still lie in the server's queue
    cloud.wait(lambda: all(show(cloud, image).json()["status"] == "queued" for image in images) and files(cloud) == before)


def test_kill_in_the_middle_of_an_upload():
    cloud = new_cloud(["keystone", "glance-api"]).start()
    try:
        image = create(cloud)
        kept = create(cloud)
        assert upload(cloud, kept["id"], b"kept").status_code == 204
        s = begin_upload(cloud, image["id"])
        cloud.kill()
        s.close()
        assert len(files(cloud)) == 2
        cloud.start()
        cloud.forget_tokens()
        assert show(cloud, image["id"]).json()["status"] == "queued"
        assert files(cloud) == [kept["id"]]
        assert cloud.get("image", f"/v2/images/{kept['id']}/file").content == b"kept"
    finally:
        dispose(cloud)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system takes root")
def test_full_disk():
    """413 in the store's words, queued again, nothing left; and the same image fits once there is room."""
    cloud = new_cloud(["keystone", "glance-api"]).start()
    folder = cloud.state_dir / "images"
    try:
        cloud.stop()
        (cloud.state_dir / "run" / "ready").unlink(missing_ok=True)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], check=False).returncode:
            pytest.skip("this machine lets nobody mount a tmpfs")
        cloud.start()
        cloud.forget_tokens()
        image = create(cloud)
        answer = upload(cloud, image["id"], os.urandom(3 << 20))
        assert answer.status_code == 413 and "Image storage media is full" in answer.text
        assert show(cloud, image["id"]).json()["status"] == "queued" and files(cloud) == []
        assert upload(cloud, image["id"], b"small").status_code == 204
    finally:
        cloud.stop()
        subprocess.run(["umount", str(folder)], check=False)
        cloud.process = None
        dispose(cloud)


def test_visibility_and_members(cloud):
    one = cloud.make_user("image-one", "member", "image-project-one")
    two = cloud.make_user("image-two", "member", "image-project-two")
    other = cloud.get("identity", "/projects?name=image-project-two").json()["projects"][0]["id"]
    image = create(cloud, token=one, visibility="private")
    path = f"/v2/images/{image['id']}"
    assert show(cloud, image["id"], token=two).status_code == 404
    assert cloud.call("DELETE", "image", path, token=two).status_code == 404
    assert patch(cloud, image["id"], {"op": "replace", "path": "/visibility", "value": "public"},
                 token=one).status_code == 403
    assert cloud.post("image", "/v2/images", {"visibility": "public"}, token=one).status_code == 403
    assert patch(cloud, image["id"], {"op": "replace", "path": "/visibility", "value": "shared"},
                 token=one).status_code == 200
    assert cloud.post("image", path + "/members", {"member": other}, token=two).status_code == 404
    assert cloud.post("image", path + "/members", {"member": other}, token=one).json()["status"] == "pending"
    assert cloud.post("image", path + "/members", {"member": other}, token=one).status_code == 409
    listed = lambda: [i["id"] for i in cloud.get("image", "/v2/images", token=two).json()["images"]]
    assert show(cloud, image["id"], token=two).status_code == 200 and image["id"] not in listed()
    assert cloud.call("PUT", "image", f"{path}/members/{other}", {"status": "accepted"}, token=one).status_code == 403
    assert cloud.call("PUT", "image", f"{path}/members/{other}", {"status": "accepted"}, token=two).status_code == 200
    assert image["id"] in listed()
    assert patch(cloud, image["id"], {"op": "replace", "path": "/name", "value": "x"}, token=two).status_code == 403
    assert cloud.call("DELETE", "image", path, token=two).status_code == 403
    assert upload(cloud, image["id"], b"x", token=two).status_code == 403
    assert cloud.call("DELETE", "image", f"{path}/members/{other}", token=one).status_code == 204
    assert show(cloud, image["id"], token=two).status_code == 404
    assert show(cloud, image["id"], token="").status_code == 401


def test_readers_only_read(cloud):
    """The defaults of 2023.1 (enforce_new_defaults): a reader creates, changes and uploads nothing."""
    member = cloud.make_user("image-four", "member", "image-project-four")
    reader = cloud.make_user("image-five", "reader", "image-project-four")
    assert cloud.post("image", "/v2/images", {}, token=reader).status_code == 403
    image = create(cloud, token=member)
    assert show(cloud, image["id"], token=reader).status_code == 200
    assert image["id"] in [i["id"] for i in cloud.get("image", "/v2/images", token=reader).json()["images"]]
    assert upload(cloud, image["id"], b"x", token=reader).status_code == 403
    assert patch(cloud, image["id"], {"op": "add", "path": "/x", "value": "y"}, token=reader).status_code == 403
    assert cloud.call("DELETE", "image", f"/v2/images/{image['id']}", token=reader).status_code == 403
    assert upload(cloud, image["id"], b"x", token=member).status_code == 204


def test_protected_and_deactivated(cloud):
    member = cloud.make_user("image-three", "member", "image-project-three")
    image = create(cloud, token=member, protected=True)
    path = f"/v2/images/{image['id']}"
    assert upload(cloud, image["id"], b"data", token=member).status_code == 204
    answer = cloud.call("DELETE", "image", path, token=member)
    assert answer.status_code == 403 and f"Image {image['id']} is protected and cannot be deleted." in answer.text
    assert cloud.post("image", path + "/actions/deactivate").status_code == 204
    assert cloud.get("image", path + "/file", token=member).status_code == 403
    assert cloud.get("image", path + "/file").content == b"data"
    assert cloud.post("image", path + "/actions/reactivate").status_code == 204
    assert cloud.get("image", path + "/file", token=member).content == b"data"


def test_lists(cloud):
    word = "list" + os.urandom(4).hex()
    for i, name in enumerate(["c", "a", "e", "b", "d"]):
        create(cloud, name=name, min_disk=i, tags=[word], **({"word": word} if i % 2 else {}))
        time.sleep(0.002)
    get = lambda query: cloud.get("image", f"/v2/images?tag={word}&{query}").json()
    names = lambda query: [i["name"] for i in get(query)["images"]]
    # The newest first. A database that keeps whole seconds, as glance's schema does on MariaDB, leaves the rest to the id.
    kept = cloud.query("glance", f"SELECT i.name, i.created_at, i.id FROM images i JOIN image_tags t ON t.image_id = i.id "
                                 f"WHERE t.value = '{word}'")
    newest = [row[0] for row in sorted(kept, key=lambda row: row[1:], reverse=True)]
    assert names("") == newest
    assert names("sort=name:asc") == names("sort_key=name&sort_dir=asc") == ["a", "b", "c", "d", "e"]
    assert names(f"word={word}&sort=name:asc") == ["a", "b"]
    assert names("name=in:a,\"c\"&sort=name:asc") == ["a", "c"]
    assert names("min_disk_min=3") == [name for name in newest if name in "db"]
    assert names("created_at=lt:2000-01-01T00:00:00Z") == [] and len(names("created_at=gt:2000-01-01T00:00:00Z")) == 5
    assert names("os_hidden=False&sort=name:asc") == ["a", "b", "c", "d", "e"] and names("os_hidden=True") == []
    seen, link = [], f"/v2/images?tag={word}&limit=2&sort=name:desc"
    while link:
        page = cloud.get("image", link).json()
        seen += [i["name"] for i in page["images"]]
        link = page.get("next")
    assert seen == ["e", "d", "c", "b", "a"]
    for query in ("limit=x", "limit=-1", "sort_key=odd", "sort=name:odd", "visibility=odd", "name=odd:x", "marker=odd",
                  "os_hidden=odd", "member_status=odd", "size_min=x", "created_at=odd", "changes-since=2020-01-01"):
        assert cloud.get("image", "/v2/images?" + query).status_code == 400, query


def test_discovery(cloud):
    assert cloud.get("image", "/", token="").status_code == 300
    versions = cloud.get("image", "/versions", token="").json()["versions"]
    assert versions[0]["status"] == "CURRENT" and versions[0]["id"].startswith("v2.")
    for name in ("image", "images", "member", "members"):
        assert cloud.get("image", f"/v2/schemas/{name}").json()["name"] == name
    assert cloud.get("image", "/v2/info/import").json()["import-methods"]["value"] == []
    assert cloud.get("image", "/v2/info/stores").status_code == 404
    answer = cloud.get("image", "/v2/images/none", headers={"Accept": "application/json"})
    assert answer.json()["message"].startswith("No image found with ID none")


def test_client(cloud, tmp_path):
    """The openstack command, unmodified."""
    data = os.urandom(700_000)
    (tmp_path / "in").write_bytes(data)
    made = cloud.openstack("image", "create", "client-image", "--disk-format", "raw", "--container-format", "bare",
                           "--file", str(tmp_path / "in"), "--property", "os_distro=debian", "--tag", "t1")
    shown = cloud.openstack("image", "show", "client-image")
    assert shown["status"] == "active" and shown["size"] == len(data) and shown["tags"] == ["t1"]
    assert shown["checksum"] == hashlib.md5(data).hexdigest() and shown["properties"]["os_distro"] == "debian"
    assert made["id"] in [row["ID"] for row in cloud.openstack("image", "list")]
    cloud.openstack("image", "save", "--file", str(tmp_path / "out"), "client-image", parse=False)
    assert (tmp_path / "out").read_bytes() == data
    cloud.openstack("image", "set", "--name", "client-renamed", "--property", "hw_disk_bus=virtio", "--min-disk", "2",
                    made["id"], parse=False)
    cloud.openstack("image", "unset", "--property", "os_distro", "--tag", "t1", made["id"], parse=False)
    shown = cloud.openstack("image", "show", made["id"])
    assert (shown["name"], shown["min_disk"], shown["tags"]) == ("client-renamed", 2, [])
    assert shown["properties"]["hw_disk_bus"] == "virtio" and "os_distro" not in shown["properties"]
    cloud.openstack("image", "delete", made["id"], parse=False)
    assert made["id"] not in [row["ID"] for row in cloud.openstack("image", "list")]
