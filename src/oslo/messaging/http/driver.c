/* SPDX-License-Identifier: Apache-2.0
 * driver: messages over HTTP between the processes, for sites without a broker: transport_url = http://SECRET@host:port,.../
 * or https://, over TLS.
 *
 * The hosts named are hubs (hub.h). Whichever process on such a host binds the address first is its hub; the others there
 * try again every second, so that one takes over when it ends. Every process asks every hub for its messages, in requests
 * that wait, and sends by the first hub that answers: agents behind a firewall need no open port.
 *
 * With https:// a hub has the certificate of [oslo_messaging_http] (or the URL's query), about the host that the URL names;
 * who asks it always looks at it. That the client is one of ours is known from the secret, which signs. */
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/random.h"
#include "base/work.h"
#include "oslo/app.h"
#include "oslo/http/tls.h"
#include "oslo/http_client.h"
#include "oslo/json.h"
#include "oslo/messaging/http/hub.h"
#include "oslo/messaging/http/kept.h"
#include "oslo/messaging/wire.h"
#include "oslo/rest.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { PORT = 5680, WAIT_MS = 5000, TRY_MS = 5000, AGAIN_MS = 250, BIND_MS = 1000, ANSWER_PATIENCE_S = 60, HAND_OVER_MS = 5000,
    ELSEWHERE_MS = 3000, DONE_PATIENCE_MS = 60000 };

static const char GROUP[] = "oslo_messaging_http";

struct http_wire;

/* One hub as this process sees it: a thread asks it. */
struct peer {
    struct http_wire *wire;
    uint32_t index;
    const char *host;
    int port;
    char *url;
    uintptr_t thread;
    int64_t last; /* the number of its last answer */
    bool away;    /* told in the log */
    int64_t heard_us; /* the last answer to receive */
    struct hub_server *server; /* not NULL: this process is the hub */
};

struct served {
    const char *exchange, *topic, *name;
    struct server *server; /* NULL: not served any more; its place stays, since answers name places */
};

struct settled {
    struct settled *next;
    struct delivery delivery;
    bool handled;
    int64_t since_us;
    struct wire_send *answer; /* to be sent first */
};

struct http_wire {
    struct transport *transport;
    struct arena *arena;
    struct app *app;
    const char *secret, *session;
    bool encrypted;                             /* https:// */
    bool serves;                                /* it has what a hub needs */
    const char *ca_file;                        /* of the hubs' certificates; NULL: the system's */
    struct MHD_OptionItem tls[TLS_ITEMS];       /* of our own hub */
    struct peer *peers;
    size_t peer_count;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct served *served;
    size_t served_count, served_capacity;
    json_int_t served_changes;                  /* how often that has changed: requests may overtake each other */
    struct settled *first, **last;
    struct kept *kept;
    pthread_mutex_t hand_over; /* held while a message is handed to its server */
    uintptr_t settler, binder;
    atomic_bool stopping;
};

/* ---- one request ---- */

/* The status, and the answer; 0 when nobody answered, or not one who knows the secret. */
static int ask(struct peer *peer, struct arena *arena, const char *what, const json_t *request, int timeout_ms, json_t **ret)
{
    struct http_wire *wire = peer->wire;
    struct context cx = { .arena = arena, .app = wire->app };
    char signature[SIGNATURE_TEXT], right[SIGNATURE_TEXT];
    const char *body = json_dump(arena, request);
    const char *date = arena_printf(arena, "%lld", (long long)(clock_now_us() / 1000000));
    hub_sign(wire->secret, what, date, body, strlen(body), signature);
    const char *const headers[] = { "Content-Type", "application/json", "X-Nubo-Date", date, "X-Nubo-Signature", signature,
        "Expect", "", NULL };
    struct rest_response response = { .fd = -1 };
    struct fault *fault = http_client_call(&cx, &(struct http_exchange){ .method = "POST", .url = arena_printf(arena, "%s%s%s",
        peer->url, HUB_PATH, what), .headers = headers, .data = body, .data_length = strlen(body), .timeout_ms = timeout_ms,
        .connect_timeout_ms = TRY_MS, .tls.cafile = wire->ca_file }, &response);
    const char *why = fault != NULL ? fault_text(arena, fault) : response.status == 401 ? "the secret is another one" : NULL;
    if (why == NULL) {
        const char *given = rest_header(&response, "X-Nubo-Signature");
        hub_sign(wire->secret, what, signature, response.data, response.data_length, right);
        if (given == NULL || strlen(given) != strlen(right) || CRYPTO_memcmp(given, right, strlen(right)) != 0)
            why = "its answer is not signed with our secret";
    }
    if (why != NULL && !peer->away && !atomic_load(&wire->stopping))
        log_warning("oslo.messaging", "the message hub %s: %s", peer->url, why);
    if (why == NULL && peer->away)
        log_info("oslo.messaging", "the message hub %s is there again", peer->url);
    peer->away = why != NULL;
    *ret = response.body;
    return why == NULL ? response.status : 0;
}

