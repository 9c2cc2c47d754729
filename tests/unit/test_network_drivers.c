/* SPDX-License-Identifier: Apache-2.0
 *
 * The network drivers' parsers and texts: OVSDB stream and values, guests' HTTP requests, dnsmasq's files, local VLANs.
 */
#include "neutron/dhcp/dnsmasq.h"
#include "neutron/metadata/http.h"
#include "neutron/ovs/conntrack.h"
#include "neutron/ovs/stream.h"
#include "neutron/ovs/switch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct arena *arena;

static int begin(void **state)
{
    arena = arena_create();
    return 0;
}

static int end(void **state)
{
    arena_destroy(arena);
    return 0;
}

static void test_stream_any_cut(void **state)
{
    static const char bytes[] = "{\"id\":1,\"a\":\"}\\\"{\"} \n{\"id\":2,\"b\":[[{}]]}{\"id\":3}";
    for (size_t cut = 1; cut < sizeof(bytes) - 1; cut++) {
        struct ovsdb_stream stream = { 0 };
        int expected = 1;
        for (size_t at = 0; at < sizeof(bytes) - 1; at += cut) {
            size_t left = sizeof(bytes) - 1 - at;
            ovsdb_stream_feed(&stream, bytes + at, left < cut ? left : cut);
            for (;;) {
                json_t *message;
                assert_null(ovsdb_stream_next(arena, &stream, &message));
                if (message == NULL)
                    break;
                assert_int_equal(json_integer_value(json_object_get(message, "id")), expected++);
                json_decref(message);
            }
        }
        assert_int_equal(expected, 4);
        ovsdb_stream_reset(&stream);
    }
}

static void test_stream_refuses(void **state)
{
    BUF_CLEANUP struct buf deep = { 0 };
    buf_putc(&deep, '{');
    for (int i = 0; i < 100; i++)
        buf_puts(&deep, "[");
    const char *const bad[] = { "[1]", "x", "{]", "{\"a\":}", "}", buf_text(&deep) };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct ovsdb_stream stream = { 0 };
        json_t *message;
        ovsdb_stream_feed(&stream, bad[i], strlen(bad[i]));
        assert_non_null(ovsdb_stream_next(arena, &stream, &message));
        assert_null(message);
        ovsdb_stream_reset(&stream);
    }
}

static void test_values(void **state)
{
    json_t *row = json_pack("{s:[s,[[s,s]]],s:[s,[]],s:i,s:[s,s]}", "external_ids", "map", "iface-id", "x", "tag", "set",
        "ofport", 4, "_uuid", "uuid", "u1");
    long long number;
    assert_string_equal(ovsdb_map_value(row, "external_ids", "iface-id"), "x");
    assert_null(ovsdb_map_value(row, "external_ids", "none"));
    assert_null(ovsdb_map_value(row, "ofport", "none"));
    assert_false(ovsdb_integer(row, "tag", &number));
    assert_true(ovsdb_integer(row, "ofport", &number));
    assert_string_equal(ovsdb_uuid(row), "u1");
    assert_true(ovsdb_set_has_uuid(json_object_get(row, "_uuid"), "u1"));
    assert_string_equal(ovsdb_text(NULL, "name"), "");
    json_decref(row);
}

static int read_text(const char *text, struct guest_request *request, char *copy)
{
    strcpy(copy, text);
    return guest_request_read(copy, strlen(copy), request);
}

