/* SPDX-License-Identifier: Apache-2.0
 * link: rtnetlink requests through libmnl, one socket per change, opened in the namespace that it is about. See link.h. */
#include "neutron/agent/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { REQUEST_SIZE = 2048, ADDRESS_LIMIT = 256 };

struct address {
    unsigned char family, prefix;
    unsigned char bytes[16];
};

static size_t address_size(const struct address *address)
{
    return address->family == AF_INET ? 4 : 16;
}

static struct fault *parse_address(struct arena *arena, const char *text, struct address *ret)
{
    char host[INET6_ADDRSTRLEN];
    size_t length = strcspn(text, "/");
    *ret = (struct address){ .family = memchr(text, ':', length) != NULL ? AF_INET6 : AF_INET };
    char *end = NULL;
    long prefix = text[length] == '/' ? strtol(text + length + 1, &end, 10) : (long)(8 * address_size(ret));
    bool good = length < sizeof(host) && (end == NULL || (end != text + length + 1 && *end == '\0')) && prefix >= 0 &&
        prefix <= (long)(8 * address_size(ret));
    if (good) {
        memcpy(host, text, length);
        host[length] = '\0';
        good = inet_pton(ret->family, host, ret->bytes) == 1;
    }
    ret->prefix = (unsigned char)prefix;
    return good ? NULL : fault_new(arena, 500, NULL, "'%s' is not an IP address.", text);
}

static struct fault *check_name(struct arena *arena, const char *name)
{
    if (name[0] != '\0' && strlen(name) <= LINK_NAME_MAX && strpbrk(name, "/ \t\n") == NULL)
        return NULL;
    return fault_new(arena, 500, NULL, "'%s' cannot name a network device.", name);
}

