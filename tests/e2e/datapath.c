/* SPDX-License-Identifier: Apache-2.0
 *
 * datapath: the network drivers against a real Open vSwitch, dnsmasq and kernel, without any API.
 *
 * Two hosts (namespaces with an Open vSwitch of their own each) on a wire, guests (namespaces) on them: DHCP, metadata,
 * security groups, anti-spoofing, a VXLAN network over both hosts, a flat network to the outside, restarts of everything.
 * All in namespaces and one folder that carry this process's number. The test runs in a child; the parent cleans up
 * whatever became of it. Ends with 77 (skipped) without root or the programs.
 *
 * Every check prints a line; the last line is "N passed, N failed". */
#include "base/clock.h"
#include "base/log.h"
#include "base/process.h"
#include "neutron/agent/link.h"
#include "neutron/dhcp/dnsmasq.h"
#include "neutron/metadata/listener.h"
#include "neutron/ovs/conntrack.h"
#include "neutron/ovs/daemon.h"
#include "neutron/ovs/flows.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NETWORK "11111111-2222-4333-8444-555555555555"
#define FLAT    "66666666-2222-4333-8444-555555555555"
#define SUBNET  "aaaaaaaa-2222-4333-8444-555555555555"
#define DHCP    "dddddddd-dd01-4333-8444-555555555555"

enum { HOSTS = 2, GUESTS = 4, SKIPPED = 77, MTU = 1400, MOST_NAMESPACES = 100, TRIES = 30 };

struct host {
    const char *netns;
    struct ovs_daemon daemon;
    struct ovsdb *db;
    struct ovs_switch sw;
    struct switch_vlans *vlans;
    unsigned patch_int, tunnel, physical_int, physical_bridge;
};

struct guest {
    const char *netns, *id, *mac, *ip, *group;
    int host;
    const char *network;
};

static struct arena *arena;
static char dir[64];
static const char *prefix;
static struct host hosts[HOSTS];
static struct guest guests[GUESTS] = {
    { NULL, "00000001-0001-4333-8444-555555555555", "fa:16:3e:00:00:01", "198.18.100.11", "client", 0, NETWORK },
    { NULL, "00000002-0002-4333-8444-555555555555", "fa:16:3e:00:00:02", "198.18.100.12", "server", 0, NETWORK },
    { NULL, "00000003-0003-4333-8444-555555555555", "fa:16:3e:00:00:03", "198.18.100.13", "client", 1, NETWORK },
    { NULL, "00000004-0004-4333-8444-555555555555", "fa:16:3e:00:00:04", "198.18.101.14", "client", 0, FLAT },
};
static bool icmp_allowed = true;
static int passed, failed;

static void check(const char *what, bool good)
{
    printf("%s %s\n", good ? "ok  " : "FAIL", what);
    fflush(stdout);
    passed += good;
    failed += !good;
}

static void must(const char *what, struct fault *fault)
{
    if (fault == NULL)
        return;
    printf("FAIL %s: %s\n", what, fault_text(arena, fault));
    fflush(stdout);
    exit(1);
}

static bool runs(const char *netns, const char *const *argv, const char **ret_output)
{
    struct process_result result = { 0 };
    struct fault *fault = process_run(arena, &(struct process){ .argv = argv, .netns = netns, .timeout_ms = 120000,
        .any_exit = true }, &result);
    if (ret_output != NULL)
        *ret_output = result.output != NULL ? result.output : "";
    return fault == NULL && result.exit_status == 0;
}

static bool pings(const char *netns, const char *from, const char *to)
{
    return runs(netns, ARGV("busybox", "ping", "-c", "1", "-W", "1", "-I", from, to), NULL);
}

/* For what must pass, sooner or later: a busy machine loses a second. */
static bool reaches(const char *netns, const char *from, const char *to)
{
    for (int i = 0; i < TRIES; i++)
        if (pings(netns, from, to))
            return true;
    return false;
}

static bool fetches(const char *netns, const char *url, const char **ret_output)
{
    return runs(netns, ARGV("timeout", "3", "busybox", "wget", "-q", "-O", "-", url), ret_output);
}

