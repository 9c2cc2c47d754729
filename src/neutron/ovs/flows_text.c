/* SPDX-License-Identifier: Apache-2.0
 * flows_text: addresses and ranges in the notation of ovs-ofctl. See flows_private.h. */
#include "neutron/ovs/flows_private.h"

#include <arpa/inet.h>
#include <netinet/ether.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fault *flows_mac(struct arena *arena, const char *text, const char **ret)
{
    unsigned b[6];
    int end = 0;
    if (text == NULL || strlen(text) != 17 ||
        sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &end) != 6 || end != 17)
        return fault_new(arena, 500, NULL, "'%s' is not a MAC address.", text != NULL ? text : "");
    *ret = arena_printf(arena, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
    return NULL;
}

static void clear_host_bits(unsigned char *bytes, unsigned size, unsigned prefix)
{
    for (unsigned bit = prefix; bit < 8 * size; bit++)
        bytes[bit / 8] &= (unsigned char)~(0x80u >> bit % 8);
}

struct fault *flows_ip(struct arena *arena, const char *text, const char **ret, int *ret_version, bool *ret_any)
{
    unsigned char bytes[16];
    char host[INET6_ADDRSTRLEN];
    size_t length = text != NULL ? strcspn(text, "/") : sizeof(host);
    bool v6 = text != NULL && strchr(text, ':') != NULL;
    unsigned size = v6 ? 16 : 4;
    unsigned long prefix = 8 * size;
    bool good = length < sizeof(host);
    if (good) {
        memcpy(host, text, length);
        host[length] = '\0';
        good = inet_pton(v6 ? AF_INET6 : AF_INET, host, bytes) == 1;
    }
    if (good && text[length] == '/') {
        char *end;
        prefix = strtoul(text + length + 1, &end, 10);
        good = text[length + 1] >= '0' && text[length + 1] <= '9' && *end == '\0' && prefix <= 8 * size;
    }
    if (!good)
        return fault_new(arena, 500, NULL, "'%s' is not an IP address.", text != NULL ? text : "");
    clear_host_bits(bytes, size, (unsigned)prefix);
    inet_ntop(v6 ? AF_INET6 : AF_INET, bytes, host, sizeof(host));
    *ret = prefix == 8 * size ? arena_strdup(arena, host) : arena_printf(arena, "%s/%lu", host, prefix);
    *ret_version = v6 ? 6 : 4;
    if (ret_any != NULL)
        *ret_any = prefix == 0;
    return NULL;
}

const char *flows_link_local(struct arena *arena, const char *mac)
{
    struct ether_addr m;
    char text[INET6_ADDRSTRLEN];
    ether_aton_r(mac, &m);
    const unsigned char *b = m.ether_addr_octet;
    unsigned char address[16] = { 0xfe, 0x80, 0, 0, 0, 0, 0, 0, b[0] ^ 2, b[1], b[2], 0xff, 0xfe, b[3], b[4], b[5] };
    inet_ntop(AF_INET6, address, text, sizeof(text));
    return arena_strdup(arena, text);
}

size_t flows_port_masks(unsigned min, unsigned max, char (*ret_masks)[FLOWS_MASK_TEXT], size_t limit)
{
    size_t count = 0;
    while (min <= max && count < limit) {
        unsigned size = 1; /* the largest aligned block that begins here and ends within the range */
        while (size < 65536 && min % (2 * size) == 0 && min + 2 * size - 1 <= max)
            size *= 2;
        snprintf(ret_masks[count++], sizeof(*ret_masks), size == 1 ? "%u" : "0x%04x/0x%04x", min, 65536 - size);
        min += size;
    }
    return count;
}
