# SPDX-License-Identifier: Apache-2.0
"""Every microversion of placement: what it added is there from it on, and is not there before."""
import uuid

import pytest

from placement_alone import Alone

CHECKS = {}
AGGREGATE, OTHER = str(uuid.UUID(int=0xa)), str(uuid.UUID(int=0xb))


def version(number):
    def keep(check):
        CHECKS[number] = check
        return check
    return keep


@pytest.fixture(scope="module")
def placement(tmp_path_factory):
    it = Alone(tmp_path_factory.mktemp("versions"))
    it.manage("placement-manage", "db", "sync")
    it.start()
    yield it
    it.stop()


class At:
    """The calls of a test before (`old`) and from (`new`) a microversion."""

    def __init__(self, placement, minor):
        self.placement, self.old, self.new = placement, f"1.{minor - 1}", f"1.{minor}"

    def statuses(self, method, path, body=None):
        return tuple(self.placement.call(method, path, body, version=v).status_code for v in (self.old, self.new))

    def answers(self, method, path, body=None):
        return tuple(self.placement.ok(method, path, body, version=v) for v in (self.old, self.new))


@pytest.mark.parametrize("minor", range(1, 40))
def test_microversion(placement, minor):
    CHECKS[minor](placement, At(placement, minor))


@pytest.mark.parametrize("minor", range(40))
def test_the_version_is_told(placement, minor):
    answer = placement.call("GET", "/resource_providers", version=f"1.{minor}")
    assert answer.headers["OpenStack-API-Version"] == f"placement 1.{minor}" and answer.status_code == 200
    assert answer.headers["Vary"].lower() == "openstack-api-version"


def candidates(at, query, **more):
    return at.statuses("GET", "/allocation_candidates?" + query, **more)


@version(1)
def _(p, at):
    rp = p.provider()
    assert at.statuses("GET", f"/resource_providers/{rp}/aggregates") == (404, 200)
    assert at.statuses("PUT", f"/resource_providers/{rp}/aggregates", [AGGREGATE]) == (404, 200)
    assert p.ok("GET", f"/resource_providers/{rp}/aggregates", version="1.1") == {"aggregates": [AGGREGATE]}
    rels = [{link["rel"] for link in p.ok("GET", f"/resource_providers/{rp}", version=v)["links"]} for v in (at.old, at.new)]
    assert rels[1] - rels[0] == {"aggregates"}


@version(2)
def _(p, at):
    assert at.statuses("GET", "/resource_classes") == (404, 200)
    assert at.statuses("POST", "/resource_classes", {"name": "CUSTOM_V2"}) == (404, 201)
    assert p.call("POST", "/resource_classes", {"name": "V2"}, version="1.2").status_code == 400
    assert at.statuses("PUT", "/resource_classes/CUSTOM_V2", {"name": "CUSTOM_V2_RENAMED"}) == (404, 200)
    assert at.statuses("GET", "/resource_classes/CUSTOM_V2_RENAMED") == (404, 200)
    assert at.statuses("DELETE", "/resource_classes/CUSTOM_V2_RENAMED") == (404, 204)


@version(3)
def _(p, at):
    rp = p.provider(aggregates=[AGGREGATE])
    assert at.statuses("GET", f"/resource_providers?member_of=in:{AGGREGATE},{OTHER}") == (400, 200)
    found = p.ok("GET", f"/resource_providers?member_of={AGGREGATE}", version="1.3")["resource_providers"]
    assert rp in [one["uuid"] for one in found]


@version(4)
def _(p, at):
    rp = p.provider({"CUSTOM_V4" if p.call("PUT", "/resource_classes/CUSTOM_V4") else "": {"total": 8, "max_unit": 4}})
    assert at.statuses("GET", "/resource_providers?resources=CUSTOM_V4:4") == (400, 200)
    for amount, expected in ((4, [rp]), (5, [])):
        found = p.ok("GET", f"/resource_providers?resources=CUSTOM_V4:{amount}", version="1.4")["resource_providers"]
        assert [one["uuid"] for one in found] == expected
    assert p.call("GET", "/resource_providers?resources=CUSTOM_NOT:1", version="1.4").status_code == 400


@version(5)
def _(p, at):
    rp = p.provider({"VCPU": {"total": 8}})
    assert at.statuses("DELETE", f"/resource_providers/{rp}/inventories") == (405, 204)
    assert p.ok("GET", f"/resource_providers/{rp}/inventories")["inventories"] == {}


