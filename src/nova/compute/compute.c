/* SPDX-License-Identifier: Apache-2.0
 *
 * compute: the role nova-compute: its hosts, their queues, its periodic tasks, its options.
 */
#include "nova/compute/compute.h"

#include "base/file.h"
#include "base/log.h"
#include "nova/virt/load.h"
#include "oslo/flow.h"
#include "oslo/periodic.h"

#include <string.h>
#include <unistd.h>

enum { POOL_THREADS = 8, POOL_QUEUE = 16384, PARALLEL = 8 };

static const struct migration migrations[] = {
    { 1, "flows under way", flow_migration },
    { 2, "owners of flows", flow_owner_migration },
};

static struct compute *the_compute; /* one per process, as struct cloud */

/* ---- hosts ---- */

/* A program that an operator started uses the host's libvirtd, as nova does; a cloud of nubo's has one of its own. */
static const char *libvirt_uri(const struct app *app)
{
    const char *uri = config_str(app->config, "libvirt", "connection_uri");
    return uri == NULL && app->cloud->state_dir == NULL ? "qemu:///system" : uri;
}

static void fill_config(struct compute *compute, struct compute_host *host, struct virt_config *ret)
{
    const struct config *config = compute->app->config;
    const struct cloud *cloud = compute->app->cloud;
    const char *ovsdb = config_str(config, "os_vif_ovs", "ovsdb_connection");
    *ret = (struct virt_config){ .hypervisor_hostname = host->node, .state_dir = compute->app->state_path,
        .connection_uri = libvirt_uri(compute->app), .virt_type = config_str(config, "libvirt",
        "virt_type"),
        .cpu_mode = config_str(config, "libvirt", "cpu_mode"), .cpu_model = config_str(config, "libvirt", "cpu_models"),
        .netns = cloud->netns, .vnc_disabled = !config_bool(config, "vnc", "enabled"),
        .vnc_listen = config_str(config, "vnc", "server_listen"), .on_event = guest_event, .event_argument = host,
        .ovs_db = ovsdb != NULL ? ovsdb : cloud->state_dir == NULL ? "unix:/run/openvswitch/db.sock"
            : arena_printf(compute->life, "unix:%s/run/ovs/db.sock", cloud->state_dir) };
}

static struct fault *open_host(struct context *cx, struct compute_host *host)
{
    struct virt_config config;
    if (host->virt != NULL)
        return NULL;
    fill_config(host->compute, host, &config);
    return host->compute->driver->init(cx->arena, &config, &host->virt);
}

static void name_hosts(struct compute *compute)
{
    const struct cloud *cloud = compute->app->cloud;
    compute->host_count = cloud->fake_compute > 0 ? (size_t)cloud->fake_compute : 1;
    compute->hosts = ARENA_ARRAY(compute->life, struct compute_host, compute->host_count);
    for (size_t i = 0; i < compute->host_count; i++) {
        struct compute_host *host = &compute->hosts[i];
        host->compute = compute;
        host->name = compute->fake ? arena_printf(compute->life, "fake-%zu", i + 1) : cloud->host;
        host->node = host->name;
        pthread_mutex_init(&host->lock, NULL);
    }
}

static struct fault *open_database(struct context *cx, struct compute *compute)
{
    const char *folder = cx->app->state_path;
    if (cx->app->cloud->state_dir != NULL)
        folder = arena_printf(cx->arena, "%s/db", folder);
    TRY(folder_make(cx->arena, folder, 0711, 0711));
    TRY(db_open(cx->arena, arena_printf(cx->arena, "sqlite:///%s/nova-compute.db", folder), &compute->db));
    return db_sync(cx->arena, compute->db, migrations, sizeof(migrations) / sizeof(migrations[0]), NULL);
}

/* ---- tasks ---- */

static struct fault *report(struct context *cx, void *owner)
{
    const struct compute *compute = owner;
    json_t *hosts = json_array();
    for (size_t i = 0; i < compute->host_count; i++)
        if (compute->hosts[i].virt != NULL)
            json_array_append_new(hosts, json_string(compute->hosts[i].name));
    json_t *arguments = json_keep(cx->arena, json_pack("{s:o, s:s, s:s}", "hosts", hosts, "binary", COMPUTE_SERVICE,
        "topic", TOPIC_COMPUTE));
    return rpc_call(cx, &(struct rpc_target){ TOPIC_CONDUCTOR, NULL, CONDUCTOR_VERSION }, RPC_SERVICE_REPORT,
        arguments, 0, NULL);
}

