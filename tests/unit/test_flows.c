/* SPDX-License-Identifier: Apache-2.0
 *
 * flows: notation, port masks, security group rules, anti-spoofing, bridges; same state gives same text.
 */
#include "neutron/ovs/flows.h"
#include "neutron/ovs/flows_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct arena *arena;
static struct buf text;

static int begin(void **state)
{
    arena = arena_create();
    return 0;
}

static int end(void **state)
{
    buf_release(&text);
    arena_destroy(arena);
    return 0;
}

static void assert_line(const char *line)
{
    const char *whole = arena_printf(arena, "\n%s\n", line);
    const char *all = arena_printf(arena, "\n%s", buf_text(&text));
    if (strstr(all, whole) == NULL)
        fail_msg("no flow %s in\n%s", line, all);
}

static void assert_no(const char *part)
{
    if (strstr(buf_text(&text), part) != NULL)
        fail_msg("%s in\n%s", part, buf_text(&text));
}

static size_t count_of(const char *part)
{
    size_t count = 0;
    for (const char *at = buf_text(&text); (at = strstr(at, part)) != NULL; at++)
        count++;
    return count;
}

static void test_masks_cover_exactly_the_range(void **state)
{
    static const unsigned ranges[][2] = { { 1, 65535 }, { 0, 65535 }, { 80, 80 }, { 8000, 8010 }, { 1, 65534 }, { 65535, 65535 } };
    for (size_t r = 0; r < sizeof(ranges) / sizeof(ranges[0]); r++) {
        char masks[32][FLOWS_MASK_TEXT];
        size_t count = flows_port_masks(ranges[r][0], ranges[r][1], masks, 32);
        assert_true(count <= 30);
        for (unsigned port = 0; port <= 65535; port++) {
            unsigned hits = 0;
            for (size_t i = 0; i < count; i++) {
                unsigned value, mask = 0xffff;
                sscanf(masks[i], "%i/%i", (int *)&value, (int *)&mask);
                hits += (port & mask) == value;
            }
            assert_int_equal(hits, port >= ranges[r][0] && port <= ranges[r][1]);
        }
    }
}