static bool gets(const char *netns, const char *url, const char **ret_output)
{
    for (int i = 0; i < TRIES; i++) {
        if (runs(netns, ARGV("timeout", "20", "busybox", "wget", "-q", "-O", "-", url), ret_output))
            return true;
        clock_sleep_ms(100);
    }
    return false;
}

/* Names. */

static void name_everything(void)
{
    for (int i = 0; i < HOSTS; i++)
        hosts[i].netns = arena_printf(arena, "%shost%d", prefix, i);
    for (int i = 0; i < GUESTS; i++)
        guests[i].netns = arena_printf(arena, "%sguest%d", prefix, i);
    for (int i = 0; i < HOSTS; i++)
        hosts[i].daemon = (struct ovs_daemon){ .dir = arena_printf(arena, "%s/o%d", dir, i), .netns = hosts[i].netns,
            .host = hosts[i].netns };
}

static const char *outside(void)
{
    return arena_printf(arena, "%soutside", prefix);
}

static struct dhcp_config dhcp_config(void)
{
    return (struct dhcp_config){ .dir = arena_printf(arena, "%s/dhcp", dir), .netns_prefix = prefix,
        .root_netns = hosts[0].netns, .bridge = "br-int", .lease_duration_s = 86400, .lease_max = 16777216,
        .dns_domain = "openstacklocal", .enable_isolated_metadata = true };
}

/* Hosts. */

static void start_host(int n)
{
    struct host *h = &hosts[n];
    struct ovs_daemon_state state;
    const char *local = arena_printf(arena, "198.18.0.%d", n + 1), *remote = arena_printf(arena, "198.18.0.%d", 2 - n);
    must("daemons", ovs_daemon_ensure(arena, &h->daemon, &state));
    h->db = ovsdb_create(ovs_daemon_socket(arena, &h->daemon));
    h->sw = (struct ovs_switch){ h->db, switch_datapath_type() };
    struct switch_bridge bridges[] = { { "br-int" }, { "br-tun" }, { "br-ex" },
        { "br-phy", .standalone = true, .mac = arena_printf(arena, "02:aa:00:00:00:0%d", n + 1) } };
    for (size_t i = 0; i < sizeof(bridges) / sizeof(bridges[0]); i++)
        must("bridge", switch_ensure_bridge(arena, &h->sw, &bridges[i]));
    struct switch_port wire = { .bridge = "br-phy", .name = "wire", .type = "", .tag = -1 };
    must("wire", switch_ensure_port(arena, &h->sw, &wire, NULL));
    must("endpoint", link_set(arena, h->netns, "br-phy", &(struct link_settings){ .mtu = 1600, .up = true }));
    must("endpoint", link_set_addresses(arena, h->netns, "br-phy", ARGV(arena_printf(arena, "%s/24", local)), 1));
    must("patch", switch_ensure_patch(arena, &h->sw, "br-int", "patch-tun", "br-tun", "patch-int", NULL, &h->patch_int));
    must("patch", switch_ensure_patch(arena, &h->sw, "br-int", "int-br-ex", "br-ex", "phy-br-ex", &h->physical_int,
        &h->physical_bridge));
    must("tunnel", switch_ensure_tunnel(arena, &h->sw, "br-tun", local, remote, &h->tunnel));
    h->vlans = switch_vlans_create();
}

static void stop_host(struct host *h)
{
    ovsdb_destroy(h->db);
    switch_vlans_destroy(h->vlans);
    h->db = NULL;
    h->vlans = NULL;
}

static void plug(const struct guest *guest)
{
    struct host *h = &hosts[guest->host];
    const char *outer = dhcp_outer_name(arena, guest->id);
    must("guest", netns_create(arena, guest->netns));
    must("veth", link_create_veth(arena, h->netns, outer, guest->netns, "eth0"));
    must("veth", link_set(arena, h->netns, outer, &(struct link_settings){ .mtu = MTU, .up = true }));
    must("veth", link_set(arena, guest->netns, "eth0", &(struct link_settings){ guest->mac, MTU, true }));
    must("veth", link_tx_checksum_off(arena, guest->netns, "eth0"));
    const char *const ids[] = { "iface-id", guest->id, "attached-mac", guest->mac, NULL };
    struct switch_port port = { .bridge = "br-int", .name = outer, .type = "", .external_ids = ids, .tag = -1 };
    must("port", switch_ensure_port(arena, &h->sw, &port, NULL));
}

