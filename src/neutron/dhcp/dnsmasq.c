/* SPDX-License-Identifier: Apache-2.0
 * dnsmasq: namespace, device, files and process of one network's DHCP server. See dnsmasq.h. */
#include "neutron/dhcp/dnsmasq.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "base/random.h"
#include "neutron/agent/link.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STOP_GRACE_MS = 5000, START_TIMEOUT_MS = 5000, START_POLL_MS = 2, FILE_LIMIT = 64 * 1024 * 1024 };

static const char *file(struct arena *arena, const struct dhcp_config *config, const char *network_id, const char *name)
{
    return arena_printf(arena, "%s/%s/%s", config->dir, network_id, name);
}

const char *dhcp_netns(struct arena *arena, const struct dhcp_config *config, const char *network_id)
{
    return arena_printf(arena, "%sqdhcp-%s", config->netns_prefix, network_id);
}

const char *dhcp_inner_name(struct arena *arena, const char *port_id)
{
    return arena_printf(arena, "ns-%.11s", port_id);
}

const char *dhcp_outer_name(struct arena *arena, const char *port_id)
{
    return arena_printf(arena, "tap%.11s", port_id);
}

static pid_t running(struct arena *arena, const struct dhcp_config *config, const char *network_id)
{
    const char *pid_file = file(arena, config, network_id, "pid");
    pid_t pid = process_read_pid(pid_file);
    if (process_alive(pid, pid_file)) /* its path is one of the arguments */
        return pid;
    if (pid > 0)
        waitpid(pid, NULL, WNOHANG);
    return 0;
}

/* dnsmasq never reads half a file. */
static struct fault *replace_file(struct arena *arena, const char *path, const char *text, bool *ret_changed)
{
    const char *present = file_read(arena, path, FILE_LIMIT, NULL);
    if (present != NULL && strcmp(present, text) == 0)
        return NULL;
    *ret_changed = true;
    return file_write(arena, path, text, strlen(text), 0644, FILE_NO_SYNC);
}

static struct fault *write_files(struct arena *arena, const struct dhcp_config *config, const struct dhcp_network *network,
    bool *ret_changed)
{
    static const struct {
        const char *name;
        void (*write)(struct arena *, const struct dhcp_config *, const struct dhcp_network *, struct buf *);
    } files[] = {
        { "host",       dhcp_text_hosts },
        { "addn_hosts", dhcp_text_addn_hosts },
        { "opts",       dhcp_text_options },
    };
    TRY(folder_make(arena, arena_printf(arena, "%s/%s", config->dir, network->id), 0755, 0755));
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        BUF_CLEANUP struct buf text = { 0 };
        files[i].write(arena, config, network, &text);
        TRY(replace_file(arena, file(arena, config, network->id, files[i].name), buf_text(&text), ret_changed));
    }
    bool ignored = false;
    return replace_file(arena, file(arena, config, network->id, "interface"), dhcp_inner_name(arena, network->own->id),
        &ignored);
}

static const struct dhcp_subnet *subnet_of(const struct dhcp_network *network, const char *id)
{
    for (size_t i = 0; i < network->subnet_count; i++)
        if (strcmp(network->subnets[i].id, id) == 0)
            return &network->subnets[i];
    return NULL;
}

static struct fault *set_addresses(struct arena *arena, const struct dhcp_config *config,
    const struct dhcp_network *network, const char *netns, const char *inner)
{
    const struct dhcp_port *own = network->own;
    const char **addresses = ARENA_ARRAY(arena, const char *, own->fixed_ip_count + 1);
    size_t count = 0;
    for (size_t i = 0; i < own->fixed_ip_count; i++) {
        const struct dhcp_subnet *subnet = subnet_of(network, own->fixed_ips[i].subnet_id);
        const char *prefix = subnet != NULL ? strchr(subnet->cidr, '/') : NULL;
        if (prefix != NULL)
            addresses[count++] = arena_printf(arena, "%s%s", own->fixed_ips[i].ip_address, prefix);
    }
    if (config->force_metadata || config->enable_isolated_metadata)
        addresses[count++] = "169.254.169.254/32";
    return link_set_addresses(arena, netns, inner, addresses, count);
}

