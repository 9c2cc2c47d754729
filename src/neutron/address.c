/* SPDX-License-Identifier: Apache-2.0
 * address: arithmetic on IPv4 and IPv6 addresses, networks and MAC addresses. */
#include "neutron/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool address_parse(const char *text, struct address *ret)
{
    uint8_t bytes[16];
    int size = 4;
    if (inet_pton(AF_INET, text, bytes) != 1) {
        if (inet_pton(AF_INET6, text, bytes) != 1)
            return false;
        size = 16;
    }
    ret->version = size == 4 ? 4 : 6;
    ret->number = 0;
    for (int i = 0; i < size; i++)
        ret->number = ret->number << 8 | bytes[i];
    return true;
}

const char *address_text(struct arena *arena, struct address address)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t bytes[16];
    int size = address.version == 4 ? 4 : 16;
    for (int i = size - 1; i >= 0; i--, address.number >>= 8)
        bytes[i] = (uint8_t)address.number;
    inet_ntop(size == 4 ? AF_INET : AF_INET6, bytes, text, sizeof(text));
    return arena_strdup(arena, text);
}

const char *address_key(struct arena *arena, struct address address)
{
    if (address.version == 4)
        return arena_printf(arena, "%08x", (unsigned)address.number);
    return arena_printf(arena, "%016llx%016llx", (unsigned long long)(address.number >> 64),
        (unsigned long long)address.number);
}

bool address_from_key(const char *key, struct address *ret)
{
    size_t length = strlen(key);
    if ((length != 8 && length != 32) || strspn(key, "0123456789abcdef") != length)
        return false;
    ret->version = length == 8 ? 4 : 6;
    ret->number = 0;
    for (; *key != '\0'; key++)
        ret->number = ret->number << 4 | (unsigned)(*key <= '9' ? *key - '0' : *key - 'a' + 10);
    return true;
}

static address_number host_mask(int version, int length)
{
    int bits = (version == 4 ? 32 : 128) - length;
    return bits >= 128 ? ~(address_number)0 : ((address_number)1 << bits) - 1;
}

bool prefix_parse(const char *text, struct network_prefix *ret)
{
    char address[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t size = slash != NULL ? (size_t)(slash - text) : strlen(text);
    char *end;

    if (size >= sizeof(address))
        return false;
    memcpy(address, text, size);
    address[size] = '\0';
    if (!address_parse(address, &ret->first))
        return false;
    int most = ret->first.version == 4 ? 32 : 128;
    long length = most;
    if (slash != NULL) {
        if (slash[1] < '0' || slash[1] > '9')
            return false;
        length = strtol(slash + 1, &end, 10);
        if (*end != '\0' || length > most)
            return false;
    }
    ret->length = (int)length;
    ret->first.number &= ~host_mask(ret->first.version, ret->length);
    return true;
}

const char *prefix_text(struct arena *arena, const struct network_prefix *prefix)
{
    return arena_printf(arena, "%s/%d", address_text(arena, prefix->first), prefix->length);
}

struct address prefix_last(const struct network_prefix *prefix)
{
    return (struct address){ prefix->first.version,
        prefix->first.number | host_mask(prefix->first.version, prefix->length) };
}

bool prefix_holds(const struct network_prefix *prefix, struct address address)
{
    return address.version == prefix->first.version && address.number >= prefix->first.number &&
           address.number <= prefix_last(prefix).number;
}

bool prefix_overlaps(const struct network_prefix *a, const struct network_prefix *b)
{
    return prefix_holds(a, b->first) || prefix_holds(b, a->first);
}

bool mac_parse(const char *text, uint8_t ret[6])
{
    unsigned bytes[6];
    int used = 0;
    char separator = text[0] != '\0' && text[1] != '\0' ? text[2] : '\0';
    const char *format = separator == '-' ? "%2x-%2x-%2x-%2x-%2x-%2x%n" : "%2x:%2x:%2x:%2x:%2x:%2x%n";

    if (strlen(text) != 17 || strspn(text, "0123456789abcdefABCDEF:-") != 17)
        return false;
    if (sscanf(text, format, &bytes[0], &bytes[1], &bytes[2], &bytes[3], &bytes[4], &bytes[5], &used) != 6 || used != 17)
        return false;
    for (int i = 0; i < 6; i++)
        ret[i] = (uint8_t)bytes[i];
    return true;
}

const char *mac_text(struct arena *arena, const uint8_t mac[6])
{
    return arena_printf(arena, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

struct address prefix_eui64(const struct network_prefix *prefix, const uint8_t mac[6])
{
    const uint8_t bytes[8] = { mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5] };
    address_number low = 0;
    for (int i = 0; i < 8; i++)
        low = low << 8 | bytes[i];
    return (struct address){ 6, prefix->first.number | low };
}
