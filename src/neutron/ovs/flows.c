/* SPDX-License-Identifier: Apache-2.0
 * flows: the tables of br-int (but security group rules: flows_rules.c), br-tun and physical networks' bridges. See
 * flows.h. */
#include "neutron/ovs/flows.h"

#include "neutron/ovs/flows_private.h"

#include <string.h>

enum { MLD_QUERY = 130, ROUTER_SOLICITATION = 133, ROUTER_ADVERTISEMENT = 134, NEIGHBOUR_SOLICITATION = 135,
    NEIGHBOUR_ADVERTISEMENT = 136 };

/* A port with its addresses checked: every (MAC, address) that it may send from. */
struct guest {
    const struct flows_port *port;
    const char *mac;
    struct flows_pair *v4, *v6;
    size_t v4_count, v6_count;
    const char **macs; /* all different ones, its own first */
    size_t mac_count;
};

static void add_mac(struct guest *guest, const char *mac)
{
    for (size_t i = 0; i < guest->mac_count; i++)
        if (strcmp(guest->macs[i], mac) == 0)
            return;
    guest->macs[guest->mac_count++] = mac;
}

static struct fault *add_pair(struct arena *arena, struct guest *guest, const char *mac, const char *address)
{
    const char *ip;
    int version;
    TRY(flows_ip(arena, address, &ip, &version, NULL));
    if (version == 4)
        guest->v4[guest->v4_count++] = (struct flows_pair){ mac, ip };
    else
        guest->v6[guest->v6_count++] = (struct flows_pair){ mac, ip };
    return NULL;
}

static struct fault *check_guest(struct arena *arena, const struct flows_port *port, struct guest *ret)
{
    size_t most = port->fixed_ip_count + port->pair_count + 1;
    *ret = (struct guest){ .port = port, .v4 = ARENA_ARRAY(arena, struct flows_pair, most),
        .v6 = ARENA_ARRAY(arena, struct flows_pair, most), .macs = ARENA_ARRAY(arena, const char *, port->pair_count + 1) };
    TRY(flows_mac(arena, port->mac, &ret->mac));
    add_mac(ret, ret->mac);
    for (size_t i = 0; i < port->fixed_ip_count; i++)
        TRY(add_pair(arena, ret, ret->mac, port->fixed_ips[i]));
    for (size_t i = 0; i < port->pair_count; i++) {
        const char *mac;
        TRY(flows_mac(arena, port->pairs[i].mac, &mac));
        TRY(add_pair(arena, ret, mac, port->pairs[i].address));
        add_mac(ret, mac);
    }
    return add_pair(arena, ret, ret->mac, flows_link_local(arena, ret->mac)); /* neighbour discovery uses it */
}

/* Table 60: which port is this packet from, or to? */
static void put_classify(struct buf *text, const struct guest *guest)
{
    unsigned n = guest->port->ofport, vlan = guest->port->vlan;
    buf_printf(text, "table=%d,priority=100,in_port=%u,actions=set_field:%u->reg5,set_field:%u->reg6,resubmit(,%d)\n",
        TRANSIENT_TABLE, n, n, vlan, BASE_EGRESS);
    for (size_t i = 0; i < guest->mac_count; i++) {
        buf_printf(text, "table=%d,priority=90,dl_vlan=%u,dl_dst=%s,actions=set_field:%u->reg5,set_field:%u->reg6,"
            "pop_vlan,resubmit(,%d)\n", TRANSIENT_TABLE, vlan, guest->macs[i], n, vlan, BASE_INGRESS);
        buf_printf(text, "table=%d,priority=100,reg6=%u,dl_dst=%s,actions=set_field:%u->reg5,resubmit(,%d)\n",
            ACCEPT_OR_INGRESS, vlan, guest->macs[i], n, BASE_INGRESS);
    }
}