/* One request and its answer. Returns 0 or the kernel's errno; `each` sees the messages of a dump. */
static int converse(const struct mnl_socket *socket, struct nlmsghdr *request, mnl_cb_t each, void *context)
{
    char answer[32768];
    unsigned port = mnl_socket_get_portid(socket);
    request->nlmsg_seq = 1;
    if (mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
        return errno;
    for (;;) {
        ssize_t n = mnl_socket_recvfrom(socket, answer, sizeof(answer));
        if (n < 0)
            return errno;
        int run = mnl_cb_run(answer, (size_t)n, 1, port, each, context);
        if (run < 0)
            return errno;
        if (run == 0)
            return 0;
    }
}

/* A route netlink socket that belongs to the namespace. The caller closes it. */
static struct fault *open_socket(struct arena *arena, const char *netns, struct mnl_socket **ret)
{
    int home;
    TRY(netns_enter(arena, netns, &home));
    struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    int why = errno;
    netns_leave(home);
    if (socket == NULL || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0)
        return fault_new(arena, 500, NULL, "No netlink socket: %s.", strerror(socket == NULL ? why : errno));
    *ret = socket;
    return NULL;
}

static void close_socket(struct mnl_socket **socket)
{
    if (*socket != NULL)
        mnl_socket_close(*socket);
}
#define SOCKET_CLEANUP __attribute__((cleanup(close_socket)))

static struct fault *refused(struct arena *arena, const char *what, const char *name, const char *netns, int why)
{
    return fault_new(arena, 500, NULL, "%s %s in network namespace %s: %s.", what, name, netns != NULL ? netns : "(own)",
        strerror(why));
}

static struct nlmsghdr *link_request(char *data, uint16_t type, uint16_t flags, const char *name)
{
    struct nlmsghdr *request = mnl_nlmsg_put_header(data);
    request->nlmsg_type = type;
    request->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
    struct ifinfomsg *info = mnl_nlmsg_put_extra_header(request, sizeof(*info));
    info->ifi_family = AF_UNSPEC;
    if (name != NULL)
        mnl_attr_put_strz(request, IFLA_IFNAME, name);
    return request;
}

static unsigned link_index(struct arena *arena, const char *netns, const char *name)
{
    int home;
    if (strlen(name) > LINK_NAME_MAX || netns_enter(arena, netns, &home) != NULL)
        return 0;
    unsigned index = if_nametoindex(name);
    netns_leave(home);
    return index;
}

static int open_netns_file(struct arena *arena, const char *netns)
{
    return open(netns == NULL ? "/proc/thread-self/ns/net" : arena_printf(arena, "/run/netns/%s", netns),
        O_RDONLY | O_CLOEXEC);
}

static struct fault *request_veth(struct arena *arena, const char *netns, const char *name, int peer_netns,
    const char *peer)
{
    SOCKET_CLEANUP struct mnl_socket *socket = NULL;
    TRY(open_socket(arena, netns, &socket));
    char data[REQUEST_SIZE];
    struct nlmsghdr *request = link_request(data, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, name);
    struct nlattr *info = mnl_attr_nest_start(request, IFLA_LINKINFO);
    mnl_attr_put_strz(request, IFLA_INFO_KIND, "veth");
    struct nlattr *kind_data = mnl_attr_nest_start(request, IFLA_INFO_DATA);
    struct nlattr *other = mnl_attr_nest_start(request, VETH_INFO_PEER);
    mnl_nlmsg_put_extra_header(request, sizeof(struct ifinfomsg));
    mnl_attr_put_strz(request, IFLA_IFNAME, peer);
    mnl_attr_put_u32(request, IFLA_NET_NS_FD, (uint32_t)peer_netns);
    mnl_attr_nest_end(request, other);
    mnl_attr_nest_end(request, kind_data);
    mnl_attr_nest_end(request, info);
    int why = converse(socket, request, NULL, NULL);
    return why == 0 ? NULL : refused(arena, "Cannot create veth", name, netns, why);
}

struct fault *link_create_veth(struct arena *arena, const char *netns, const char *name, const char *peer_netns,
    const char *peer)
{
    TRY(check_name(arena, name));
    TRY(check_name(arena, peer));
    bool here = link_index(arena, netns, name) != 0, there = link_index(arena, peer_netns, peer) != 0;
    if (here && there)
        return NULL;
    if (here)
        TRY(link_delete(arena, netns, name));
    if (there)
        TRY(link_delete(arena, peer_netns, peer));
    int fd = open_netns_file(arena, peer_netns);
    if (fd < 0)
        return refused(arena, "Cannot reach", peer, peer_netns, errno);
    struct fault *fault = request_veth(arena, netns, name, fd, peer);
    close(fd);
    return fault;
}

struct fault *link_delete(struct arena *arena, const char *netns, const char *name)
{
    TRY(check_name(arena, name));
    SOCKET_CLEANUP struct mnl_socket *socket = NULL;
    TRY(open_socket(arena, netns, &socket));
    char data[REQUEST_SIZE];
    int why = converse(socket, link_request(data, RTM_DELLINK, 0, name), NULL, NULL);
    return why == 0 || why == ENODEV ? NULL : refused(arena, "Cannot delete", name, netns, why);
}

struct fault *link_set(struct arena *arena, const char *netns, const char *name, const struct link_settings *settings)
{
    TRY(check_name(arena, name));
    SOCKET_CLEANUP struct mnl_socket *socket = NULL;
    TRY(open_socket(arena, netns, &socket));
    char data[REQUEST_SIZE];
    struct nlmsghdr *request = link_request(data, RTM_NEWLINK, 0, name);
    struct ifinfomsg *info = mnl_nlmsg_get_payload(request);
    struct ether_addr mac;
    if (settings->mac != NULL) {
        if (ether_aton_r(settings->mac, &mac) == NULL)
            return fault_new(arena, 500, NULL, "'%s' is not a MAC address.", settings->mac);
        mnl_attr_put(request, IFLA_ADDRESS, sizeof(mac), &mac);
    }
    if (settings->mtu > 0)
        mnl_attr_put_u32(request, IFLA_MTU, (uint32_t)settings->mtu);
    if (settings->up)
        info->ifi_flags = info->ifi_change = IFF_UP;
    int why = converse(socket, request, NULL, NULL);
    return why == 0 ? NULL : refused(arena, "Cannot set", name, netns, why);
}

struct dump {
    unsigned index;
    size_t count;
    struct address found[ADDRESS_LIMIT];
};

static int collect_address(const struct nlmsghdr *message, void *context)
{
    struct dump *dump = context;
    const struct ifaddrmsg *info = mnl_nlmsg_get_payload(message);
    if (message->nlmsg_type != RTM_NEWADDR || info->ifa_index != dump->index || dump->count == ADDRESS_LIMIT ||
        (info->ifa_family == AF_INET6 && info->ifa_scope == RT_SCOPE_LINK) ||
        (info->ifa_family != AF_INET && info->ifa_family != AF_INET6))
        return MNL_CB_OK;
    struct address *to = &dump->found[dump->count];
    *to = (struct address){ .family = info->ifa_family, .prefix = info->ifa_prefixlen };
    const struct nlattr *attribute;
    bool local = false;
    mnl_attr_for_each(attribute, message, sizeof(*info))
    {
        unsigned type = mnl_attr_get_type(attribute);
        if (mnl_attr_get_payload_len(attribute) != address_size(to))
            continue;
        if (type == IFA_LOCAL || (type == IFA_ADDRESS && !local))
            memcpy(to->bytes, mnl_attr_get_payload(attribute), address_size(to));
        local |= type == IFA_LOCAL;
    }
    dump->count++;
    return MNL_CB_OK;
}

static int change_address(const struct mnl_socket *socket, unsigned index, uint16_t type, const struct address *address)
{
    char data[REQUEST_SIZE];
    struct nlmsghdr *request = mnl_nlmsg_put_header(data);
    request->nlmsg_type = type;
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | (type == RTM_NEWADDR ? NLM_F_CREATE | NLM_F_REPLACE : 0);
    struct ifaddrmsg *info = mnl_nlmsg_put_extra_header(request, sizeof(*info));
    info->ifa_family = address->family;
    info->ifa_prefixlen = address->prefix;
    info->ifa_index = index;
    if (address->family == AF_INET6)
        info->ifa_flags = IFA_F_NODAD;
    mnl_attr_put(request, IFA_LOCAL, address_size(address), address->bytes);
    mnl_attr_put(request, IFA_ADDRESS, address_size(address), address->bytes);
    return converse(socket, request, NULL, NULL);
}

static bool among(const struct address *address, const struct address *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(address, &list[i], sizeof(*address)) == 0)
            return true;
    return false;
}

