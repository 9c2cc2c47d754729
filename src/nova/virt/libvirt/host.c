/* SPDX-License-Identifier: Apache-2.0
 * host: see host.h. */
#include "nova/virt/libvirt/host.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/random.h"
#include "base/work.h"
#include "nova/virt/host_facts.h"
#include "nova/virt/libvirt/daemon.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEEPALIVE_S = 5, KEEPALIVE_COUNT = 3, RETRY_MS = 500, DEFAULT_PCIE_PORTS = 8 };

static void be_quiet(void *argument, virErrorPtr error)
{
    /* libvirt writes to standard error by default; every failure becomes a fault here */
}

static void run_event_loop(void *argument)
{
    while (virEventRunDefaultImpl() == 0) {
    }
    log_error("nova.virt.libvirt", "libvirt's event loop ended: %s", virGetLastErrorMessage());
}

static void keep_timer(int timer, void *argument)
{
    /* the loop wakes up at least this often, so that what another thread registered is seen */
}

static void start_event_loop(void)
{
    virSetErrorFunc(NULL, be_quiet);
    virInitialize();
    virEventRegisterDefaultImpl();
    virEventAddTimeout(1000, keep_timer, NULL, NULL);
    work_thread_start("libvirt-events", run_event_loop, NULL);
}

enum virt_power_state host_power_state(int libvirt_state)
{
    static const enum virt_power_state states[] = {
        [VIR_DOMAIN_NOSTATE]     = VIRT_NOSTATE,
        [VIR_DOMAIN_RUNNING]     = VIRT_RUNNING,
        [VIR_DOMAIN_BLOCKED]     = VIRT_RUNNING,
        [VIR_DOMAIN_PAUSED]      = VIRT_PAUSED,
        [VIR_DOMAIN_SHUTDOWN]    = VIRT_SHUTDOWN,
        [VIR_DOMAIN_SHUTOFF]     = VIRT_SHUTDOWN,
        [VIR_DOMAIN_CRASHED]     = VIRT_CRASHED,
        [VIR_DOMAIN_PMSUSPENDED] = VIRT_SUSPENDED,
    };
    bool known = libvirt_state >= 0 && libvirt_state < (int)(sizeof(states) / sizeof(states[0]));
    return known ? states[libvirt_state] : VIRT_NOSTATE;
}

enum virt_power_state host_state(virDomainPtr domain)
{
    int state = VIR_DOMAIN_NOSTATE;
    virDomainGetState(domain, &state, NULL, 0);
    return host_power_state(state);
}

static void wake(struct virt_host *host)
{
    pthread_mutex_lock(&host->lock);
    host->events++;
    pthread_cond_broadcast(&host->changed);
    pthread_mutex_unlock(&host->lock);
}

static int on_lifecycle(virConnectPtr connection, virDomainPtr domain, int event, int detail, void *argument)
{
    static const struct {
        bool told;
        enum virt_event event;
    } events[] = {
        [VIR_DOMAIN_EVENT_STARTED]     = { true, VIRT_EVENT_STARTED },
        [VIR_DOMAIN_EVENT_SUSPENDED]   = { true, VIRT_EVENT_PAUSED },
        [VIR_DOMAIN_EVENT_RESUMED]     = { true, VIRT_EVENT_RESUMED },
        [VIR_DOMAIN_EVENT_STOPPED]     = { true, VIRT_EVENT_STOPPED },
        [VIR_DOMAIN_EVENT_PMSUSPENDED] = { true, VIRT_EVENT_SUSPENDED },
        [VIR_DOMAIN_EVENT_CRASHED]     = { true, VIRT_EVENT_STOPPED },
    };
    struct virt_host *host = argument;
    char uuid[VIR_UUID_STRING_BUFLEN];
    wake(host);
    bool known = event >= 0 && event < (int)(sizeof(events) / sizeof(events[0])) && events[event].told;
    if (known && host->on_event != NULL && virDomainGetUUIDString(domain, uuid) == 0)
        host->on_event(host->event_argument, events[event].event, uuid);
    return 0;
}

static void on_device_removed(virConnectPtr connection, virDomainPtr domain, const char *alias, void *argument)
{
    wake(argument);
}

