/* SPDX-License-Identifier: Apache-2.0
 * http/client: libcurl's easy handles from a pool, one request a handle at a time. See http_client.h. */
#include "oslo/http_client.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "oslo/http/transport.h"
#include "oslo/rest.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { IDLE_HANDLES = 32, REDIRECTS = 5, CONNECT_TIMEOUT_MS = 10000, FIRST_WAIT_MS = 100, STATUS_WAIT_MS = 2000,
    STALL_S = 60, HEADER_LIMIT = 128, HEADER_BYTES = 64 << 10, KEY_LIMIT = 512, PROGRESS_US = 200000, URL_LIMIT = 32 << 10 };

const char HTTP_CLIENT_LOCAL[] = "http_client.local";

/* ---- the pool ---- */

struct handle {
    struct handle *next;
    CURL *curl;
    char key[KEY_LIMIT]; /* whom its kept connection leads to */
};

static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;
static struct handle *idle;
static size_t idle_count;

static void handle_destroy(struct handle *handle)
{
    curl_easy_cleanup(handle->curl);
    free(handle);
}

/* Scheme, host and port, and what the connection was made with: nobody may get a connection that another's certificate made. */
static void key_of(char key[KEY_LIMIT], const struct http_exchange *x)
{
    const char *host = strstr(x->url, "://");
    size_t length = host != NULL ? (size_t)(host - x->url) + 3 + strcspn(host + 3, "/?#") : strlen(x->url);
    snprintf(key, KEY_LIMIT, "%.*s %s %s %s %d %s", (int)(length < 256 ? length : 256), x->url,
        x->tls.cafile != NULL ? x->tls.cafile : "", x->tls.certfile != NULL ? x->tls.certfile : "",
        x->tls.keyfile != NULL ? x->tls.keyfile : "", x->tls.insecure, x->interface != NULL ? x->interface : "");
}

static void begin_library(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static struct handle *handle_take(const struct http_exchange *x)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, begin_library);
    char key[KEY_LIMIT];
    key_of(key, x);
    pthread_mutex_lock(&pool_lock);
    struct handle **at = &idle, *found;
    while (*at != NULL && strcmp((*at)->key, key) != 0)
        at = &(*at)->next;
    found = *at;
    if (found != NULL) {
        *at = found->next;
        idle_count--;
    }
    pthread_mutex_unlock(&pool_lock);
    if (found != NULL) {
        curl_easy_reset(found->curl); /* options go, connections stay */
        return found;
    }
    found = calloc(1, sizeof(*found));
    if (found == NULL)
        abort();
    found->curl = curl_easy_init();
    if (found->curl == NULL)
        abort();
    memcpy(found->key, key, KEY_LIMIT);
    return found;
}

/* The oldest idle one goes when there are too many. */
static void handle_give_back(struct handle *handle)
{
    struct handle *oldest = NULL;
    pthread_mutex_lock(&pool_lock);
    handle->next = idle;
    idle = handle;
    if (++idle_count > IDLE_HANDLES) {
        struct handle **last = &idle;
        while ((*last)->next != NULL)
            last = &(*last)->next;
        oldest = *last;
        *last = NULL;
        idle_count--;
    }
    pthread_mutex_unlock(&pool_lock);
    if (oldest != NULL)
        handle_destroy(oldest);
}

void http_client_stop(void)
{
    pthread_mutex_lock(&pool_lock);
    struct handle *all = idle;
    idle = NULL;
    idle_count = 0;
    pthread_mutex_unlock(&pool_lock);
    while (all != NULL) {
        struct handle *next = all->next;
        handle_destroy(all);
        all = next;
    }
}

/* ---- one try ---- */

struct try {
    struct context *cx;
    const struct http_exchange *exchange;
    CURL *curl;
    struct buf *body;
    struct header *headers, **last;
    size_t header_count, header_bytes;
    off_t done;           /* bytes that went to the sink */
    off_t source_begin, sent;
    int64_t told_us;      /* when progress was told last */
    int write_error;      /* errno of the sink */
    bool too_large;
    char why[CURL_ERROR_SIZE]; /* libcurl's own words, of what it told last */
};