/* Opens the hypervisors that are not open yet; the first time also brings the hosts into nova and placement, and what
 * was under way goes on. */
static struct fault *begin(struct context *cx, struct compute *compute)
{
    const struct flow_type *const types[] = { &nova_build_and_run_flow, &nova_terminate_flow, NULL };
    for (size_t i = 0; i < compute->host_count; i++) {
        ARENA_CLEANUP struct arena *arena = arena_create();
        struct context child = context_child(cx, arena);
        struct fault *fault = open_host(&child, &compute->hosts[i]);
        if (fault != NULL)
            return fault_copy(cx->arena, fault);
    }
    TRY(report(cx, compute));
    TRY(update_available_resource(cx, compute));
    for (size_t i = 0; i < compute->host_count; i++) {
        ARENA_CLEANUP struct arena *arena = arena_create();
        struct context child = context_child(cx, arena);
        struct fault *fault = flow_resume(&child, compute->db, types, compute->hosts[i].name, &compute->hosts[i], NULL);
        if (fault == NULL)
            fault = host_recover(&child, &compute->hosts[i]);
        if (fault != NULL)
            return fault_copy(cx->arena, fault);
    }
    return NULL;
}

static struct fault *heartbeat(struct context *cx, void *owner)
{
    struct compute *compute = owner;
    if (atomic_load(&compute->begun))
        return report(cx, compute);
    struct fault *fault = begin(cx, compute);
    atomic_store(&compute->begun, fault == NULL);
    return fault;
}

static struct fault *update_resources(struct context *cx, void *owner)
{
    const struct compute *compute = owner;
    return atomic_load(&compute->begun) ? update_available_resource(cx, owner) : NULL;
}

static struct fault *sync_all(struct context *cx, void *owner)
{
    const struct compute *compute = owner;
    return atomic_load(&compute->begun) ? sync_power_states(cx, owner) : NULL;
}

static struct fault *remind_all(struct context *cx, void *owner)
{
    const struct compute *compute = owner;
    return atomic_load(&compute->begun) ? hosts_remind(cx, owner) : NULL;
}

static struct fault *manage_cache(struct context *cx, void *owner)
{
    const struct compute *compute = owner;
    return atomic_load(&compute->begun) ? manage_image_cache(cx, owner) : NULL;
}

/* ---- the role ---- */

struct fault *nova_compute_start(struct context *cx)
{
    struct arena *life = arena_create();
    struct compute *compute = ARENA_NEW(life, struct compute);
    const struct cloud *cloud = cx->app->cloud;
    const char *driver = cloud->fake_compute > 0 ? "fake" : config_str(cx->app->config, "DEFAULT", "compute_driver");
    *compute = (struct compute){ .app = cx->app, .life = life, .fake = strncmp(driver, "fake", 4) == 0 };
    the_compute = compute;
    virt_set_instances(config_is_set(cx->app->config, "DEFAULT", "instances_path")
        ? arena_strdup(life, config_str(cx->app->config, "DEFAULT", "instances_path")) : NULL);
    TRY(virt_driver_load(cx->arena, driver, &compute->driver));
    TRY(open_database(cx, compute));
    compute->pool = work_pool_create("compute", POOL_THREADS, POOL_QUEUE);
    name_hosts(compute);
    return NULL;
}

