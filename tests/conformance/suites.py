# SPDX-License-Identifier: Apache-2.0
"""The suites: one row each, in the order in which they run."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Suite:
    name: str           # also expected/NAME.txt
    folder: str         # where its tests lie below Debian's Python packages
    select: str         # which of them apply: a regular expression on test ids
    needs: tuple        # service types that must be in the catalog, else the suite is not run
    workers: int = 2    # 1 where tests see each other's objects
    quick: str = ""     # which of the selected ones ./check runs; "" for none
    hosts: int = 4      # simulated compute hosts
    settings: tuple = ()  # options of the cloud, ("OS_GROUP__NAME", "value") each
    newer: bool = False  # Debian's is of Zed and asks for what 2023.1 changed: NUBO_SUITES is a folder with the suite's 2023.1


TEMPEST = "tempest/test_discover"
CLIENT = "openstackclient/tests/functional"
GO = "gophercloud"    # no Python: acceptance.py runs it
SDK = "openstack/tests/functional"  # each of its tests looks for a flavor and an image first

SUITES = [
    Suite("tempest-identity", TEMPEST, r"^tempest\.api\.identity\.(v3|admin\.v3)\.", ("identity",), quick="."),
    Suite("keystone-plugin", TEMPEST, r"^keystone_tempest_plugin\.tests\.api\.", ("identity",)),
    # the same questions asked by every persona, with scopes enforced
    Suite("keystone-rbac", TEMPEST, r"^keystone_tempest_plugin\.tests\.rbac\.", ("identity",),
          settings=(("OS_OSLO_POLICY__ENFORCE_SCOPE", "true"),), newer=True),
    Suite("osc-placement", "osc_placement/tests/functional", ".", ("placement",), workers=1, quick=".", hosts=1),
    Suite("tempest-image", TEMPEST, r"^tempest\.api\.image\.", ("image",), quick="."),
    Suite("glance-plugin", TEMPEST, r"^glance_tempest_plugin\.", ("image",)),
    Suite("tempest-network", TEMPEST, r"^tempest\.api\.network\.", ("network",), quick="."),
    Suite("neutron-plugin", TEMPEST, r"^neutron_tempest_plugin\.api\.", ("network",)),
    Suite("tempest-compute", TEMPEST, r"^tempest\.api\.compute\.", ("image", "network", "compute"),
          quick=r"\[.*smoke|\.compute\.(flavors|keypairs|limits|admin\.test_flavors|servers\.test_create_server)"),
    Suite("tempest-scenario", TEMPEST, r"^tempest\.scenario\..*\[.*smoke", ("image", "network", "compute")),
    Suite("keystoneclient", "keystoneclient/tests/functional", ".", ("identity",), workers=1),
    Suite("glanceclient", "glanceclient/tests/functional", r"\.v2\.", ("image",), workers=1),
    Suite("neutronclient", "neutronclient/tests/functional", r"\.core\.", ("network",), workers=1),
    Suite("novaclient", "novaclient/tests/functional", ".", ("image", "network", "compute"), workers=1),
    Suite("openstackclient-identity", CLIENT, r"\.identity\.v3\.", ("identity",)),
    Suite("openstackclient-image", CLIENT, r"\.image\.v2\.", ("image",)),
    Suite("openstackclient-network", CLIENT, r"\.network\.v2\.", ("network",)),
    Suite("openstackclient-compute", CLIENT, r"\.compute\.v2\.", ("image", "network", "compute")),
    Suite("openstackclient-common", CLIENT, r"\.common\.", ("image", "network", "compute")),
    Suite("openstacksdk-cloud", f"{SDK}/cloud", ".", ("image", "network", "compute"), workers=1),
    Suite("openstacksdk-compute", f"{SDK}/compute", ".", ("image", "network", "compute"), workers=1),
    Suite("openstacksdk-identity", f"{SDK}/identity", ".", ("image", "network", "compute"), workers=1),
    Suite("openstacksdk-image", f"{SDK}/image", ".", ("image", "network", "compute"), workers=1),
    Suite("openstacksdk-network", f"{SDK}/network", ".", ("image", "network", "compute"), workers=1),
    Suite("openstacksdk-placement", f"{SDK}/placement", ".", ("image", "network", "compute", "placement"), workers=1),
    # TestTokensGet calls the domain "default", not "Default": which database compares names by case decides
    Suite("gophercloud", GO, r"(?<!TestTokensGet)$", ("image", "network", "compute", "placement"), workers=1),
]

BY_NAME = {suite.name: suite for suite in SUITES}