/* ---- receiving ---- */

static void add_settled(struct http_wire *wire, struct settled *s)
{
    pthread_mutex_lock(&wire->lock);
    *wire->last = s;
    wire->last = &s->next;
    pthread_cond_signal(&wire->wake);
    pthread_mutex_unlock(&wire->lock);
}

static struct settled *settled_create(struct delivery delivery, bool handled)
{
    struct settled *s = calloc(1, sizeof(*s));
    if (s == NULL)
        abort();
    s->delivery = delivery;
    s->handled = handled;
    s->since_us = clock_monotonic_us();
    return s;
}

static void http_done(void *argument, struct delivery delivery, bool handled)
{
    add_settled(argument, settled_create(delivery, handled));
}

/* With the number of the change that made it so. */
static json_t *what_is_served(struct http_wire *wire, json_int_t *ret_change)
{
    json_t *list = json_array();
    pthread_mutex_lock(&wire->lock);
    *ret_change = wire->served_changes;
    for (size_t i = 0; i < wire->served_count; i++) {
        const struct served *s = &wire->served[i];
        if (s->server != NULL)
            json_array_append_new(list, json_pack("[s, s, s, i]", s->exchange, s->topic, s->name, (int)i));
    }
    pthread_mutex_unlock(&wire->lock);
    return list;
}

static void hand_over(struct peer *peer, const json_t *message)
{
    struct http_wire *wire = peer->wire;
    uint64_t tag = (uint64_t)json_integer_value(json_array_get(message, 0));
    json_int_t place = json_integer_value(json_array_get(message, 1));
    const json_t *body = json_array_get(message, 2);
    if (!json_is_string(body))
        return;
    if (place < 0) {
        transport_answer(wire->transport, json_string_value(body), json_string_length(body));
        return;
    }
    pthread_mutex_lock(&wire->hand_over);
    pthread_mutex_lock(&wire->lock);
    struct server *server = (size_t)place < wire->served_count ? wire->served[place].server : NULL;
    pthread_mutex_unlock(&wire->lock);
    if (server != NULL)
        server_deliver(server, json_string_value(body), json_string_length(body), (struct delivery){ tag, peer->index });
    else
        http_done(wire, (struct delivery){ tag, peer->index }, false);
    pthread_mutex_unlock(&wire->hand_over);
}

/* ---- being the hub ---- */

static void try_to_be_hub(struct peer *peer)
{
    struct http_wire *wire = peer->wire;
    if (peer->server != NULL || !wire->serves)
        return;
    peer->server = hub_server_start(peer->host, peer->port, wire->secret, wire->encrypted ? wire->tls : NULL);
    if (peer->server != NULL)
        log_info("oslo.messaging", "this process is the message hub on %s:%d", peer->host, peer->port);
}

static void run_binder(void *argument)
{
    struct http_wire *wire = argument;
    while (!atomic_load(&wire->stopping)) {
        for (size_t i = 0; i < wire->peer_count; i++)
            try_to_be_hub(&wire->peers[i]);
        for (int ms = 0; ms < BIND_MS && !atomic_load(&wire->stopping); ms += AGAIN_MS)
            clock_sleep_ms(AGAIN_MS);
    }
}

/* ---- sending ---- */

/* Tells all hubs at once what is served, so that nobody waits for the next round of receive. */
static void announce(struct http_wire *wire)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    json_int_t change;
    json_t *serves = what_is_served(wire, &change), *ignored;
    json_t *request = json_keep(arena, json_pack("{s:s, s:o, s:I}", "session", wire->session, "serves", serves, "change", change));
    for (size_t i = 0; i < wire->peer_count; i++)
        ask(&wire->peers[i], arena, "serve", request, TRY_MS, &ignored);
}