@version(6)
def _(p, at):
    rp = p.provider()
    assert at.statuses("GET", "/traits") == (404, 200)
    assert at.statuses("PUT", "/traits/CUSTOM_V6") == (404, 201)
    assert at.statuses("GET", "/traits/CUSTOM_V6") == (404, 204)
    assert at.statuses("PUT", f"/resource_providers/{rp}/traits",
                       {"resource_provider_generation": 0, "traits": ["CUSTOM_V6"]}) == (404, 200)
    assert at.statuses("GET", f"/resource_providers/{rp}/traits") == (404, 200)
    assert p.call("DELETE", "/traits/CUSTOM_V6", version="1.6").status_code == 409
    assert at.statuses("DELETE", f"/resource_providers/{rp}/traits") == (404, 204)
    assert at.statuses("DELETE", "/traits/CUSTOM_V6") == (404, 204)


@version(7)
def _(p, at):
    bare = {"Content-Type": "application/json"}
    assert p.call("PUT", "/resource_classes/CUSTOM_V7", version="1.6", headers=bare).status_code == 400
    assert p.call("PUT", "/resource_classes/CUSTOM_V7", version="1.7").status_code == 201
    assert p.call("PUT", "/resource_classes/CUSTOM_V7", version="1.7").status_code == 204
    assert p.call("PUT", "/resource_classes/V7", version="1.7").status_code == 400


def listish(rp):
    return {"allocations": [{"resource_provider": {"uuid": rp}, "resources": {"VCPU": 1}}]}


def dictish(rp, **more):
    return {"allocations": {rp: {"resources": {"VCPU": 1}}} if rp else {}, "project_id": "p", "user_id": "u", **more}


@version(8)
def _(p, at):
    rp, consumer = p.provider({"VCPU": {"total": 8}}), uuid.uuid4()
    assert at.statuses("PUT", f"/allocations/{consumer}", listish(rp)) == (204, 400)
    assert at.statuses("PUT", f"/allocations/{consumer}", {**listish(rp), "project_id": "p", "user_id": "u"}) == (400, 204)
    old = str(uuid.uuid4())
    assert p.call("PUT", f"/allocations/{old}", listish(rp), version="1.7").status_code == 204
    assert p.ok("GET", f"/allocations/{old}")["project_id"] == str(uuid.UUID(int=0))


@version(9)
def _(p, at):
    rp = p.provider({"VCPU": {"total": 8}})
    p.claim({rp: {"VCPU": 3}}, project_id="v9", user_id="one")
    p.claim({rp: {"VCPU": 2}}, project_id="v9", user_id="two")
    assert at.statuses("GET", "/usages?project_id=v9") == (404, 200)
    assert p.ok("GET", "/usages?project_id=v9", version="1.9") == {"usages": {"VCPU": 5}}
    assert p.ok("GET", "/usages?project_id=v9&user_id=two", version="1.9") == {"usages": {"VCPU": 2}}
    assert p.call("GET", "/usages", version="1.9").status_code == 400


@version(10)
def _(p, at):
    assert candidates(at, "resources=VCPU:1") == (404, 200)
    assert p.call("GET", "/allocation_candidates", version="1.10").status_code == 400


@version(11)
def _(p, at):
    rp = p.provider()
    rels = [{link["rel"] for link in one["links"]} for one in at.answers("GET", f"/resource_providers/{rp}")]
    assert rels[1] - rels[0] == {"allocations"}


@version(12)
def _(p, at):
    rp, consumer = p.provider({"VCPU": {"total": 8}}), uuid.uuid4()
    assert at.statuses("PUT", f"/allocations/{consumer}", {**listish(rp), "project_id": "p", "user_id": "u"}) == (204, 400)
    assert at.statuses("PUT", f"/allocations/{consumer}", dictish(rp)) == (400, 204)
    old, new = at.answers("GET", f"/allocations/{consumer}")
    assert set(old) == {"allocations"} and set(new) == {"allocations", "project_id", "user_id"}
    old, new = at.answers("GET", "/allocation_candidates?resources=VCPU:1")
    assert isinstance(old["allocation_requests"][0]["allocations"], list)
    assert isinstance(new["allocation_requests"][0]["allocations"], dict)