static void plug_outside(void)
{
    struct host *h = &hosts[0];
    must("outside", netns_create(arena, outside()));
    must("outside", link_create_veth(arena, h->netns, "ext", outside(), "eth0"));
    must("outside", link_set(arena, h->netns, "ext", &(struct link_settings){ .up = true }));
    must("outside", link_set(arena, outside(), "eth0", &(struct link_settings){ .up = true }));
    must("outside", link_set_addresses(arena, outside(), "eth0", ARGV("198.18.101.1/24"), 1));
    struct switch_port port = { .bridge = "br-ex", .name = "ext", .type = "", .tag = -1 };
    must("outside", switch_ensure_port(arena, &h->sw, &port, NULL));
}

/* The agent: wanted state from what is on the switch, as the real one will do it. */

static const struct guest *find_guest(const char *id)
{
    for (int i = 0; i < GUESTS; i++)
        if (strcmp(guests[i].id, id) == 0)
            return &guests[i];
    return NULL;
}

static const struct flows_rule egress = { FLOWS_EGRESS, 4, FLOWS_ANY, FLOWS_ANY, FLOWS_ANY };

static void fill_groups(struct flows_wanted *wanted)
{
    static struct flows_rule client[1], server[4];
    static struct flows_member clients[] = { { "198.18.100.11" }, { "198.18.100.13" } };
    static struct flows_group groups[2];
    static const struct flows_members members[] = { { "client", clients, 2 } };
    client[0] = server[0] = egress;
    server[1] = (struct flows_rule){ FLOWS_INGRESS, 4, 6, 8000, 8010, .remote_prefix = "198.18.100.0/24" };
    server[2] = (struct flows_rule){ FLOWS_INGRESS, 4, 6, 9001, 9001, .remote_group_id = "client" };
    server[3] = (struct flows_rule){ FLOWS_INGRESS, 4, 1, FLOWS_ANY, FLOWS_ANY, .remote_group_id = "client" };
    groups[0] = (struct flows_group){ "client", client, 1 };
    groups[1] = (struct flows_group){ "server", server, icmp_allowed ? 4 : 3 };
    wanted->groups = groups;
    wanted->group_count = 2;
    wanted->members = members;
    wanted->members_count = 1;
}

static void fill_ports(struct host *h, const struct switch_port_state *states, size_t count, struct flows_wanted *wanted,
    const unsigned *vlans)
{
    struct flows_port *ports = ARENA_ARRAY(arena, struct flows_port, count + 1);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (states[i].iface_id == NULL)
            continue;
        const struct guest *guest = find_guest(states[i].iface_id);
        bool flat = guest != NULL && strcmp(guest->network, FLAT) == 0;
        const struct switch_network network = { .id = flat ? FLAT : NETWORK, .type = flat ? "flat" : "vxlan",
            .physical_network = flat ? "physnet1" : NULL, .segmentation_id = flat ? 0 : 100, .vlan = vlans[flat] };
        must("tag", switch_set_network(arena, &h->sw, states[i].name, &network));
        ports[n++] = (struct flows_port){ .id = states[i].iface_id, .ofport = (unsigned)states[i].ofport,
            .vlan = vlans[flat], .mac = states[i].mac, .port_security = guest != NULL,
            .fixed_ips = guest != NULL ? ARGV(guest->ip) : NULL, .fixed_ip_count = guest != NULL,
            .group_ids = guest != NULL ? ARGV(guest->group) : NULL, .group_count = guest != NULL };
        /* ARGV lives until its block ends */
        if (guest != NULL) {
            ports[n - 1].fixed_ips = arena_memdup(arena, &guest->ip, sizeof(guest->ip));
            ports[n - 1].group_ids = arena_memdup(arena, &guest->group, sizeof(guest->group));
        }
    }
    wanted->ports = ports;
    wanted->port_count = n;
}