/* Table 71 of one port: ARP and IP only from its own addresses. */
static void put_anti_spoofing(struct buf *text, const struct guest *guest)
{
    unsigned n = guest->port->ofport;
    for (size_t i = 0; i < guest->v4_count; i++) {
        const struct flows_pair *pair = &guest->v4[i];
        buf_printf(text, "table=%d,priority=95,arp,reg5=%u,in_port=%u,dl_src=%s,arp_spa=%s,actions=resubmit(,%d)\n",
            BASE_EGRESS, n, n, pair->mac, pair->address, ACCEPTED_EGRESS_NORMAL);
        buf_printf(text, "table=%d,priority=65,ip,reg5=%u,in_port=%u,dl_src=%s,nw_src=%s,"
            "actions=ct(table=%d,zone=NXM_NX_REG6[0..15])\n", BASE_EGRESS, n, n, pair->mac, pair->address, RULES_EGRESS);
    }
    for (size_t i = 0; i < guest->v6_count; i++) {
        const struct flows_pair *pair = &guest->v6[i];
        static const int allowed[] = { MLD_QUERY, ROUTER_SOLICITATION, NEIGHBOUR_SOLICITATION };
        for (size_t j = 0; j < sizeof(allowed) / sizeof(allowed[0]); j++)
            buf_printf(text, "table=%d,priority=95,icmp6,reg5=%u,in_port=%u,dl_src=%s,ipv6_src=%s,icmp_type=%d,"
                "actions=resubmit(,%d)\n", BASE_EGRESS, n, n, pair->mac, pair->address, allowed[j], ACCEPTED_EGRESS_NORMAL);
        buf_printf(text, "table=%d,priority=95,icmp6,reg5=%u,in_port=%u,icmp_type=%d,nd_target=%s,actions=resubmit(,%d)\n",
            BASE_EGRESS, n, n, NEIGHBOUR_ADVERTISEMENT, pair->address, ACCEPTED_EGRESS_NORMAL);
        buf_printf(text, "table=%d,priority=65,ipv6,reg5=%u,in_port=%u,dl_src=%s,ipv6_src=%s,"
            "actions=ct(table=%d,zone=NXM_NX_REG6[0..15])\n", BASE_EGRESS, n, n, pair->mac, pair->address, RULES_EGRESS);
    }
}

static void put_dhcp_request(struct buf *text, unsigned n, const struct flows_pair *pair, bool v6)
{
    buf_printf(text, "table=%d,priority=80,%s,reg5=%u,in_port=%u,dl_src=%s,%s=%s,tp_src=%d,tp_dst=%d,actions=resubmit(,%d)\n",
        BASE_EGRESS, v6 ? "udp6" : "udp", n, n, pair->mac, v6 ? "ipv6_src" : "nw_src", pair->address, v6 ? 546 : 68,
        v6 ? 547 : 67, ACCEPT_OR_INGRESS);
}

/* Table 71 of one port: a DHCP client it may be, a DHCP server or a router never. */
static void put_egress(struct buf *text, const struct guest *guest)
{
    unsigned n = guest->port->ofport;
    put_anti_spoofing(text, guest);
    put_dhcp_request(text, n, &(struct flows_pair){ guest->mac, "0.0.0.0" }, false);
    for (size_t i = 0; i < guest->v4_count; i++)
        put_dhcp_request(text, n, &guest->v4[i], false);
    for (size_t i = 0; i < guest->v6_count; i++)
        put_dhcp_request(text, n, &guest->v6[i], true);
    buf_printf(text, "table=%d,priority=70,udp,reg5=%u,in_port=%u,tp_src=67,tp_dst=68,actions=resubmit(,%d)\n",
        BASE_EGRESS, n, n, DROPPED);
    buf_printf(text, "table=%d,priority=70,udp6,reg5=%u,in_port=%u,tp_src=547,tp_dst=546,actions=resubmit(,%d)\n",
        BASE_EGRESS, n, n, DROPPED);
    buf_printf(text, "table=%d,priority=70,icmp6,reg5=%u,in_port=%u,icmp_type=%d,actions=resubmit(,%d)\n", BASE_EGRESS, n,
        n, ROUTER_ADVERTISEMENT, DROPPED);
    buf_printf(text, "table=%d,priority=10,reg5=%u,in_port=%u,actions=ct_clear,resubmit(,%d)\n", BASE_EGRESS, n, n,
        DROPPED);
    for (size_t i = 0; i < 2; i++)
        buf_printf(text, "table=%d,priority=90,ct_state=+new-est,%s,reg5=%u,"
            "actions=ct(commit,zone=NXM_NX_REG6[0..15]),resubmit(,%d)\n", ACCEPT_OR_INGRESS, i == 0 ? "ip" : "ipv6", n,
            ACCEPTED_EGRESS);
    buf_printf(text, "table=%d,priority=80,reg5=%u,actions=resubmit(,%d)\n", ACCEPT_OR_INGRESS, n, ACCEPTED_EGRESS_NORMAL);
}