static void on_lost(virConnectPtr connection, int reason, void *argument)
{
    struct virt_host *host = argument;
    pthread_mutex_lock(&host->lock);
    host->lost = true;
    pthread_cond_broadcast(&host->changed);
    pthread_mutex_unlock(&host->lock);
}

static void on_unregistered(void *argument)
{
    struct virt_host *host = argument;
    pthread_mutex_lock(&host->lock);
    host->registrations--;
    pthread_cond_broadcast(&host->changed);
    pthread_mutex_unlock(&host->lock);
}

static void count_registration(struct virt_host *host, int delta)
{
    pthread_mutex_lock(&host->lock);
    host->registrations += (unsigned)delta;
    pthread_mutex_unlock(&host->lock);
}

static int register_event(struct virt_host *host, virConnectPtr connection, int id, virConnectDomainEventGenericCallback callback)
{
    count_registration(host, 1);
    int registered = virConnectDomainEventRegisterAny(connection, NULL, id, callback, host, on_unregistered);
    if (registered < 0)
        count_registration(host, -1);
    return registered;
}

/* Opens a connection and makes it the host's. Runs in init and then only in the watcher. */
static struct fault *open_connection(struct virt_host *host, struct arena *arena)
{
    const char *uri = host->uri;
    if (uri == NULL) {
        bool kvm = strcmp(host->settings.virt_type, "kvm") == 0;
        struct libvirt_daemon daemon = { host->settings.state_dir, host->place.netns, kvm };
        TRY(libvirt_daemon_start(arena, &daemon, &uri));
    }
    virConnectPtr connection = virConnectOpen(uri);
    if (connection == NULL)
        return host_fault(arena, NULL);
    virConnectSetKeepAlive(connection, KEEPALIVE_S, KEEPALIVE_COUNT);
    count_registration(host, 1);
    if (virConnectRegisterCloseCallback(connection, on_lost, host, on_unregistered) != 0)
        count_registration(host, -1);
    host->lifecycle_id = register_event(host, connection, VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle));
    host->removed_id = register_event(host, connection, VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
        VIR_DOMAIN_EVENT_CALLBACK(on_device_removed));
    pthread_mutex_lock(&host->lock);
    host->connection = connection;
    host->lost = false;
    pthread_cond_broadcast(&host->changed);
    pthread_mutex_unlock(&host->lock);
    return NULL;
}

static void drop_connection(struct virt_host *host)
{
    pthread_mutex_lock(&host->lock);
    virConnectPtr connection = host->connection;
    host->connection = NULL;
    pthread_mutex_unlock(&host->lock);
    if (connection == NULL)
        return;
    if (host->lifecycle_id >= 0)
        virConnectDomainEventDeregisterAny(connection, host->lifecycle_id);
    if (host->removed_id >= 0)
        virConnectDomainEventDeregisterAny(connection, host->removed_id);
    virConnectUnregisterCloseCallback(connection, on_lost);
    virConnectClose(connection);
}

static bool is_closing(struct virt_host *host, int64_t wait_ms)
{
    int64_t until_us = clock_monotonic_us() + wait_ms * 1000;
    pthread_mutex_lock(&host->lock);
    while (!host->closing && wait_ms > 0 && clock_wait(&host->changed, &host->lock, until_us))
        continue;
    bool closing = host->closing;
    pthread_mutex_unlock(&host->lock);
    return closing;
}

static void reconnect(struct virt_host *host)
{
    log_warning("nova.virt.libvirt", "Connection to libvirt lost");
    drop_connection(host);
    for (bool said = false; !is_closing(host, 0);) {
        ARENA_CLEANUP struct arena *arena = arena_create();
        struct fault *fault = open_connection(host, arena);
        if (fault == NULL) {
            log_info("nova.virt.libvirt", "Connected to libvirt again");
            if (host->on_event != NULL)
                host->on_event(host->event_argument, VIRT_EVENT_RECONNECTED, NULL);
            return;
        }
        if (!said)
            log_error("nova.virt.libvirt", "libvirt is away, tried again every %d ms: %s", RETRY_MS, fault_text(arena, fault));
        said = true;
        is_closing(host, RETRY_MS);
    }
}

