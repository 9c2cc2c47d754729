/* SPDX-License-Identifier: Apache-2.0
 * trace: a ring of records in a shared mapping. See trace.h. */
#include "oslo/trace.h"

#include "base/clock.h"
#include "base/random.h"
#include "oslo/app.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RECORDS = 65536, MAGIC = 0x6e756231 };

struct record {
    _Atomic uint64_t id; /* 0: free or being written */
    uint64_t parent;
    unsigned char trace[16]; /* the request id that the whole tree goes under */
    unsigned char local[16]; /* this service's own request id */
    int64_t start_us;
    _Atomic int64_t duration_us; /* -1: has not ended */
    char service[28];
    char host[28];
    char step[68];
    char outcome[64]; /* "": ok */
};
_Static_assert(sizeof(struct record) == 256, "records are 256 bytes");

struct ring {
    uint32_t magic, size;
    _Atomic uint64_t next;
    char pad[240];
    struct record records[RECORDS];
};

static struct ring *ring;
static char this_host[28];

struct span {
    struct record *record; /* NULL: no ring */
    uint64_t id;
    struct span *parent;
};

bool trace_is_open(void)
{
    return ring != NULL;
}

static struct ring *map_ring(int fd, int protection)
{
    void *memory = mmap(NULL, sizeof(struct ring), protection, MAP_SHARED, fd, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

struct fault *trace_open(struct arena *arena, const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0660);
    if (fd < 0 || ftruncate(fd, sizeof(struct ring)) != 0) {
        struct fault *fault = fault_new(arena, 500, NULL, "The trace file %s cannot be made: %s.", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return fault;
    }
    struct ring *mapped = map_ring(fd, PROT_READ | PROT_WRITE);
    close(fd);
    if (mapped == NULL)
        return fault_new(arena, 500, NULL, "The trace file %s cannot be mapped: %s.", path, strerror(errno));
    mapped->magic = MAGIC;
    mapped->size = RECORDS;
    gethostname(this_host, sizeof(this_host) - 1);
    ring = mapped;
    return NULL;
}

/* "req-UUID" to 16 bytes; zeroes when it is none. */
static void pack_id(unsigned char to[16], const char *request_id)
{
    memset(to, 0, 16);
    if (request_id == NULL || strncmp(request_id, "req-", 4) != 0 || !uuid_valid(request_id + 4))
        return;
    const char *at = request_id + 4;
    for (int i = 0; i < 16; i++) {
        at += *at == '-';
        char digits[3] = { at[0], at[1], '\0' };
        to[i] = (unsigned char)strtoul(digits, NULL, 16);
        at += 2;
    }
}

static uint64_t new_span_id(void)
{
    static _Atomic uint64_t base;
    uint64_t b = atomic_load_explicit(&base, memory_order_relaxed);
    if (b == 0) { /* processes must not share ids */
        random_bytes(&b, sizeof(b));
        uint64_t expected = 0;
        atomic_compare_exchange_strong(&base, &expected, b | 1);
    }
    return atomic_fetch_add_explicit(&base, 2, memory_order_relaxed);
}

static void copy_text(char *to, size_t size, const char *from)
{
    size_t n = strnlen(from, size - 1);
    memcpy(to, from, n);
    to[n] = '\0';
}

struct span *trace_begin(struct context *cx, const char *service, const char *host, const char *format, ...)
{
    struct span *span = ARENA_NEW(cx->arena, struct span);
    span->parent = cx->span;
    cx->span = span;
    if (ring == NULL)
        return span;
    uint64_t slot = atomic_fetch_add_explicit(&ring->next, 1, memory_order_relaxed) % RECORDS;
    struct record *r = &ring->records[slot];
    atomic_store_explicit(&r->id, 0, memory_order_release);
    span->record = r;
    span->id = new_span_id();
    r->parent = span->parent != NULL ? span->parent->id : 0;
    pack_id(r->trace, cx->global_id != NULL ? cx->global_id : cx->request_id);
    pack_id(r->local, cx->request_id);
    r->start_us = clock_now_us();
    atomic_store_explicit(&r->duration_us, -1, memory_order_relaxed);
    copy_text(r->service, sizeof(r->service), service);
    copy_text(r->host, sizeof(r->host), host != NULL ? host : this_host);
    va_list args;
    va_start(args, format);
    vsnprintf(r->step, sizeof(r->step), format, args);
    va_end(args);
    r->outcome[0] = '\0';
    atomic_store_explicit(&r->id, span->id, memory_order_release);
    return span;
}

struct fault *trace_end(struct context *cx, struct span *span, struct fault *fault)
{
    cx->span = span->parent;
    struct record *r = span->record;
    if (r != NULL && atomic_load_explicit(&r->id, memory_order_acquire) == span->id) {
        r->outcome[0] = '\0';
        if (fault != NULL)
            snprintf(r->outcome, sizeof(r->outcome), "%d %s", fault->status, fault->message);
        atomic_store_explicit(&r->duration_us, clock_now_us() - r->start_us, memory_order_release);
    }
    return fault;
}

void trace_progress(struct context *cx, const char *format, ...)
{
    struct record *r = cx->span != NULL ? cx->span->record : NULL;
    if (r == NULL || atomic_load_explicit(&r->id, memory_order_acquire) != cx->span->id)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(r->outcome, sizeof(r->outcome), format, args);
    va_end(args);
}

void trace_note(struct context *cx, const char *service, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(cx->arena, format, args);
    va_end(args);
    trace_end(cx, trace_begin(cx, service, NULL, "%s", text), NULL);
}

uint64_t trace_id(const struct context *cx)
{
    return cx->span == NULL ? 0 : cx->span->id;
}

void trace_set_parent(struct context *cx, uint64_t id)
{
    struct span *span = ARENA_NEW(cx->arena, struct span);
    span->id = id;
    cx->span = id == 0 ? NULL : span;
}

/* ---- reading ---- */

static json_t *span_json(const struct record *r)
{
    char id[17], parent[17];
    snprintf(id, sizeof(id), "%016llx", (unsigned long long)atomic_load(&((struct record *)r)->id));
    snprintf(parent, sizeof(parent), "%016llx", (unsigned long long)r->parent);
    json_t *span = json_pack("{s:s, s:s, s:I, s:I}", "id", id, "parent", parent, "start_us", (json_int_t)r->start_us, "duration_us",
        (json_int_t)atomic_load(&((struct record *)r)->duration_us));
    const struct {
        const char *name, *text;
        size_t size;
    } texts[] = {
        { "service", r->service, sizeof(r->service) },
        { "host",    r->host,    sizeof(r->host) },
        { "step",    r->step,    sizeof(r->step) },
        { "outcome", r->outcome, sizeof(r->outcome) },
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) { /* cut texts may end within a character */
        size_t length = strnlen(texts[i].text, texts[i].size);
        json_t *text = NULL;
        while (text == NULL)
            text = json_stringn(texts[i].text, length--);
        json_object_set_new(span, texts[i].name, text);
    }
    return span;
}

static json_t *collect(struct ring *from, const unsigned char id[16])
{
    static const unsigned char none[16];
    unsigned char root[16];
    json_t *spans = json_array();
    memcpy(root, id, 16);
    for (size_t i = 0; i < RECORDS; i++) /* the id of a service further down leads to the whole tree */
        if (atomic_load(&from->records[i].id) != 0 && memcmp(from->records[i].local, id, 16) == 0)
            memcpy(root, from->records[i].trace, 16);
    for (size_t i = 0; i < RECORDS && memcmp(root, none, 16) != 0; i++)
        if (atomic_load(&from->records[i].id) != 0 && memcmp(from->records[i].trace, root, 16) == 0)
            json_array_append_new(spans, span_json(&from->records[i]));
    return spans;
}

json_t *trace_spans(const char *path, const char *request_id)
{
    unsigned char id[16];
    pack_id(id, request_id);
    if (path == NULL)
        return ring != NULL ? collect(ring, id) : json_array();
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    struct ring *from = NULL;
    if (fd >= 0 && fstat(fd, &status) == 0 && (size_t)status.st_size >= sizeof(struct ring))
        from = map_ring(fd, PROT_READ);
    if (fd >= 0)
        close(fd);
    if (from == NULL)
        return json_array();
    json_t *spans = collect(from, id);
    munmap(from, sizeof(*from));
    return spans;
}
