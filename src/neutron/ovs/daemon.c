/* SPDX-License-Identifier: Apache-2.0
 * daemon: see daemon.h. */
#include "neutron/ovs/daemon.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/process.h"
#include "neutron/ovs/ovsdb.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { START_TIMEOUT_MS = 20000, POLL_MS = 5, STOP_GRACE_MS = 5000 };

static const char *file(struct arena *arena, const struct ovs_daemon *daemon, const char *name)
{
    return arena_printf(arena, "%s/%s", daemon->dir, name);
}

const char *ovs_daemon_socket(struct arena *arena, const struct ovs_daemon *daemon)
{
    return file(arena, daemon, "db.sock");
}

/* The pid of "ovsdb-server" or "ovs-vswitchd" of this folder, or 0. */
static pid_t running(struct arena *arena, const struct ovs_daemon *daemon, const char *program)
{
    const char *pid_file = file(arena, daemon, arena_printf(arena, "%s.pid", program));
    pid_t pid = process_read_pid(pid_file);
    if (process_alive(pid, pid_file)) /* the pid file's path is one of its arguments */
        return pid;
    if (pid > 0)
        waitpid(pid, NULL, WNOHANG); /* our child that ended must not stay a zombie */
    return 0;
}

static struct fault *spawn(struct arena *arena, const struct ovs_daemon *daemon, const char *const *argv)
{
    const char *const env[] = {
        arena_printf(arena, "OVS_RUNDIR=%s", daemon->dir), arena_printf(arena, "OVS_DBDIR=%s", daemon->dir),
        arena_printf(arena, "OVS_LOGDIR=%s", daemon->dir), arena_printf(arena, "OVS_SYSCONFDIR=%s", daemon->dir), NULL
    };
    pid_t pid;
    const char *log = file(arena, daemon, arena_printf(arena, "%s.out", argv[0]));
    return process_spawn(arena, &(struct process){ .argv = argv, .env = env, .netns = daemon->netns }, log, &pid);
}