@version(13)
def _(p, at):
    rp = p.provider({"VCPU": {"total": 8}})
    body = {str(uuid.uuid4()): dictish(rp), str(uuid.uuid4()): dictish(rp)}
    assert at.statuses("POST", "/allocations", body) == (404, 204)
    assert p.ok("GET", f"/resource_providers/{rp}/usages")["usages"] == {"VCPU": 2}
    assert p.call("POST", "/allocations", {one: dictish(None) for one in body}, version="1.13").status_code == 204
    assert p.ok("GET", f"/resource_providers/{rp}/usages")["usages"] == {"VCPU": 0}


@version(14)
def _(p, at):
    root = p.provider()
    assert at.statuses("POST", "/resource_providers", {"name": uuid.uuid4().hex, "parent_provider_uuid": root}) == (400, 201)
    old, new = at.answers("GET", f"/resource_providers/{root}")
    assert set(new) - set(old) == {"parent_provider_uuid", "root_provider_uuid"}
    assert at.statuses("GET", f"/resource_providers?in_tree={root}") == (400, 200)
    assert len(p.ok("GET", f"/resource_providers?in_tree={root}", version="1.14")["resource_providers"]) == 2


@version(15)
def _(p, at):
    rp = p.provider({"VCPU": {"total": 8}})
    p.claim({rp: {"VCPU": 1}}, project_id="v15")
    for path in ("/resource_providers", f"/resource_providers/{rp}", f"/resource_providers/{rp}/inventories",
                 f"/resource_providers/{rp}/inventories/VCPU", f"/resource_providers/{rp}/usages",
                 f"/resource_providers/{rp}/traits",
                 f"/resource_providers/{rp}/aggregates", f"/resource_providers/{rp}/allocations", "/traits", "/resource_classes",
                 "/resource_classes/VCPU", "/allocation_candidates?resources=VCPU:1", "/usages?project_id=v15",
                 f"/allocations/{uuid.uuid4()}", "/traits/HW_CPU_X86_AVX"):
        old, new = (p.call("GET", path, version=v).headers for v in (at.old, at.new))
        assert "Last-Modified" not in old and "Cache-Control" not in old, path
        assert new["Last-Modified"].endswith(" GMT") and new["Cache-Control"] == "no-cache", path


@version(16)
def _(p, at):
    p.provider({"VCPU": {"total": 8}})
    p.provider({"VCPU": {"total": 8}})
    assert candidates(at, "resources=VCPU:1&limit=1") == (400, 200)
    assert len(p.ok("GET", "/allocation_candidates?resources=VCPU:1&limit=1", version="1.16")["allocation_requests"]) == 1
    assert p.call("GET", "/allocation_candidates?resources=VCPU:1&limit=0", version="1.16").status_code == 400


@version(17)
def _(p, at):
    rp = p.provider({"VCPU": {"total": 8}}, traits=["HW_CPU_X86_AVX2"])
    assert candidates(at, "resources=VCPU:1&required=HW_CPU_X86_AVX2") == (400, 200)
    found = p.ok("GET", "/allocation_candidates?resources=VCPU:1&required=HW_CPU_X86_AVX2", version="1.17")
    assert found["provider_summaries"][rp]["traits"] == ["HW_CPU_X86_AVX2"]
    assert "traits" not in p.ok("GET", "/allocation_candidates?resources=VCPU:1", version="1.16")["provider_summaries"][rp]


@version(18)
def _(p, at):
    rp = p.provider(traits=["HW_CPU_X86_MPX"])
    assert at.statuses("GET", "/resource_providers?required=HW_CPU_X86_MPX") == (400, 200)
    found = p.ok("GET", "/resource_providers?required=HW_CPU_X86_MPX", version="1.18")["resource_providers"]
    assert [one["uuid"] for one in found] == [rp]
    assert p.call("GET", "/resource_providers?required=CUSTOM_NOT", version="1.18").status_code == 400


@version(19)
def _(p, at):
    rp = p.provider()
    path = f"/resource_providers/{rp}/aggregates"
    body = {"resource_provider_generation": 0, "aggregates": [AGGREGATE]}
    assert at.statuses("PUT", path, body) == (400, 200)
    assert at.statuses("PUT", path, [AGGREGATE]) == (200, 400)
    assert p.call("PUT", path, body, version="1.19").status_code == 409
    old, new = at.answers("GET", path)
    assert set(new) - set(old) == {"resource_provider_generation"} and new["resource_provider_generation"] == 1


@version(20)
def _(p, at):
    old, new = (p.call("POST", "/resource_providers", {"name": uuid.uuid4().hex}, version=v) for v in (at.old, at.new))
    assert (old.status_code, old.text, new.status_code) == (201, "", 200)
    assert new.json()["generation"] == 0 and old.headers["Location"]


