/* SPDX-License-Identifier: Apache-2.0
 * conntrack: see conntrack.h. */
#include "neutron/ovs/conntrack.h"

#include "base/log.h"
#include "base/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ICMP = 1, TCP = 6, UDP = 17, ICMP6 = 58, SCTP = 132, MOST_ENDED = 200, OUTPUT_LIMIT = 256 * 1024 * 1024 };

/* ---- reading ---- */

static int protocol_number(const char *line)
{
    static const struct { const char *name; int number; } names[] = {
        { "icmp,", ICMP }, { "tcp,", TCP }, { "udp,", UDP }, { "icmpv6,", ICMP6 }, { "sctp,", SCTP }, { "igmp,", 2 },
        { "dccp,", 33 }, { "udplite,", 136 },
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strncmp(line, names[i].name, strlen(names[i].name)) == 0)
            return names[i].number;
    char *end;
    long number = strtol(line, &end, 10);
    return end != line && *end == ',' && number >= 0 && number < 256 ? (int)number : -1;
}

/* The value behind "name=" in a list up to ')'. */
static bool value_of(const char *list, const char *name, char *to, size_t room)
{
    size_t length = strlen(name);
    for (const char *at = list;; at++) {
        size_t item = strcspn(at, ",)");
        if (item > length && at[length] == '=' && strncmp(at, name, length) == 0) {
            if (item - length > room) /* with its end */
                return false;
            memcpy(to, at + length + 1, item - length - 1);
            to[item - length - 1] = '\0';
            return true;
        }
        at += item;
        if (*at != ',')
            return false;
    }
}

static unsigned number_of(const char *list, const char *name)
{
    char digits[16];
    return value_of(list, name, digits, sizeof(digits)) ? (unsigned)strtoul(digits, NULL, 0) : 0;
}

/* The number behind ",name=" somewhere in the line; 0: not there. */
static unsigned member_of(const char *line, const char *name)
{
    const char *at = strstr(line, name);
    return at == NULL ? 0 : (unsigned)strtoul(at + strlen(name), NULL, 0);
}

/* "tcp,orig=(src=10.0.0.1,dst=10.0.0.2,sport=1,dport=2),reply=(...),zone=1,mark=1,protoinfo=(state=ESTABLISHED)" */
bool conntrack_parse(const char *line, struct conntrack_entry *ret)
{
    static const char opening[] = "orig=(";
    const char *orig = strstr(line, opening);
    *ret = (struct conntrack_entry){ .protocol = protocol_number(line) };
    if (orig == NULL || ret->protocol < 0)
        return false;
    orig += sizeof(opening) - 1;
    ret->from_port = number_of(orig, "sport");
    ret->to_port = number_of(orig, "dport");
    ret->icmp_type = number_of(orig, "type");
    ret->icmp_code = number_of(orig, "code");
    ret->icmp_id = number_of(orig, "id");
    ret->zone = member_of(line, ",zone=");
    ret->marked = member_of(line, ",mark=") == 1;
    return value_of(orig, "src", ret->from_text, sizeof(ret->from_text)) &&
        value_of(orig, "dst", ret->to_text, sizeof(ret->to_text)) && address_parse(ret->from_text, &ret->from) &&
        address_parse(ret->to_text, &ret->to);
}

/* ---- judging ---- */

/* Whether a text ("10.0.0.5", "10.0.0.0/24") covers the address. */
static bool covers(const char *text, struct address address)
{
    struct network_prefix prefix;
    struct address one;
    if (text == NULL)
        return false;
    if (strchr(text, '/') != NULL)
        return prefix_parse(text, &prefix) && prefix.first.version == address.version && prefix_holds(&prefix, address);
    return address_parse(text, &one) && one.version == address.version && one.number == address.number;
}

static bool is_of_port(const struct flows_port *port, struct address address)
{
    for (size_t i = 0; i < port->fixed_ip_count; i++)
        if (covers(port->fixed_ips[i], address))
            return true;
    for (size_t i = 0; i < port->pair_count; i++)
        if (covers(port->pairs[i].address, address))
            return true;
    uint8_t mac[6];
    struct network_prefix local;
    if (!mac_parse(port->mac, mac) || !prefix_parse("fe80::/64", &local))
        return false;
    struct address own = prefix_eui64(&local, mac);
    return own.version == address.version && own.number == address.number;
}

static bool remote_fits(const struct flows_wanted *wanted, const struct flows_rule *rule, struct address remote)
{
    if (rule->remote_prefix != NULL)
        return covers(rule->remote_prefix, remote);
    if (rule->remote_group_id == NULL)
        return true;
    for (size_t i = 0; i < wanted->members_count; i++)
        if (strcmp(wanted->members[i].id, rule->remote_group_id) == 0)
            for (size_t k = 0; k < wanted->members[i].count; k++)
                if (covers(wanted->members[i].members[k].address, remote))
                    return true;
    return false;
}

static bool within(unsigned number, int min, int max)
{
    return min == FLOWS_ANY || ((int)number >= min && (int)number <= max);
}

