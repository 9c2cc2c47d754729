/* SPDX-License-Identifier: Apache-2.0
 * flows_rules: security group rules as flows, in tables 72 (from the guest) and 82 (to it). See flows.h.
 *
 * A rule without a remote group becomes flows of its own. A rule with one is a conjunction, so that N members and M ports
 * cost N + M flows, not N * M: clause 1 is "the other side is a member" (per network), clause 2 is the rest of the rule
 * (per port). Rules of one security group with the same remote group, direction, IP version and priority share an id; an id
 * is derived from those, so that it stays the same when others come and go. Each id has a twin (id + 1) for new
 * connections, since those must be committed.
 *
 * A flow of a clause carries the ids of all conjunctions that it belongs to, so flows are collected by their match first. */
#include "base/map.h"
#include "neutron/ovs/flows_private.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PRIORITY = 70, PLAIN_OFFSET = 4, PROTOCOL_ICMP = 1, PROTOCOL_ICMP6 = 58, MASK_LIMIT = 32 };

static const char *const states[] = { "+est-rel-rpl", "+new-est" }; /* the twin ids are in this order */

struct rules {
    struct arena *arena;
    const struct flows_wanted *wanted;
    struct buf *text;
    struct map groups, members; /* by id */
    struct map clauses;         /* match to struct clause: flows that carry conjunction ids */
    struct map ids, owners;     /* key to id; id (text) to key */
};

struct clause {
    uint32_t *ids;
    size_t count, capacity;
};

static int table_of(enum flows_direction direction)
{
    return direction == FLOWS_INGRESS ? RULES_INGRESS : RULES_EGRESS;
}

static const char *remote_field(enum flows_direction direction, int version)
{
    if (version == 4)
        return direction == FLOWS_INGRESS ? "nw_src" : "nw_dst";
    return direction == FLOWS_INGRESS ? "ipv6_src" : "ipv6_dst";
}

static int rule_protocol(const struct flows_rule *rule)
{
    return rule->protocol == PROTOCOL_ICMP && rule->ip_version == 6 ? PROTOCOL_ICMP6 : rule->protocol;
}

static bool is_icmp(int protocol)
{
    return protocol == PROTOCOL_ICMP || protocol == PROTOCOL_ICMP6;
}

/* As neutron: the more a rule matches, the higher, so that no two flows of one priority overlap by protocol. */
static int priority_offset(const struct flows_rule *rule)
{
    int offset = rule->remote_group_id != NULL ? 0 : PLAIN_OFFSET, protocol = rule_protocol(rule);
    if (protocol == FLOWS_ANY)
        return offset;
    if (is_icmp(protocol) && rule->port_min == FLOWS_ANY)
        return offset + 1;
    if (is_icmp(protocol) && rule->port_max == FLOWS_ANY)
        return offset + 2;
    return offset + 3;
}

/* "tcp", "icmp6", "ip,nw_proto=47"; *ret_ports: the protocol has port numbers. */
static const char *protocol_match(struct arena *arena, const struct flows_rule *rule, bool *ret_ports)
{
    static const struct { int number; const char *v4, *v6; bool ports; } known[] = {
        {   1, "icmp", "ip,nw_proto=1", false },
        {   6, "tcp",  "tcp6",          true  },
        {  17, "udp",  "udp6",          true  },
        {  58, "ip,nw_proto=58", "icmp6", false },
        { 132, "sctp", "sctp6",         true  },
    };
    int protocol = rule_protocol(rule);
    *ret_ports = false;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].number == protocol) {
            *ret_ports = known[i].ports;
            return rule->ip_version == 6 ? known[i].v6 : known[i].v4;
        }
    const char *version = rule->ip_version == 6 ? "ipv6" : "ip";
    return protocol == FLOWS_ANY ? version : arena_printf(arena, "%s,nw_proto=%d", version, protocol);
}

/* Everything of the rule but the remote side: one match, or several for a range of ports. */
static size_t rule_matches(struct rules *r, const struct flows_rule *rule, const char **ret)
{
    bool has_ports;
    int protocol = rule_protocol(rule);
    const char *match = protocol_match(r->arena, rule, &has_ports);
    if (has_ports && rule->port_min >= 0 && rule->port_max >= rule->port_min && rule->port_max <= 65535) {
        char masks[MASK_LIMIT][FLOWS_MASK_TEXT];
        size_t count = flows_port_masks((unsigned)rule->port_min, (unsigned)rule->port_max, masks, MASK_LIMIT);
        bool all = rule->port_min == 0 && rule->port_max == 65535;
        for (size_t i = 0; i < count; i++)
            ret[i] = all ? match : arena_printf(r->arena, "%s,tp_dst=%s", match, masks[i]);
        return count;
    }
    ret[0] = match;
    if (is_icmp(protocol) && rule->port_min >= 0)
        ret[0] = arena_printf(r->arena, rule->port_max >= 0 ? "%s,icmp_type=%d,icmp_code=%d" : "%s,icmp_type=%d", match,
            rule->port_min, rule->port_max);
    return 1;
}

