/* SPDX-License-Identifier: Apache-2.0
 * flow: see flow.h. One run lives in one heap object; the database row is what survives. */
#include "oslo/flow.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/work.h"
#include "oslo/app.h"
#include "oslo/flow/private.h"
#include "oslo/json.h"
#include "oslo/trace.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char flow_migration[] =
    "CREATE TABLE flows (id VARCHAR(36) NOT NULL PRIMARY KEY, type VARCHAR(64) NOT NULL, object_key VARCHAR(64) NOT NULL,"
    " host VARCHAR(255) NOT NULL, request_id VARCHAR(64) NOT NULL, global_id VARCHAR(64), caller TEXT NOT NULL,"
    " state MEDIUMTEXT NOT NULL, step INTEGER NOT NULL, undoing INTEGER NOT NULL, fault TEXT, created_at VARCHAR(32) NOT NULL,"
    " updated_at VARCHAR(32) NOT NULL, UNIQUE (type, object_key))";

const char flow_owner_migration[] =
    "ALTER TABLE flows ADD COLUMN process VARCHAR(255) NOT NULL DEFAULT '';\n"
    "ALTER TABLE flows ADD COLUMN beat BIGINT NOT NULL DEFAULT 0";

enum { SAVE_RETRY_MS = 1000, RETRY_PAUSE_MS = 200 };

static const char WAITING[] = "flow.waiting";