static bool rule_fits(const struct flows_wanted *wanted, const struct flows_rule *rule, enum flows_direction direction,
    const struct conntrack_entry *entry, struct address remote)
{
    int protocol = rule->protocol == ICMP && rule->ip_version == 6 ? ICMP6 : rule->protocol;
    if (rule->direction != direction || rule->ip_version != remote.version)
        return false;
    if (protocol != FLOWS_ANY && protocol != entry->protocol)
        return false;
    if (protocol == TCP || protocol == UDP || protocol == SCTP) {
        if (!within(entry->to_port, rule->port_min, rule->port_max))
            return false;
    } else if (protocol == ICMP || protocol == ICMP6) {
        if (!within(entry->icmp_type, rule->port_min, rule->port_min) || !within(entry->icmp_code, rule->port_max, rule->port_max))
            return false;
    }
    return remote_fits(wanted, rule, remote);
}

static bool port_allows(const struct flows_wanted *wanted, const struct flows_port *port, enum flows_direction direction,
    const struct conntrack_entry *entry, struct address remote)
{
    for (size_t i = 0; i < port->group_count; i++)
        for (size_t k = 0; k < wanted->group_count; k++) {
            const struct flows_group *group = &wanted->groups[k];
            if (strcmp(group->id, port->group_ids[i]) != 0)
                continue;
            for (size_t r = 0; r < group->rule_count; r++)
                if (rule_fits(wanted, &group->rules[r], direction, entry, remote))
                    return true;
        }
    return false;
}

bool conntrack_allowed(const struct flows_wanted *wanted, const struct conntrack_entry *entry)
{
    bool known = false;
    for (size_t i = 0; i < wanted->port_count; i++) {
        const struct flows_port *port = &wanted->ports[i];
        if (port->vlan != entry->zone || !port->port_security)
            continue;
        bool from = is_of_port(port, entry->from), to = is_of_port(port, entry->to);
        if (from && !port_allows(wanted, port, FLOWS_EGRESS, entry, entry->to))
            return false;
        if (to && !port_allows(wanted, port, FLOWS_INGRESS, entry, entry->from))
            return false;
        known |= from || to;
    }
    return known;
}

/* ---- ending ---- */

static struct fault *control(struct arena *arena, const char *rundir, const char *const *argv, struct process_result *ret)
{
    const char *const env[] = { arena_printf(arena, "OVS_RUNDIR=%s", rundir), NULL };
    return process_run(arena, &(struct process){ .argv = argv, .env = env, .output_limit = OUTPUT_LIMIT }, ret);
}

static struct fault *end_one(struct arena *arena, const char *rundir, const struct conntrack_entry *entry)
{
    const char *family = entry->from.version == 4 ? "nw" : "ipv6", *rest = "";
    if (entry->protocol == ICMP || entry->protocol == ICMP6)
        rest = arena_printf(arena, ",icmp_type=%u,icmp_code=%u,icmp_id=%u", entry->icmp_type, entry->icmp_code, entry->icmp_id);
    else if (entry->from_port != 0 || entry->to_port != 0)
        rest = arena_printf(arena, ",ct_tp_src=%u,ct_tp_dst=%u", entry->from_port, entry->to_port);
    const char *tuple = arena_printf(arena, "ct_%s_src=%s,ct_%s_dst=%s,ct_nw_proto=%d%s", family, entry->from_text, family,
        entry->to_text, entry->protocol, rest);
    log_info("neutron.ovs", "A connection that no rule allows any more ends: zone %u, %s", entry->zone, tuple);
    return control(arena, rundir, ARGV("ovs-appctl", "dpctl/flush-conntrack", arena_printf(arena, "zone=%u", entry->zone), tuple),
        NULL);
}

/* The first port of each network that has one with security groups. */
static bool begins_zone(const struct flows_wanted *wanted, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (wanted->ports[i].port_security && wanted->ports[i].vlan == wanted->ports[at].vlan)
            return false;
    return wanted->ports[at].port_security;
}

struct fault *conntrack_settle(struct arena *arena, const char *rundir, const struct flows_wanted *wanted, bool *ret_more)
{
    int ended = 0;
    *ret_more = false;
    for (size_t i = 0; i < wanted->port_count; i++) {
        struct process_result result;
        if (!begins_zone(wanted, i))
            continue;
        const char *zone = arena_printf(arena, "zone=%u", wanted->ports[i].vlan);
        TRY(control(arena, rundir, ARGV("ovs-appctl", "dpctl/dump-conntrack", zone), &result));
        char *rest = result.output, *line;
        while ((line = strsep(&rest, "\n")) != NULL) {
            struct conntrack_entry entry;
            if (!conntrack_parse(line, &entry) || entry.zone != wanted->ports[i].vlan ||
                (!entry.marked && conntrack_allowed(wanted, &entry)))
                continue;
            if (++ended > MOST_ENDED) {
                *ret_more = true;
                return NULL;
            }
            TRY(end_one(arena, rundir, &entry));
        }
    }
    return NULL;
}

struct fault *conntrack_flush(struct arena *arena, const char *rundir, unsigned vlan)
{
    return control(arena, rundir, ARGV("ovs-appctl", "dpctl/flush-conntrack", arena_printf(arena, "zone=%u", vlan)), NULL);
}