static void watch(void *argument)
{
    struct virt_host *host = argument;
    for (;;) {
        pthread_mutex_lock(&host->lock);
        while (!host->lost && !host->closing)
            pthread_cond_wait(&host->changed, &host->lock);
        bool closing = host->closing;
        pthread_mutex_unlock(&host->lock);
        if (closing)
            return;
        reconnect(host);
    }
}

/* QEMU cannot open a disk with cache=none where the file system lacks O_DIRECT (a tmpfs). */
static const char *disk_cache(struct arena *arena, const char *state_dir)
{
    const char *path = file_part_name(arena, arena_printf(arena, "%s/.directio", virt_instances(arena, state_dir)));
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_DIRECT | O_CLOEXEC, 0600);
    unlink(path);
    if (fd >= 0)
        close(fd);
    return fd >= 0 ? "none" : "writeback";
}

static void take_config(struct virt_host *host, const struct virt_config *config)
{
    struct arena *arena = host->arena;
    const char *virt_type = config->virt_type != NULL ? config->virt_type : host_kvm_works() ? "kvm" : "qemu";
    bool kvm = strcmp(virt_type, "kvm") == 0;
    const char *cpu_mode = config->cpu_mode != NULL ? config->cpu_mode : kvm ? "host-model" : "maximum";
    const char *vnc = config->vnc_listen != NULL ? config->vnc_listen : "127.0.0.1";
    host->settings = (struct domain_settings){
        .virt_type = kvm ? "kvm" : "qemu",
        .cpu_mode = arena_strdup(arena, cpu_mode),
        .cpu_model = arena_strdup(arena, config->cpu_model != NULL ? config->cpu_model : "qemu64"),
        .machine_type = arena_strdup(arena, config->machine_type != NULL ? config->machine_type : "pc"),
        .disk_cache = disk_cache(arena, config->state_dir),
        .vnc_listen = config->vnc_disabled ? NULL : arena_strdup(arena, vnc),
        .state_dir = arena_strdup(arena, config->state_dir),
        .vif_offload = config->vif_offload,
        .num_pcie_ports = config->num_pcie_ports != 0 ? config->num_pcie_ports : DEFAULT_PCIE_PORTS,
    };
    host->place = (struct vif_place){ arena_strdup(arena, config->netns), arena_strdup(arena, config->ovs_db) };
    host->hostname = config->hypervisor_hostname != NULL ? arena_strdup(arena, config->hypervisor_hostname) : host_name(arena);
    host->uri = arena_strdup(arena, config->connection_uri);
    host->on_event = config->on_event;
    host->event_argument = config->event_argument;
}

static void free_host(struct virt_host *host)
{
    pthread_cond_destroy(&host->changed);
    pthread_mutex_destroy(&host->lock);
    arena_destroy(host->arena);
    free(host);
}

/* libvirt may be in the middle of calling us; it says through the last on_unregistered when it is not. */
static void wait_for_callbacks(struct virt_host *host)
{
    pthread_mutex_lock(&host->lock);
    while (host->registrations > 0)
        pthread_cond_wait(&host->changed, &host->lock);
    pthread_mutex_unlock(&host->lock);
}

struct fault *host_init(struct arena *arena, const struct virt_config *config, struct virt_host **ret_host)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_event_loop);
    TRY(folder_make(arena, virt_instances(arena, config->state_dir), 0711, 0711));
    struct virt_host *host = calloc(1, sizeof(*host));
    if (host == NULL)
        abort();
    pthread_mutex_init(&host->lock, NULL);
    clock_condition_init(&host->changed);
    host->arena = arena_create();
    take_config(host, config);
    struct fault *fault = open_connection(host, arena);
    if (fault != NULL) {
        free_host(host);
        return fault;
    }
    host->cpu_traits = stats_cpu_traits(host, host->arena, host->connection);
    host->watcher = work_thread_start("libvirt-watch", watch, host);
    *ret_host = host;
    return NULL;
}