@version(21)
def _(p, at):
    rp = p.provider({"VCPU": {"total": 8}}, aggregates=[str(uuid.UUID(int=21))])
    assert candidates(at, f"resources=VCPU:1&member_of={uuid.UUID(int=21)}") == (400, 200)
    found = p.ok("GET", f"/allocation_candidates?resources=VCPU:1&member_of={uuid.UUID(int=21)}", version="1.21")
    assert list(found["provider_summaries"]) == [rp]


@version(22)
def _(p, at):
    rp, plain = p.provider({"VCPU": {"total": 8}}, traits=["HW_CPU_X86_SGX"]), p.provider({"VCPU": {"total": 8}})
    for path in ("/resource_providers?required=!HW_CPU_X86_SGX",
                 "/allocation_candidates?resources=VCPU:1&required=!HW_CPU_X86_SGX"):
        assert at.statuses("GET", path) == (400, 200)
    found = p.ok("GET", "/allocation_candidates?resources=VCPU:1&required=!HW_CPU_X86_SGX", version="1.22")["provider_summaries"]
    assert plain in found and rp not in found


@version(23)
def _(p, at):
    old, new = (p.call("GET", f"/resource_providers/{uuid.uuid4()}", version=v).json()["errors"][0] for v in (at.old, at.new))
    assert set(new) - set(old) == {"code"} and new["code"] == "placement.undefined_code"


@version(24)
def _(p, at):
    rp = p.provider({"VCPU": {"total": 8}}, aggregates=[AGGREGATE, OTHER])
    both = f"member_of={AGGREGATE}&member_of=in:{OTHER},{uuid.uuid4()}"
    assert at.statuses("GET", "/resource_providers?" + both) == (400, 200)
    assert candidates(at, "resources=VCPU:1&" + both) == (400, 200)
    assert [one["uuid"] for one in p.ok("GET", "/resource_providers?" + both, version="1.24")["resource_providers"]] == [rp]


@version(25)
def _(p, at):
    rp = p.provider({"VCPU": {"total": 8}, "SRIOV_NET_VF": {"total": 8}})
    query = "resources1=VCPU:1&resources2=SRIOV_NET_VF:1"
    assert candidates(at, query + "&group_policy=none") == (400, 200)
    assert p.call("GET", "/allocation_candidates?" + query, version="1.25").status_code == 400
    assert p.call("GET", "/allocation_candidates?resources=VCPU:1&required1=HW_CPU_X86_AVX", version="1.25").status_code == 400
    counts = [len([one for one in p.ok("GET", f"/allocation_candidates?{query}&group_policy={policy}", version="1.25")
                   ["allocation_requests"] if rp in one["allocations"]]) for policy in ("none", "isolate")]
    assert counts == [1, 0]


@version(26)
def _(p, at):
    rp = p.provider({"VCPU": {"total": 8}})
    path = f"/resource_providers/{rp}/inventories/VCPU"
    assert at.statuses("PUT", path, {"resource_provider_generation": 1, "total": 8, "reserved": 8}) == (400, 200)
    assert p.call("PUT", path, {"resource_provider_generation": 2, "total": 8, "reserved": 9}, version="1.26").status_code == 400


@version(27)
def _(p, at):
    rp = p.provider({"VCPU": {"total": 8}, "PCPU": {"total": 8}})
    old, new = at.answers("GET", "/allocation_candidates?resources=PCPU:1")
    assert set(old["provider_summaries"][rp]["resources"]) == {"PCPU"}
    assert set(new["provider_summaries"][rp]["resources"]) == {"PCPU", "VCPU"}


@version(28)
def _(p, at):
    rp, consumer = p.provider({"VCPU": {"total": 8}}), str(uuid.uuid4())
    path = f"/allocations/{consumer}"
    assert at.statuses("PUT", path, dictish(rp)) == (204, 400)
    assert at.statuses("PUT", path, dictish(rp, consumer_generation=1)) == (400, 204)
    assert p.call("PUT", path, dictish(rp, consumer_generation=1), version="1.28").status_code == 409
    assert at.answers("GET", path)[1]["consumer_generation"] == 2 and "consumer_generation" not in at.answers("GET", path)[0]
    held = p.ok("GET", f"/resource_providers/{rp}/allocations", version="1.28")["allocations"][consumer]
    assert held["consumer_generation"] == 2
    assert p.call("PUT", path, dictish(None), version="1.27").status_code == 400
    assert p.call("POST", "/allocations", {consumer: dictish(rp)}, version="1.28").status_code == 400
    assert p.call("PUT", path, dictish(None, consumer_generation=2), version="1.28").status_code == 204
    assert p.ok("GET", path, version="1.28") == {"allocations": {}}


