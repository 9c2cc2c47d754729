/* SPDX-License-Identifier: Apache-2.0
 *
 * address: arithmetic on IPv4 and IPv6 addresses, networks and MAC addresses.
 */
#ifndef NEUTRON_ADDRESS_H
#define NEUTRON_ADDRESS_H

#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>

typedef unsigned __int128 address_number;

struct address {
    int version;           /* 4 or 6 */
    address_number number; /* host order */
};

struct network_prefix {
    struct address first; /* the network's own address */
    int length;
};

/* Text in inet_pton's forms. */
bool address_parse(const char *text, struct address *ret);
const char *address_text(struct arena *arena, struct address address);

/* Digits that sort as the addresses do: 8 hexadecimal digits for IPv4, 32 for IPv6; and back. */
const char *address_key(struct arena *arena, struct address address);
bool address_from_key(const char *key, struct address *ret);

/* "10.0.0.0/24", "10.0.0.1" (/32). Bits behind the prefix may be set: `first` has them cleared. False: neither. */
bool prefix_parse(const char *text, struct network_prefix *ret);
const char *prefix_text(struct arena *arena, const struct network_prefix *prefix);
struct address prefix_last(const struct network_prefix *prefix);
bool prefix_holds(const struct network_prefix *prefix, struct address address);
bool prefix_overlaps(const struct network_prefix *a, const struct network_prefix *b);

/* "fa:16:3e:00:00:00", any case, ':' or '-' between the bytes; the text comes back in lower case with ':'. */
bool mac_parse(const char *text, uint8_t ret[6]);
const char *mac_text(struct arena *arena, const uint8_t mac[6]);

/* The address that SLAAC gives this MAC in a /64 (RFC 4291, modified EUI-64). */
struct address prefix_eui64(const struct network_prefix *prefix, const uint8_t mac[6]);

#endif