static void test_addresses_are_checked_and_canonical(void **state)
{
    const char *out;
    int version;
    bool any;
    assert_null(flows_ip(arena, "10.0.0.7/24", &out, &version, &any));
    assert_string_equal(out, "10.0.0.0/24");
    assert_null(flows_ip(arena, "10.0.0.7/32", &out, &version, &any));
    assert_string_equal(out, "10.0.0.7");
    assert_null(flows_ip(arena, "FD00:0:0::1", &out, &version, &any));
    assert_string_equal(out, "fd00::1");
    assert_int_equal(version, 6);
    assert_null(flows_ip(arena, "::/0", &out, &version, &any));
    assert_true(any);
    static const char *const bad[] = { "", "10.0.0.1/33", "10.0.0.1/", "10.0.0.1/8,actions=NORMAL", "10.0.0.1 ", "x", "1.2.3",
        "::1/129", "10.0.0.1/-1", "10.0.0.1\n" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_non_null(flows_ip(arena, bad[i], &out, &version, &any));
    assert_null(flows_mac(arena, "FA:16:3E:00:00:01", &out));
    assert_string_equal(out, "fa:16:3e:00:00:01");
    static const char *const macs[] = { "", "fa:16:3e:00:00", "fa:16:3e:00:00:01,", "fa:16:3e:00:00:0g", "fa:16:3e:00: 0:01" };
    for (size_t i = 0; i < 4; i++)
        assert_non_null(flows_mac(arena, macs[i], &out));
    assert_string_equal(flows_link_local(arena, "fa:16:3e:a4:22:10"), "fe80::f816:3eff:fea4:2210");
}

static const char *const default_group[] = { "g1" };
static const char *const ips[] = { "10.0.0.5", "fd00::5" };
static const struct flows_pair pairs[] = { { "fa:16:3e:00:00:99", "10.1.0.0/24" } };
static const struct flows_port secure = { .id = "p", .ofport = 7, .vlan = 3, .mac = "fa:16:3e:00:00:01", .fixed_ips = ips,
    .fixed_ip_count = 2, .pairs = pairs, .pair_count = 1, .port_security = true, .group_ids = default_group,
    .group_count = 1 };

static void integrate(const struct flows_rule *rules, size_t count, const struct flows_members *members)
{
    struct flows_group group = { "g1", rules, count };
    struct flows_wanted wanted = { .ports = &secure, .port_count = 1, .groups = &group, .group_count = 1,
        .members = members, .members_count = members != NULL };
    buf_clear(&text);
    assert_null(flows_integration(arena, &wanted, &text));
}

static void test_anti_spoofing(void **state)
{
    integrate(NULL, 0, NULL);
    assert_line("table=71,priority=95,arp,reg5=7,in_port=7,dl_src=fa:16:3e:00:00:01,arp_spa=10.0.0.5,actions=resubmit(,94)");
    assert_line("table=71,priority=95,arp,reg5=7,in_port=7,dl_src=fa:16:3e:00:00:99,arp_spa=10.1.0.0/24,actions=resubmit(,94)");
    assert_line("table=71,priority=65,ip,reg5=7,in_port=7,dl_src=fa:16:3e:00:00:01,nw_src=10.0.0.5,"
        "actions=ct(table=72,zone=NXM_NX_REG6[0..15])");
    assert_line("table=71,priority=65,ipv6,reg5=7,in_port=7,dl_src=fa:16:3e:00:00:01,ipv6_src=fe80::f816:3eff:fe00:1,"
        "actions=ct(table=72,zone=NXM_NX_REG6[0..15])");
    assert_line("table=71,priority=95,icmp6,reg5=7,in_port=7,icmp_type=136,nd_target=fd00::5,actions=resubmit(,94)");
    assert_line("table=71,priority=80,udp,reg5=7,in_port=7,dl_src=fa:16:3e:00:00:01,nw_src=0.0.0.0,tp_src=68,tp_dst=67,"
        "actions=resubmit(,73)");
    assert_line("table=71,priority=70,udp,reg5=7,in_port=7,tp_src=67,tp_dst=68,actions=resubmit(,93)");
    assert_line("table=71,priority=70,icmp6,reg5=7,in_port=7,icmp_type=134,actions=resubmit(,93)");
    assert_line("table=60,priority=90,dl_vlan=3,dl_dst=fa:16:3e:00:00:99,actions=set_field:7->reg5,set_field:3->reg6,"
        "pop_vlan,resubmit(,81)");
    assert_line("table=82,priority=50,ct_state=+est-rel+rpl,ct_zone=3,ct_mark=0,reg5=7,actions=output:7");
    assert_line("table=72,priority=50,ct_state=+inv+trk,actions=resubmit(,93)");
    assert_line("table=23,priority=0,actions=drop");
}

static void test_plain_rules(void **state)
{
    const struct flows_rule rules[] = {
        { FLOWS_EGRESS, 4, FLOWS_ANY, FLOWS_ANY, FLOWS_ANY },
        { FLOWS_INGRESS, 4, 6, 80, 81, "192.0.2.7/24" },
        { FLOWS_INGRESS, 6, 1, 128, 0, "::/0" },
        { FLOWS_INGRESS, 4, 47, FLOWS_ANY, FLOWS_ANY },
        { FLOWS_INGRESS, 4, 17, 0, 65535 },
    };
    integrate(rules, 5, NULL);
    assert_line("table=72,priority=74,ct_state=+new-est,ip,reg5=7,actions=resubmit(,73)");
    assert_line("table=82,priority=77,ct_state=+new-est,tcp,tp_dst=0x0050/0xfffe,reg5=7,nw_src=192.0.2.0/24,"
        "actions=ct(commit,zone=NXM_NX_REG6[0..15]),output:7,resubmit(,92)");
    assert_line("table=82,priority=77,ct_state=+est-rel-rpl,tcp,tp_dst=0x0050/0xfffe,reg5=7,nw_src=192.0.2.0/24,"
        "actions=output:7");
    assert_line("table=82,priority=77,ct_state=+est-rel-rpl,icmp6,icmp_type=128,icmp_code=0,reg5=7,actions=output:7");
    assert_line("table=82,priority=77,ct_state=+est-rel-rpl,ip,nw_proto=47,reg5=7,actions=output:7");
    assert_line("table=82,priority=77,ct_state=+est-rel-rpl,udp,reg5=7,actions=output:7");
    const struct flows_rule mixed = { FLOWS_INGRESS, 6, 6, 80, 80, "192.0.2.0/24" };
    struct flows_group group = { "g1", &mixed, 1 };
    struct flows_wanted wanted = { .ports = &secure, .port_count = 1, .groups = &group, .group_count = 1 };
    assert_non_null(flows_integration(arena, &wanted, &text));
}

static void test_remote_groups_are_conjunctions(void **state)
{
    const struct flows_member list[] = { { "10.0.0.8" }, { "10.0.0.9" }, { "fd00::9" }, { "0.0.0.0/0", "fa:16:3e:00:00:0a" } };
    const struct flows_members members = { "g2", list, 4 };
    const struct flows_rule rules[] = {
        { FLOWS_INGRESS, 4, 6, 22, 22, NULL, "g2" },
        { FLOWS_INGRESS, 4, 6, 80, 80, NULL, "g2" },
        { FLOWS_INGRESS, 4, FLOWS_ANY, FLOWS_ANY, FLOWS_ANY, NULL, "g1" }, /* nobody is in it */
    };
    integrate(rules, 3, &members);
    assert_int_equal(count_of(",1/2)"), 3 * 2); /* three IPv4 members, two states, one conjunction for both ports */
    assert_int_equal(count_of(",2/2)"), 3 * 2); /* three rules, two states */
    assert_int_equal(count_of("conj_id="), 2 * 2);
    assert_int_equal(count_of("reg6=3,dl_src=fa:16:3e:00:00:0a,actions=conjunction("), 2);
    assert_int_equal(count_of("ip,reg6=3,nw_src=10.0.0.8,actions=conjunction("), 2);
    assert_no("fd00::9,actions=conjunction");
    char *once = arena_strdup(arena, buf_text(&text));
    integrate(rules, 3, &members);
    assert_string_equal(once, buf_text(&text));
    struct flows_rule swapped[] = { rules[2], rules[0], rules[1] };
    integrate(swapped, 3, &members);
    assert_int_equal(strlen(once), text.length); /* other order, the same flows and ids */
}

static void test_trusted_port(void **state)
{
    struct flows_port port = secure;
    port.port_security = false;
    struct flows_wanted wanted = { .ports = &port, .port_count = 1 };
    buf_clear(&text);
    assert_null(flows_integration(arena, &wanted, &text));
    assert_line("table=60,priority=100,in_port=7,actions=set_field:7->reg5,set_field:3->reg6,resubmit(,73)");
    assert_no("arp_spa");
}

static void test_hostile_values_are_faults(void **state)
{
    static const char *const evil[] = { "10.0.0.5,actions=NORMAL\ntable=0" };
    struct flows_port port = secure;
    port.fixed_ips = evil;
    port.fixed_ip_count = 1;
    struct flows_wanted wanted = { .ports = &port, .port_count = 1 };
    assert_non_null(flows_integration(arena, &wanted, &text));
}

static void test_tunnel_and_physical(void **state)
{
    const unsigned tunnels[] = { 2, 5 };
    const struct flows_network networks[] = {
        { "a", 3, FLOWS_VXLAN, 100, NULL, tunnels, 2 },
        { "b", 4, FLOWS_FLAT, 0, "physnet1" },
        { "c", 5, FLOWS_VLAN, 101, "physnet1" },
    };
    const struct flows_entry entry = { 3, 5, "fa:16:3e:00:00:07", "10.0.0.7" };
    const struct flows_physical physical = { "physnet1", 11, 12 };
    struct flows_wanted wanted = { .networks = networks, .network_count = 3, .physicals = &physical, .physical_count = 1,
        .patch_int = 1, .tunnels = tunnels, .tunnel_count = 2, .entries = &entry, .entry_count = 1, .arp_responder = true };
    buf_clear(&text);
    assert_null(flows_tunnel(arena, &wanted, &text));
    assert_line("table=4,priority=1,tun_id=0x64,actions=push_vlan:0x8100,set_field:4099->vlan_vid,resubmit(,10)");
    assert_line("table=22,priority=1,dl_vlan=3,actions=pop_vlan,set_field:0x64->tun_id,output:2,output:5");
    assert_line("table=20,priority=2,dl_vlan=3,dl_dst=fa:16:3e:00:00:07,actions=pop_vlan,set_field:0x64->tun_id,output:5");
    assert_int_equal(count_of("arp_tpa=10.0.0.7"), 1);
    buf_clear(&text);
    assert_null(flows_physical(arena, &wanted, &physical, &text));
    assert_line("table=0,priority=4,in_port=12,dl_vlan=4,actions=pop_vlan,NORMAL");
    assert_line("table=0,priority=4,in_port=12,dl_vlan=5,actions=set_field:4197->vlan_vid,NORMAL");
    buf_clear(&text);
    assert_null(flows_integration(arena, &wanted, &text));
    assert_line("table=0,priority=3,in_port=11,vlan_tci=0x0000/0x1fff,actions=push_vlan:0x8100,set_field:4100->vlan_vid,"
        "resubmit(,59)");
    assert_line("table=0,priority=3,in_port=11,dl_vlan=101,actions=set_field:4101->vlan_vid,resubmit(,59)");
    assert_line("table=0,priority=2,in_port=11,actions=drop");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_masks_cover_exactly_the_range, begin, end),
        cmocka_unit_test_setup_teardown(test_addresses_are_checked_and_canonical, begin, end),
        cmocka_unit_test_setup_teardown(test_anti_spoofing, begin, end),
        cmocka_unit_test_setup_teardown(test_plain_rules, begin, end),
        cmocka_unit_test_setup_teardown(test_remote_groups_are_conjunctions, begin, end),
        cmocka_unit_test_setup_teardown(test_trusted_port, begin, end),
        cmocka_unit_test_setup_teardown(test_hostile_values_are_faults, begin, end),
        cmocka_unit_test_setup_teardown(test_tunnel_and_physical, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