/* By the first hub that takes it, which is noted; 404 when all that answer say so. */
static int send_by_any(struct http_wire *wire, struct arena *arena, const json_t *request, int timeout_ms)
{
    int worst = 0;
    for (size_t i = 0; i < wire->peer_count; i++) {
        json_t *answer;
        int status = ask(&wire->peers[i], arena, "send", request, timeout_ms, &answer);
        if (status == 200)
            kept_sent(wire->kept, json_text_at(request, "id"), i, json_int_at(answer, "hub", 0));
        if (status == 200 || status == 400)
            return status;
        worst = status == 503 || worst == 503 ? 503 : status == 404 ? 404 : worst;
    }
    return worst;
}

/* NULL: taken over. */
static struct fault *try_until(struct http_wire *wire, struct arena *arena, const struct wire_send *send, const json_t *request)
{
    int status = 0;
    for (;;) {
        int64_t left_ms = (send->deadline_us - clock_monotonic_us()) / 1000;
        if (left_ms <= 0)
            break;
        status = send_by_any(wire, arena, request, left_ms < TRY_MS ? (int)left_ms + 1 : TRY_MS);
        if (status == 200)
            return NULL;
        if (status == 400)
            return fault_new(arena, 500, "MessageDeliveryFailure", "The message hub does not understand the message.");
        if (status == 404)
            return fault_new(arena, 404, "MessageUndeliverable", send->kind == WIRE_REPLY ? "Who asked is gone: %s."
                : "No process serves %s in the exchange %s.", send->topic, send->exchange);
        if (atomic_load(&wire->stopping) && status == 0)
            break;
        if (send->give_up_us != NULL && atomic_load(send->give_up_us) != 0 && clock_monotonic_us() > atomic_load(send->give_up_us))
            break;
        clock_sleep_ms(AGAIN_MS);
    }
    return fault_new(arena, 503, "MessageDeliveryFailure", "The message for %s was not taken over in time: %s.", send->topic,
        status == 0 ? "no message hub answers" : "the hub has no room, or has just begun or is about to end");
}

static struct fault *send_until(struct http_wire *wire, struct arena *arena, const struct wire_send *send)
{
    const char *id = uuid_new_hex(arena);
    json_t *request = json_keep(arena, json_pack("{s:s, s:s, s:i, s:s?, s:s, s:s?, s:s%, s:I}", "id", id, "session", wire->session,
        "kind", (int)send->kind, "exchange", send->exchange, "topic", send->topic, "server", send->server, "body", send->body,
        send->length, "ttl_ms", (json_int_t)send->ttl_ms));
    kept_add(wire->kept, request, send->ttl_ms);
    struct fault *fault = try_until(wire, arena, send, request);
    if (fault != NULL)
        kept_drop(wire->kept, id);
    return fault;
}

/* ---- receiving, the thread of each hub ---- */

/* What the hub at this address took over and lost. */
static void send_again(struct peer *peer, int64_t hub)
{
    struct http_wire *wire = peer->wire;
    json_t *lost = kept_lost(wire->kept, peer->index, hub);
    size_t count = json_array_size(lost), done = 0;
    bool taken = true;
    for (; done < count && taken && !atomic_load(&wire->stopping); done++) {
        ARENA_CLEANUP struct arena *arena = arena_create();
        json_t *request = json_array_get(lost, done);
        json_object_set_new(request, "again", json_true());
        int status = send_by_any(wire, arena, request, TRY_MS);
        if (status == 400 || status == 404) /* 404: who asked for this answer is gone */
            kept_drop(wire->kept, json_text_at(request, "id"));
        taken = status != 0 && status != 503;
    }
    if (!taken)
        kept_look(wire->kept, peer->index);
    else if (count > 0)
        log_info("oslo.messaging", "%zu messages that a hub was lost with are sent again", done);
    json_decref(lost);
}