static struct fault *ensure_device(struct arena *arena, const struct dhcp_config *config, struct ovs_switch *sw,
    const struct dhcp_network *network)
{
    const char *netns = dhcp_netns(arena, config, network->id);
    const char *inner = dhcp_inner_name(arena, network->own->id), *outer = dhcp_outer_name(arena, network->own->id);
    TRY(netns_create(arena, netns));
    TRY(link_create_veth(arena, config->root_netns, outer, netns, inner));
    struct link_settings settings = { .mac = network->own->mac, .mtu = network->mtu, .up = true };
    TRY(link_set(arena, netns, inner, &settings));
    settings.mac = NULL;
    TRY(link_set(arena, config->root_netns, outer, &settings));
    TRY(link_tx_checksum_off(arena, netns, inner));
    TRY(set_addresses(arena, config, network, netns, inner));
    const char *const ids[] = { "iface-id", network->own->id, "attached-mac", network->own->mac, "iface-status", "active",
        NULL };
    struct switch_port port = { .bridge = config->bridge, .name = outer, .type = "", .external_ids = ids, .tag = -1 };
    return switch_ensure_port(arena, sw, &port, NULL);
}

/* "--dhcp-range=set:subnet-ID,NETWORK,static,MASK,86400s"; NULL for a subnet without. *ret_size: addresses in it. */
static const char *range(struct arena *arena, const struct dhcp_config *config, const struct dhcp_subnet *subnet,
    uint64_t *ret_size)
{
    char host[INET6_ADDRSTRLEN] = "";
    const char *slash = strchr(subnet->cidr, '/');
    int prefix = slash != NULL ? atoi(slash + 1) : -1, bits = subnet->ip_version == 4 ? 32 : 128;
    if (!subnet->enable_dhcp || prefix < 0 || prefix > bits || (size_t)(slash - subnet->cidr) >= sizeof(host))
        return NULL;
    memcpy(host, subnet->cidr, (size_t)(slash - subnet->cidr));
    const char *lease = config->lease_duration_s < 0 ? "infinite" : arena_printf(arena, "%ds", config->lease_duration_s);
    *ret_size = bits - prefix > 31 ? UINT32_MAX : (uint64_t)1 << (bits - prefix);
    if (subnet->ip_version == 4) {
        struct in_addr mask = { htonl(prefix == 0 ? 0 : 0xffffffffu << (32 - prefix)) };
        char text[INET_ADDRSTRLEN];
        inet_ntop(AF_INET, &mask, text, sizeof(text));
        return arena_printf(arena, "--dhcp-range=set:subnet-%s,%s,static,%s,%s", subnet->id, host, text, lease);
    }
    bool served = subnet->ipv6_address_mode != NULL ? strncmp(subnet->ipv6_address_mode, "dhcpv6-", 7) == 0
                                                    : subnet->ipv6_ra_mode == NULL;
    if (!served || prefix < 64) /* as neutron: dnsmasq takes no larger IPv6 range */
        return NULL;
    return arena_printf(arena, "--dhcp-range=set:subnet-%s,%s,static,%d,%s", subnet->id, host, prefix, lease);
}

struct arguments {
    const char **list;
    size_t count, capacity;
};

static void add(struct arena *arena, struct arguments *arguments, const char *argument)
{
    if (arguments->count + 1 >= arguments->capacity) {
        size_t capacity = arguments->capacity == 0 ? 64 : 2 * arguments->capacity;
        const char **list = ARENA_ARRAY(arena, const char *, capacity);
        if (arguments->count > 0)
            memcpy(list, arguments->list, arguments->count * sizeof(*list));
        arguments->list = list;
        arguments->capacity = capacity;
    }
    arguments->list[arguments->count++] = argument;
}

