/* SPDX-License-Identifier: Apache-2.0 */
#include "oslo/http/transport.h"

#include <strings.h>

const char *header_find(const struct header *list, const char *name)
{
    for (; list != NULL; list = list->next)
        if (strcasecmp(list->name, name) == 0)
            return list->value;
    return NULL;
}