static size_t take_header(char *data, size_t size, size_t count, void *argument)
{
    struct try *t = argument;
    size_t length = size * count;
    if (length > 5 && strncmp(data, "HTTP/", 5) == 0) { /* a new answer: the one before was 100 Continue */
        t->headers = NULL;
        t->last = &t->headers;
        return length;
    }
    const char *colon = memchr(data, ':', length);
    if (colon == NULL)
        return length;
    t->header_bytes += length;
    if (++t->header_count > HEADER_LIMIT || t->header_bytes > HEADER_BYTES) {
        t->too_large = true;
        return 0;
    }
    const char *value = colon + 1;
    size_t value_length = length - (size_t)(value - data);
    text_trim(&value, &value_length);
    struct header *h = ARENA_NEW(t->cx->arena, struct header);
    *h = (struct header){ arena_strndup(t->cx->arena, data, (size_t)(colon - data)),
        arena_strndup(t->cx->arena, value, value_length), NULL };
    *t->last = h;
    t->last = &h->next;
    return length;
}

static bool to_sink(struct try *t, const char *data, size_t length)
{
    const struct http_sink *sink = t->exchange->sink;
    while (length > 0) {
        ssize_t n = write(sink->fd, data, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            t->write_error = n < 0 ? errno : EIO;
            return false;
        }
        data += n;
        length -= (size_t)n;
        t->done += n;
    }
    int64_t now = clock_monotonic_us();
    if (sink->progress != NULL && now - t->told_us >= PROGRESS_US) {
        curl_off_t total = -1;
        curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &total);
        t->told_us = now;
        sink->progress(sink->owner, t->done, total);
    }
    return true;
}

static size_t take_body(char *data, size_t size, size_t count, void *argument)
{
    struct try *t = argument;
    size_t length = size * count;
    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (t->exchange->sink != NULL && status < 300)
        return to_sink(t, data, length) ? length : 0;
    size_t limit = t->exchange->answer_limit != 0 ? t->exchange->answer_limit : HTTP_CLIENT_ANSWER_LIMIT;
    if (t->body->length + length > limit) {
        t->too_large = true;
        return 0;
    }
    buf_append(t->body, data, length);
    return length;
}

static size_t give_body(char *to, size_t size, size_t count, void *argument)
{
    struct try *t = argument;
    off_t left = t->exchange->source->length - t->sent;
    size_t wanted = size * count;
    if ((off_t)wanted > left)
        wanted = (size_t)left;
    ssize_t n = pread(t->exchange->source->fd, to, wanted, t->source_begin + t->sent);
    if (n < 0)
        return CURL_READFUNC_ABORT;
    t->sent += n;
    const struct http_source *source = t->exchange->source;
    int64_t now = clock_monotonic_us();
    if (source->progress != NULL && (now - t->told_us >= PROGRESS_US || t->sent == source->length)) {
        t->told_us = now;
        source->progress(source->owner, t->sent, source->length);
    }
    return (size_t)n;
}

static int seek_body(void *argument, curl_off_t offset, int origin)
{
    struct try *t = argument;
    if (origin != SEEK_SET)
        return CURL_SEEKFUNC_FAIL;
    t->sent = offset;
    return CURL_SEEKFUNC_OK;
}

static void set_body(struct try *t)
{
    const struct http_exchange *x = t->exchange;
    CURL *curl = t->curl;
    if (x->source != NULL) {
        t->source_begin = lseek(x->source->fd, 0, SEEK_CUR);
        curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(curl, CURLOPT_READFUNCTION, give_body);
        curl_easy_setopt(curl, CURLOPT_READDATA, t);
        curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, seek_body);
        curl_easy_setopt(curl, CURLOPT_SEEKDATA, t);
        curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)x->source->length);
    } else if (x->data != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)x->data_length);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, x->data);
    }
    if (strcmp(x->method, "HEAD") == 0)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    else
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, x->method);
}

static void set_tls(CURL *curl, const struct http_tls *tls)
{
    if (tls->insecure) {
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (tls->cafile != NULL)
        curl_easy_setopt(curl, CURLOPT_CAINFO, tls->cafile);
    if (tls->certfile != NULL)
        curl_easy_setopt(curl, CURLOPT_SSLCERT, tls->certfile);
    if (tls->keyfile != NULL)
        curl_easy_setopt(curl, CURLOPT_SSLKEY, tls->keyfile);
}

static void set_options(struct try *t, const char *url, struct curl_slist *headers, int left_ms)
{
    const struct http_exchange *x = t->exchange;
    CURL *curl = t->curl;
    long connect_ms = x->connect_timeout_ms > 0 ? x->connect_timeout_ms : CONNECT_TIMEOUT_MS;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, t->why);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "nubo");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)left_ms);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, connect_ms < left_ms ? connect_ms : (long)left_ms);
    if (x->sink != NULL) { /* long ones may take as long as something comes */
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)STALL_S);
    }
    if (x->interface != NULL)
        curl_easy_setopt(curl, CURLOPT_INTERFACE, x->interface);
    set_tls(curl, &x->tls);
    set_body(t);
}