void host_close(struct virt_host *host)
{
    if (host == NULL)
        return;
    pthread_mutex_lock(&host->lock);
    host->closing = true;
    pthread_cond_broadcast(&host->changed);
    pthread_mutex_unlock(&host->lock);
    work_thread_join(host->watcher);
    drop_connection(host);
    wait_for_callbacks(host);
    free_host(host);
}

void host_call_release(struct host_call *call)
{
    if (call->domain != NULL)
        virDomainFree(call->domain);
    if (call->connection != NULL)
        virConnectClose(call->connection);
}

struct fault *host_connect(struct virt_host *host, struct arena *arena, struct host_call *call)
{
    int64_t until_us = clock_monotonic_us() + VIRT_CONNECT_WAIT_MS * 1000LL;
    pthread_mutex_lock(&host->lock);
    while ((host->connection == NULL || host->lost) && !host->closing && clock_wait(&host->changed, &host->lock, until_us))
        continue;
    if (host->connection != NULL && !host->lost && virConnectRef(host->connection) == 0)
        call->connection = host->connection;
    pthread_mutex_unlock(&host->lock);
    if (call->connection != NULL)
        return NULL;
    struct fault *fault = fault_new(arena, 503, "HypervisorUnavailable", "Connection to the hypervisor is broken on host");
    fault->retry = true;
    return fault;
}

/* Tells the watcher, who may not have heard yet, and gives the dead connection back. */
static void give_up_connection(struct virt_host *host, struct host_call *call)
{
    pthread_mutex_lock(&host->lock);
    host->lost |= host->connection == call->connection;
    pthread_cond_broadcast(&host->changed);
    pthread_mutex_unlock(&host->lock);
    virConnectClose(call->connection);
    call->connection = NULL;
}

struct fault *host_find(struct virt_host *host, struct arena *arena, const char *uuid, struct host_call *call)
{
    struct fault *fault = NULL;
    if (!uuid_valid(uuid))
        return virt_instance_not_found(arena, uuid);
    for (int tries = 0; tries < 2; tries++) { /* twice: the first may be how we learn that libvirtd went away */
        TRY(host_connect(host, arena, call));
        call->domain = virDomainLookupByUUIDString(call->connection, uuid);
        if (call->domain != NULL)
            return NULL;
        fault = host_fault(arena, uuid);
        if (!fault->retry)
            break;
        give_up_connection(host, call);
    }
    return fault;
}

struct fault *host_fault(struct arena *arena, const char *uuid)
{
    const virError *error = virGetLastError();
    const char *message = error != NULL && error->message != NULL ? error->message : "unknown error";
    int code = error != NULL ? error->code : VIR_ERR_INTERNAL_ERROR;
    if (code == VIR_ERR_NO_DOMAIN)
        return virt_instance_not_found(arena, uuid != NULL ? uuid : "");
    bool wire = error != NULL && (error->domain == VIR_FROM_RPC || error->domain == VIR_FROM_REMOTE);
    if (wire || code == VIR_ERR_NO_CONNECT || code == VIR_ERR_INVALID_CONN) {
        struct fault *fault = fault_new(arena, 503, "HypervisorUnavailable", "Connection to the hypervisor is broken on host");
        fault->retry = true;
        return fault_detail(arena, fault, "%s", message);
    }
    return fault_new(arena, 500, "libvirtError", "%s", message);
}

bool host_wait(struct virt_host *host, int64_t timeout_ms, bool (*done)(void *argument), void *argument)
{
    enum { LOOK_AGAIN_US = 1000000 };
    int64_t end_us = clock_monotonic_us() + timeout_ms * 1000;
    for (;;) {
        pthread_mutex_lock(&host->lock);
        unsigned seen = host->events;
        pthread_mutex_unlock(&host->lock);
        if (done(argument))
            return true;
        int64_t now_us = clock_monotonic_us();
        if (now_us >= end_us)
            return false;
        int64_t until_us = end_us - now_us < LOOK_AGAIN_US ? end_us : now_us + LOOK_AGAIN_US;
        pthread_mutex_lock(&host->lock);
        while (host->events == seen && clock_wait(&host->changed, &host->lock, until_us))
            continue;
        pthread_mutex_unlock(&host->lock);
    }
}