static bool receive(struct peer *peer)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    json_int_t change;
    json_t *serves = json_keep(arena, what_is_served(peer->wire, &change)), *answer = NULL;
    json_t *request = json_keep(arena, json_pack("{s:s, s:O, s:I, s:i, s:I}", "session", peer->wire->session, "serves", serves,
        "change", change, "wait_ms", WAIT_MS, "last", (json_int_t)peer->last));
    if (ask(peer, arena, "receive", request, WAIT_MS + TRY_MS, &answer) != 200)
        return false;
    const json_t *messages = json_object_get(answer, "messages");
    for (size_t i = 0; i < json_array_size(messages); i++)
        hand_over(peer, json_array_get(messages, i));
    peer->last = json_int_at(answer, "number", 0);
    peer->heard_us = clock_monotonic_us();
    kept_settled(peer->wire->kept, json_object_get(answer, "settled"));
    send_again(peer, json_int_at(answer, "hub", 0));
    return true;
}

static void run_peer(void *argument)
{
    struct peer *peer = argument;
    while (!atomic_load(&peer->wire->stopping)) {
        if (receive(peer))
            continue;
        clock_sleep_ms(AGAIN_MS);
        if (peer->wire->peer_count > 1 && clock_monotonic_us() - peer->heard_us > ELSEWHERE_MS * 1000LL)
            send_again(peer, 0); /* nobody takes that address over: the other hubs are there */
    }
}

/* ---- answers, and taking messages off the hub: by a thread of their own, many at once ---- */

/* `again`: those that could not be told before; they are not waited for. */
static struct settled *take_settled(struct http_wire *wire, bool again)
{
    pthread_mutex_lock(&wire->lock);
    while (wire->first == NULL && !again && !atomic_load(&wire->stopping))
        pthread_cond_wait(&wire->wake, &wire->lock);
    struct settled *list = wire->first;
    wire->first = NULL;
    wire->last = &wire->first;
    pthread_mutex_unlock(&wire->lock);
    return list;
}

static void answer_free(struct wire_send *answer)
{
    if (answer == NULL)
        return;
    free((char *)answer->topic);
    free((char *)answer->body);
    free(answer);
}

static void send_answer(struct http_wire *wire, struct arena *arena, const struct wire_send *answer)
{
    struct wire_send send = *answer;
    if (send.deadline_us == 0)
        send.deadline_us = clock_monotonic_us() + (atomic_load(&wire->stopping) ? 1 : ANSWER_PATIENCE_S) * 1000000LL;
    struct fault *fault = send_until(wire, arena, &send);
    if (fault != NULL)
        log_warning("oslo.messaging", "an answer is lost: %s", fault_text(arena, fault));
}

/* Tells a hub what was handled. A hub that took its address over hears of it too: the messages may have been sent to it again. */
static bool tell_done(struct http_wire *wire, struct arena *arena, size_t peer, const struct settled *list)
{
    json_t *ignored, *done = json_array();
    json_t *request = json_keep(arena, json_pack("{s:s, s:o}", "session", wire->session, "done", done));
    for (const struct settled *s = list; s != NULL; s = s->next)
        if (s->delivery.generation == peer && s->delivery.tag != 0)
            json_array_append_new(done, json_pack("[I, b]", (json_int_t)s->delivery.tag, (int)s->handled));
    return json_array_size(done) == 0 || ask(&wire->peers[peer], arena, "done", request, TRY_MS, &ignored) == 200;
}

/* Returns those whose hub did not hear of it and may yet. */
static struct settled *settle(struct http_wire *wire, struct settled *list)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    bool *told = ARENA_ARRAY(arena, bool, wire->peer_count);
    struct settled *again = NULL, **last = &again;
    for (struct settled *s = list; s != NULL; s = s->next) {
        if (s->answer != NULL)
            send_answer(wire, arena, s->answer);
        answer_free(s->answer);
        s->answer = NULL;
    }
    for (size_t i = 0; i < wire->peer_count; i++)
        told[i] = tell_done(wire, arena, i, list);
    int64_t oldest_us = clock_monotonic_us() - DONE_PATIENCE_MS * 1000LL;
    while (list != NULL) {
        struct settled *s = list;
        list = s->next;
        bool over = s->delivery.generation >= wire->peer_count || told[s->delivery.generation] || s->since_us < oldest_us;
        if (over) {
            free(s);
        } else {
            *last = s;
            last = &s->next;
        }
    }
    *last = NULL;
    return again;
}

static struct settled *joined(struct settled *first, struct settled *second)
{
    struct settled **at = &first;
    while (*at != NULL)
        at = &(*at)->next;
    *at = second;
    return first;
}