@version(29)
def _(p, at):
    p.call("PUT", "/resource_classes/CUSTOM_V29")
    root = p.provider({"MEMORY_MB": {"total": 64}})
    child = p.provider({"CUSTOM_V29": {"total": 4}}, parent=root)
    old, new = at.answers("GET", "/allocation_candidates?resources=MEMORY_MB:1,CUSTOM_V29:1")
    assert old["allocation_requests"] == []
    assert [set(one["allocations"]) for one in new["allocation_requests"]] == [{root, child}]
    summary = new["provider_summaries"][child]
    assert (summary["parent_provider_uuid"], summary["root_provider_uuid"]) == (root, root)


@version(30)
def _(p, at):
    root, consumer = p.provider({"VCPU": {"total": 8}}), str(uuid.uuid4())
    child = p.provider(parent=root)
    p.claim({root: {"VCPU": 2}}, consumer)
    body = {"inventories": {root: {"resource_provider_generation": 2, "inventories": {}},
                            child: {"resource_provider_generation": 0, "inventories": {"VCPU": {"total": 8}}}},
            "allocations": {consumer: dictish(child, consumer_generation=1)}}
    service = {"X-Roles": "service"}
    answers = [p.call("POST", "/reshaper", body, version=v, headers=service).status_code for v in (at.old, at.new)]
    assert answers == [404, 204]
    assert p.ok("GET", f"/resource_providers/{child}/usages")["usages"] == {"VCPU": 1}
    assert p.ok("GET", f"/resource_providers/{root}/inventories")["inventories"] == {}
    assert p.call("POST", "/reshaper", body, version="1.30", headers=service).status_code == 409


@version(31)
def _(p, at):
    rp = p.provider({"VCPU": {"total": 8}})
    assert candidates(at, f"resources=VCPU:1&in_tree={rp}") == (400, 200)
    assert candidates(at, f"resources1=VCPU:1&in_tree1={rp}") == (400, 200)
    assert list(p.ok("GET", f"/allocation_candidates?resources=VCPU:1&in_tree={rp}", version="1.31")["provider_summaries"]) == [rp]


@version(32)
def _(p, at):
    rp = p.provider({"VCPU": {"total": 8}}, aggregates=[AGGREGATE])
    for word in (f"!{AGGREGATE}", f"!in:{AGGREGATE},{OTHER}"):
        assert at.statuses("GET", f"/resource_providers?member_of={word}") == (400, 200)
        assert candidates(at, f"resources=VCPU:1&member_of={word}") == (400, 200)
        found = p.ok("GET", f"/allocation_candidates?resources=VCPU:1&member_of={word}", version="1.32")["provider_summaries"]
        assert found and rp not in found
    assert p.call("GET", f"/resource_providers?member_of=in:{AGGREGATE},!{OTHER}", version="1.32").status_code == 400


@version(33)
def _(p, at):
    p.provider({"VCPU": {"total": 8}})
    assert candidates(at, "resources_COMPUTE=VCPU:1") == (400, 200)
    assert candidates(at, "resources" + "x" * 65 + "=VCPU:1") == (400, 400)


@version(34)
def _(p, at):
    rp = p.provider({"VCPU": {"total": 8}})
    old, new = at.answers("GET", f"/allocation_candidates?resources_C=VCPU:1&in_tree_C={rp}")
    assert "mappings" not in old["allocation_requests"][0]
    assert new["allocation_requests"][0]["mappings"] == {"_C": [rp]}
    body = dictish(rp, consumer_generation=None, mappings={"_C": [rp]})
    assert at.statuses("PUT", f"/allocations/{uuid.uuid4()}", body) == (400, 204)
    assert at.statuses("POST", "/allocations", {str(uuid.uuid4()): body}) == (400, 204)


@version(35)
def _(p, at):
    root = p.provider(traits=["COMPUTE_NODE"])
    child = p.provider({"PGPU": {"total": 1}}, parent=root)
    assert candidates(at, "resources=PGPU:1&root_required=COMPUTE_NODE") == (400, 200)
    for word, expected in (("COMPUTE_NODE", True), ("!COMPUTE_NODE", False)):
        found = p.ok("GET", f"/allocation_candidates?resources=PGPU:1&root_required={word}", version="1.35")["provider_summaries"]
        assert (child in found) is expected