static const char **command(struct arena *arena, const struct dhcp_config *config, const struct dhcp_network *network)
{
    struct arguments a = { 0 };
    const char *id = network->id;
    const char *const fixed[] = { "dnsmasq", "--keep-in-foreground", "--no-hosts", "--no-resolv", "--conf-file=/dev/null",
        "--user=root", "--no-ping", "--bind-dynamic", "--except-interface=lo", "--local-service", "--dhcp-match=set:ipxe,175",
        "--dhcp-userclass=set:ipxe6,iPXE",
        arena_printf(arena, "--pid-file=%s", file(arena, config, id, "pid")),
        arena_printf(arena, "--interface=%s", dhcp_inner_name(arena, network->own->id)),
        arena_printf(arena, "--dhcp-hostsfile=%s", file(arena, config, id, "host")),
        arena_printf(arena, "--addn-hosts=%s", file(arena, config, id, "addn_hosts")),
        arena_printf(arena, "--dhcp-optsfile=%s", file(arena, config, id, "opts")),
        arena_printf(arena, "--dhcp-leasefile=%s", file(arena, config, id, "leases")) };
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        add(arena, &a, fixed[i]);
    uint64_t leases = 0;
    for (size_t i = 0; i < network->subnet_count; i++) {
        uint64_t size = 0;
        const char *argument = range(arena, config, &network->subnets[i], &size);
        if (argument != NULL)
            add(arena, &a, argument);
        leases += size;
    }
    add(arena, &a, arena_printf(arena, "--dhcp-lease-max=%llu",
        (unsigned long long)(leases < config->lease_max ? leases : config->lease_max)));
    if (network->mtu > 0)
        add(arena, &a, arena_printf(arena, "--dhcp-option-force=option:mtu,%d", network->mtu));
    for (size_t i = 0; config->dns_servers != NULL && config->dns_servers[i] != NULL; i++)
        add(arena, &a, arena_printf(arena, "--server=%s", config->dns_servers[i]));
    if (config->dns_domain != NULL && config->dns_domain[0] != '\0')
        add(arena, &a, arena_printf(arena, "--domain=%s", config->dns_domain));
    return a.list;
}

static struct fault *stop(struct arena *arena, const struct dhcp_config *config, const char *network_id)
{
    pid_t pid = running(arena, config, network_id);
    if (pid != 0 && !process_end(pid, STOP_GRACE_MS))
        return fault_new(arena, 500, NULL, "dnsmasq (pid %d) of network %s does not end.", (int)pid, network_id);
    unlink(file(arena, config, network_id, "pid"));
    return NULL;
}

/* A line of the lease file: "until MAC ADDRESS name client-id", IPv6 with an IAID for the MAC; "duid ..." is neither. */
static bool read_lease(const char *line, char (*ret_mac)[64], char (*ret_ip)[64])
{
    return strncmp(line, "duid ", 5) != 0 && sscanf(line, "%*s %63s %63s", *ret_mac, *ret_ip) == 2;
}

static bool lease_wanted(const struct dhcp_network *network, const char *mac, const char *ip)
{
    for (size_t i = 0; i < network->port_count; i++)
        for (size_t j = 0; j < network->ports[i].fixed_ip_count; j++)
            if (strcmp(network->ports[i].fixed_ips[j].ip_address, ip) == 0)
                return strchr(ip, ':') != NULL || strcasecmp(network->ports[i].mac, mac) == 0;
    return false;
}

/* Whether dnsmasq remembers a guest that is gone: it would refuse the address to the next one. (neutron sends a DHCPRELEASE
 * in the guest's name; a restart with a lease file of our own has the same effect and needs no helper.) */