/* What an accepted packet of the state does. */
static void put_accept(struct buf *text, enum flows_direction direction, size_t state, unsigned ofport)
{
    if (direction == FLOWS_EGRESS)
        buf_printf(text, "resubmit(,%d)\n", ACCEPT_OR_INGRESS); /* committed there, once it is known to leave */
    else if (state == 0)
        buf_printf(text, "output:%u\n", ofport);
    else
        buf_printf(text, "ct(commit,zone=NXM_NX_REG6[0..15]),output:%u,resubmit(,%d)\n", ofport, ACCEPTED_INGRESS);
}

static struct fault *put_plain_rule(struct rules *r, const struct flows_port *port, const struct flows_rule *rule)
{
    const char *matches[MASK_LIMIT], *remote = "";
    if (rule->remote_prefix != NULL) {
        int version;
        bool any;
        TRY(flows_ip(r->arena, rule->remote_prefix, &remote, &version, &any));
        if (version != rule->ip_version)
            return fault_new(r->arena, 500, NULL, "The prefix %s is not of the rule's IP version.", remote);
        remote = any ? "" : arena_printf(r->arena, ",%s=%s", remote_field(rule->direction, version), remote);
    }
    size_t count = rule_matches(r, rule, matches);
    for (size_t i = 0; i < count; i++)
        for (size_t state = 0; state < 2; state++) {
            buf_printf(r->text, "table=%d,priority=%d,ct_state=%s,%s,reg5=%u%s,actions=", table_of(rule->direction),
                PRIORITY + priority_offset(rule), states[state], matches[i], port->ofport, remote);
            put_accept(r->text, rule->direction, state, port->ofport);
        }
    return NULL;
}

/* An even number that follows from the key; the next free one when another key has it. */
static uint32_t conjunction_id(struct rules *r, const char *key)
{
    void *known = map_get(&r->ids, key);
    if (known != NULL)
        return (uint32_t)(uintptr_t)known;
    uint32_t id = 2166136261u; /* FNV-1a */
    for (const char *at = key; *at != '\0'; at++)
        id = (id ^ (unsigned char)*at) * 16777619u;
    char text[16];
    for (id &= ~1u;; id += 2) {
        snprintf(text, sizeof(text), "%u", id);
        if (id != 0 && !map_has(&r->owners, text))
            break;
    }
    map_set(&r->owners, text, r);
    map_set(&r->ids, key, (void *)(uintptr_t)id);
    return id;
}

/* Adds an id to the flow with this match. */
static void join(struct rules *r, const char *match, uint32_t id)
{
    struct clause *clause = map_get(&r->clauses, match);
    if (clause == NULL) {
        clause = ARENA_NEW(r->arena, struct clause);
        map_set(&r->clauses, match, clause);
    }
    for (size_t i = 0; i < clause->count; i++)
        if (clause->ids[i] == id)
            return;
    if (clause->count == clause->capacity) {
        size_t capacity = clause->capacity == 0 ? 4 : 2 * clause->capacity;
        uint32_t *ids = ARENA_ARRAY(r->arena, uint32_t, capacity);
        if (clause->count > 0)
            memcpy(ids, clause->ids, clause->count * sizeof(*ids));
        clause->ids = ids;
        clause->capacity = capacity;
    }
    clause->ids[clause->count++] = id;
}

/* Clause 1: the addresses of the remote group, in this network. The leading digit of the key is the clause. */
static struct fault *join_members(struct rules *r, const struct flows_port *port, const struct flows_rule *rule, uint32_t id)
{
    const struct flows_members *group = map_get(&r->members, rule->remote_group_id);
    for (size_t i = 0; group != NULL && i < group->count; i++) {
        const char *ip, *mac;
        int version;
        bool any;
        TRY(flows_ip(r->arena, group->members[i].address, &ip, &version, &any));
        if (version != rule->ip_version)
            continue;
        const char *from = arena_printf(r->arena, ",%s=%s", remote_field(rule->direction, version), ip);
        if (any && group->members[i].mac != NULL) { /* as neutron: everybody's address is told by the MAC */
            TRY(flows_mac(r->arena, group->members[i].mac, &mac));
            from = arena_printf(r->arena, ",dl_src=%s", mac);
        } else if (any) {
            from = "";
        }
        for (uint32_t state = 0; state < 2; state++)
            join(r, arena_printf(r->arena, "1table=%d,priority=%d,ct_state=%s,%s,reg6=%u%s", table_of(rule->direction),
                PRIORITY + priority_offset(rule), states[state], version == 4 ? "ip" : "ipv6", port->vlan, from), id + state);
    }
    return NULL;
}

