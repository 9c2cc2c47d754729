/* SPDX-License-Identifier: Apache-2.0
 * flow/owner: which process a flow belongs to, and what becomes of it when that process is gone. See flow.h. */
#include "oslo/flow/private.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "oslo/app.h"
#include "oslo/periodic.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The look-out of an app for flows that nobody runs; app->flows. */
struct keeper {
    struct db *db;
    const struct flow_type **types; /* NULL-terminated */
    void *owner;
    struct periodic *periodic;
};

int64_t flow_lease_us(void)
{
    const char *other = getenv("NUBO_FLOW_LEASE_MS");
    return (other != NULL && atoll(other) > 0 ? atoll(other) : FLOW_LEASE_MS) * 1000;
}

static _Atomic int64_t last_beat_us;

int64_t flow_last_beat_us(void)
{
    return atomic_load(&last_beat_us);
}

/* When a process was started, in ticks since the machine was: with it a number that is used again is told apart. */
static long long started(long pid)
{
    char path[64], text[1024];
    long long ticks = 0;
    snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    if (file_peek(path, text, sizeof(text)) < 0)
        return 0;
    const char *at = strrchr(text, ')'); /* the name before may hold anything */
    for (int field = 2; at != NULL && field < 22; field++)
        at = strchr(at + 1, ' ');
    if (at != NULL)
        ticks = atoll(at + 1);
    return ticks;
}

/* Numbers of processes mean something only inside one boot and one name space. */
static const char *place(struct arena *arena, const struct app *app)
{
    char space[64] = "", boot[40] = "";
    ssize_t length = readlink("/proc/self/ns/pid", space, sizeof(space) - 1);
    space[length > 0 ? length : 0] = '\0';
    file_peek("/proc/sys/kernel/random/boot_id", boot, sizeof(boot));
    boot[strcspn(boot, "\n")] = '\0';
    return arena_printf(arena, "%s|%s|%s", app->cloud->host != NULL ? app->cloud->host : "", boot, space);
}

const char *flow_process(struct arena *arena, const struct app *app)
{
    static __thread char text[512];
    static __thread pid_t of;
    if (of != getpid()) { /* it takes three files to know, and is asked for with every step */
        snprintf(text, sizeof(text), "%s|%ld|%lld", place(arena, app), (long)getpid(), started(getpid()));
        of = getpid();
    }
    return text;
}

bool flow_owner_is_gone(struct arena *arena, const struct app *app, const char *process, int64_t beat, bool shared)
{
    const char *here = place(arena, app);
    size_t length = strlen(here);
    if (process == NULL || process[0] == '\0')
        return true;
    if (strncmp(process, here, length) == 0 && process[length] == '|') {
        long pid = 0;
        long long ticks = 0;
        sscanf(process + length, "|%ld|%lld", &pid, &ticks);
        return pid <= 0 || (kill((pid_t)pid, 0) != 0 && errno == ESRCH) || started(pid) != ticks;
    }
    return !shared || clock_now_us() - beat > flow_lease_us(); /* not shared: the file has moved here with its records */
}

static struct fault *keep(struct context *cx, void *owner)
{
    struct keeper *keeper = owner;
    int64_t now = clock_monotonic_us();
    size_t count;
    TRY(db_exec(cx->arena, keeper->db, "UPDATE flows SET beat = ? WHERE process = ?",
        BIND(INT(clock_now_us()), TEXT(flow_process(cx->arena, cx->app))), NULL));
    atomic_store(&last_beat_us, now);
    TRY(flow_take(cx, keeper->db, keeper->types, NULL, keeper->owner, &count));
    if (count > 0)
        log_warning("flow", "%zu flows of processes that are gone are taken over", count);
    return NULL;
}

struct fault *flow_resume(struct context *cx, struct db *db, const struct flow_type *const *types, const char *host,
    void *owner, size_t *ret_count)
{
    size_t count, kinds = 0;
    TRY(flow_take(cx, db, types, host, owner, &count));
    if (ret_count != NULL)
        *ret_count = count;
    if (host != NULL || !db_is_shared(db) || cx->app->flows != NULL)
        return NULL;
    while (types[kinds] != NULL)
        kinds++;
    struct keeper *keeper = calloc(1, sizeof(*keeper));
    if (keeper == NULL || (keeper->types = calloc(kinds + 1, sizeof(*types))) == NULL)
        abort();
    memcpy(keeper->types, types, kinds * sizeof(*types));
    keeper->db = db;
    keeper->owner = owner;
    cx->app->flows = keeper;
    keeper->periodic = periodic_start(cx->app, "flows", flow_lease_us() / 3000, flow_lease_us() / 3000, keep, keeper);
    return NULL;
}

void flow_release(struct app *app)
{
    struct keeper *keeper = app->flows;
    if (keeper == NULL)
        return;
    app->flows = NULL;
    periodic_stop(keeper->periodic);
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct fault *fault = db_exec(arena, keeper->db, "UPDATE flows SET beat = 0 WHERE process = ?",
        BIND(TEXT(flow_process(arena, app))), NULL);
    if (fault != NULL)
        log_warning("flow", "flows are handed over late: %s", fault_text(arena, fault));
    free(keeper->types);
    free(keeper);
}