static struct fault *make_headers(struct context *cx, const struct http_exchange *x, struct curl_slist **ret)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:"); /* a round trip that no service of ours wants */
    for (const char *const *h = x->headers; h != NULL && h[0] != NULL; h += 2) {
        if (strpbrk(h[0], "\r\n:") != NULL || strpbrk(h[1], "\r\n") != NULL) {
            curl_slist_free_all(list);
            return FAULT(cx, 400, NULL, "The header %s is malformed.", strpbrk(h[0], "\r\n") != NULL ? "" : h[0]);
        }
        list = curl_slist_append(list, arena_printf(cx->arena, h[1][0] != '\0' ? "%s: %s" : "%s;", h[0], h[1]));
    }
    *ret = list;
    return NULL;
}

/* Nothing of the request was seen by anybody: it may be sent again, whatever it is. */
static bool never_arrived(CURLcode code)
{
    return code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST;
}

static struct fault *failed(struct try *t, CURLcode code, const char *url)
{
    struct context *cx = t->cx;
    const char *host = arena_strndup(cx->arena, url, strcspn(url, "?"));
    if (t->write_error != 0)
        return FAULT(cx, 500, HTTP_CLIENT_LOCAL, "%s", strerror(t->write_error));
    if (t->too_large)
        return FAULT(cx, 502, NULL, "The answer of %s is too large.", host);
    bool nonsense = code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT || code == CURLE_WEIRD_SERVER_REPLY ||
        code == CURLE_BAD_CONTENT_ENCODING;
    struct fault *fault = FAULT(cx, nonsense ? 502 : 503, NULL, "%s cannot be reached.", host);
    fault->retry = never_arrived(code);
    const char *why = t->why[0] != '\0' ? arena_printf(cx->arena, " (%s)", t->why) : "";
    return fault_detail(cx->arena, fault, "%s %s: %s%s", t->exchange->method, host, curl_easy_strerror(code), why);
}

