/* SPDX-License-Identifier: Apache-2.0
 * listener: an epoll loop that owns sockets and connections; handlers run on a pool and hand the connection back through
 * a list and an eventfd. See listener.h. */
#include "neutron/metadata/listener.h"

#include "base/clock.h"
#include "base/map.h"
#include "base/work.h"
#include "neutron/agent/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum kind { WAKE, DOOR, CONNECTION };
enum { EVENTS = 64, SWEEP_MS = 1000, BACKLOG = 128, QUEUE = 256 };

struct door { /* one network's listening socket */
    enum kind kind;
    int fd;
    bool closed; /* removed: the loop frees it */
    struct door *next;
    char *network_id;
    uint64_t netns; /* the kernel's number of its namespace: never used twice */
    struct sockaddr_in at;
};

enum phase { READING, HANDLING, WRITING };

struct connection {
    enum kind kind;
    int fd;
    enum phase phase;
    int64_t deadline_us;
    struct connection *next, *previous; /* of all */
    struct connection *handed;          /* of those that handlers are done with */
    struct listener *listener;
    char *network_id;
    char peer[INET_ADDRSTRLEN];
    struct buf in, out;
    size_t sent;
    struct guest_request request;
};

struct listener {
    listener_handler handler;
    void *context;
    struct work_pool *pool;
    int epoll, wake;
    uintptr_t thread;
    pthread_mutex_t lock; /* doors, gone, done, ending */
    struct map doors;     /* by network id */
    struct door *gone;    /* removed, to be freed by the loop */
    struct connection *done;
    bool ending;
    struct connection *first; /* the loop's own */
    unsigned count;
};

static const enum kind wake_kind = WAKE;

static void wake_loop(struct listener *listener)
{
    uint64_t one = 1;
    if (write(listener->wake, &one, sizeof(one)) < 0)
        return; /* the counter is full: the loop is awake anyhow */
}

/* Answers. */

static void put_answer(struct connection *c, int status, const char *content_type, const struct buf *body)
{
    buf_printf(&c->out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", status,
        guest_reason(status), content_type, body->length);
    if (c->request.method == NULL || strcmp(c->request.method, "HEAD") != 0)
        buf_append(&c->out, buf_text(body), body->length);
}

static void put_refusal(struct connection *c, int status)
{
    BUF_CLEANUP struct buf body = { 0 };
    buf_printf(&body, "%d %s\n", status, guest_reason(status));
    put_answer(c, status, "text/plain; charset=UTF-8", &body);
}

/* Connections. */

/* Closing alone is not enough: a child that another thread has just forked still holds the file until it runs its
 * program, and epoll would go on to tell about it, with a pointer to what was freed. */
static void forget(struct listener *listener, int fd)
{
    epoll_ctl(listener->epoll, EPOLL_CTL_DEL, fd, NULL);
    close(fd);
}

static void close_connection(struct connection *c)
{
    struct listener *listener = c->listener;
    if (c->previous != NULL)
        c->previous->next = c->next;
    else
        listener->first = c->next;
    if (c->next != NULL)
        c->next->previous = c->previous;
    listener->count--;
    forget(listener, c->fd);
    buf_release(&c->in);
    buf_release(&c->out);
    free(c->network_id);
    free(c);
}

static void watch(struct connection *c, uint32_t events)
{
    epoll_ctl(c->listener->epoll, EPOLL_CTL_MOD, c->fd, &(struct epoll_event){ .events = events, .data.ptr = c });
}

static void write_more(struct connection *c)
{
    while (c->sent < c->out.length) {
        ssize_t n = send(c->fd, c->out.data + c->sent, c->out.length - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            watch(c, EPOLLOUT);
            return;
        }
        if (n <= 0) {
            close_connection(c);
            return;
        }
        c->sent += (size_t)n;
    }
    shutdown(c->fd, SHUT_WR);
    close_connection(c);
}

static void begin_writing(struct connection *c)
{
    c->phase = WRITING;
    c->deadline_us = clock_monotonic_us() + LISTENER_WRITE_MS * 1000LL;
    write_more(c);
}

