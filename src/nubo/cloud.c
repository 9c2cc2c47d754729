/* SPDX-License-Identifier: Apache-2.0
 * cloud: start, wait for a signal, stop. See cloud.h. */
#include "nubo/cloud.h"

#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "nubo/bootstrap.h"
#include "nubo/notify.h"
#include "nubo/services.h"
#include "oslo/http_client.h"
#include "oslo/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_SERVICES = 32, SLOW_THREADS = 24, SLOW_QUEUE = 512, MESSAGE_THREADS = 16, MIN_MESSAGE_THREADS = 4, MESSAGE_QUEUE = 65536,
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

struct fault *cloud_namespace(struct arena *arena, struct cloud *cloud, const char *name)
{
    cloud->netns = name;
    if (file_exists(arena_printf(arena, "/run/netns/%s", cloud->netns)))
        return NULL;
    TRY(process_run(arena, &(struct process){ .argv = ARGV("ip", "netns", "add", cloud->netns) }, NULL));
    return process_run(arena, &(struct process){ .argv = ARGV("ip", "link", "set", "lo", "up"), .netns = cloud->netns }, NULL);
}

static struct fault *create_apps(struct arena *arena, struct cloud *cloud)
{
    cloud->apps = ARENA_ARRAY(arena, struct app *, MAX_SERVICES + 1);
    for (int i = 0; services[i] != NULL && i < MAX_SERVICES; i++)
        TRY(app_create(arena, cloud, services[i], &(struct app_form){ .migrate = true, .source_count = 1,
            .sources = bootstrap_config(arena, cloud->state_dir, services[i]->name) }, &cloud->apps[i]));
    return NULL;
}

static struct fault *listen_on(struct arena *arena, struct cloud *cloud, struct app *app, const struct listener *l,
    const struct router *router)
{
    const char *host;
    int port;
    app_listens_on(app, l->host_option, l->port_option, l->port, &host, &port);
    return http_server_listen(arena, cloud->http, host, port, app, l->name, router);
}

static struct fault *listen_all(struct arena *arena, struct cloud *cloud)
{
    cloud->http = http_server_create(cloud);
    for (struct app **app = cloud->apps; *app != NULL; app++) {
        const struct service *service = (*app)->service;
        if ((*app)->serves_api)
            TRY(listen_on(arena, cloud, *app, &(struct listener){ .port = service->port, .host_option = service->host_option,
                .port_option = service->port_option }, (*app)->router));
        for (const struct listener *l = service->listeners; l != NULL && l->name != NULL; l++) {
            if (!app_serves(*app, l->name))
                continue;
            struct router *router = router_create(l->routes);
            arena_defer(arena, (void (*)(void *))router_destroy, router);
            TRY(listen_on(arena, cloud, *app, l, router));
        }
    }
    return NULL;
}

/* The most that a service of the process asks for by executor_thread_pool_size; none: what suits small machines. */
static unsigned message_threads(const struct cloud *cloud)
{
    int64_t most = 0;
    for (struct app **app = cloud->apps; *app != NULL; app++)
        if (config_has((*app)->config, "DEFAULT", "executor_thread_pool_size") &&
            config_is_set((*app)->config, "DEFAULT", "executor_thread_pool_size") &&
            config_int((*app)->config, "DEFAULT", "executor_thread_pool_size") > most)
            most = config_int((*app)->config, "DEFAULT", "executor_thread_pool_size");
    return most > MIN_MESSAGE_THREADS ? (unsigned)most : most > 0 ? MIN_MESSAGE_THREADS : MESSAGE_THREADS;
}

void cloud_pools(struct cloud *cloud)
{
    cloud->slow = work_pool_create("slow", SLOW_THREADS, SLOW_QUEUE);
    cloud->messages = work_pool_create("messages", message_threads(cloud), MESSAGE_QUEUE);
    cloud->periodic = work_pool_create("periodic", PERIODIC_THREADS, PERIODIC_QUEUE);
}

static struct fault *start(struct arena *arena, struct cloud *cloud, const struct settings *settings)
{
    TRY(trace_open(arena, arena_printf(arena, "%s/trace", cloud->state_dir)));
    if (settings->provider_interface == NULL && settings->fake_compute == 0)
        TRY(cloud_namespace(arena, cloud, data_plane_namespace(arena, settings->state_dir)));
    TRY(create_apps(arena, cloud));
    cloud_pools(cloud);
    for (struct app **app = cloud->apps; *app != NULL; app++) {
        TRY(app_start(arena, *app));
        if (app == cloud->apps) /* keystone knows its users before anybody asks it */
            TRY(bootstrap_identity(arena, cloud));
    }
    for (struct app **app = cloud->apps; *app != NULL; app++)
        TRY(app_ready(arena, *app));
    return listen_all(arena, cloud);
}

