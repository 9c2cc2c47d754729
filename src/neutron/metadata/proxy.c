/* SPDX-License-Identifier: Apache-2.0
 * proxy: see proxy.h. */
#include "neutron/metadata/proxy.h"

#include "base/log.h"

#include <curl/curl.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

enum { PROXY_TIMEOUT_MS = 30000, ANSWER_LIMIT = 4 * 1024 * 1024 };

static size_t take_body(char *data, size_t size, size_t count, void *to)
{
    struct buf *body = to;
    if (body->length + size * count > ANSWER_LIMIT)
        return 0;
    buf_append(body, data, size * count);
    return size * count;
}

static const char *signature(struct arena *arena, const char *secret, const char *instance_id)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    char *text = arena_alloc(arena, 2 * EVP_MAX_MD_SIZE + 1);
    HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)instance_id, strlen(instance_id), digest, &length);
    for (unsigned i = 0; i < length; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return text;
}

static struct curl_slist *headers_for(struct arena *arena, const struct metadata_call *call)
{
    struct curl_slist *headers = NULL;
    headers = curl_slist_append(headers, arena_printf(arena, "X-Forwarded-For: %s", call->peer_ip));
    headers = curl_slist_append(headers, arena_printf(arena, "X-Instance-ID: %s", call->device_id));
    headers = curl_slist_append(headers, arena_printf(arena, "X-Tenant-ID: %s", call->project_id));
    headers = curl_slist_append(headers, arena_printf(arena, "X-Instance-ID-Signature: %s", signature(arena,
        call->secret, call->device_id)));
    return curl_slist_append(headers, "Expect:");
}

void metadata_proxy(struct arena *arena, const struct metadata_call *call, struct listener_answer *answer)
{
    CURL *curl = curl_easy_init();
    if (curl == NULL) {
        answer->status = 500;
        return;
    }
    struct curl_slist *headers = headers_for(arena, call);
    char *type = NULL;
    long status = 0;
    curl_easy_setopt(curl, CURLOPT_URL, call->url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)PROXY_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer->body);
    if (strcmp(call->http->method, "POST") == 0) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->http->body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)call->http->body_length);
    }
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
    if (code != CURLE_OK) {
        log_warning("neutron.metadata", "nova's metadata API: %s", curl_easy_strerror(code));
        buf_clear(&answer->body);
        status = 502;
    }
    answer->status = (int)status;
    if (type != NULL && code == CURLE_OK)
        answer->content_type = arena_strdup(arena, type);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
}
