/* SPDX-License-Identifier: Apache-2.0
 *
 * service: the metadata API, asked by neutron's metadata agent on behalf of a guest (nova/api/metadata/handler.py).
 *
 * Who the guest is, is said by X-Instance-ID and proved by X-Instance-ID-Signature, an HMAC with the secret that nova
 * and neutron share. There is no token; errors are plain pages, as the guests' scripts know them.
 */
#include "base/log.h"
#include "base/text.h"
#include "nova/metadata/content.h"
#include "nova/nova.h"
#include "nova/roles.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

enum { PASSWORD_CHUNKS = 4, PASSWORD_CHUNK = 255, MAX_TOKENS = 16 };

static struct fault *page(struct request *rq, int status, const char *why)
{
    rq->status = status;
    rq->content_type = "text/html; charset=UTF-8";
    buf_clear(&rq->out);
    buf_printf(&rq->out,
        "<html>\n <head>\n  <title>%d %s</title>\n </head>\n <body>\n  <h1>%d %s</h1>\n  %s<br /><br />\n\n\n\n"
        " </body>\n</html>", status, http_reason(status), status, http_reason(status), why);
    return NULL;
}

static struct fault *not_found(struct request *rq)
{
    return page(rq, 404, "The resource could not be found.");
}

static struct fault *text_answer(struct request *rq, const char *text)
{
    rq->content_type = "text/plain; charset=UTF-8";
    buf_puts(&rq->out, text);
    return NULL;
}

/* ---- who asks ---- */

static bool signed_well(struct request *rq, const char *id, const char *signature)
{
    const char *secret = config_str(rq->cx.app->config, "neutron", "metadata_proxy_shared_secret");
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    char text[2 * EVP_MAX_MD_SIZE + 1] = "";
    if (secret == NULL)
        secret = "";
    if (HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)id, strlen(id), digest, &length) == NULL)
        return false;
    text_hex_write(text, digest, length);
    return strlen(signature) == 2 * length && CRYPTO_memcmp(text, signature, 2 * length) == 0;
}

/* *ret_answered: the answer is an error page already. */
static struct fault *identify(struct request *rq, struct instance *ret, bool *ret_answered)
{
    const char *id = request_header(rq, "X-Instance-ID"), *signature = request_header(rq, "X-Instance-ID-Signature");
    const char *project = request_header(rq, "X-Tenant-ID");
    *ret_answered = true;
    if (id == NULL)
        return page(rq, 400, "X-Instance-ID header is missing from request.");
    if (signature == NULL)
        return page(rq, 400, "X-Instance-ID-Signature header is missing from request.");
    if (project == NULL)
        return page(rq, 400, "X-Tenant-ID header is missing from request.");
    if (!signed_well(rq, id, signature)) {
        log_warning("nova.api.metadata", "X-Instance-ID-Signature does not match for id: %s. Request From: %s", id,
            request_header(rq, "X-Forwarded-For") != NULL ? request_header(rq, "X-Forwarded-For") : "unknown");
        return page(rq, 403, "Invalid proxy request signature.");
    }
    struct fault *fault = instance_get(rq->cx.arena, rq->cx.app->db, id, false, ret);
    if (fault != NULL && fault->status == 404)
        return not_found(rq);
    if (fault != NULL)
        return fault;
    if (strcmp(ret->project_id, project) != 0) {
        log_warning("nova.api.metadata", "Tenant_id %s does not match tenant_id of instance %s.", project, id);
        return not_found(rq);
    }
    *ret_answered = false;
    return NULL;
}