struct run {
    struct flow flow; /* first */
    struct db *db;
    struct arena *life; /* as long as the run */
    size_t step;
    bool undoing;
    bool taken;           /* by another process */
    int64_t claimed_us;   /* monotonic: when the record was last seen to be ours */
    struct fault *fault;  /* why it is undone; in `life` */
    uint64_t parent_span;
    unsigned tries;
    struct run *next, **link; /* in the table of live runs */
    bool woken; /* somebody reported what its step may wait for */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static struct run *live;
static unsigned in_threads;

static void run_link(struct run *run)
{
    pthread_mutex_lock(&lock);
    run->next = live;
    run->link = &live;
    if (live != NULL)
        live->link = &run->next;
    live = run;
    pthread_mutex_unlock(&lock);
}

static void run_free(void *argument)
{
    struct run *run = argument;
    pthread_mutex_lock(&lock);
    *run->link = run->next;
    if (run->next != NULL)
        run->next->link = run->link;
    pthread_mutex_unlock(&lock);
    json_decref(run->flow.state);
    arena_destroy(run->life);
    free(run);
}

static struct run *run_create(struct context *cx, struct db *db, const struct flow_type *type, void *owner)
{
    struct run *run = calloc(1, sizeof(*run));
    if (run == NULL)
        abort();
    run->life = arena_create();
    run->db = db;
    run->flow.cx = (struct context){ .app = cx->app };
    run->flow.type = type;
    run->flow.owner = owner;
    run->claimed_us = clock_monotonic_us();
    run_link(run);
    return run;
}

/* ---- the record ---- */

static const char *fault_to_text(struct arena *arena, const struct fault *fault)
{
    if (fault == NULL)
        return NULL;
    json_t *json = json_keep(arena, json_pack("{s:i, s:s?, s:s, s:s?}", "status", fault->status, "code", fault->code,
        "message", fault->message, "detail", fault->detail));
    return json == NULL ? "{}" : json_dump(arena, json);
}

static struct fault *fault_from_text(struct arena *arena, const char *text)
{
    json_t *json = json_parse_own(arena, text);
    if (json == NULL)
        return NULL;
    const char *message = json_text_at(json, "message");
    struct fault *fault = fault_new(arena, (int)json_int_at(json, "status", 500),
        arena_strdup(arena, json_text_at(json, "code")), "%s", message != NULL ? message : "The operation failed.");
    fault->detail = arena_strdup(arena, json_text_at(json, "detail"));
    return fault;
}

static struct fault *save(struct arena *arena, struct run *run)
{
    int64_t now = clock_now_us(), changed;
    TRY(db_exec(arena, run->db, "UPDATE flows SET step = ?, undoing = ?, state = ?, fault = ?, updated_at = ?, beat = ?"
        " WHERE id = ? AND process = ?",
        BIND(INT((int64_t)run->step), INT(run->undoing), TEXT(json_dump(arena, run->flow.state)),
            TEXT(fault_to_text(arena, run->fault)), TEXT(clock_text(arena, now, CLOCK_SQL_US)), INT(now), TEXT(run->flow.id),
            TEXT(flow_process(arena, run->flow.cx.app))), &changed));
    run->taken = changed == 0;
    run->claimed_us = clock_monotonic_us();
    return NULL;
}

static struct fault *forget(struct arena *arena, struct run *run)
{
    return db_exec(arena, run->db, "DELETE FROM flows WHERE id = ? AND process = ?",
        BIND(TEXT(run->flow.id), TEXT(flow_process(arena, run->flow.cx.app))), NULL);
}

/* ---- steps ---- */

/* Whether the variable of the environment names this place; `when` may be NULL. */
static bool is_here(const char *variable, const struct flow *flow, const struct flow_step *step, const char *when)
{
    const char *wanted = getenv(variable);
    char here[160];
    if (wanted == NULL)
        return false;
    snprintf(here, sizeof(here), "%s:%s%s%s", flow->type->name, step->name, when != NULL ? ":" : "", when != NULL ? when : "");
    return strcmp(wanted, here) == 0;
}

static void kill_point(const struct flow *flow, const struct flow_step *step, const char *when)
{
    if (is_here("NUBO_FLOW_KILL", flow, step, when))
        kill(getpid(), SIGKILL);
}

static void step_context(struct run *run, struct arena *arena)
{
    struct context *cx = &run->flow.cx;
    cx->arena = arena;
    trace_set_parent(cx, run->parent_span);
}

/* The fault lives in run->life. */
static struct fault *do_step(struct run *run, const struct flow_step *step)
{
    struct flow *flow = &run->flow;
    struct arena *arena = arena_create();
    step_context(run, arena);
    kill_point(flow, step, run->undoing ? "undo-before" : "before");
    struct span *span = trace_begin(&flow->cx, flow->type->service, flow->host[0] != '\0' ? flow->host : NULL, "%s%s",
        run->undoing ? "undo " : "", step->name);
    struct fault *fault = run->undoing ? (step->undo != NULL ? step->undo(flow) : NULL) : step->run(flow);
    if (fault == NULL && !run->undoing && is_here("NUBO_FLOW_FAIL", flow, step, NULL))
        fault = FAULT(&flow->cx, 500, NULL, "The step %s was told to fail.", step->name);
    bool waiting = fault != NULL && fault->code == WAITING;
    trace_end(&flow->cx, span, waiting ? NULL : fault);
    if (run->undoing || fault == NULL)
        kill_point(flow, step, run->undoing ? "undo-after" : "after");
    fault = fault_copy(run->life, fault);
    if (waiting)
        fault->code = WAITING; /* it is told by its address */
    arena_destroy(arena);
    return fault;
}

struct fault *flow_wait(struct flow *flow, int64_t timeout_ms)
{
    struct fault *fault = fault_new(flow->cx.arena, 500, WAITING, "waiting");
    fault->retry_after_s = (int)timeout_ms; /* carried to the engine, seen by nobody else */
    return fault;
}

/* ---- the run ---- */

static void execute(void *argument);

static void again_later(struct run *run, int64_t delay_ms)
{
    work_submit_later(run->flow.cx.app->cloud->messages, delay_ms, execute, run_free, run);
}

/* Whether it still is a run; with the lock held. */
static bool is_live(const struct run *run)
{
    const struct run *at = live;
    while (at != NULL && at != run)
        at = at->next;
    return at != NULL;
}

/* Leaves the thread. From again_later() on the run may be executed, and freed, by another one. */
static void park(struct run *run, int64_t timeout_ms)
{
    struct work_pool *pool = run->flow.cx.app->cloud->messages;
    again_later(run, timeout_ms);
    pthread_mutex_lock(&lock);
    bool woken = is_live(run) && run->woken; /* a wake that came while the step ran */
    pthread_mutex_unlock(&lock);
    if (woken)
        work_hurry(pool, run);
}

void flow_wake(const struct flow_type *type, const char *key)
{
    pthread_mutex_lock(&lock);
    for (struct run *run = live; run != NULL; run = run->next)
        if (run->flow.key != NULL && run->flow.type == type && strcmp(run->flow.key, key) == 0) {
            run->woken = true; /* seen by park() when the run is not in the pool's queue yet */
            work_hurry(run->flow.cx.app->cloud->messages, run);
        }
    pthread_mutex_unlock(&lock);
}

/* After the last undo, or the last step. */
static void conclude(struct run *run)
{
    struct flow *flow = &run->flow;
    if (run->taken) {
        log_warning("flow", "%s %s is another process's now", flow->type->name, flow->key);
        return;
    }
    struct arena *arena = arena_create();
    step_context(run, arena);
    if (run->fault != NULL && flow->type->failed != NULL)
        flow->type->failed(flow, run->fault);
    struct fault *fault = forget(arena, run);
    if (fault != NULL)
        log_error("flow", "the record of %s %s stays: %s", flow->type->name, flow->key, fault_text(arena, fault));
    if (run->fault == NULL && flow->type->done != NULL)
        flow->type->done(flow);
    arena_destroy(arena);
}

static bool save_or_wait(struct run *run, bool may_park)
{
    struct arena *arena = arena_create();
    struct fault *fault = save(arena, run);
    if (fault != NULL)
        log_error("flow", "%s %s cannot be recorded: %s", run->flow.type->name, run->flow.key, fault_text(arena, fault));
    arena_destroy(arena);
    if (fault != NULL && may_park)
        again_later(run, SAVE_RETRY_MS); /* the step runs again: it is safe to run twice */
    return fault == NULL;
}

static void turn_back(struct run *run, struct fault *fault)
{
    run->undoing = true;
    run->fault = fault;
    run->tries = 0;
}

enum progress { PROGRESS_ON, PROGRESS_PARKED, PROGRESS_ENDED };

static enum progress forward(struct run *run)
{
    const struct flow_type *type = run->flow.type;
    const struct flow_step *step = &type->steps[run->step];
    struct fault *fault = do_step(run, step);
    if (fault != NULL && fault->code == WAITING) {
        park(run, fault->retry_after_s);
        return PROGRESS_PARKED;
    }
    if (fault != NULL && fault->retry && run->tries < step->retries) {
        run->tries++;
        clock_sleep_ms(RETRY_PAUSE_MS);
        return PROGRESS_ON;
    }
    run->tries = 0;
    if (fault != NULL)
        turn_back(run, fault);
    else if (++run->step == type->count)
        return PROGRESS_ENDED;
    return save_or_wait(run, true) ? PROGRESS_ON : PROGRESS_PARKED;
}

static enum progress backward(struct run *run)
{
    struct fault *fault = do_step(run, &run->flow.type->steps[run->step]);
    if (fault != NULL)
        log_warning("flow", "%s %s: undo of %s: %s", run->flow.type->name, run->flow.key,
            run->flow.type->steps[run->step].name, fault_text(run->life, fault));
    if (run->step == 0)
        return PROGRESS_ENDED;
    run->step--;
    save_or_wait(run, false);
    return PROGRESS_ON;
}

/* Whether others might take the flow over, or have: the database was away, or this process stood still. */
static bool claim_is_old(const struct run *run)
{
    int64_t beat = flow_last_beat_us(), last = beat > run->claimed_us ? beat : run->claimed_us;
    return db_is_shared(run->db) && clock_monotonic_us() - last > flow_lease_us() / 2;
}

static enum progress go_on(struct run *run)
{
    const char *before = log_set_context(run->flow.cx.request_id);
    enum progress progress = PROGRESS_ON;
    while (progress == PROGRESS_ON) {
        if (claim_is_old(run) && !save_or_wait(run, true))
            progress = PROGRESS_PARKED;
        else if (run->taken)
            progress = PROGRESS_ENDED;
        else
            progress = run->undoing ? backward(run) : forward(run);
    }
    if (progress == PROGRESS_ENDED)
        conclude(run);
    log_set_context(before);
    return progress;
}

static void execute(void *argument)
{
    struct run *run = argument;
    pthread_mutex_lock(&lock);
    run->woken = false;
    in_threads++;
    pthread_mutex_unlock(&lock);
    if (go_on(run) == PROGRESS_ENDED)
        run_free(run);
    pthread_mutex_lock(&lock);
    in_threads--;
    pthread_cond_broadcast(&ended);
    pthread_mutex_unlock(&lock);
}

void flow_stop(struct app *app)
{
    pthread_mutex_lock(&lock);
    while (in_threads > 0)
        pthread_cond_wait(&ended, &lock);
    pthread_mutex_unlock(&lock);
}

/* ---- starting ---- */

static struct fault *insert(struct arena *arena, struct run *run, bool *ret_started)
{
    struct flow *flow = &run->flow;
    json_t *caller = json_keep(arena, caller_to_json(flow->cx.caller));
    const char *now = clock_text(arena, clock_now_us(), CLOCK_SQL_US);
    struct fault *fault = db_exec(arena, run->db,
        "INSERT INTO flows (id, type, object_key, host, request_id, global_id, caller, state, step, undoing, fault, created_at,"
        " updated_at, process, beat) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0, NULL, ?, ?, ?, ?)",
        BIND(TEXT(flow->id), TEXT(flow->type->name), TEXT(flow->key), TEXT(flow->host), TEXT(flow->cx.request_id),
            TEXT(flow->cx.global_id), TEXT(json_dump(arena, caller)), TEXT(json_dump(arena, flow->state)), TEXT(now), TEXT(now),
            TEXT(flow_process(arena, flow->cx.app)), INT(clock_now_us())),
        NULL);
    *ret_started = fault == NULL;
    return fault != NULL && fault->code == SQL_DUPLICATE ? NULL : fault;
}

static struct fault *begin(struct context *cx, struct db *db, const struct flow_type *type, const char *key,
    const char *host, void *owner, const json_t *state, struct run **ret)
{
    struct run *run = run_create(cx, db, type, owner);
    struct flow *flow = &run->flow;
    flow->id = uuid_new(run->life);
    flow->key = arena_strdup(run->life, key);
    flow->host = arena_strdup(run->life, host != NULL ? host : "");
    flow->state = state != NULL ? json_deep_copy(state) : json_object();
    flow->cx.request_id = arena_strdup(run->life, cx->request_id);
    flow->cx.global_id = arena_strdup(run->life, cx->global_id);
    json_t *caller = caller_to_json(cx->caller);
    flow->cx.caller = caller_from_json(run->life, caller);
    json_decref(caller);
    run->parent_span = trace_id(cx);
    bool started = false;
    struct fault *fault = insert(cx->arena, run, &started);
    if (!started) {
        run_free(run);
        run = NULL;
    }
    *ret = run;
    return fault;
}

struct fault *flow_start(struct context *cx, struct db *db, const struct flow_type *type, const char *key,
    const char *host, void *owner, const json_t *state, bool *ret_started)
{
    struct run *run;
    TRY(begin(cx, db, type, key, host, owner, state, &run));
    if (ret_started != NULL)
        *ret_started = run != NULL;
    if (run != NULL)
        again_later(run, 0);
    return NULL;
}

static const struct flow_type *find_type(const struct flow_type *const *types, const char *name)
{
    for (; *types != NULL; types++)
        if (strcmp((*types)->name, name) == 0)
            return *types;
    return NULL;
}

/* A row to a run; NULL when the type is not ours. */
static struct run *revive(struct context *cx, struct db *db, const struct flow_type *const *types, void *owner,
    struct rows *rows)
{
    const struct flow_type *type = find_type(types, rows_text(rows, 1));
    if (type == NULL)
        return NULL;
    struct run *run = run_create(cx, db, type, owner);
    struct flow *flow = &run->flow;
    flow->id = arena_strdup(run->life, rows_text(rows, 0));
    flow->key = arena_strdup(run->life, rows_text(rows, 2));
    flow->host = arena_strdup(run->life, rows_text(rows, 3));
    flow->cx.request_id = arena_strdup(run->life, rows_text(rows, 4));
    flow->cx.global_id = arena_strdup(run->life, rows_text(rows, 5));
    flow->cx.caller = caller_from_json(run->life, json_parse_own(cx->arena, rows_text(rows, 6)));
    flow->state = json_incref(json_parse_own(cx->arena, rows_text(rows, 7)));
    if (flow->state == NULL)
        flow->state = json_object();
    run->step = (size_t)rows_int(rows, 8);
    run->undoing = rows_int(rows, 9) != 0;
    run->fault = fault_from_text(run->life, rows_text(rows, 10));
    if (run->step >= type->count) /* a later version of the program had more steps */
        run->step = type->count - 1;
    return run;
}

/* Makes the record ours, when it is as it was read. */
static struct fault *claim(struct context *cx, struct db *db, const char *id, const char *process, int64_t beat, bool *ret)
{
    int64_t changed;
    TRY(db_exec(cx->arena, db, "UPDATE flows SET process = ?, beat = ? WHERE id = ? AND process = ? AND beat = ?",
        BIND(TEXT(flow_process(cx->arena, cx->app)), INT(clock_now_us()), TEXT(id), TEXT(process), INT(beat)), &changed));
    *ret = changed == 1;
    return NULL;
}

struct orphan {
    struct run *run;
    const char *process;
    int64_t beat;
    struct orphan *next;
};

/* The flows of the types and the host that nobody runs. */
static struct fault *find_orphans(struct context *cx, struct db *db, const struct flow_type *const *types, const char *host,
    void *owner, struct orphan **ret)
{
    struct tx *tx;
    struct rows *rows;
    TRY(db_read(cx->arena, db, &tx));
    TRY(sql_query(tx, &rows, "SELECT id, type, object_key, host, request_id, global_id, caller, state, step, undoing, fault,"
        " process, beat FROM flows WHERE host = ? ORDER BY created_at", BIND(TEXT(host != NULL ? host : ""))));
    while (rows_next(rows)) {
        const char *process = rows_text(rows, 11);
        int64_t beat = rows_int(rows, 12);
        if (!flow_owner_is_gone(cx->arena, cx->app, process, beat, db_is_shared(db)))
            continue;
        struct run *run = revive(cx, db, types, owner, rows);
        if (run == NULL)
            continue;
        *ret = ARENA_NEW(cx->arena, struct orphan);
        **ret = (struct orphan){ run, process, beat, NULL };
        ret = &(*ret)->next;
    }
    struct fault *fault = rows_fault(rows);
    tx_end(tx);
    return fault;
}

struct fault *flow_take(struct context *cx, struct db *db, const struct flow_type *const *types, const char *host,
    void *owner, size_t *ret_count)
{
    struct orphan *orphan = NULL;
    *ret_count = 0;
    struct fault *fault = find_orphans(cx, db, types, host, owner, &orphan);
    for (; orphan != NULL; orphan = orphan->next) {
        bool ours = false;
        if (fault == NULL)
            fault = claim(cx, db, orphan->run->flow.id, orphan->process, orphan->beat, &ours);
        if (!ours) {
            run_free(orphan->run);
            continue;
        }
        ++*ret_count;
        again_later(orphan->run, 0);
    }
    return fault;
}

struct fault *flow_exists(struct context *cx, struct db *db, const char *type, const char *key, bool *ret)
{
    struct tx *tx;
    int64_t count;
    TRY(db_read(cx->arena, db, &tx));
    struct fault *fault = sql_int_of(tx, &count, 0, "SELECT COUNT(*) FROM flows WHERE type = ? AND object_key = ?",
        BIND(TEXT(type), TEXT(key)));
    tx_end(tx);
    *ret = fault == NULL && count > 0;
    return fault;
}
