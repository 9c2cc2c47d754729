/* SPDX-License-Identifier: Apache-2.0
 * cloud: start, wait for a signal, stop. See cloud.h. */
#include "nubo/cloud.h"

#include "base/log.h"
#include "base/process.h"
#include "nubo/bootstrap.h"
#include "nubo/files.h"
#include "nubo/services.h"
#include "oslo/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_SERVICES = 32, SLOW_THREADS = 24, SLOW_QUEUE = 512, MESSAGE_THREADS = 16, MESSAGE_QUEUE = 65536,
    PERIODIC_THREADS = 4, PERIODIC_QUEUE = 1024, OPEN_FILES = 65536, HEAP_KEPT = 8 << 20 };

/* One process a state directory: the lock is held as long as the process lives. */
static struct fault *lock_state(struct arena *arena, const char *state_dir, int *ret_fd)
{
    const char *path = arena_printf(arena, "%s/run/nubo.pid", state_dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return fault_new(arena, 500, NULL, "%s cannot be opened: %s.", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        return fault_new(arena, 500, NULL, "Another nubo runs on %s already.", state_dir);
    }
    char text[32];
    int length = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    if (ftruncate(fd, 0) != 0 || write(fd, text, (size_t)length) != length) {
        close(fd);
        return fault_new(arena, 500, NULL, "%s cannot be written: %s.", path, strerror(errno));
    }
    *ret_fd = fd;
    return NULL;
}

static struct fault *make_namespace(struct arena *arena, struct cloud *cloud, const struct settings *settings)
{
    if (settings->provider_interface != NULL || settings->fake_compute > 0)
        return NULL;
    cloud->netns = data_plane_namespace(arena, settings->state_dir);
    if (file_exists(arena_printf(arena, "/run/netns/%s", cloud->netns)))
        return NULL;
    TRY(process_run(arena, &(struct process){ .argv = ARGV("ip", "netns", "add", cloud->netns) }, NULL));
    return process_run(arena, &(struct process){ .argv = ARGV("ip", "link", "set", "lo", "up"), .netns = cloud->netns }, NULL);
}

static struct fault *create_apps(struct arena *arena, struct cloud *cloud)
{
    cloud->apps = ARENA_ARRAY(arena, struct app *, MAX_SERVICES + 1);
    for (int i = 0; services[i] != NULL && i < MAX_SERVICES; i++)
        TRY(app_create(arena, cloud, services[i], bootstrap_config_files(arena, cloud->state_dir, services[i]->name),
            &cloud->apps[i]));
    return NULL;
}

static struct fault *listen_all(struct arena *arena, struct cloud *cloud)
{
    cloud->http = http_server_create(cloud);
    for (struct app **app = cloud->apps; *app != NULL; app++) {
        const struct service *service = (*app)->service;
        if (service->port != 0)
            TRY(http_server_listen(arena, cloud->http, cloud->bind, service->port + cloud->port_offset, *app, (*app)->router));
        for (const struct listener *l = service->listeners; l != NULL && l->name != NULL; l++) {
            struct router *router = router_create(l->routes);
            TRY(http_server_listen(arena, cloud->http, cloud->bind, l->port + cloud->port_offset, *app, router));
            arena_defer(arena, (void (*)(void *))router_destroy, router);
        }
    }
    return NULL;
}

static struct fault *start(struct arena *arena, struct cloud *cloud, const struct settings *settings)
{
    TRY(trace_open(arena, arena_printf(arena, "%s/trace", cloud->state_dir)));
    TRY(make_namespace(arena, cloud, settings));
    cloud->slow = work_pool_create("slow", SLOW_THREADS, SLOW_QUEUE);
    cloud->messages = work_pool_create("messages", MESSAGE_THREADS, MESSAGE_QUEUE);
    cloud->periodic = work_pool_create("periodic", PERIODIC_THREADS, PERIODIC_QUEUE);
    TRY(create_apps(arena, cloud));
    for (struct app **app = cloud->apps; *app != NULL; app++) {
        if (app == cloud->apps) { /* keystone knows its users before anybody asks it */
            TRY(app_start(arena, *app, NULL));
            TRY(bootstrap_identity(arena, cloud));
        } else {
            TRY(app_start(arena, *app, NULL));
        }
    }
    for (struct app **app = cloud->apps; *app != NULL; app++)
        TRY(app_ready(arena, *app, NULL));
    return listen_all(arena, cloud);
}

static void stop(struct cloud *cloud)
{
    http_server_destroy(cloud->http);
    for (struct app **app = cloud->apps; app != NULL && *app != NULL; app++)
        app_stop(*app);
    work_pool_destroy(cloud->periodic);
    work_pool_destroy(cloud->messages);
    work_pool_destroy(cloud->slow);
    for (struct app **app = cloud->apps; app != NULL && *app != NULL; app++)
        app_destroy(*app);
}

/* Signals are taken by sigwait() in this thread alone; threads made later inherit the block. */
static void block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void reload(struct arena *arena, struct cloud *cloud)
{
    for (struct app **app = cloud->apps; *app != NULL; app++) {
        struct fault *fault = config_reload(arena, (*app)->config);
        if (fault == NULL && (*app)->policy != NULL)
            fault = policy_reload(arena, (*app)->policy);
        if (fault != NULL)
            log_error("nubo", "%s is not reloaded: %s", (*app)->service->name, fault_text(arena, fault));
    }
    if (getenv("NUBO_LOG_FILE") != NULL)
        log_set_file(getenv("NUBO_LOG_FILE")); /* after logrotate */
    log_info("nubo", "configuration and policies were read again");
}

static void wait_for_end(struct arena *arena, struct cloud *cloud, const sigset_t *set)
{
    int signal_number = 0;
    while (signal_number != SIGTERM && signal_number != SIGINT) {
        if (sigwait(set, &signal_number) == 0 && signal_number == SIGHUP)
            reload(arena, cloud);
    }
}

static void allow_many_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < OPEN_FILES) {
        limit.rlim_cur = limit.rlim_max < OPEN_FILES ? limit.rlim_max : OPEN_FILES;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Large responses come and go: keeping a few MiB of heap saves a page fault for each of their pages, every time. */
static void tune_heap(void)
{
    mallopt(M_MMAP_THRESHOLD, HEAP_KEPT);
    mallopt(M_TRIM_THRESHOLD, HEAP_KEPT);
    mallopt(M_ARENA_MAX, 4);
}

static const char *host_name(struct arena *arena)
{
    char name[256] = "localhost";
    gethostname(name, sizeof(name) - 1);
    return arena_strdup(arena, name);
}

int cloud_run(const struct settings *settings)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    sigset_t signals;
    int lock = -1;
    block_signals(&signals);
    allow_many_files();
    tune_heap();
    umask(022); /* the hypervisor runs as a user of its own and walks down to its disks; secrets have modes of their own */
    struct cloud cloud = { .state_dir = settings->state_dir, .bind = settings->bind, .port_offset = settings->port_offset,
        .region = "RegionOne", .host = host_name(arena), .fake_compute = settings->fake_compute,
        .provider_interface = settings->provider_interface,
        .netns_prefix = arena_printf(arena, "%s.", data_plane_namespace(arena, settings->state_dir)) };
    const char *ready = arena_printf(arena, "%s/run/ready", settings->state_dir);
    struct fault *fault = bootstrap_files(arena, settings);
    if (fault == NULL)
        fault = lock_state(arena, settings->state_dir, &lock);
    bool locked = fault == NULL;
    if (locked) {
        unlink(ready);
        fault = start(arena, &cloud, settings);
    }
    if (fault == NULL)
        fault = file_write(arena, ready, 0644, arena_printf(arena, "%d\n", (int)getpid()));
    if (fault != NULL) {
        log_error("nubo", "the cloud did not start: %s", fault_text(arena, fault));
    } else {
        log_info("nubo", "the cloud is up on %s", cloud.bind);
        wait_for_end(arena, &cloud, &signals);
        log_info("nubo", "stopping");
    }
    if (locked)
        unlink(ready);
    stop(&cloud);
    if (lock >= 0)
        close(lock);
    return fault == NULL ? 0 : 1;
}