static void run_settler(void *argument)
{
    struct http_wire *wire = argument;
    struct settled *again = NULL, *list;
    while ((list = joined(again, take_settled(wire, again != NULL))) != NULL) {
        again = settle(wire, list);
        if (again != NULL && atomic_load(&wire->stopping))
            break;
        if (again != NULL)
            clock_sleep_ms(AGAIN_MS);
    }
    while (again != NULL) {
        struct settled *s = again;
        again = s->next;
        free(s);
    }
}

/* ---- the driver ---- */

static void http_answer(void *argument, const struct wire_send *send, struct delivery delivery)
{
    struct settled *s = settled_create(delivery, true);
    if ((s->answer = calloc(1, sizeof(*s->answer))) == NULL)
        abort();
    *s->answer = *send;
    s->answer->topic = strdup(send->topic);
    s->answer->body = strndup(send->body, send->length);
    if (s->answer->topic == NULL || s->answer->body == NULL)
        abort();
    add_settled(argument, s);
}

static struct fault *http_send(void *argument, struct arena *arena, const struct wire_send *send)
{
    return send_until(argument, arena, send);
}

static void http_serve(void *argument, const char *exchange, const char *topic, const char *name, struct server *server)
{
    struct http_wire *wire = argument;
    pthread_mutex_lock(&wire->lock);
    if (wire->served_count == wire->served_capacity) {
        wire->served_capacity = wire->served_capacity * 2 + 8;
        wire->served = realloc(wire->served, wire->served_capacity * sizeof(*wire->served));
        if (wire->served == NULL)
            abort();
    }
    wire->served[wire->served_count++] = (struct served){ arena_strdup(wire->arena, exchange), arena_strdup(wire->arena, topic),
        arena_strdup(wire->arena, name), server };
    wire->served_changes++;
    pthread_mutex_unlock(&wire->lock);
    announce(wire);
}

static void http_unserve(void *argument, const struct server *server)
{
    struct http_wire *wire = argument;
    pthread_mutex_lock(&wire->hand_over);
    pthread_mutex_lock(&wire->lock);
    for (size_t i = 0; i < wire->served_count; i++)
        if (wire->served[i].server == server)
            wire->served[i].server = NULL;
    wire->served_changes++;
    pthread_mutex_unlock(&wire->lock);
    pthread_mutex_unlock(&wire->hand_over);
    announce(wire);
}

static const char *http_reply_address(void *argument)
{
    return ((struct http_wire *)argument)->session;
}

static struct fault *read_peers(struct context *cx, struct http_wire *wire, const struct messaging_url *url)
{
    const struct messaging_host none = { .host = "" }, *first = url->host_count > 0 ? &url->hosts[0] : &none;
    const char *secret = first->password != NULL ? first->password : first->user;
    if (secret == NULL || strlen(secret) < 8)
        return FAULT(cx, 500, "InvalidTransportURL",
            "transport_url: http:// needs a secret of at least 8 characters that all processes "
            "share, and the hosts of the hubs: http://secret@host:port/.");
    wire->secret = arena_strdup(wire->arena, secret);
    wire->peer_count = url->host_count;
    wire->peers = ARENA_ARRAY(wire->arena, struct peer, url->host_count);
    for (size_t i = 0; i < url->host_count; i++) {
        const struct messaging_host *h = &url->hosts[i];
        int port = h->port != 0 ? h->port : PORT;
        bool colon = strchr(h->host, ':') != NULL;
        wire->peers[i] = (struct peer){ .wire = wire, .index = (uint32_t)i, .host = arena_strdup(wire->arena, h->host),
            .port = port,
            .url = arena_printf(wire->arena, "%s://%s%s%s:%d", url->scheme, colon ? "[" : "", h->host, colon ? "]" : "", port),
            .last = -1 };
    }
    return NULL;
}

static const char *file_of(struct http_wire *wire, const struct messaging_url *url, const char *option)
{
    const char *path = transport_option(wire->transport, url, GROUP, option);
    return path != NULL && *path != '\0' ? arena_strdup(wire->arena, path) : NULL;
}