struct fault *nova_compute_ready(struct context *cx)
{
    struct compute *compute = the_compute;
    const struct config *config = cx->app->config;
    int64_t sync_s = config_int(config, "DEFAULT", "sync_power_state_interval");
    int64_t cache_s = config_int(config, "image_cache", "manager_interval");
    int64_t remind_ms = config_int(config, "DEFAULT", "lost_message_interval") * 1000;
    for (size_t i = 0; i < compute->host_count; i++)
        TRY(rpc_serve(cx, TOPIC_COMPUTE, compute->hosts[i].name, compute_methods, &compute->hosts[i], PARALLEL));
    int64_t report_s = config_int(config, "DEFAULT", "report_interval");
    int64_t update_s = config_int(config, "DEFAULT", "update_resources_interval");
    bool begun = compute->fake && !cx->app->cloud->programs;
    if (begun) { /* quick, and whoever waits for the cloud wants its hosts */
        TRY(begin(cx, compute));
        atomic_store(&compute->begun, true);
    }
    compute->tasks[0] = periodic_start(cx->app, "nova-compute report", begun ? report_s * 1000 : 0, report_s * 1000, heartbeat,
        compute);
    compute->tasks[1] = periodic_start(cx->app, "update_available_resource", update_s * 1000, update_s * 1000, update_resources,
        compute);
    if (sync_s > 0)
        compute->tasks[2] = periodic_start(cx->app, "sync_power_states", sync_s * 1000, sync_s * 1000, sync_all,
            compute);
    if (cache_s == 0)
        cache_s = 60; /* nova's periodic tasks without an interval of their own */
    if (cache_s > 0 && !compute->fake)
        compute->tasks[3] = periodic_start(cx->app, "image cache", cache_s * 1000, cache_s * 1000, manage_cache, compute);
    if (!messaging_is_local(cx->app))
        compute->tasks[4] = periodic_start(cx->app, "tasks without a message", remind_ms, remind_ms, remind_all, compute);
    return NULL;
}

void nova_compute_stop(struct app *app)
{
    struct compute *compute = the_compute;
    if (compute == NULL || compute->app != app)
        return;
    for (size_t i = 0; i < sizeof(compute->tasks) / sizeof(compute->tasks[0]); i++)
        periodic_stop(compute->tasks[i]);
    work_pool_destroy(compute->pool);
    flow_stop(app);
    for (size_t i = 0; i < compute->host_count; i++) {
        if (compute->hosts[i].virt != NULL)
            compute->driver->close(compute->hosts[i].virt);
        map_release(&compute->hosts[i].events);
        map_release(&compute->hosts[i].busy);
        pthread_mutex_destroy(&compute->hosts[i].lock);
    }
    db_close(compute->db);
    the_compute = NULL;
    virt_set_instances(NULL);
    arena_destroy(compute->life);
}

