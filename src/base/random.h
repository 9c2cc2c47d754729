/* SPDX-License-Identifier: Apache-2.0
 *
 * random: the one place where randomness and new ids come from.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>

enum { UUID_TEXT = 37, UUID_HEX = 33 }; /* buffer sizes, NUL included */

/* Fills `size` bytes from the kernel's generator; never fails, blocks only before the kernel has seeded it. */
void random_bytes(void *ret_bytes, size_t size);

/* Uniform in [0, limit). limit > 0. */
uint64_t random_below(uint64_t limit);

/* A version 4 UUID: "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx" (RFC 9562), or its 32 hexadecimal digits alone. */
const char *uuid_new(struct arena *arena);
const char *uuid_new_hex(struct arena *arena);

/* A canonical UUID with dashes, either case. `uuid_like` also takes 32 digits alone, as oslo.utils' is_uuid_like. */
bool uuid_valid(const char *text);
bool uuid_like(const char *text);

/* A password of `length` letters and digits without look-alikes. */
const char *random_password(struct arena *arena, size_t length);

#endif