/* Table 81 of one port: what a guest needs to get and keep an address; all else is tracked. */
static void put_ingress(struct buf *text, const struct guest *guest)
{
    static const int allowed[] = { MLD_QUERY, NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT, ROUTER_ADVERTISEMENT };
    unsigned n = guest->port->ofport;
    buf_printf(text, "table=%d,priority=100,arp,reg5=%u,actions=output:%u\n", BASE_INGRESS, n, n);
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
        buf_printf(text, "table=%d,priority=100,icmp6,reg5=%u,icmp_type=%d,actions=output:%u\n", BASE_INGRESS, n, allowed[i],
            n);
    buf_printf(text, "table=%d,priority=95,udp,reg5=%u,tp_src=67,tp_dst=68,actions=output:%u\n", BASE_INGRESS, n, n);
    buf_printf(text, "table=%d,priority=95,udp6,reg5=%u,tp_src=547,tp_dst=546,actions=output:%u\n", BASE_INGRESS, n, n);
    for (size_t i = 0; i < 2; i++)
        buf_printf(text, "table=%d,priority=90,ct_state=-trk,%s,reg5=%u,actions=ct(table=%d,zone=NXM_NX_REG6[0..15])\n",
            BASE_INGRESS, i == 0 ? "ip" : "ipv6", n, RULES_INGRESS);
    buf_printf(text, "table=%d,priority=80,ct_state=+trk,reg5=%u,actions=resubmit(,%d)\n", BASE_INGRESS, n, RULES_INGRESS);
}

/* A port without port security: what it sends still passes the rules of the guest that it is for. */
static void put_trusted(struct buf *text, const struct flows_port *port)
{
    buf_printf(text, "table=%d,priority=100,in_port=%u,actions=set_field:%u->reg5,set_field:%u->reg6,resubmit(,%d)\n",
        TRANSIENT_TABLE, port->ofport, port->ofport, port->vlan, ACCEPT_OR_INGRESS);
    buf_printf(text, "table=%d,priority=80,reg5=%u,actions=resubmit(,%d)\n", ACCEPT_OR_INGRESS, port->ofport,
        ACCEPTED_EGRESS_NORMAL);
}

static void put_integration_base(struct buf *text)
{
    static const int drops[] = { BASE_EGRESS, ACCEPT_OR_INGRESS, BASE_INGRESS, ACCEPTED_INGRESS, DROPPED, CANARY_TABLE };
    buf_printf(text, "table=%d,priority=65535,dl_vlan=4095,actions=drop\n", LOCAL_SWITCHING); /* ports cut off */
    buf_printf(text, "table=%d,priority=0,actions=resubmit(,%d)\n", LOCAL_SWITCHING, PACKET_RATE_LIMIT);
    buf_printf(text, "table=%d,priority=0,actions=resubmit(,%d)\n", PACKET_RATE_LIMIT, TRANSIENT_TABLE);
    buf_printf(text, "table=%d,priority=1,actions=NORMAL\n", TRANSIENT_TABLE);
    buf_printf(text, "table=%d,priority=110,ct_state=+trk,actions=ct_clear,resubmit(,%d)\n", BASE_EGRESS, BASE_EGRESS);
    buf_printf(text, "table=%d,priority=1,actions=resubmit(,%d)\n", ACCEPTED_EGRESS, ACCEPTED_EGRESS_NORMAL);
    buf_printf(text, "table=%d,priority=1,actions=NORMAL\n", ACCEPTED_EGRESS_NORMAL);
    for (size_t i = 0; i < sizeof(drops) / sizeof(drops[0]); i++)
        buf_printf(text, "table=%d,priority=0,actions=drop\n", drops[i]);
}