static size_t agent_run(struct host *h)
{
    struct switch_port_state *states;
    size_t count, changed = 0, sum = 0;
    unsigned vlans[2];
    must("ports", switch_list_ports(arena, &h->sw, "br-int", &states, &count));
    switch_vlans_fill(h->vlans, states, count);
    must("vlan", switch_vlans_get(arena, h->vlans, NETWORK, &vlans[0]));
    must("vlan", switch_vlans_get(arena, h->vlans, FLAT, &vlans[1]));
    const struct flows_network networks[] = {
        { NETWORK, vlans[0], FLOWS_VXLAN, 100, NULL, &h->tunnel, 1 },
        { FLAT, vlans[1], FLOWS_FLAT, 0, "physnet1", NULL, 0 },
    };
    const struct flows_physical physical = { "physnet1", h->physical_int, h->physical_bridge };
    struct flows_wanted wanted = { .networks = networks, .network_count = 2, .physicals = &physical, .physical_count = 1,
        .patch_int = h->patch_int, .tunnels = &h->tunnel, .tunnel_count = 1, .arp_responder = true };
    fill_groups(&wanted);
    fill_ports(h, states, count, &wanted, vlans);
    BUF_CLEANUP struct buf integration = { 0 }, tunnel = { 0 }, external = { 0 };
    must("br-int", flows_integration(arena, &wanted, &integration));
    must("br-int", flows_apply(arena, h->daemon.dir, "br-int", &integration, &changed));
    sum += changed;
    must("br-tun", flows_tunnel(arena, &wanted, &tunnel));
    must("br-tun", flows_apply(arena, h->daemon.dir, "br-tun", &tunnel, &changed));
    sum += changed;
    must("br-ex", flows_physical(arena, &wanted, &physical, &external));
    must("br-ex", flows_apply(arena, h->daemon.dir, "br-ex", &external, &changed));
    return sum + changed;
}

/* DHCP. */

static enum dhcp_change dhcp_run(size_t port_count)
{
    static const struct dhcp_fixed_ip ips[] = { { SUBNET, "198.18.100.2" }, { SUBNET, "198.18.100.11" },
        { SUBNET, "198.18.100.12" }, { SUBNET, "198.18.100.13" } };
    static const struct dhcp_subnet subnet = { .id = SUBNET, .cidr = "198.18.100.0/24", .gateway_ip = "198.18.100.1",
        .ip_version = 4, .enable_dhcp = true };
    struct dhcp_port ports[4] = { { DHCP, "fa:16:3e:00:00:d1", "network:dhcp", &ips[0], 1 } };
    for (int i = 0; i < 3; i++)
        ports[i + 1] = (struct dhcp_port){ guests[i].id, guests[i].mac, "compute:nova", &ips[i + 1], 1 };
    struct dhcp_network network = { .id = NETWORK, .mtu = MTU, .own = &ports[0], .subnets = &subnet, .subnet_count = 1,
        .ports = ports, .port_count = port_count };
    struct dhcp_config config = dhcp_config();
    enum dhcp_change change;
    must("dhcp", dhcp_ensure(arena, &config, &hosts[0].sw, &network, &change));
    return change;
}

static void write_lease_script(const char *path)
{
    static const char text[] = "#!/bin/sh\n[ \"$1\" = bound ] || exit 0\nip addr flush dev $interface\n"
        "ip addr add $ip/$mask dev $interface\nset -- $staticroutes\n"
        "while [ $# -ge 2 ]; do [ $2 = 0.0.0.0 ] || ip route replace $1 via $2; shift 2; done\n"
        "echo \"ip=$ip mtu=$mtu router=$router routes=$staticroutes\"\n";
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    if (fd < 0 || write(fd, text, sizeof(text) - 1) < 0)
        exit(1);
    close(fd);
}

static const char *lease_within(const struct guest *guest, const char *seconds)
{
    const char *output, *script = arena_printf(arena, "%s/lease.sh", dir);
    runs(guest->netns, ARGV("busybox", "udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", seconds, "-T", "1", "-O", "mtu", "-O",
        "staticroutes", "-s", script), &output);
    return output;
}