struct fault *cloud_start(struct arena *arena, struct cloud *cloud)
{
    for (struct app **app = cloud->apps; *app != NULL; app++)
        TRY(app_start(arena, *app));
    TRY(listen_all(arena, cloud)); /* others wait for an API, and it for none of them */
    for (struct app **app = cloud->apps; *app != NULL; app++)
        TRY(app_ready(arena, *app));
    return NULL;
}

void cloud_stop(struct cloud *cloud)
{
    int grace_s = 0;
    for (struct app **app = cloud->apps; app != NULL && *app != NULL; app++) {
        int wanted = (int)config_int((*app)->config, "DEFAULT", "graceful_shutdown_timeout");
        grace_s = wanted > grace_s ? wanted : grace_s;
    }
    http_server_destroy(cloud->http, grace_s);
    for (struct app **app = cloud->apps; app != NULL && *app != NULL; app++)
        app_stop(*app);
    work_pool_destroy(cloud->periodic);
    work_pool_destroy(cloud->messages);
    work_pool_destroy(cloud->slow);
    http_client_stop();
    for (struct app **app = cloud->apps; app != NULL && *app != NULL; app++)
        app_destroy(*app);
}

/* Signals are taken by sigwait() in this thread alone; threads made later inherit the block. */
static void stop_signals(sigset_t *ret)
{
    sigemptyset(ret);
    sigaddset(ret, SIGTERM);
    sigaddset(ret, SIGINT);
    sigaddset(ret, SIGHUP);
}

static void block_signals(void)
{
    sigset_t set;
    stop_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void reload(struct arena *arena, struct cloud *cloud)
{
    notify_manager("RELOADING=1");
    for (struct app **app = cloud->apps; *app != NULL; app++) {
        struct fault *fault = app_reload(arena, *app);
        if (fault != NULL)
            log_error("nubo", "%s is not reloaded: %s", (*app)->service->name, fault_text(arena, fault));
    }
    notify_manager("READY=1");
    log_info("nubo", "configuration and policies were read again");
}

void cloud_wait(struct arena *arena, struct cloud *cloud)
{
    sigset_t set;
    stop_signals(&set);
    int signal_number = 0;
    while (signal_number != SIGTERM && signal_number != SIGINT) {
        if (sigwait(&set, &signal_number) == 0 && signal_number == SIGHUP)
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

void cloud_prepare(struct arena *arena, struct cloud *cloud)
{
    char name[256] = "localhost";
    block_signals();
    allow_many_files();
    tune_heap();
    umask(022); /* the hypervisor runs as a user of its own and walks down to its disks; secrets have modes of their own */
    gethostname(name, sizeof(name) - 1);
    cloud->host = arena_strdup(arena, name);
    cloud->region = "RegionOne";
}

int cloud_run(const struct settings *settings)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    int lock = -1;
    struct cloud cloud = { .state_dir = settings->state_dir, .bind = settings->bind, .port_offset = settings->port_offset,
        .fake_compute = settings->fake_compute, .provider_interface = settings->provider_interface,
        .netns_prefix = arena_printf(arena, "%s.", data_plane_namespace(arena, settings->state_dir)) };
    cloud_prepare(arena, &cloud);
    const char *ready = arena_printf(arena, "%s/run/ready", settings->state_dir);
    struct fault *fault = bootstrap_files(arena, settings);
    if (fault == NULL)
        fault = lock_state(arena, settings->state_dir, &lock);
    bool locked = fault == NULL;
    if (locked) {
        unlink(ready);
        fault = start(arena, &cloud, settings);
    }
    const char *pid = arena_printf(arena, "%d\n", (int)getpid());
    if (fault == NULL)
        fault = file_write(arena, ready, pid, strlen(pid), 0644, FILE_NO_SYNC);
    if (fault != NULL) {
        log_error("nubo", CLOUD_DID_NOT_START "%s", fault_text(arena, fault));
    } else {
        log_info("nubo", "the cloud is up on %s", cloud.bind);
        cloud_wait(arena, &cloud);
        log_info("nubo", "stopping");
    }
    if (locked)
        unlink(ready);
    cloud_stop(&cloud);
    if (lock >= 0)
        close(lock);
    return fault == NULL ? 0 : 1;
}
