/* SPDX-License-Identifier: Apache-2.0
 * catalog: see catalog.h. */
#include "oslo/catalog.h"

#include "base/buf.h"
#include "oslo/json.h"

#include <ctype.h>
#include <string.h>

/* The service types authority's other names of a type: whichever of a row is asked for, all of it fits, in this order. */
static const char *const type_names[][6] = {
    { "block-storage",      "volumev3", "volumev2", "volume", "block-store" },
    { "shared-file-system", "sharev2", "share" },
    { "instance-ha",        "ha", "masakari" },
    { "alarm",              "alarming" },
    { "orchestration" },
    { "workflow",           "workflowv2" },
    { "load-balancer" },
};

static bool interface_is(const char *has, const char *wanted)
{
    size_t length = strlen(wanted);
    if (length > 3 && strcmp(wanted + length - 3, "URL") == 0)
        length -= 3;
    return has != NULL && strncmp(has, wanted, length) == 0 && has[length] == '\0';
}

static const char *url_of(const json_t *service, const char *interface, const char *region)
{
    size_t i;
    json_t *endpoint;
    json_array_foreach(json_object_get(service, "endpoints"), i, endpoint) {
        const char *own = json_text_at(endpoint, "region_id"), *url = json_text_at(endpoint, "url");
        own = own != NULL ? own : json_text_at(endpoint, "region");
        if (url != NULL && interface_is(json_text_at(endpoint, "interface"), interface) &&
            (region == NULL || (own != NULL && strcmp(own, region) == 0)))
            return url;
    }
    return NULL;
}

static const char *find(const json_t *catalog, const char *type, const struct catalog_query *query)
{
    for (const char *const *interface = query->interfaces; *interface != NULL; interface++) {
        size_t i;
        json_t *service;
        json_array_foreach(catalog, i, service) {
            const char *own = json_text_at(service, "type"), *name = json_text_at(service, "name");
            if (own == NULL || strcmp(own, type) != 0 ||
                (query->name != NULL && (name == NULL || strcmp(name, query->name) != 0)))
                continue;
            const char *url = url_of(service, *interface, query->region);
            if (url != NULL)
                return url;
        }
    }
    return NULL;
}

static const char *const *names_of(const char *type)
{
    for (size_t row = 0; row < sizeof(type_names) / sizeof(type_names[0]); row++)
        for (size_t i = 0; i < 6 && type_names[row][i] != NULL; i++)
            if (strcmp(type_names[row][i], type) == 0)
                return type_names[row];
    return NULL;
}

const char *catalog_endpoint(const json_t *catalog, const struct catalog_query *query)
{
    const char *url = find(catalog, query->type, query);
    const char *const *names = names_of(query->type);
    for (size_t i = 0; url == NULL && names != NULL && i < 6 && names[i] != NULL; i++)
        url = find(catalog, names[i], query);
    return url;
}

/* v3, v2.1 */
static bool is_version(const char *segment, size_t length)
{
    if (length < 2 || segment[0] != 'v' || !isdigit((unsigned char)segment[1]))
        return false;
    for (size_t i = 1; i < length; i++)
        if (!isdigit((unsigned char)segment[i]) && segment[i] != '.')
            return false;
    return true;
}

const char *catalog_base(struct arena *arena, const char *url)
{
    const char *host = strstr(url, "://");
    const char *at = host != NULL ? host + 3 : url;
    at += strcspn(at, "/?#");
    while (*at == '/') {
        size_t length = strcspn(at + 1, "/?#");
        if (is_version(at + 1, length) || length == 0)
            break;
        at += 1 + length;
    }
    return arena_strndup(arena, url, (size_t)(at - url));
}

const char *catalog_fill(struct arena *arena, const char *url, const char *project_id, const char *user_id)
{
    const struct {
        const char *name, *value;
    } words[] = { { "(project_id)s", project_id }, { "(tenant_id)s", project_id }, { "(user_id)s", user_id } };
    BUF_CLEANUP struct buf out = { 0 };
    while (*url != '\0') {
        size_t i = 0, count = sizeof(words) / sizeof(words[0]);
        bool sign = *url == '%' || *url == '$';
        while (sign && i < count && strncmp(url + 1, words[i].name, strlen(words[i].name)) != 0)
            i++;
        if (sign && i < count && words[i].value != NULL) {
            buf_puts(&out, words[i].value);
            url += 1 + strlen(words[i].name);
        } else {
            buf_putc(&out, *url++);
        }
    }
    return arena_strdup(arena, buf_text(&out));
}
