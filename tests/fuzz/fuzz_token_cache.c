/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: what another program may have put into memcached, and a catalog that leads anywhere.
 */
#include "oslo/catalog.h"
#include "oslo/identity/token_crypt.h"
#include "oslo/json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const interfaces[] = { "internal", "public", NULL };
    ARENA_CLEANUP struct arena *arena = arena_create();
    const char *value = arena_strndup(arena, (const char *)data, size), *why;
    for (int strategy = TOKEN_PLAIN; strategy <= TOKEN_ENCRYPT; strategy++) {
        struct token_keys keys;
        size_t length, back_length;
        if (!token_keys_derive(&keys, "token", "secret", (enum token_strategy)strategy))
            abort();
        (void)token_unprotect(arena, &keys, value, size, &length);
        const char *sealed = token_protect(arena, &keys, value, size, &length);
        const char *back = sealed != NULL ? token_unprotect(arena, &keys, sealed, length, &back_length) : NULL;
        if (size > 0 && (back == NULL || back_length != size || memcmp(back, value, size) != 0))
            abort();
    }
    const json_t *catalog = json_parse(arena, value, size, &why);
    const char *url = catalog_endpoint(catalog, &(struct catalog_query){ .type = "volumev3", .interfaces = interfaces });
    (void)catalog_base(arena, catalog_fill(arena, url != NULL ? url : value, "project", "user"));
    return 0;
}