static const char *lease(const struct guest *guest)
{
    return lease_within(guest, "60");
}

static void test_dhcp(void)
{
    write_lease_script(arena_printf(arena, "%s/lease.sh", dir));
    check("DHCP server starts", dhcp_run(3) == DHCP_STARTED);
    agent_run(&hosts[0]);
    const char *first = lease(&guests[0]);
    check("guest gets its address by DHCP", strstr(first, "ip=198.18.100.11 ") != NULL);
    check("DHCP option 26: mtu", strstr(first, "mtu=1400") != NULL);
    check("DHCP option 3: router", strstr(first, "router=198.18.100.1") != NULL);
    check("DHCP option 121: metadata route", strstr(first, "169.254.169.254/32 198.18.100.2") != NULL);
    check("second guest gets its own", strstr(lease(&guests[1]), "ip=198.18.100.12 ") != NULL);
    check("a port that the server does not know gets nothing", strstr(lease_within(&guests[2], "5"), "ip=") == NULL);
    check("a new port is a reload", dhcp_run(4) == DHCP_RELOADED);
    check("guest on the other host gets its address over VXLAN", strstr(lease(&guests[2]), "ip=198.18.100.13 ") != NULL);
    guests[2].mac = "fa:16:3e:00:00:33"; /* deleted, and another got its address */
    plug(&guests[2]);
    agent_run(&hosts[1]);
    check("a lease of a port that is gone is dropped", dhcp_run(4) == DHCP_STARTED);
    check("and the next port with that address gets it", strstr(lease(&guests[2]), "ip=198.18.100.13 ") != NULL);
    check("nothing to change: DHCP unchanged", dhcp_run(4) == DHCP_UNCHANGED);
    struct dhcp_config config = dhcp_config();
    pid_t pid = process_read_pid(arena_printf(arena, "%s/" NETWORK "/pid", config.dir));
    kill(pid, SIGKILL);
    enum dhcp_change outcome = DHCP_UNCHANGED; /* until it is dead: its end takes a moment */
    for (int i = 0; i < 1000 && outcome == DHCP_UNCHANGED; i++) {
        clock_sleep_ms(20);
        outcome = dhcp_run(4);
    }
    check("a killed dnsmasq is started again", outcome == DHCP_STARTED);
    check("lease from the new one", strstr(lease(&guests[0]), "ip=198.18.100.11 ") != NULL);
}

/* Metadata. */

static void serve_metadata(void *context, struct arena *request_arena, const struct listener_request *request,
    struct listener_answer *answer)
{
    if (strcmp(request->http->path, "/none") == 0)
        answer->status = 404;
    buf_printf(&answer->body, "%s %s %s forwarded=%s", request->network_id, request->peer_ip, request->http->path,
        guest_header_value(request->http, "X-Forwarded-For") != NULL ? "yes" : "no");
}