/* ---- EC2's tree ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* As base.ec2_md_print: names a line, directories with a slash, "0=keyname" for a key. */
static struct fault *print_tree(struct request *rq, const json_t *value)
{
    const char *key;
    json_t *member;
    size_t count = 0;
    if (json_is_string(value)) {
        rq->content_type = "text/plain; charset=UTF-8";
        buf_append(&rq->out, json_string_value(value), json_string_length(value));
        return NULL;
    }
    if (!json_is_object(value) && !json_is_array(value))
        return text_answer(rq, json_dump(rq->cx.arena, value));
    const char **names = ARENA_ARRAY(rq->cx.arena, const char *, json_object_size(value) + json_array_size(value) + 1);
    for (size_t i = 0; i < json_array_size(value); i++)
        names[count++] = json_string_value(json_array_get(value, i));
    json_object_foreach((json_t *)value, key, member)
        if (strcmp(key, "_name") != 0)
            names[count++] = key;
    if (json_is_object(value))
        qsort(names, count, sizeof(*names), by_name);
    rq->content_type = "text/plain; charset=UTF-8";
    for (size_t i = 0; i < count; i++) {
        const json_t *at = json_object_get(value, names[i]);
        const char *shown = json_text_at(at, "_name");
        buf_printf(&rq->out, "%s%s%s", i > 0 ? "\n" : "", shown != NULL ? shown : names[i],
            json_is_object(at) && shown == NULL ? "/" : "");
    }
    return NULL;
}

static struct fault *ec2_item(struct request *rq, const struct instance *instance, char *const *tokens, size_t count)
{
    const json_t *value = metadata_ec2(RQ(rq), instance, tokens[0]);
    for (size_t i = 1; i < count && value != NULL; i++)
        value = json_object_get(value, tokens[i]);
    return value != NULL ? print_tree(rq, value) : not_found(rq);
}

static struct fault *versions(struct request *rq, const char *const *list)
{
    for (; *list != NULL; list++)
        buf_printf(&rq->out, "%s\n", *list);
    return text_answer(rq, "latest");
}

/* ---- /openstack ---- */

static struct fault *password(struct request *rq, const struct instance *instance)
{
    json_t *meta = json_parse_own(rq->cx.arena, instance->system_metadata);
    BUF_CLEANUP struct buf text = { 0 };
    for (int i = 0; i < PASSWORD_CHUNKS; i++) {
        const char *chunk = json_text_at(meta, arena_printf(rq->cx.arena, "password_%d", i));
        buf_puts(&text, chunk != NULL ? chunk : "");
    }
    if (rq->method == GET)
        return text_answer(rq, buf_text(&text));
    if (text.length > 0)
        return page(rq, 409, "There was a conflict when trying to complete your request.");
    if (rq->data_length > PASSWORD_CHUNKS * PASSWORD_CHUNK)
        return page(rq, 400, "Request is too large.");
    meta = json_is_object(meta) ? meta : json_keep(rq->cx.arena, json_object());
    for (size_t i = 0; i < PASSWORD_CHUNKS; i++) {
        size_t from = i * PASSWORD_CHUNK, left = rq->data_length > from ? rq->data_length - from : 0;
        json_t *chunk = json_stringn(left > 0 ? rq->data + from : "", left < PASSWORD_CHUNK ? left : PASSWORD_CHUNK);
        if (chunk == NULL)
            return page(rq, 400, "The password is not UTF-8.");
        json_object_set_new(meta, arena_printf(rq->cx.arena, "password_%zu", i), chunk);
    }
    rq->content_type = "text/plain; charset=UTF-8";
    return instance_save(rq->cx.arena, rq->cx.app->db, instance->uuid,
        CHANGES(CHANGE(SYSTEM_METADATA, TEXT(json_dump(rq->cx.arena, meta)))), NULL);
}

static int openstack_version(const char *name)
{
    int i = 0, last = 0;
    while (metadata_openstack_versions[i] != NULL && strcmp(metadata_openstack_versions[i], name) != 0)
        last = i++;
    return strcmp(name, "latest") == 0 ? last : metadata_openstack_versions[i] != NULL ? i : -1;
}

