/* SPDX-License-Identifier: Apache-2.0
 * proxy: see proxy.h. */
#include "neutron/metadata/proxy.h"

#include "base/log.h"
#include "base/text.h"
#include "oslo/rest.h"

#include <openssl/hmac.h>
#include <string.h>

enum { PROXY_TIMEOUT_MS = 30000, ANSWER_LIMIT = 4 * 1024 * 1024 };

static const char *signature(struct arena *arena, const char *secret, const char *instance_id)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)instance_id, strlen(instance_id), digest, &length);
    return text_hex(arena, digest, length);
}

void metadata_proxy(struct context *cx, const struct metadata_call *call, struct listener_answer *answer)
{
    const char *const headers[] = { "X-Forwarded-For", call->peer_ip, "X-Instance-ID", call->device_id, "X-Tenant-ID",
        call->project_id, "X-Instance-ID-Signature", signature(cx->arena, call->secret, call->device_id),
        "X-OpenStack-Request-ID", cx->request_id, NULL };
    bool post = strcmp(call->http->method, "POST") == 0;
    struct rest_response response;
    struct fault *fault = http_client_call(cx, &(struct http_exchange){ .method = call->http->method, .url = call->url,
        .headers = headers, .data = post ? call->http->body : NULL, .data_length = post ? call->http->body_length : 0,
        .tls = call->tls, .timeout_ms = PROXY_TIMEOUT_MS, .answer_limit = ANSWER_LIMIT }, &response);
    if (fault != NULL) {
        log_warning("neutron.metadata", "nova's metadata API: %s", fault_text(cx->arena, fault));
        answer->status = 502;
        return;
    }
    const char *type = rest_header(&response, "Content-Type");
    answer->status = response.status;
    buf_append(&answer->body, response.data, response.data_length);
    if (type != NULL)
        answer->content_type = type;
}