static struct fault *put_remote_rule(struct rules *r, const struct flows_port *port, const struct flows_group *group,
    const struct flows_rule *rule, struct map *accepted)
{
    const char *matches[MASK_LIMIT];
    int priority = PRIORITY + priority_offset(rule);
    const char *key = arena_printf(r->arena, "%s %s %d %d %d", group->id, rule->remote_group_id, (int)rule->direction,
        rule->ip_version, priority);
    uint32_t id = conjunction_id(r, key);
    TRY(join_members(r, port, rule, id));
    size_t count = rule_matches(r, rule, matches);
    for (size_t i = 0; i < count; i++)
        for (uint32_t state = 0; state < 2; state++)
            join(r, arena_printf(r->arena, "2table=%d,priority=%d,ct_state=%s,%s,reg5=%u", table_of(rule->direction), priority,
                states[state], matches[i], port->ofport), id + state);
    if (map_set(accepted, key, r) != NULL)
        return NULL; /* another rule of the same conjunction has written these */
    for (uint32_t state = 0; state < 2; state++) {
        buf_printf(r->text, "table=%d,priority=%d,conj_id=%u,ct_state=%s,%s,reg5=%u,actions=", table_of(rule->direction),
            priority, id + state, states[state], rule->ip_version == 4 ? "ip" : "ipv6", port->ofport);
        put_accept(r->text, rule->direction, state, port->ofport);
    }
    return NULL;
}

/* What holds for every port, whatever its rules: replies and related packets pass, the rest ends. */
static void put_tracked(struct rules *r, const struct flows_port *port, enum flows_direction direction)
{
    unsigned n = port->ofport;
    int table = table_of(direction);
    const char *pass = direction == FLOWS_EGRESS ? arena_printf(r->arena, "resubmit(,%d)", ACCEPTED_EGRESS_NORMAL)
                                                 : arena_printf(r->arena, "output:%u", n);
    buf_printf(r->text, "table=%d,priority=50,reg5=%u,ct_mark=0x1,actions=resubmit(,%d)\n", table, n, DROPPED);
    buf_printf(r->text, "table=%d,priority=50,ct_state=+est-rel+rpl,ct_zone=%u,ct_mark=0,reg5=%u,actions=%s\n", table,
        port->vlan, n, pass);
    buf_printf(r->text, "table=%d,priority=50,ct_state=-new-est+rel-inv,ct_zone=%u,ct_mark=0,reg5=%u,actions=%s\n", table,
        port->vlan, n, pass);
    buf_printf(r->text, "table=%d,priority=40,ct_state=-est,reg5=%u,actions=resubmit(,%d)\n", table, n, DROPPED);
    for (size_t i = 0; i < 2; i++)
        buf_printf(r->text, "table=%d,priority=40,ct_state=+est,%s,reg5=%u,"
            "actions=ct(commit,zone=NXM_NX_REG6[0..15],exec(set_field:0x1->ct_mark))\n", table, i == 0 ? "ip" : "ipv6", n);
}

static struct fault *put_port(struct rules *r, const struct flows_port *port)
{
    struct fault *fault = NULL;
    struct map accepted = { 0 };
    put_tracked(r, port, FLOWS_EGRESS);
    put_tracked(r, port, FLOWS_INGRESS);
    for (size_t i = 0; i < port->group_count && fault == NULL; i++) {
        const struct flows_group *group = map_get(&r->groups, port->group_ids[i]);
        for (size_t j = 0; group != NULL && j < group->rule_count && fault == NULL; j++) {
            const struct flows_rule *rule = &group->rules[j];
            if (rule->remote_group_id != NULL)
                fault = put_remote_rule(r, port, group, rule, &accepted);
            else
                fault = put_plain_rule(r, port, rule);
        }
    }
    map_release(&accepted);
    return fault;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void put_clauses(struct rules *r)
{
    struct map_entry *entry;
    for (size_t at = 0; (entry = map_next(&r->clauses, &at)) != NULL;) {
        struct clause *clause = entry->value;
        qsort(clause->ids, clause->count, sizeof(*clause->ids), by_value);
        buf_printf(r->text, "%s,actions=", entry->key + 1);
        for (size_t i = 0; i < clause->count; i++)
            buf_printf(r->text, "%sconjunction(%u,%c/2)", i > 0 ? "," : "", clause->ids[i], entry->key[0]);
        buf_putc(r->text, '\n');
    }
}

struct fault *flows_rules(struct arena *arena, const struct flows_wanted *wanted, struct buf *text)
{
    struct rules r = { .arena = arena, .wanted = wanted, .text = text };
    struct fault *fault = NULL;
    for (size_t i = 0; i < wanted->group_count; i++)
        map_set(&r.groups, wanted->groups[i].id, (void *)&wanted->groups[i]);
    for (size_t i = 0; i < wanted->members_count; i++)
        map_set(&r.members, wanted->members[i].id, (void *)&wanted->members[i]);
    for (int table = RULES_EGRESS; table <= RULES_INGRESS; table += RULES_INGRESS - RULES_EGRESS) {
        buf_printf(text, "table=%d,priority=50,ct_state=+inv+trk,actions=resubmit(,%d)\n", table, DROPPED);
        buf_printf(text, "table=%d,priority=0,actions=drop\n", table);
    }
    for (size_t i = 0; i < wanted->port_count && fault == NULL; i++)
        if (wanted->ports[i].port_security)
            fault = put_port(&r, &wanted->ports[i]);
    put_clauses(&r);
    map_release(&r.groups);
    map_release(&r.members);
    map_release(&r.clauses);
    map_release(&r.ids);
    map_release(&r.owners);
    return fault;
}