static struct fault *prepare_database(struct arena *arena, const struct ovs_daemon *daemon)
{
    const char *schema = daemon->schema != NULL ? daemon->schema : "/usr/share/openvswitch/vswitch.ovsschema";
    const char *database = file(arena, daemon, "conf.db");
    if (strlen(ovs_daemon_socket(arena, daemon)) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return fault_new(arena, 500, NULL, "The folder %s has too long a path for the switch's sockets.", daemon->dir);
    if (mkdir(daemon->dir, 0750) != 0 && errno != EEXIST)
        return fault_new(arena, 500, NULL, "Cannot make the folder %s: %s.", daemon->dir, strerror(errno));
    if (access(database, F_OK) != 0)
        return process_run(arena, &(struct process){ .argv = ARGV("ovsdb-tool", "create", database, schema) }, NULL);
    struct process_result answer;
    TRY(process_run(arena, &(struct process){ .argv = ARGV("ovsdb-tool", "needs-conversion", database, schema) },
        &answer));
    if (strncmp(answer.output, "yes", 3) != 0)
        return NULL;
    return process_run(arena, &(struct process){ .argv = ARGV("ovsdb-tool", "convert", database, schema) }, NULL);
}

/* The one row of the table Open_vSwitch, which every other row hangs on. */
static struct fault *ensure_root(struct arena *arena, const struct ovs_daemon *daemon, struct ovsdb *db)
{
    json_t *results;
    json_t *row = json_pack("{s:o}", "external_ids",
        ovsdb_map(ARGV("hostname", daemon->host, "system-id", daemon->host)));
    json_t *columns = json_pack("[s]", "external_ids");
    json_t *ask = json_pack("[o]", ovsdb_select("Open_vSwitch", NULL, NULL, columns));
    struct fault *fault = ovsdb_transact(arena, db, ask, START_TIMEOUT_MS, &results);
    if (fault == NULL && json_array_size(ovsdb_rows(results, 0)) == 0)
        return ovsdb_transact(arena, db, json_pack("[o]", ovsdb_insert("Open_vSwitch", row, NULL)), START_TIMEOUT_MS, NULL);
    json_decref(row);
    return fault;
}

static struct fault *start_ovsdb(struct arena *arena, const struct ovs_daemon *daemon)
{
    TRY(prepare_database(arena, daemon));
    unlink(ovs_daemon_socket(arena, daemon)); /* else a stale one would be taken for the new server's */
    TRY(spawn(arena, daemon, ARGV("ovsdb-server", file(arena, daemon, "conf.db"),
        arena_printf(arena, "--remote=punix:%s", ovs_daemon_socket(arena, daemon)),
        arena_printf(arena, "--pidfile=%s", file(arena, daemon, "ovsdb-server.pid")),
        arena_printf(arena, "--unixctl=%s", file(arena, daemon, "ovsdb-server.ctl")),
        arena_printf(arena, "--log-file=%s", file(arena, daemon, "ovsdb-server.log")), "--verbose=console:off")));
    struct ovsdb *db = ovsdb_create(ovs_daemon_socket(arena, daemon));
    struct fault *fault;
    for (int waited = 0;; waited += POLL_MS) {
        fault = ensure_root(arena, daemon, db);
        if (fault == NULL || !fault->retry || waited >= START_TIMEOUT_MS)
            break;
        clock_sleep_ms(POLL_MS);
    }
    ovsdb_destroy(db);
    return fault;
}

static struct fault *start_vswitchd(struct arena *arena, const struct ovs_daemon *daemon)
{
    TRY(spawn(arena, daemon, ARGV("ovs-vswitchd", arena_printf(arena, "unix:%s", ovs_daemon_socket(arena, daemon)),
        arena_printf(arena, "--pidfile=%s", file(arena, daemon, "ovs-vswitchd.pid")),
        arena_printf(arena, "--log-file=%s", file(arena, daemon, "ovs-vswitchd.log")), "--verbose=console:off")));
    struct ovsdb *db = ovsdb_create(ovs_daemon_socket(arena, daemon));
    struct fault *fault = ovsdb_commit(arena, db, json_array(), START_TIMEOUT_MS); /* it has read its configuration */
    ovsdb_destroy(db);
    return fault;
}

struct fault *ovs_daemon_ensure(struct arena *arena, const struct ovs_daemon *daemon, struct ovs_daemon_state *ret)
{
    if (daemon->external) {
        *ret = (struct ovs_daemon_state){ 0 };
        return NULL; /* who talks to it next finds out whether it is there */
    }
    *ret = (struct ovs_daemon_state){ .ovsdb_pid = running(arena, daemon, "ovsdb-server") };
    if (ret->ovsdb_pid == 0) {
        log_info("neutron.ovs", "Starting ovsdb-server in %s", daemon->dir);
        TRY(start_ovsdb(arena, daemon));
        ret->ovsdb_pid = running(arena, daemon, "ovsdb-server");
    }
    ret->vswitchd_pid = running(arena, daemon, "ovs-vswitchd");
    if (ret->vswitchd_pid == 0) {
        log_info("neutron.ovs", "Starting ovs-vswitchd in %s", daemon->dir);
        TRY(start_vswitchd(arena, daemon));
        ret->vswitchd_pid = running(arena, daemon, "ovs-vswitchd");
        ret->restarted = true;
    }
    if (ret->ovsdb_pid == 0 || ret->vswitchd_pid == 0)
        return fault_new(arena, 500, NULL, "Open vSwitch ended right after its start; see the logs in %s.", daemon->dir);
    return NULL;
}

int ovs_daemon_watch(const struct ovs_daemon *daemon)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    pid_t pid = running(arena, daemon, "ovs-vswitchd");
    return pid == 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
}

struct fault *ovs_daemon_stop(struct arena *arena, const struct ovs_daemon *daemon)
{
    static const char *const programs[] = { "ovs-vswitchd", "ovsdb-server" };
    for (size_t i = 0; i < 2; i++) {
        pid_t pid = running(arena, daemon, programs[i]);
        if (pid != 0 && !process_end(pid, STOP_GRACE_MS))
            return fault_new(arena, 500, NULL, "%s (pid %d) does not end.", programs[i], (int)pid);
    }
    return NULL;
}