static void test_http(void **state)
{
    char copy[1024];
    struct guest_request r;
    assert_int_equal(read_text("GET /a?b=1 HTTP/1.1\r\nHost: x\r\nAccept:  y \r\n\r\n", &r, copy), 200);
    assert_string_equal(r.path, "/a?b=1");
    assert_string_equal(guest_header_value(&r, "accept"), "y");
    assert_int_equal(read_text("POST /p HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", &r, copy), 200);
    assert_int_equal(r.body_length, 3);
    assert_memory_equal(r.body, "abc", 3);
    static const struct { int status; const char *text; } cases[] = {
        {   0, "GET / HTTP/1.1\r\nHost: x\r\n" },
        {   0, "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nabc" },
        { 200, "GET / HTTP/1.1\n\n" },
        { 400, "GET /\r\n\r\n" },
        { 400, "GET http://x/ HTTP/1.1\r\n\r\n" },
        { 400, "G T / HTTP/1.1\r\n\r\n" },
        { 400, "GET /\x01 HTTP/1.1\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n folded: x\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost : x\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n" },
        { 400, "\r\n\r\n" },
        { 411, "POST / HTTP/1.1\r\n\r\n" },
        { 413, "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n" },
        { 501, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" },
        { 505, "GET / HTTP/3.0\r\n\r\n" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (read_text(cases[i].text, &r, copy) != cases[i].status)
            fail_msg("%s: %d", cases[i].text, read_text(cases[i].text, &r, copy));
    char *large = arena_alloc(arena, GUEST_HEAD_LIMIT + 1);
    memset(large, 'a', GUEST_HEAD_LIMIT);
    assert_int_equal(guest_request_read(large, GUEST_HEAD_LIMIT, &r), 431);
}

static const char *text_of(void (*write)(struct arena *, const struct dhcp_config *, const struct dhcp_network *, struct buf *),
    const struct dhcp_config *config, const struct dhcp_network *network)
{
    BUF_CLEANUP struct buf text = { 0 };
    write(arena, config, network, &text);
    return arena_strdup(arena, buf_text(&text));
}

static void test_dnsmasq_files(void **state)
{
    static const char *const servers[] = { "192.0.2.53", "192.0.2.54", NULL };
    static const struct dhcp_route route = { "10.9.0.0/16", "10.0.0.9" };
    static const struct dhcp_subnet subnet = { .id = "s1", .cidr = "10.0.0.0/24", .gateway_ip = "10.0.0.1", .ip_version = 4,
        .enable_dhcp = true, .dns_nameservers = servers, .host_routes = &route, .host_route_count = 1 };
    static const struct dhcp_fixed_ip own_ip = { "s1", "10.0.0.2" }, ip = { "s1", "10.0.0.5", "vm", "vm.cloud." };
    static const struct dhcp_option options[] = { { "client-id", "ff:01", 4 }, { "150", "10.0.0.3\nevil", 4 } };
    static const struct dhcp_port ports[] = {
        { "p0", "fa:16:3e:00:00:d1", "network:dhcp", &own_ip, 1 },
        { "p1", "fa:16:3e:00:00:05", "compute:nova", &ip, 1, options, 2 },
    };
    struct dhcp_network network = { .id = "n", .own = &ports[0], .subnets = &subnet, .subnet_count = 1, .ports = ports,
        .port_count = 2 };
    struct dhcp_config config = { .dns_domain = "openstacklocal", .enable_isolated_metadata = true, .lease_duration_s = -1 };
    assert_string_equal(text_of(dhcp_text_hosts, &config, &network),
        "fa:16:3e:00:00:d1,host-10-0-0-2.openstacklocal,10.0.0.2\n"
        "fa:16:3e:00:00:05,id:ff:01,vm.cloud.,10.0.0.5,set:port-p1\n");
    assert_string_equal(text_of(dhcp_text_addn_hosts, &config, &network),
        "10.0.0.2\thost-10-0-0-2.openstacklocal host-10-0-0-2\n10.0.0.5\tvm.cloud. vm\n");
    assert_string_equal(text_of(dhcp_text_options, &config, &network),
        "tag:subnet-s1,option:dns-server,192.0.2.53,192.0.2.54\n"
        "tag:subnet-s1,option:classless-static-route,10.9.0.0/16,10.0.0.9,169.254.169.254/32,10.0.0.2,0.0.0.0/0,10.0.0.1\n"
        "tag:subnet-s1,249,10.9.0.0/16,10.0.0.9,169.254.169.254/32,10.0.0.2,0.0.0.0/0,10.0.0.1\n"
        "tag:subnet-s1,option:router,10.0.0.1\n"
        "tag:port-p1,150,10.0.0.3\n");
    assert_string_equal(text_of(dhcp_text_leases, &config, &network),
        "0 fa:16:3e:00:00:d1 10.0.0.2 * *\n0 fa:16:3e:00:00:05 10.0.0.5 * *\n");
}

#define ENTRY(protocol, from, to, more) protocol ",orig=(src=" from ",dst=" to "," more "),reply=(src=" to ",dst=" from ")"

static void test_connections(void **state)
{
    static const struct flows_rule rules[] = {
        { FLOWS_INGRESS, 4, 6, 8000, 8010, NULL, NULL },
        { FLOWS_INGRESS, 4, 17, FLOWS_ANY, FLOWS_ANY, "10.0.9.0/24", NULL },
        { FLOWS_INGRESS, 4, 1, 8, FLOWS_ANY, NULL, "friends" },
        { FLOWS_INGRESS, 6, 1, FLOWS_ANY, FLOWS_ANY, NULL, NULL },
        { FLOWS_EGRESS, 4, FLOWS_ANY, FLOWS_ANY, FLOWS_ANY, NULL, NULL },
    };
    static const struct flows_group group = { "g", rules, 5 };
    static const struct flows_member friend = { "10.0.0.7", NULL };
    static const struct flows_members friends = { "friends", &friend, 1 };
    static const char *const ips[] = { "10.0.0.5" }, *const other[] = { "10.0.0.6" }, *const groups[] = { "g" };
    const struct flows_pair pair = { "fa:16:3e:00:00:05", "10.0.1.0/24" };
    const struct flows_port ports[] = {
        { .vlan = 3, .mac = "fa:16:3e:00:00:05", .fixed_ips = ips, .fixed_ip_count = 1, .pairs = &pair, .pair_count = 1,
            .port_security = true, .group_ids = groups, .group_count = 1 },
        { .vlan = 3, .mac = "fa:16:3e:00:00:06", .fixed_ips = other, .fixed_ip_count = 1, .port_security = true },
    };
    const struct flows_wanted wanted = { .ports = ports, .port_count = 2, .groups = &group, .group_count = 1, .members = &friends,
        .members_count = 1 };
    static const struct { const char *line; bool parsed, allowed, marked; } rows[] = {
        { ENTRY("tcp", "10.0.0.9", "10.0.0.5", "sport=5,dport=8010") ",zone=3,protoinfo=(state=ESTABLISHED)", true, true, false },
        { ENTRY("tcp", "10.0.0.9", "10.0.0.5", "sport=5,dport=8011") ",zone=3", true, false, false },
        { ENTRY("tcp", "10.0.0.9", "10.0.0.5", "sport=5,dport=8010") ",zone=4", true, false, false },
        { ENTRY("tcp", "10.0.0.5", "10.0.0.9", "sport=5,dport=1") ",zone=3,mark=1", true, true, true },
        { ENTRY("tcp", "10.0.0.5", "10.0.0.6", "sport=5,dport=1") ",zone=3,mark=16", true, false, false },
        { ENTRY("udp", "10.0.9.1", "10.0.1.77", "sport=5,dport=1") ",zone=3", true, true, false },
        { ENTRY("udp", "10.0.8.1", "10.0.1.77", "sport=5,dport=1") ",zone=3", true, false, false },
        { ENTRY("icmp", "10.0.0.7", "10.0.0.5", "id=1,type=8,code=0") ",zone=3", true, true, false },
        { ENTRY("icmp", "10.0.0.7", "10.0.0.5", "id=1,type=13,code=0") ",zone=3", true, false, false },
        { ENTRY("icmp", "10.0.0.9", "10.0.0.5", "id=1,type=8,code=0") ",zone=3", true, false, false },
        { ENTRY("icmpv6", "fe80::1", "fe80::f816:3eff:fe00:5", "id=1,type=128,code=0") ",zone=3", true, true, false },
        { ENTRY("47", "10.0.0.5", "10.0.0.9", "") ",zone=3", true, true, false },
        { ENTRY("tcp", "10.0.0.300", "10.0.0.5", "sport=5,dport=1") ",zone=3", false, false, false },
        { "tcp,orig=(src=10.0.0.1", false, false, false },
        { "tcp,orig=(", false, false, false },
        { "", false, false, false },
        { "udp,orig=(src=,dst=,sport=),zone=", false, false, false },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct conntrack_entry entry;
        bool parsed = conntrack_parse(rows[i].line, &entry);
        if (parsed != rows[i].parsed || (parsed && (conntrack_allowed(&wanted, &entry) != rows[i].allowed ||
            entry.marked != rows[i].marked)))
            fail_msg("%s", rows[i].line);
    }
}

static void test_vlans(void **state)
{
    const struct switch_port_state ports[] = { { .name = "a", .network_id = "n1", .vlan = 2 },
        { .name = "b", .network_id = "n9", .vlan = SWITCH_DEAD_VLAN }, { .name = "c", .vlan = 5 } };
    struct switch_vlans *vlans = switch_vlans_create();
    unsigned vlan;
    switch_vlans_fill(vlans, ports, 3);
    assert_null(switch_vlans_get(arena, vlans, "n1", &vlan));
    assert_int_equal(vlan, 2);
    assert_null(switch_vlans_get(arena, vlans, "n2", &vlan));
    assert_int_equal(vlan, 1);
    assert_null(switch_vlans_get(arena, vlans, "n3", &vlan));
    assert_int_equal(vlan, 3);
    struct map used = { 0 };
    size_t count;
    map_set(&used, "n2", vlans);
    map_set(&used, "n3", vlans);
    map_set(&used, "unknown", vlans);
    const unsigned *given = switch_vlans_give_back(arena, vlans, &used, &count);
    assert_int_equal(count, 1);
    assert_int_equal(given[0], 2);
    map_release(&used);
    assert_null(switch_vlans_get(arena, vlans, "n4", &vlan));
    assert_int_equal(vlan, 2);
    for (int i = 0; i < 4091; i++)
        assert_null(switch_vlans_get(arena, vlans, arena_printf(arena, "x%d", i), &vlan));
    assert_non_null(switch_vlans_get(arena, vlans, "one too many", &vlan));
    switch_vlans_destroy(vlans);
    assert_string_equal(switch_tunnel_name(arena, "10.0.0.2"), "vxlan-0a000002");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stream_any_cut, begin, end),
        cmocka_unit_test_setup_teardown(test_stream_refuses, begin, end),
        cmocka_unit_test_setup_teardown(test_values, begin, end),
        cmocka_unit_test_setup_teardown(test_http, begin, end),
        cmocka_unit_test_setup_teardown(test_dnsmasq_files, begin, end),
        cmocka_unit_test_setup_teardown(test_connections, begin, end),
        cmocka_unit_test_setup_teardown(test_vlans, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