static bool slow_clients_do_not_block(void)
{
    const char *silent = arena_printf(arena, "for i in 1 2 3 4 5 6 7 8; do (printf 'GET /slow HT'; sleep 100) | "
        "busybox nc -w 100 169.254.169.254 80 & done; wait");
    pid_t pid;
    must("slow", process_spawn(arena, &(struct process){ .argv = ARGV("sh", "-c", silent), .netns = guests[1].netns }, NULL,
        &pid));
    clock_sleep_ms(500);
    const char *output;
    bool good = runs(guests[0].netns, ARGV("timeout", "50", "busybox", "wget", "-q", "-O", "-",
        "http://169.254.169.254/quick"), &output) && strstr(output, "/quick") != NULL;
    kill(-pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return good;
}

static void test_metadata(void)
{
    const char *output;
    struct dhcp_config config = dhcp_config();
    struct listener *listener = listener_create(serve_metadata, NULL, 2);
    must("metadata", listener_add(arena, listener, NETWORK, dhcp_netns(arena, &config, NETWORK), "169.254.169.254", 80));
    bool got = gets(guests[0].netns, "http://169.254.169.254/openstack/latest/meta_data.json", &output);
    check("metadata through 169.254.169.254, network and guest known",
        got && strcmp(output, NETWORK " 198.18.100.11 /openstack/latest/meta_data.json forwarded=no") == 0);
    got = gets(guests[2].netns, "http://169.254.169.254/x", &output);
    check("metadata from the other host", got && strstr(output, " 198.18.100.13 /x") != NULL);
    runs(guests[0].netns, ARGV("timeout", "60", "busybox", "wget", "-q", "-O", "-", "--header", "X-Forwarded-For: 1.2.3.4",
        "http://169.254.169.254/y"), &output);
    check("a guest cannot forge X-Forwarded-For", strstr(output, "forwarded=no") != NULL);
    check("404 arrives as one", !fetches(guests[0].netns, "http://169.254.169.254/none", &output));
    check("slow guests do not block others", slow_clients_do_not_block());
    must("metadata", listener_add(arena, listener, NETWORK, dhcp_netns(arena, &config, NETWORK), "169.254.169.254", 80));
    check("listening again changes nothing", gets(guests[0].netns, "http://169.254.169.254/z", &output));
    listener_remove(listener, NETWORK);
    bool answers = true;
    for (int i = 0; i < TRIES && answers; i++)
        answers = fetches(guests[0].netns, "http://169.254.169.254/z", &output);
    check("removed: nobody answers", !answers);
    listener_destroy(listener);
}

/* Security groups. */

static void serve_http(const char *port, pid_t *ret_pid)
{
    must("httpd", process_spawn(arena, &(struct process){ .argv = ARGV("busybox", "httpd", "-f", "-p", port, "-h", dir),
        .netns = guests[1].netns }, NULL, ret_pid));
}

static void test_groups(void)
{
    static const char *const ports[] = { "8005", "9001", "7000" };
    pid_t pids[3];
    for (int i = 0; i < 3; i++)
        serve_http(ports[i], &pids[i]);
    clock_sleep_ms(300);
    check("ping allowed from the remote group", reaches(guests[0].netns, guests[0].ip, guests[1].ip));
    check("ping allowed from the remote group's other host", reaches(guests[2].netns, guests[2].ip, guests[1].ip));
    check("ping against no rule is dropped", !pings(guests[1].netns, guests[1].ip, guests[0].ip));
    check("TCP port in the range", gets(guests[0].netns, "http://198.18.100.12:8005/lease.sh", NULL));
    check("TCP port in the range, other host", gets(guests[2].netns, "http://198.18.100.12:8005/lease.sh", NULL));
    check("TCP port of the remote group", gets(guests[0].netns, "http://198.18.100.12:9001/lease.sh", NULL));
    check("TCP port without a rule is dropped", !fetches(guests[0].netns, "http://198.18.100.12:7000/lease.sh", NULL));
    icmp_allowed = false;
    check("removing a rule changes flows", agent_run(&hosts[0]) > 0);
    check("ping is dropped now", !pings(guests[0].netns, guests[0].ip, guests[1].ip));
    check("TCP still passes", gets(guests[0].netns, "http://198.18.100.12:8005/lease.sh", NULL));
    must("flush", conntrack_flush(arena, hosts[0].daemon.dir, 1));
    icmp_allowed = true;
    agent_run(&hosts[0]);
    check("ping passes with the rule again", reaches(guests[0].netns, guests[0].ip, guests[1].ip));
    for (int i = 0; i < 3; i++)
        process_end(pids[i], 1000);
}

static void test_spoofing(void)
{
    const struct guest *g = &guests[0];
    const char *ip = arena_printf(arena, "%s/24", g->ip);
    must("address", link_set_addresses(arena, g->netns, "eth0", ARGV(ip, "198.18.100.99/24"), 2));
    check("another source address is dropped", !pings(g->netns, "198.18.100.99", guests[1].ip));
    check("its own still passes", reaches(g->netns, g->ip, guests[1].ip));
    must("address", link_set_addresses(arena, g->netns, "eth0", ARGV(ip), 1));
    must("mac", link_set(arena, g->netns, "eth0", &(struct link_settings){ .mac = "fa:16:3e:00:00:99" }));
    check("another source MAC is dropped", !pings(g->netns, g->ip, guests[1].ip));
    must("mac", link_set(arena, g->netns, "eth0", &(struct link_settings){ .mac = g->mac }));
    check("its own passes again", reaches(g->netns, g->ip, guests[1].ip));
}

static void test_flat(void)
{
    must("address", link_set_addresses(arena, guests[3].netns, "eth0", ARGV("198.18.101.14/24"), 1));
    check("flat network reaches the outside", reaches(guests[3].netns, guests[3].ip, "198.18.101.1"));
    check("the outside cannot begin", !pings(outside(), "198.18.101.1", guests[3].ip));
    check("networks are apart", !pings(guests[3].netns, guests[3].ip, guests[1].ip));
}

/* Restarts. */

static void test_restart(void)
{
    struct host *h = &hosts[0];
    struct ovs_daemon_state before, after;
    check("nothing to change: no flow is written", agent_run(h) == 0 && agent_run(&hosts[1]) == 0);
    stop_host(h);
    start_host(0); /* a restarted agent: nothing in memory */
    check("a restarted agent changes no flow", agent_run(h) == 0);
    must("adopt", ovs_daemon_ensure(arena, &h->daemon, &before));
    check("running daemons are adopted", !before.restarted);
    int watch = ovs_daemon_watch(&h->daemon);
    kill(before.vswitchd_pid, SIGKILL);
    struct pollfd ended = { watch, POLLIN, 0 };
    check("the end of ovs-vswitchd is noticed at once", poll(&ended, 1, 60000) == 1 && ovs_daemon_watch(&h->daemon) < 0);
    close(watch);
    must("restart", ovs_daemon_ensure(arena, &h->daemon, &after));
    check("and started again", after.restarted && after.ovsdb_pid == before.ovsdb_pid);
    stop_host(h);
    start_host(0);
    check("flows are restored", agent_run(h) > 0);
    check("guests talk again", reaches(guests[0].netns, guests[0].ip, guests[1].ip));
    check("over VXLAN, too", reaches(guests[2].netns, guests[2].ip, guests[1].ip));
}

static bool has_link(const char *netns, const char *name)
{
    return runs(NULL, ARGV("ip", "-n", netns, "link", "show", name), NULL);
}

static int changes_seen;

static void count_change(void *context, const char *table, const char *uuid, json_t *before, json_t *after)
{
    if (table != NULL && strcmp(ovsdb_text(after, "name"), "watched") == 0)
        changes_seen++;
}

static void test_monitor(void)
{
    struct host *h = &hosts[0];
    struct ovsdb *db = ovsdb_create(ovs_daemon_socket(arena, &h->daemon));
    must("monitor", ovsdb_monitor(arena, db, json_pack("{s:[s,s]}", "Interface", "name", "ofport"), count_change, NULL));
    struct switch_port port = { .bridge = "br-int", .name = "watched", .type = "internal", .tag = 4 };
    must("port", switch_ensure_port(arena, &h->sw, &port, NULL));
    for (int i = 0; i < 300 && changes_seen == 0; i++)
        must("poll", ovsdb_poll(arena, db, 200));
    check("a new port is told by the monitor", changes_seen > 0);
    must("port", switch_delete_port(arena, &h->sw, "watched"));
    must("port", switch_delete_port(arena, &h->sw, "watched"));
    port.type = "";
    check("a port without a device is a fault", switch_ensure_port(arena, &h->sw, &port, NULL) != NULL);
    must("port", switch_delete_port(arena, &h->sw, "watched"));
    must("tap", process_run(arena, &(struct process){
        .argv = ARGV("ip", "-n", h->netns, "tuntap", "add", "watched", "mode", "tap") }, NULL));
    must("tap", switch_ensure_port(arena, &h->sw, &port, NULL));
    check("a tap is a port", has_link(h->netns, "watched"));
    must("port", switch_delete_port(arena, &h->sw, "watched"));
    must("tap", link_delete(arena, h->netns, "watched"));
    ovsdb_destroy(db);
}

static void test_removal(void)
{
    struct dhcp_config config = dhcp_config();
    must("dhcp", dhcp_disable(arena, &config, &hosts[0].sw, NETWORK));
    must("dhcp", dhcp_disable(arena, &config, &hosts[0].sw, NETWORK));
    check("DHCP is gone wholly", !netns_exists(dhcp_netns(arena, &config, NETWORK)) &&
        !has_link(hosts[0].netns, dhcp_outer_name(arena, DHCP)) && dhcp_networks(arena, &config)[0] == NULL);
    for (int i = 0; i < HOSTS; i++) {
        stop_host(&hosts[i]);
        must("stop", ovs_daemon_stop(arena, &hosts[i].daemon));
        check("the switch ends", ovs_daemon_watch(&hosts[i].daemon) < 0);
    }
}

static int test_all(void)
{
    for (int i = 0; i < HOSTS; i++)
        must("host", netns_create(arena, hosts[i].netns));
    must("wire", link_create_veth(arena, hosts[0].netns, "wire", hosts[1].netns, "wire"));
    for (int i = 0; i < HOSTS; i++)
        must("wire", link_set(arena, hosts[i].netns, "wire", &(struct link_settings){ .mtu = 1600, .up = true }));
    for (int i = 0; i < HOSTS; i++)
        start_host(i);
    for (int i = 0; i < GUESTS; i++)
        plug(&guests[i]);
    plug_outside();
    check("flows are written", agent_run(&hosts[0]) > 0 && agent_run(&hosts[1]) > 0);
    test_dhcp();
    test_metadata();
    test_groups();
    test_spoofing();
    test_flat();
    test_monitor();
    test_restart();
    test_removal();
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}

/* The parent. */

/* Those that carry our number. */
static const char *const *namespaces(void)
{
    const char **names = ARENA_ARRAY(arena, const char *, MOST_NAMESPACES + 1);
    size_t count = 0;
    DIR *folder = opendir("/run/netns");
    for (struct dirent *entry; folder != NULL && count < MOST_NAMESPACES && (entry = readdir(folder)) != NULL;)
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
            names[count++] = arena_strdup(arena, entry->d_name);
    if (folder != NULL)
        closedir(folder);
    return names;
}

static void clean_up(void)
{
    const char *const *names = namespaces();
    struct dhcp_config config = dhcp_config();
    const char *const *networks = dhcp_networks(arena, &config);
    for (size_t i = 0; networks[i] != NULL; i++) {
        const char *pid_file = arena_printf(arena, "%s/%s/pid", config.dir, networks[i]);
        pid_t pid = process_read_pid(pid_file);
        if (process_alive(pid, pid_file))
            process_end(pid, 2000);
    }
    for (int i = 0; i < HOSTS; i++)
        ovs_daemon_stop(arena, &hosts[i].daemon);
    for (size_t i = 0; names[i] != NULL; i++)
        netns_delete(arena, names[i]);
    runs(NULL, ARGV("rm", "-rf", dir), NULL);
}

static pid_t child;

static void on_signal(int signal_number)
{
    kill(-child, SIGKILL);
}

int main(void)
{
    arena = arena_create();
    if (geteuid() != 0 || !runs(NULL, ARGV("ovs-vswitchd", "--version"), NULL) ||
        !runs(NULL, ARGV("dnsmasq", "--version"), NULL) || !runs(NULL, ARGV("busybox", "true"), NULL)) {
        puts("skipped: needs root, openvswitch-switch, dnsmasq-base and busybox");
        return SKIPPED;
    }
    prefix = arena_printf(arena, "nubodp%d-", (int)getpid());
    snprintf(dir, sizeof(dir), "/tmp/%s", prefix);
    if (mkdir(dir, 0700) != 0)
        return 1;
    name_everything();
    child = fork();
    if (child == 0) {
        setpgid(0, 0);
        exit(test_all());
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
    }
    kill(-child, SIGKILL);
    clean_up();
    const char *const *left = namespaces();
    if (left[0] != NULL || access(dir, F_OK) == 0)
        printf("FAIL something is left of %s\n", prefix);
    int result = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    result = left[0] != NULL ? 1 : result;
    arena_destroy(arena);
    return result;
}