/* Table 0: the physical network's own tag, or none, becomes the local one. */
static void put_from_physical(const struct flows_wanted *wanted, const struct flows_physical *physical, struct buf *text)
{
    buf_printf(text, "table=%d,priority=2,in_port=%u,actions=drop\n", LOCAL_SWITCHING, physical->int_ofport);
    for (size_t i = 0; i < wanted->network_count; i++) {
        const struct flows_network *network = &wanted->networks[i];
        if (network->physical_network == NULL || strcmp(network->physical_network, physical->name) != 0)
            continue;
        if (network->segment == FLOWS_FLAT)
            buf_printf(text, "table=%d,priority=3,in_port=%u,vlan_tci=0x0000/0x1fff,actions=push_vlan:0x8100,"
                "set_field:%u->vlan_vid,resubmit(,%d)\n", LOCAL_SWITCHING, physical->int_ofport, 4096 + network->vlan,
                PACKET_RATE_LIMIT);
        else if (network->segment == FLOWS_VLAN)
            buf_printf(text, "table=%d,priority=3,in_port=%u,dl_vlan=%u,actions=set_field:%u->vlan_vid,resubmit(,%d)\n",
                LOCAL_SWITCHING, physical->int_ofport, network->segmentation_id, 4096 + network->vlan, PACKET_RATE_LIMIT);
    }
}

struct fault *flows_integration(struct arena *arena, const struct flows_wanted *wanted, struct buf *text)
{
    put_integration_base(text);
    for (size_t i = 0; i < wanted->physical_count; i++)
        put_from_physical(wanted, &wanted->physicals[i], text);
    for (size_t i = 0; i < wanted->port_count; i++) {
        const struct flows_port *port = &wanted->ports[i];
        struct guest guest;
        if (!port->port_security) {
            put_trusted(text, port);
            continue;
        }
        TRY(check_guest(arena, port, &guest));
        put_classify(text, &guest);
        put_egress(text, &guest);
        put_ingress(text, &guest);
    }
    return flows_rules(arena, wanted, text);
}

struct fault *flows_physical(struct arena *arena, const struct flows_wanted *wanted,
    const struct flows_physical *physical, struct buf *text)
{
    unsigned n = physical->bridge_ofport;
    buf_printf(text, "table=%d,priority=0,actions=drop\n", CANARY_TABLE);
    buf_printf(text, "table=0,priority=0,actions=NORMAL\n");
    buf_printf(text, "table=0,priority=2,in_port=%u,actions=drop\n", n);
    for (size_t i = 0; i < wanted->network_count; i++) {
        const struct flows_network *network = &wanted->networks[i];
        if (network->physical_network == NULL || strcmp(network->physical_network, physical->name) != 0)
            continue;
        if (network->segment == FLOWS_FLAT)
            buf_printf(text, "table=0,priority=4,in_port=%u,dl_vlan=%u,actions=pop_vlan,NORMAL\n", n, network->vlan);
        else if (network->segment == FLOWS_VLAN)
            buf_printf(text, "table=0,priority=4,in_port=%u,dl_vlan=%u,actions=set_field:%u->vlan_vid,NORMAL\n", n,
                network->vlan, 4096 + network->segmentation_id);
    }
    return NULL;
}