static struct fault *try_once(struct context *cx, const struct http_exchange *x, const char *url, int left_ms,
    struct rest_response *ret, CURLcode *ret_code)
{
    struct curl_slist *headers;
    *ret_code = CURLE_OK;
    TRY(make_headers(cx, x, &headers));
    struct buf *body = ARENA_NEW(cx->arena, struct buf);
    arena_defer(cx->arena, (void (*)(void *))buf_release, body);
    struct handle *handle = handle_take(x);
    struct try t = { .cx = cx, .exchange = x, .curl = handle->curl, .body = body, .last = &t.headers,
        .told_us = clock_monotonic_us() };
    set_options(&t, url, headers, left_ms);
    CURLcode code = curl_easy_perform(handle->curl);
    long status = 0;
    curl_easy_getinfo(handle->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    curl_easy_setopt(handle->curl, CURLOPT_ERRORBUFFER, NULL); /* what libcurl says at its connection's end is for nobody */
    handle_give_back(handle);
    *ret_code = code;
    if (code != CURLE_OK)
        return failed(&t, code, url);
    *ret = (struct rest_response){ .status = (int)status, .headers = t.headers, .fd = -1, .data = buf_text(body),
        .data_length = body->length, .length = t.done };
    if (x->sink != NULL && x->sink->progress != NULL && status < 300)
        x->sink->progress(x->sink->owner, t.done, t.done);
    const char *type = header_find(ret->headers, "Content-Type"), *why;
    if (ret->data_length > 0 && type != NULL && strcasestr(type, "json") != NULL)
        ret->body = json_parse(cx->arena, ret->data, ret->data_length, &why);
    return NULL;
}

/* ---- retries and redirects ---- */

static bool idempotent(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 || strcmp(method, "PUT") == 0 ||
        strcmp(method, "DELETE") == 0;
}

static bool same_host(const char *one, const char *other)
{
    CURLU *a = curl_url(), *b = curl_url();
    char *host_a = NULL, *host_b = NULL, *scheme_a = NULL, *scheme_b = NULL;
    bool same = curl_url_set(a, CURLUPART_URL, one, 0) == CURLUE_OK && curl_url_set(b, CURLUPART_URL, other, 0) == CURLUE_OK &&
        curl_url_get(a, CURLUPART_HOST, &host_a, 0) == CURLUE_OK && curl_url_get(b, CURLUPART_HOST, &host_b, 0) == CURLUE_OK &&
        curl_url_get(a, CURLUPART_SCHEME, &scheme_a, 0) == CURLUE_OK &&
        curl_url_get(b, CURLUPART_SCHEME, &scheme_b, 0) == CURLUE_OK && strcasecmp(host_a, host_b) == 0 &&
        (strcmp(scheme_a, scheme_b) == 0 || strcmp(scheme_b, "https") == 0);
    curl_free(host_a);
    curl_free(host_b);
    curl_free(scheme_a);
    curl_free(scheme_b);
    curl_url_cleanup(a);
    curl_url_cleanup(b);
    return same;
}

static const char *resolve(struct arena *arena, const char *base, const char *location)
{
    CURLU *url = curl_url();
    char *text = NULL;
    const char *whole = NULL;
    if (curl_url_set(url, CURLUPART_URL, base, 0) == CURLUE_OK && curl_url_set(url, CURLUPART_URL, location, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_URL, &text, 0) == CURLUE_OK)
        whole = arena_strdup(arena, text);
    curl_free(text);
    curl_url_cleanup(url);
    return whole;
}

/* *url is where to ask next; stays when the answer is none that leads on. */
static struct fault *follow(struct context *cx, const struct rest_response *answer, const char **url, int *redirects)
{
    bool redirect = answer->status == 301 || answer->status == 302 || answer->status == 303 || answer->status == 305 ||
        answer->status == 307 || answer->status == 308;
    const char *location = redirect ? header_find(answer->headers, "Location") : NULL;
    if (location == NULL)
        return NULL;
    const char *next = resolve(cx->arena, *url, location);
    if (next == NULL || !same_host(*url, next))
        return FAULT(cx, 502, NULL, "%s sends us to another host.", *url);
    if (++*redirects > REDIRECTS)
        return FAULT(cx, 502, NULL, "%s sends us round in circles.", *url);
    *url = next;
    return NULL;
}

static int wait_after(const struct rest_response *answer)
{
    const char *text = header_find(answer->headers, "Retry-After");
    long seconds = text != NULL ? strtol(text, NULL, 10) : 0;
    return seconds <= 0 ? FIRST_WAIT_MS : seconds * 1000 < STATUS_WAIT_MS ? (int)seconds * 1000 : STATUS_WAIT_MS;
}

struct fault *http_client_call(struct context *cx, const struct http_exchange *x, struct rest_response *ret)
{
    int64_t end_us = clock_monotonic_us() + (int64_t)x->timeout_ms * 1000;
    const char *url = x->url;
    int connects = 0, statuses = 0, redirects = 0, wait_ms = FIRST_WAIT_MS;
    if (strlen(url) > URL_LIMIT)
        return FAULT(cx, 414, NULL, "The request's URL is too long.");
    for (;;) {
        int64_t left_ms = (end_us - clock_monotonic_us()) / 1000;
        CURLcode code;
        struct fault *fault = try_once(cx, x, url, left_ms > 1 ? (int)left_ms : 1, ret, &code);
        left_ms = (end_us - clock_monotonic_us()) / 1000;
        if (fault != NULL) {
            if (!never_arrived(code) || connects++ >= x->connect_retries || left_ms <= wait_ms)
                return fault;
            log_debug("oslo.rest", "%s; trying again in %d ms", fault_text(cx->arena, fault), wait_ms);
            clock_sleep_ms(wait_ms);
            wait_ms *= 2;
            continue;
        }
        const char *before = url;
        TRY(follow(cx, ret, &url, &redirects));
        if (url != before)
            continue;
        int status_wait = wait_after(ret);
        if (ret->status != 503 || !idempotent(x->method) || statuses++ >= x->status_retries || left_ms <= status_wait)
            return NULL;
        clock_sleep_ms(status_wait);
    }
}