static bool has_stale_lease(struct arena *arena, const struct dhcp_config *config, const struct dhcp_network *network)
{
    char mac[64], ip[64];
    const char *line = file_read(arena, file(arena, config, network->id, "leases"), FILE_LIMIT, NULL);
    for (; line != NULL && *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n')
        if (read_lease(line, &mac, &ip) && !lease_wanted(network, mac, ip))
            return true;
    return false;
}

/* IPv6 leases have identifiers that only dnsmasq knows: those still wanted are carried over, with its own identity. */
static void keep_ipv6_leases(struct arena *arena, const struct dhcp_config *config, const struct dhcp_network *network,
    struct buf *text)
{
    char mac[64], ip[64];
    const char *line = file_read(arena, file(arena, config, network->id, "leases"), FILE_LIMIT, NULL);
    for (; line != NULL && *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n') {
        bool lease = read_lease(line, &mac, &ip);
        if (strncmp(line, "duid ", 5) == 0 || (lease && strchr(ip, ':') != NULL && lease_wanted(network, mac, ip)))
            buf_printf(text, "%.*s\n", (int)strcspn(line, "\n"), line);
    }
}

static struct fault *start(struct arena *arena, const struct dhcp_config *config, const struct dhcp_network *network,
    const char *const *argv)
{
    BUF_CLEANUP struct buf leases = { 0 };
    bool ignored;
    pid_t pid;
    dhcp_text_leases(arena, config, network, &leases); /* else a restarted server would refuse renewals */
    keep_ipv6_leases(arena, config, network, &leases);
    TRY(replace_file(arena, file(arena, config, network->id, "leases"), buf_text(&leases), &ignored));
    log_info("neutron.dhcp", "Starting dnsmasq for network %s", network->id);
    TRY(process_spawn(arena, &(struct process){ .argv = argv, .netns = dhcp_netns(arena, config, network->id) },
        file(arena, config, network->id, "log"), &pid));
    /* Its own pid file comes later; until then this one keeps a second start away. */
    TRY(replace_file(arena, file(arena, config, network->id, "pid"), arena_printf(arena, "%d\n", (int)pid), &ignored));
    /* Only when the child has become dnsmasq does it count as running. */
    for (int waited = 0; running(arena, config, network->id) == 0; waited += START_POLL_MS) {
        if (waited >= START_TIMEOUT_MS || !process_alive(pid, NULL))
            return fault_new(arena, 500, NULL, "dnsmasq of network %s ended right after its start; see %s.", network->id,
                file(arena, config, network->id, "log"));
        clock_sleep_ms(START_POLL_MS);
    }
    return NULL;
}

/* The id becomes a folder's and a namespace's name. */
static struct fault *check_id(struct arena *arena, const char *network_id)
{
    return uuid_valid(network_id) ? NULL : fault_new(arena, 500, NULL, "'%s' is no network's id.", network_id);
}

static bool serves(const struct dhcp_network *network)
{
    bool any = false;
    for (size_t i = 0; i < network->subnet_count; i++)
        any |= network->subnets[i].enable_dhcp;
    return any && network->own != NULL;
}

struct fault *dhcp_ensure(struct arena *arena, const struct dhcp_config *config, struct ovs_switch *sw,
    const struct dhcp_network *network, enum dhcp_change *ret_change)
{
    bool files_changed = false, command_changed = false;
    if (ret_change != NULL)
        *ret_change = DHCP_UNCHANGED;
    TRY(check_id(arena, network->id));
    if (!serves(network))
        return dhcp_disable(arena, config, sw, network->id);
    TRY(ensure_device(arena, config, sw, network));
    TRY(write_files(arena, config, network, &files_changed));
    const char **argv = command(arena, config, network);
    BUF_CLEANUP struct buf line = { 0 };
    for (size_t i = 0; argv[i] != NULL; i++)
        buf_printf(&line, "%s\n", argv[i]);
    TRY(replace_file(arena, file(arena, config, network->id, "command"), buf_text(&line), &command_changed));
    pid_t pid = running(arena, config, network->id);
    enum dhcp_change change = DHCP_UNCHANGED;
    if (pid == 0 || command_changed || (files_changed && has_stale_lease(arena, config, network))) {
        TRY(stop(arena, config, network->id));
        TRY(start(arena, config, network, argv));
        change = DHCP_STARTED;
    } else if (files_changed) {
        kill(pid, SIGHUP);
        change = DHCP_RELOADED;
    }
    if (ret_change != NULL)
        *ret_change = change;
    return NULL;
}

struct fault *dhcp_disable(struct arena *arena, const struct dhcp_config *config, struct ovs_switch *sw,
    const char *network_id)
{
    TRY(check_id(arena, network_id));
    const char *netns = dhcp_netns(arena, config, network_id);
    const char *inner = file_read(arena, file(arena, config, network_id, "interface"), FILE_LIMIT, NULL);
    TRY(stop(arena, config, network_id));
    if (inner != NULL && strncmp(inner, "ns-", 3) == 0 && strlen(inner) <= LINK_NAME_MAX) {
        const char *outer = arena_printf(arena, "tap%s", inner + 3);
        TRY(switch_delete_port(arena, sw, outer));
        TRY(link_delete(arena, config->root_netns, outer));
    }
    TRY(netns_delete(arena, netns));
    return folder_remove(arena, arena_printf(arena, "%s/%s", config->dir, network_id));
}

const char *const *dhcp_networks(struct arena *arena, const struct dhcp_config *config)
{
    struct arguments found = { 0 };
    add(arena, &found, NULL); /* makes the list exist */
    found.count = 0;
    DIR *dir = opendir(config->dir);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
        if (entry->d_name[0] != '.')
            add(arena, &found, arena_strdup(arena, entry->d_name));
    if (dir != NULL)
        closedir(dir);
    return found.list;
}