static void put_tunnel_base(const struct flows_wanted *wanted, struct buf *text)
{
    buf_printf(text, "table=%d,priority=0,actions=drop\n", CANARY_TABLE);
    buf_printf(text, "table=0,priority=1,in_port=%u,actions=resubmit(,%d)\n", wanted->patch_int, PATCH_LV_TO_TUN);
    buf_printf(text, "table=0,priority=0,actions=drop\n");
    for (size_t i = 0; i < wanted->tunnel_count; i++)
        buf_printf(text, "table=0,priority=1,in_port=%u,actions=resubmit(,%d)\n", wanted->tunnels[i], VXLAN_TUN_TO_LV);
    if (wanted->arp_responder)
        buf_printf(text, "table=%d,priority=1,arp,dl_dst=ff:ff:ff:ff:ff:ff,actions=resubmit(,%d)\n", PATCH_LV_TO_TUN,
            ARP_RESPONDER);
    buf_printf(text, "table=%d,priority=0,dl_dst=00:00:00:00:00:00/01:00:00:00:00:00,actions=resubmit(,%d)\n",
        PATCH_LV_TO_TUN, UCAST_TO_TUN);
    buf_printf(text, "table=%d,priority=0,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,actions=resubmit(,%d)\n",
        PATCH_LV_TO_TUN, FLOOD_TO_TUN);
    buf_printf(text, "table=%d,priority=0,actions=drop\n", VXLAN_TUN_TO_LV);
    buf_printf(text, "table=%d,priority=1,actions=learn(table=%d,hard_timeout=300,priority=1,NXM_OF_VLAN_TCI[0..11],"
        "NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:0->NXM_OF_VLAN_TCI[],load:NXM_NX_TUN_ID[]->NXM_NX_TUN_ID[],"
        "output:OXM_OF_IN_PORT[]),output:%u\n", LEARN_FROM_TUN, UCAST_TO_TUN, wanted->patch_int);
    buf_printf(text, "table=%d,priority=0,actions=resubmit(,%d)\n", UCAST_TO_TUN, FLOOD_TO_TUN);
    buf_printf(text, "table=%d,priority=0,actions=resubmit(,%d)\n", ARP_RESPONDER, FLOOD_TO_TUN);
    buf_printf(text, "table=%d,priority=0,actions=drop\n", FLOOD_TO_TUN);
}

static struct fault *put_entry(struct arena *arena, const struct flows_wanted *wanted, const struct flows_entry *entry,
    const struct flows_network *network, struct buf *text)
{
    const char *mac, *ip;
    int version = 0;
    TRY(flows_mac(arena, entry->mac, &mac));
    buf_printf(text, "table=%d,priority=2,dl_vlan=%u,dl_dst=%s,actions=pop_vlan,set_field:0x%x->tun_id,output:%u\n",
        UCAST_TO_TUN, entry->vlan, mac, network->segmentation_id, entry->tunnel);
    if (entry->ip != NULL)
        TRY(flows_ip(arena, entry->ip, &ip, &version, NULL));
    if (version == 4 && wanted->arp_responder)
        buf_printf(text, "table=%d,priority=1,arp,dl_vlan=%u,arp_tpa=%s,actions=move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],"
            "set_field:%s->eth_src,set_field:2->arp_op,move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[],"
            "move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[],set_field:%s->arp_sha,set_field:%s->arp_spa,in_port\n", ARP_RESPONDER,
            entry->vlan, ip, mac, mac, ip);
    return NULL;
}

struct fault *flows_tunnel(struct arena *arena, const struct flows_wanted *wanted, struct buf *text)
{
    const struct flows_network *by_vlan[4096] = { NULL };
    put_tunnel_base(wanted, text);
    for (size_t i = 0; i < wanted->network_count; i++) {
        const struct flows_network *network = &wanted->networks[i];
        if (network->segment != FLOWS_VXLAN || network->vlan > 4095)
            continue;
        by_vlan[network->vlan] = network;
        buf_printf(text, "table=%d,priority=1,tun_id=0x%x,actions=push_vlan:0x8100,set_field:%u->vlan_vid,resubmit(,%d)\n",
            VXLAN_TUN_TO_LV, network->segmentation_id, 4096 + network->vlan, LEARN_FROM_TUN);
        if (network->tunnel_count == 0)
            continue;
        buf_printf(text, "table=%d,priority=1,dl_vlan=%u,actions=pop_vlan,set_field:0x%x->tun_id", FLOOD_TO_TUN,
            network->vlan, network->segmentation_id);
        for (size_t j = 0; j < network->tunnel_count; j++)
            buf_printf(text, ",output:%u", network->tunnels[j]);
        buf_putc(text, '\n');
    }
    for (size_t i = 0; i < wanted->entry_count; i++) {
        const struct flows_entry *entry = &wanted->entries[i];
        if (entry->vlan < 4096 && by_vlan[entry->vlan] != NULL)
            TRY(put_entry(arena, wanted, entry, by_vlan[entry->vlan], text));
    }
    return NULL;
}