/* A process without a certificate is a client only, wherever it runs. */
static struct fault *read_tls(struct http_wire *wire, const struct messaging_url *url)
{
    wire->encrypted = strcmp(url->scheme, "https") == 0;
    wire->serves = true;
    if (!wire->encrypted)
        return NULL;
    const char *certificate = file_of(wire, url, "ssl_cert_file"), *key = file_of(wire, url, "ssl_key_file");
    wire->ca_file = file_of(wire, url, "ssl_ca_file");
    wire->serves = certificate != NULL || key != NULL;
    return wire->serves ? tls_items(wire->arena, certificate, key, NULL, wire->tls) : NULL;
}

static struct fault *http_open(struct context *cx, struct transport *transport, const struct messaging_url *url, void **ret)
{
    struct http_wire *wire = calloc(1, sizeof(*wire));
    if (wire == NULL)
        abort();
    wire->transport = transport;
    wire->app = cx->app;
    wire->arena = arena_create();
    wire->last = &wire->first;
    wire->session = arena_printf(wire->arena, "%s", uuid_new_hex(cx->arena));
    struct fault *fault = read_peers(cx, wire, url);
    if (fault == NULL && (fault = read_tls(wire, url)) != NULL)
        fault = fault_new(cx->arena, 500, fault->code, "transport_url: %s", fault->message); /* the wire's arena goes */
    if (fault == NULL)
        wire->kept = kept_create(wire->peer_count);
    if (fault != NULL) {
        arena_destroy(wire->arena);
        free(wire);
        return fault;
    }
    pthread_mutex_init(&wire->lock, NULL);
    pthread_mutex_init(&wire->hand_over, NULL);
    pthread_cond_init(&wire->wake, NULL);
    for (size_t i = 0; i < wire->peer_count; i++)
        try_to_be_hub(&wire->peers[i]);
    announce(wire); /* answers have an address before the first call leaves */
    wire->binder = work_thread_start("message-hub", run_binder, wire);
    wire->settler = work_thread_start("http-settler", run_settler, wire);
    for (size_t i = 0; i < wire->peer_count; i++)
        wire->peers[i].thread = work_thread_start("http-messages", run_peer, &wire->peers[i]);
    *ret = wire;
    return NULL;
}

/* This process is the hub no more: what lies there goes to the next one, when there is one soon. */
static void leave_hub(struct http_wire *wire, struct peer *peer)
{
    json_t *left = hub_server_stop(peer->server);
    int64_t end_us = clock_monotonic_us() + HAND_OVER_MS * 1000LL;
    size_t given = 0, count = json_array_size(left);
    peer->server = NULL;
    while (given < count && clock_monotonic_us() < end_us) {
        ARENA_CLEANUP struct arena *arena = arena_create();
        json_t *request = json_array_get(left, given);
        json_object_set_new(request, "again", json_true());
        int status = send_by_any(wire, arena, request, TRY_MS);
        if (status == 0 || status == 503)
            clock_sleep_ms(AGAIN_MS);
        else
            given++;
    }
    if (given < count)
        log_warning("oslo.messaging", "%zu messages are lost with this hub: no other one takes them", count - given);
    else if (count > 0)
        log_info("oslo.messaging", "%zu messages were handed over to the next hub", count);
    json_decref(left);
}

static void http_close(void *argument)
{
    struct http_wire *wire = argument;
    ARENA_CLEANUP struct arena *arena = arena_create();
    pthread_mutex_lock(&wire->lock);
    atomic_store(&wire->stopping, true);
    pthread_cond_signal(&wire->wake);
    pthread_mutex_unlock(&wire->lock);
    work_thread_join(wire->settler);
    json_t *ignored, *request = json_keep(arena, json_pack("{s:s}", "session", wire->session));
    for (size_t i = 0; i < wire->peer_count; i++)
        ask(&wire->peers[i], arena, "bye", request, TRY_MS, &ignored); /* ends our waiting there */
    for (size_t i = 0; i < wire->peer_count; i++)
        work_thread_join(wire->peers[i].thread);
    work_thread_join(wire->binder);
    for (size_t i = 0; i < wire->peer_count; i++)
        if (wire->peers[i].server != NULL)
            leave_hub(wire, &wire->peers[i]);
    kept_destroy(wire->kept);
    free(wire->served);
    arena_destroy(wire->arena);
    free(wire);
}

const struct wire_driver messaging_http_driver = {
    .name = "http",
    .open = http_open,
    .close = http_close,
    .serve = http_serve,
    .unserve = http_unserve,
    .reply_address = http_reply_address,
    .send = http_send,
    .answer = http_answer,
    .done = http_done,
};