@version(36)
def _(p, at):
    root = p.provider()
    nodes = [p.provider({"VCPU": {"total": 2}}, parent=root) for _ in range(2)]
    for node in nodes:
        p.provider({"FPGA": {"total": 1}}, parent=node)
    query = "resources_A=VCPU:1&resources_B=FPGA:1&group_policy=none"
    assert candidates(at, query + "&same_subtree=_A,_B") == (400, 200)
    counts = [len(p.ok("GET", f"/allocation_candidates?{query}{more}", version="1.36")["allocation_requests"])
              for more in ("", "&same_subtree=_A,_B")]
    assert counts == [4, 2]


@version(37)
def _(p, at):
    first, second = p.provider(), p.provider()
    child = p.provider(parent=first)
    path, name = f"/resource_providers/{child}", uuid.uuid4().hex
    assert at.statuses("PUT", path, {"name": name, "parent_provider_uuid": second}) == (400, 200)
    assert p.ok("GET", path)["root_provider_uuid"] == second
    assert p.call("PUT", f"/resource_providers/{second}", {"name": uuid.uuid4().hex, "parent_provider_uuid": child},
                  version="1.37").status_code == 400
    assert at.statuses("PUT", path, {"name": name, "parent_provider_uuid": None}) == (400, 200)
    assert p.ok("GET", path)["root_provider_uuid"] == child


@version(38)
def _(p, at):
    rp, consumer, project = p.provider({"VCPU": {"total": 8}}), str(uuid.uuid4()), uuid.uuid4().hex
    body = dictish(rp, consumer_generation=None, project_id=project)
    assert at.statuses("PUT", f"/allocations/{uuid.uuid4()}", body) == (204, 400)
    assert at.statuses("PUT", f"/allocations/{consumer}", {**body, "consumer_type": "INSTANCE"}) == (400, 204)
    assert at.answers("GET", f"/allocations/{consumer}")[1]["consumer_type"] == "INSTANCE"
    old, new = at.answers("GET", f"/usages?project_id={project}")
    assert old == {"usages": {"VCPU": 2}}
    assert new == {"usages": {"unknown": {"consumer_count": 1, "VCPU": 1}, "INSTANCE": {"consumer_count": 1, "VCPU": 1}}}
    for kind, usages in (("all", {"all": {"consumer_count": 2, "VCPU": 2}}),
                         ("unknown", {"unknown": {"consumer_count": 1, "VCPU": 1}}),
                         ("INSTANCE", {"INSTANCE": {"consumer_count": 1, "VCPU": 1}}), ("OTHER", {})):
        assert at.statuses("GET", f"/usages?project_id={project}&consumer_type={kind}") == (400, 200)
        assert p.ok("GET", f"/usages?project_id={project}&consumer_type={kind}", version="1.38") == {"usages": usages}
    reshape = {"inventories": {rp: {"resource_provider_generation": 3, "inventories": {"VCPU": {"total": 8}}}},
               "allocations": {consumer: dictish(rp, consumer_generation=1, consumer_type="MIGRATION")}}
    service = {"X-Roles": "service"}
    answers = [p.call("POST", "/reshaper", reshape, version=v, headers=service).status_code for v in (at.old, at.new)]
    assert answers == [400, 204]


@version(39)
def _(p, at):
    rps = {name: p.provider({"VCPU": {"total": 8}}, traits=[name]) for name in ("HW_GPU_API_DXVA", "HW_GPU_API_VULKAN")}
    query = "required=in:HW_GPU_API_DXVA,HW_GPU_API_VULKAN&required=!HW_GPU_API_VULKAN"
    first = query.split("&")[0]
    assert at.statuses("GET", "/resource_providers?" + first) == (400, 200)
    assert candidates(at, "resources=VCPU:1&" + first) == (400, 200)
    assert candidates(at, "resources1=VCPU:1&required1=" + first.split("=")[1]) == (400, 200)
    for expected, v in ((False, at.old), (True, at.new)):  # before, the last of several was the only one
        found = [one["uuid"] for one in p.ok("GET", "/resource_providers?" + query, version=v)["resource_providers"]]
        assert (found == [rps["HW_GPU_API_DXVA"]]) is expected