static bool is_forbidden(const char *name)
{
    static const char *const prefixes[] = { "X-Forwarded-", "X-Instance-ID", "X-Tenant-ID", "X-Neutron-",
        "X-OVN-Network-ID" };
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (strncasecmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static void drop_forbidden(struct guest_request *request)
{
    size_t kept = 0;
    for (size_t i = 0; i < request->header_count; i++)
        if (!is_forbidden(request->headers[i].name))
            request->headers[kept++] = request->headers[i];
    request->header_count = kept;
}

/* On the pool. The loop does not touch the connection until it is handed back. */
static void handle(void *argument)
{
    struct connection *c = argument;
    struct listener *listener = c->listener;
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct listener_request request = { c->network_id, c->peer, &c->request };
    struct listener_answer answer = { .status = 200, .content_type = "text/plain; charset=UTF-8" };
    listener->handler(listener->context, arena, &request, &answer);
    put_answer(c, answer.status, answer.content_type, &answer.body);
    buf_release(&answer.body);
    pthread_mutex_lock(&listener->lock);
    c->handed = listener->done;
    listener->done = c;
    pthread_mutex_unlock(&listener->lock);
    wake_loop(listener);
}

static void try_request(struct connection *c)
{
    int status = guest_request_read(c->in.data, c->in.length, &c->request);
    if (status == 0)
        return;
    if (status == 200) {
        drop_forbidden(&c->request);
        c->phase = HANDLING;
        watch(c, 0);
        if (work_submit(c->listener->pool, handle, c))
            return;
        status = 503;
    } else {
        c->request = (struct guest_request){ 0 };
    }
    put_refusal(c, status);
    begin_writing(c);
}

static void read_more(struct connection *c)
{
    char chunk[8192];
    ssize_t n = recv(c->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        close_connection(c);
        return;
    }
    buf_append(&c->in, chunk, (size_t)n); /* at most the limits of http.h and one chunk: then it is refused */
    try_request(c);
}

static bool too_many(const struct listener *listener, const char *network_id, const char *peer)
{
    unsigned same = 0;
    for (const struct connection *c = listener->first; c != NULL; c = c->next)
        same += strcmp(c->peer, peer) == 0 && strcmp(c->network_id, network_id) == 0;
    return same >= LISTENER_CONNECTIONS_PEER;
}

static void accept_one(struct listener *listener, struct door *door)
{
    struct sockaddr_in from;
    char peer[INET_ADDRSTRLEN] = "";
    socklen_t size = sizeof(from);
    pthread_mutex_lock(&listener->lock); /* else the number could be another file's by now */
    int fd = door->closed ? -1 : accept4(door->fd, (struct sockaddr *)&from, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    pthread_mutex_unlock(&listener->lock);
    if (fd < 0)
        return;
    inet_ntop(AF_INET, &from.sin_addr, peer, sizeof(peer));
    bool full = listener->count >= LISTENER_CONNECTIONS_MAX || too_many(listener, door->network_id, peer);
    struct connection *c = full ? NULL : calloc(1, sizeof(*c));
    if (c == NULL) {
        close(fd);
        return;
    }
    *c = (struct connection){ .kind = CONNECTION, .fd = fd, .listener = listener, .network_id = strdup(door->network_id),
        .deadline_us = clock_monotonic_us() + LISTENER_READ_MS * 1000LL, .next = listener->first };
    if (c->network_id == NULL)
        abort();
    memcpy(c->peer, peer, sizeof(peer));
    if (listener->first != NULL)
        listener->first->previous = c;
    listener->first = c;
    listener->count++;
    epoll_ctl(listener->epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){ .events = EPOLLIN, .data.ptr = c });
}

/* The loop. */

static void sweep(struct listener *listener)
{
    int64_t now = clock_monotonic_us();
    for (struct connection *c = listener->first, *next; c != NULL; c = next) {
        next = c->next;
        if (c->phase == HANDLING || c->deadline_us > now)
            continue;
        if (c->phase == READING) {
            c->request = (struct guest_request){ 0 };
            put_refusal(c, 408);
            begin_writing(c);
        } else {
            close_connection(c);
        }
    }
}

static void free_door(struct door *door)
{
    if (door->fd >= 0)
        close(door->fd);
    free(door->network_id);
    free(door);
}

/* Takes over what other threads left. Returns false at the end. */
static bool take_handed(struct listener *listener)
{
    pthread_mutex_lock(&listener->lock);
    struct connection *done = listener->done;
    struct door *gone = listener->gone;
    bool ending = listener->ending;
    listener->done = NULL;
    listener->gone = NULL;
    pthread_mutex_unlock(&listener->lock);
    for (struct connection *c = done, *next; c != NULL; c = next) {
        next = c->handed;
        begin_writing(c);
    }
    for (struct door *door = gone, *next; door != NULL; door = next) {
        next = door->next;
        free_door(door);
    }
    return !ending;
}

static void serve_event(struct listener *listener, const struct epoll_event *event)
{
    const enum kind *kind = event->data.ptr;
    uint64_t count;
    if (*kind == WAKE) {
        if (read(listener->wake, &count, sizeof(count)) < 0)
            return;
    } else if (*kind == DOOR) {
        accept_one(listener, event->data.ptr);
    } else {
        struct connection *c = event->data.ptr;
        if (c->phase == READING)
            read_more(c);
        else if (c->phase == WRITING)
            write_more(c);
        else if ((event->events & (EPOLLHUP | EPOLLERR)) != 0) /* reported even when nothing is asked for */
            epoll_ctl(listener->epoll, EPOLL_CTL_DEL, c->fd, NULL);
    }
}

static void run(void *argument)
{
    struct listener *listener = argument;
    struct epoll_event events[EVENTS];
    int64_t swept = clock_monotonic_us();
    do {
        int n = epoll_wait(listener->epoll, events, EVENTS, listener->count > 0 ? SWEEP_MS : -1);
        for (int i = 0; i < n; i++)
            serve_event(listener, &events[i]);
        if (clock_monotonic_us() - swept >= SWEEP_MS * 1000LL) {
            sweep(listener);
            swept = clock_monotonic_us();
        }
    } while (take_handed(listener));
}

/* Doors. */

struct listener *listener_create(listener_handler handler, void *context, unsigned threads)
{
    struct listener *listener = calloc(1, sizeof(*listener));
    if (listener == NULL)
        abort();
    listener->handler = handler;
    listener->context = context;
    listener->pool = work_pool_create("metadata", threads, QUEUE);
    listener->epoll = epoll_create1(EPOLL_CLOEXEC);
    listener->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (listener->epoll < 0 || listener->wake < 0)
        abort();
    pthread_mutex_init(&listener->lock, NULL);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = (void *)&wake_kind };
    epoll_ctl(listener->epoll, EPOLL_CTL_ADD, listener->wake, &event);
    listener->thread = work_thread_start("metadata-loop", run, listener);
    return listener;
}

/* A socket that belongs to the namespace whatever this thread's is, not bound yet. */
static struct fault *open_door(struct arena *arena, const char *netns, struct door *door)
{
    int home, on = 1;
    socklen_t size = sizeof(door->netns);
    TRY(netns_enter(arena, netns, &home));
    door->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int why = errno;
    netns_leave(home);
    if (door->fd >= 0 && setsockopt(door->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        getsockopt(door->fd, SOL_SOCKET, SO_NETNS_COOKIE, &door->netns, &size) == 0)
        return NULL;
    return fault_new(arena, 500, NULL, "No socket in network namespace %s: %s.", netns != NULL ? netns : "(own)",
        strerror(door->fd >= 0 ? errno : why));
}

static bool same_place(const struct door *a, const struct door *b)
{
    return a != NULL && a->netns == b->netns && a->at.sin_addr.s_addr == b->at.sin_addr.s_addr &&
        a->at.sin_port == b->at.sin_port;
}

/* Under the lock. The socket ends now, so that its address is free; the loop may hold an event for the door, so the loop
 * frees that. */
static void retire(struct listener *listener, struct door *door)
{
    if (door == NULL)
        return;
    forget(listener, door->fd);
    door->fd = -1;
    door->closed = true;
    door->next = listener->gone;
    listener->gone = door;
}

/* Takes the door over when it serves a place that is not served yet. */
static struct fault *put_up(struct arena *arena, struct listener *listener, struct door *door, bool *ret_taken)
{
    pthread_mutex_lock(&listener->lock);
    bool there = same_place(map_get(&listener->doors, door->network_id), door);
    pthread_mutex_unlock(&listener->lock);
    if (there)
        return NULL;
    if (bind(door->fd, (struct sockaddr *)&door->at, sizeof(door->at)) != 0 || listen(door->fd, BACKLOG) != 0)
        return fault_new(arena, 500, NULL, "Cannot listen for network %s: %s.", door->network_id, strerror(errno));
    *ret_taken = true;
    pthread_mutex_lock(&listener->lock);
    retire(listener, map_set(&listener->doors, door->network_id, door));
    epoll_ctl(listener->epoll, EPOLL_CTL_ADD, door->fd, &(struct epoll_event){ .events = EPOLLIN, .data.ptr = door });
    pthread_mutex_unlock(&listener->lock);
    wake_loop(listener);
    return NULL;
}

struct fault *listener_add(struct arena *arena, struct listener *listener, const char *network_id, const char *netns,
    const char *address, int port)
{
    bool taken = false;
    struct door *door = calloc(1, sizeof(*door));
    if (door == NULL || (door->network_id = strdup(network_id)) == NULL)
        abort();
    door->kind = DOOR;
    door->fd = -1;
    door->at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct fault *fault = inet_pton(AF_INET, address, &door->at.sin_addr) == 1
        ? open_door(arena, netns, door)
        : fault_new(arena, 500, NULL, "'%s' is not an IPv4 address.", address);
    if (fault == NULL)
        fault = put_up(arena, listener, door, &taken);
    if (!taken)
        free_door(door);
    return fault;
}

void listener_remove(struct listener *listener, const char *network_id)
{
    pthread_mutex_lock(&listener->lock);
    retire(listener, map_remove(&listener->doors, network_id));
    pthread_mutex_unlock(&listener->lock);
    wake_loop(listener);
}

void listener_destroy(struct listener *listener)
{
    struct map_entry *entry;
    if (listener == NULL)
        return;
    pthread_mutex_lock(&listener->lock);
    listener->ending = true;
    pthread_mutex_unlock(&listener->lock);
    wake_loop(listener);
    work_thread_join(listener->thread);
    work_pool_destroy(listener->pool); /* its handlers end; what they hand back is closed below */
    for (size_t at = 0; (entry = map_next(&listener->doors, &at)) != NULL;)
        free_door(entry->value);
    map_release(&listener->doors);
    for (struct door *door = listener->gone, *next; door != NULL; door = next) {
        next = door->next;
        free_door(door);
    }
    while (listener->first != NULL)
        close_connection(listener->first);
    close(listener->epoll);
    close(listener->wake);
    pthread_mutex_destroy(&listener->lock);
    free(listener);
}
