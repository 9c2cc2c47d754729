/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: sealed tokens, and what our key would have sealed.
 */
#include "keystone/token/fernet.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    static struct fernet_keys *keys;
    const char *sealed = NULL;
    void *opened;
    size_t length;
    int64_t issued;

    /* An absent repository: the key of zeros alone. */
    if (keys == NULL && fernet_keys_open(arena, "/nonexistent/keys", true, &keys) != NULL)
        abort();
    (void)fernet_decrypt(arena, keys, arena_strndup(arena, (const char *)data, size), &opened, &length, &issued);
    if (size <= FERNET_TOKEN_LIMIT / 2 && fernet_encrypt(arena, keys, data, size, size % 2 == 0, &sealed) == NULL &&
        strlen(sealed) <= FERNET_TOKEN_LIMIT &&
        (!fernet_decrypt(arena, keys, sealed, &opened, &length, &issued) || length != size ||
            memcmp(opened, data, size) != 0))
        abort();
    return 0;
}