/* What a version has, in nova's order. */
static struct fault *listing(struct request *rq, const struct instance *instance, int version)
{
    static const struct {
        const char *name;
        int from;
    } names[] = { { "meta_data.json", 0 }, { "user_data", 0 }, { "password", 1 }, { "vendor_data.json", 2 },
        { "network_data.json", 3 }, { "vendor_data2.json", 5 } };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (version >= names[i].from && (i != 1 || instance->user_data != NULL))
            buf_printf(&rq->out, "%s%s", rq->out.length > 0 ? "\n" : "", names[i].name);
    return text_answer(rq, "");
}

static struct fault *openstack_item(struct request *rq, const struct instance *instance, char *const *tokens,
    size_t count)
{
    const struct metadata_file *files;
    size_t file_count;
    int version = openstack_version(tokens[0]);
    bool content = strcmp(tokens[0], "content") == 0;
    if ((version < 0 && !content) || count > 2 || (content && count != 2))
        return not_found(rq);
    if (count == 1)
        return listing(rq, instance, version);
    if (!content && version >= 1 && strcmp(tokens[1], "password") == 0)
        return password(rq, instance);
    const char *path = arena_printf(rq->cx.arena, "openstack/%s/%s", tokens[0], tokens[1]);
    TRY(metadata_content(RQ(rq), instance, NULL, false, &files, &file_count));
    for (size_t i = 0; i < file_count; i++)
        if (strcmp(files[i].path, path) == 0) {
            rq->content_type = files[i].json && strcmp(tokens[1], "network_data.json") != 0 ? "application/json"
                                                                                             : "text/plain; charset=UTF-8";
            buf_append(&rq->out, files[i].data, files[i].length);
            return NULL;
        }
    return not_found(rq);
}

/* ---- the handler ---- */

/* Path segments without the empty ones, as posixpath.normpath leaves them; ".." ends as not found. */
static bool split(struct arena *arena, const char *path, char **tokens, size_t *ret_count)
{
    char *rest = arena_strdup(arena, path);
    *ret_count = 0;
    for (char *word; (word = strsep(&rest, "/")) != NULL;) {
        if (*word == '\0' || strcmp(word, ".") == 0)
            continue;
        if (strcmp(word, "..") == 0 || *ret_count == MAX_TOKENS)
            return false;
        tokens[(*ret_count)++] = word;
    }
    return true;
}

static struct fault *metadata(struct request *rq)
{
    struct instance instance;
    char *tokens[MAX_TOKENS];
    size_t count;
    bool answered;
    if (!split(rq->cx.arena, rq->path, tokens, &count))
        return not_found(rq);
    if (count == 0)
        return versions(rq, metadata_ec2_versions);
    TRY(identify(rq, &instance, &answered));
    if (answered)
        return NULL;
    bool openstack = strcmp(tokens[0], "openstack") == 0, named = openstack || strcmp(tokens[0], "ec2") == 0;
    if (named && count == 1)
        return versions(rq, openstack ? metadata_openstack_versions : metadata_ec2_versions);
    if (openstack)
        return openstack_item(rq, &instance, tokens + 1, count - 1);
    return ec2_item(rq, &instance, tokens + named, count - named);
}

static const struct route rows[] = {
    ROUTE(GET,  "/",        NULL, metadata, .flags = NO_TOKEN),
    ROUTE(GET,  "/{path*}", NULL, metadata, .flags = NO_TOKEN),
    ROUTE(POST, "/{path*}", NULL, metadata, .flags = NO_TOKEN | ANY_BODY),
};
const struct route_table nova_metadata_routes = ROUTES(rows);

static const struct option metadata_rows[] = {
    { "neutron", "service_metadata_proxy", OPTION_BOOL, "true",
        "When set to True, this option indicates that Neutron will be used"
        " to proxy metadata requests and resolve instance ids." },
    { "neutron", "metadata_proxy_shared_secret", OPTION_STR, "",
    "This option holds the shared secret string used to validate proxy"
        " requests to Neutron metadata requests.", .secret = true },
    { "api", "dhcp_domain", OPTION_STR, "novalocal", "Domain name used to configure FQDN for instances." },
};
const struct option_table nova_metadata_options = OPTION_TABLE(metadata_rows);