static const char *const virt_types[] = { "kvm", "qemu", NULL };
static const char *const cpu_modes[] = { "host-model", "host-passthrough", "maximum", "custom", "none", NULL };
static const char *const drive_formats[] = { "iso9660", "vfat", NULL };
static const struct option compute_rows[] = {
    { "DEFAULT", "instances_path", OPTION_STR, "$state_path/instances",
      "Specifies where instances are stored on the hypervisor's disk." },
    { "DEFAULT", "compute_driver", OPTION_STR, "libvirt.LibvirtDriver",
      "The hypervisor driver: libvirt.LibvirtDriver or fake.FakeDriver." },
    { "DEFAULT", "report_interval", OPTION_INT, "10",
      "Number of seconds indicating how frequently the state of services on a given hypervisor is reported.", .min = 1,
      .max = 86400 },
    { "DEFAULT", "update_resources_interval", OPTION_INT, "60",
      "Interval, in seconds, for updating compute resources.", .min = 1, .max = 86400 },
    { "DEFAULT", "sync_power_state_interval", OPTION_INT, "600",
      "Interval, in seconds, to sync power states between the database and the hypervisor; 0 or less: never.", .min = -1,
      .max = 86400 },
    { "DEFAULT", "vif_plugging_timeout", OPTION_INT, "300",
      "Timeout, in seconds, for Neutron VIF plugging event message arrival; 0: it is not waited for.", .min = 0,
      .max = 86400 },
    { "DEFAULT", "vif_plugging_is_fatal", OPTION_BOOL, "true",
      "Determine if instance should boot or fail on VIF plugging timeout." },
    { "DEFAULT", "resume_guests_state_on_host_boot", OPTION_BOOL, "false",
      "Start instances that were running before the host rebooted." },
    { "DEFAULT", "force_config_drive", OPTION_BOOL, "false", "Force injection to take place on a config drive." },
    { "DEFAULT", "config_drive_format", OPTION_STR, "iso9660", "Config drive format.", .choices = drive_formats },
    { "DEFAULT", "shutdown_timeout", OPTION_INT, "60",
      "Total time to wait in seconds for an instance to perform a clean shutdown.", .min = 0, .max = 86400 },
    { "DEFAULT", "reserved_host_memory_mb", OPTION_INT, "512",
      "Amount of memory in MB to reserve for the host.", .min = 0, .max = INT64_MAX },
    { "DEFAULT", "reserved_host_cpus", OPTION_INT, "0",
      "Number of host CPUs to reserve for host processes.", .min = 0, .max = INT64_MAX },
    { "DEFAULT", "reserved_host_disk_mb", OPTION_INT, "0",
      "Amount of disk in MB to reserve for the host.", .min = 0, .max = INT64_MAX },
    { "DEFAULT", "cpu_allocation_ratio", OPTION_FLOAT, NULL, "Virtual CPU to physical CPU allocation ratio." },
    { "DEFAULT", "ram_allocation_ratio", OPTION_FLOAT, NULL, "Virtual RAM to physical RAM allocation ratio." },
    { "DEFAULT", "disk_allocation_ratio", OPTION_FLOAT, NULL, "Virtual disk to physical disk allocation ratio." },
    { "DEFAULT", "initial_cpu_allocation_ratio", OPTION_FLOAT, "4.0", "Initial virtual CPU to physical CPU allocation ratio." },
    { "DEFAULT", "initial_ram_allocation_ratio", OPTION_FLOAT, "1.0", "Initial virtual RAM to physical RAM allocation ratio." },
    { "DEFAULT", "initial_disk_allocation_ratio", OPTION_FLOAT, "1.0",
      "Initial virtual disk to physical disk allocation ratio." },
    { "compute", "resource_provider_association_refresh", OPTION_INT, "300",
      "Interval, in seconds, for asking placement whether it still has this host's resource provider, which is made anew"
      " then; 0: never.", .min = 0, .max = 86400 * 365 },
    { "image_cache", "manager_interval", OPTION_INT, "2400",
      "Number of seconds to wait between runs of the image cache manager; 0: 60, -1: never.", .min = -1,
      .max = 86400 * 365, .deprecated = OPTION_WORDS("DEFAULT/image_cache_manager_interval") },
    { "image_cache", "precache_concurrency", OPTION_INT, "1",
      "Maximum number of compute hosts to trigger image precaching in parallel.", .min = 1, .max = 1000 },
    { "image_cache", "remove_unused_base_images", OPTION_BOOL, "true",
      "Should unused base images be removed? One that no instance of this host was made from or stands on is unused.",
      .deprecated = OPTION_WORDS("DEFAULT/remove_unused_base_images") },
    { "image_cache", "remove_unused_original_minimum_age_seconds", OPTION_INT, "86400",
      "Unused base images that were used in so many seconds will not be removed.", .min = 0, .max = INT64_MAX,
      .deprecated = OPTION_WORDS("DEFAULT/remove_unused_original_minimum_age_seconds") },
    { "libvirt", "connection_uri", OPTION_STR, NULL,
      "Overrides the default libvirt URI of the chosen virtualization type; not set: the host's (qemu:///system); in a"
      " state directory of nubo's, a libvirtd of its own." },
    { "libvirt", "virt_type", OPTION_STR, NULL,
      "Describes the virtualization type (or so called domain type) libvirt should use; not set: kvm when it works, else"
      " qemu.", .choices = virt_types },
    { "libvirt", "cpu_mode", OPTION_STR, NULL, "Is used to set the CPU mode an instance should have.", .choices = cpu_modes },
    { "libvirt", "cpu_models", OPTION_STR, NULL, "The named CPU model, for cpu_mode=custom." },
    { "libvirt", "wait_soft_reboot_seconds", OPTION_INT, "120",
      "Number of seconds to wait for instance to shut down after soft reboot request is made.", .min = 0, .max = 86400 },
    { "vnc", "enabled", OPTION_BOOL, "true", "Enable VNC related features." },
    { "vnc", "server_listen", OPTION_STR, "127.0.0.1",
      "The IP address or hostname on which an instance should listen to for incoming VNC connection requests on this node." },
    { "os_vif_ovs", "ovsdb_connection", OPTION_STR, NULL,
      "The connection string for the OVSDB backend; not set: the switch of this cloud." },
};
const struct option_table nova_compute_options = OPTION_TABLE(compute_rows);

const struct flow_type *const nova_flows[] = { &nova_build_instances_flow, &nova_build_and_run_flow,
    &nova_terminate_flow, NULL };