struct fault *link_set_addresses(struct arena *arena, const char *netns, const char *name, const char *const *addresses,
    size_t count)
{
    TRY(check_name(arena, name));
    struct address *wanted = ARENA_ARRAY(arena, struct address, count + 1);
    for (size_t i = 0; i < count; i++)
        TRY(parse_address(arena, addresses[i], &wanted[i]));
    struct dump *present = ARENA_NEW(arena, struct dump);
    present->index = link_index(arena, netns, name);
    if (present->index == 0)
        return refused(arena, "Cannot find", name, netns, ENODEV);
    SOCKET_CLEANUP struct mnl_socket *socket = NULL;
    TRY(open_socket(arena, netns, &socket));
    char data[REQUEST_SIZE];
    struct nlmsghdr *request = mnl_nlmsg_put_header(data);
    request->nlmsg_type = RTM_GETADDR;
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    mnl_nlmsg_put_extra_header(request, sizeof(struct ifaddrmsg));
    int why = converse(socket, request, collect_address, present);
    for (size_t i = 0; i < present->count && why == 0; i++)
        if (!among(&present->found[i], wanted, count))
            why = change_address(socket, present->index, RTM_DELADDR, &present->found[i]);
    for (size_t i = 0; i < count && why == 0; i++)
        if (!among(&wanted[i], present->found, present->count))
            why = change_address(socket, present->index, RTM_NEWADDR, &wanted[i]);
    return why == 0 ? NULL : refused(arena, "Cannot set the addresses of", name, netns, why);
}

struct fault *link_tx_checksum_off(struct arena *arena, const char *netns, const char *name)
{
    TRY(check_name(arena, name));
    int home;
    TRY(netns_enter(arena, netns, &home));
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    netns_leave(home);
    struct ethtool_value value = { .cmd = ETHTOOL_STXCSUM, .data = 0 };
    struct ifreq request = { .ifr_data = (void *)&value };
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%.15s", name);
    int why = fd < 0 || ioctl(fd, SIOCETHTOOL, &request) != 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    return why == 0 ? NULL : refused(arena, "Cannot turn checksum offload off on", name, netns, why);
}
