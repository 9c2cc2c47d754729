/* SPDX-License-Identifier: Apache-2.0
 *
 * versions: the documents that tell which versions of the API there are, and the list of extensions.
 */
#include "nova/api/api.h"

#include <string.h>

static const struct version {
    const char *id, *path, *status, *version, *min_version, *updated, *media_type;
} versions[] = {
    { "v2.0", "v2",   "SUPPORTED", "",     "",    "2011-01-21T11:33:21Z", "application/vnd.openstack.compute+json;version=2" },
    { "v2.1", "v2.1", "CURRENT",   "2.95", "2.1", "2013-07-23T11:33:21Z", "application/vnd.openstack.compute+json;version=2.1" },
};

static void write_version(struct request *rq, const struct version *v, bool details, const char *name)
{
    struct json_writer *w = &rq->json;

    json_begin(w, name);
    json_text(w, "id", v->id);
    json_text(w, "status", v->status);
    json_text(w, "version", v->version);
    json_text(w, "min_version", v->min_version);
    json_text(w, "updated", v->updated);
    json_begin_array(w, "links");
    json_begin(w, NULL);
    json_text(w, "rel", "self");
    json_textf(w, "href", "%s/%s/", rq->base_url, v->path);
    json_end(w);
    if (details) {
        json_begin(w, NULL);
        json_text(w, "rel", "describedby");
        json_text(w, "type", "text/html");
        json_text(w, "href", "http://docs.openstack.org/");
        json_end(w);
    }
    json_end_array(w);
    if (details) {
        json_begin_array(w, "media-types");
        json_begin(w, NULL);
        json_text(w, "base", "application/json");
        json_text(w, "type", v->media_type);
        json_end(w);
        json_end_array(w);
    }
    json_end(w);
}

static struct fault *list_versions(struct request *rq)
{
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "versions");
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
        write_version(rq, &versions[i], false, NULL);
    json_end_array(&rq->json);
    json_end(&rq->json);
    return NULL;
}

static struct fault *show_version(struct request *rq)
{
    json_begin(&rq->json, NULL);
    write_version(rq, &versions[strcmp(rq->path, "/v2/") == 0 ? 0 : 1], true, "version");
    json_end(&rq->json);
    return NULL;
}

/* The extensions of the last version that had some, those whose feature is here: names that clients still look for. */
static const struct extension {
    const char *alias, *name, *description;
} extensions[] = {
    { "NMN",                         "Multinic",                 "Several networks of a server." },
    { "OS-DCF",                      "DiskConfig",               "How disks are partitioned: AUTO or MANUAL." },
    { "OS-EXT-AZ",                   "ExtendedAvailabilityZone", "Availability zone of servers." },
    { "OS-EXT-IPS",                  "ExtendedIps",              "Type of an address." },
    { "OS-EXT-IPS-MAC",              "ExtendedIpsMac",           "MAC address of an address." },
    { "OS-EXT-SRV-ATTR",             "ExtendedServerAttributes", "Attributes of servers for administrators." },
    { "OS-EXT-STS",                  "ExtendedStatus",           "Task, machine and power state of servers." },
    { "OS-FLV-DISABLED",             "FlavorDisabled",           "Whether a flavor is disabled." },
    { "OS-FLV-EXT-DATA",             "FlavorExtraData",          "Ephemeral disk of flavors." },
    { "OS-SCH-HNT",                  "SchedulerHints",           "Key/value pairs for the scheduler." },
    { "OS-SRV-USG",                  "ServerUsage",              "When servers were launched and terminated." },
    { "os-access-ips",               "AccessIPs",                "Access addresses of servers." },
    { "os-admin-actions",            "AdminActions",             "Reset the state of servers." },
    { "os-aggregates",               "Aggregates",               "Admin-only aggregate administration." },
    { "os-attach-interfaces",        "AttachInterfaces",         "Attach interface support." },
    { "os-availability-zone",        "AvailabilityZone",         "Availability zones of servers and hosts." },
    { "os-config-drive",             "ConfigDrive",              "Config drive of servers." },
    { "os-console-output",           "ConsoleOutput",            "Console log output support." },
    { "os-extended-hypervisors",     "ExtendedHypervisors",      "Host address of hypervisors." },
    { "os-extended-quotas",          "ExtendedQuotas",           "Delete quotas of a project." },
    { "os-extended-services",        "ExtendedServices",         "Why a service is disabled." },
    { "os-extended-services-delete", "ExtendedServicesDelete",   "Delete services." },
    { "os-extended-status",          "ExtendedStatus",           "Extended status support." },
    { "os-flavor-access",            "FlavorAccess",             "Flavor access support." },
    { "os-flavor-extra-specs",       "FlavorExtraSpecs",         "Flavors' extra specs." },
    { "os-flavor-manage",            "FlavorManage",             "Flavor create/delete API support." },
    { "os-flavor-rxtx",              "FlavorRxtx",               "Rate factor of flavors." },
    { "os-flavor-swap",              "FlavorSwap",               "Swap disk of flavors." },
    { "os-hypervisor-status",        "HypervisorStatus",         "Status of hypervisors." },
    { "os-hypervisors",              "Hypervisors",              "Admin-only hypervisor administration." },
    { "os-instance-actions",         "InstanceActions",          "Actions and events of servers." },
    { "os-keypairs",                 "Keypairs",                 "Keypair support." },
    { "os-lock-server",              "LockServer",               "Lock and unlock servers." },
    { "os-multiple-create",          "MultipleCreate",           "Several servers by one request." },
    { "os-pause-server",             "PauseServer",              "Pause and unpause servers." },
    { "os-quota-sets",               "Quotas",                   "Quotas management support." },
    { "os-security-groups",          "SecurityGroups",           "Security groups of servers." },
    { "os-server-diagnostics",       "ServerDiagnostics",        "Diagnostics of servers." },
    { "os-server-external-events",   "ServerExternalEvents",     "Events from other services." },
    { "os-server-group-quotas",      "ServerGroupQuotas",        "Quotas of server groups." },
    { "os-server-groups",            "ServerGroups",             "Server group support." },
    { "os-server-list-multi-status", "ServerListMultiStatus",    "Lists of servers by several states." },
    { "os-server-sort-keys",         "ServerSortKeys",           "Sorted lists of servers." },
    { "os-server-start-stop",        "ServerStartStop",          "Start and stop servers." },
    { "os-services",                 "Services",                 "Services support." },
    { "os-simple-tenant-usage",      "SimpleTenantUsage",        "Simple tenant usage extension." },
    { "os-suspend-server",           "SuspendServer",            "Suspend and resume servers." },
    { "os-used-limits",              "UsedLimits",               "What is used of the limits." },
    { "os-used-limits-for-admin",    "UsedLimitsForAdmin",       "Limits of any project for administrators." },
    { "os-user-data",                "UserData",                 "User data of servers." },
    { "os-user-quotas",              "UserQuotas",               "Quotas of a user in a project." },
};

static void write_extension(struct request *rq, const struct extension *extension, const char *name)
{
    struct json_writer *w = &rq->json;

    json_begin(w, name);
    json_text(w, "name", extension->name);
    json_text(w, "alias", extension->alias);
    json_text(w, "description", extension->description);
    json_text(w, "namespace", "http://docs.openstack.org/compute/ext/fake_xml");
    json_text(w, "updated", "2014-12-03T00:00:00Z");
    json_begin_array(w, "links");
    json_end_array(w);
    json_end(w);
}

static struct fault *list_extensions(struct request *rq)
{
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "extensions");
    for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++)
        write_extension(rq, &extensions[i], NULL);
    json_end_array(&rq->json);
    json_end(&rq->json);
    return NULL;
}

static struct fault *show_extension(struct request *rq)
{
    const char *alias = request_argument(rq, "alias");

    for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++)
        if (strcmp(extensions[i].alias, alias) == 0) {
            json_begin(&rq->json, NULL);
            write_extension(rq, &extensions[i], "extension");
            json_end(&rq->json);
            return NULL;
        }
    return NOT_FOUND(rq, "The resource could not be found.");
}

/* Agents of hypervisors that are no more: gone for good, as nova says it. */
static struct fault *agents_gone(struct request *rq)
{
    return FAULT(RQ(rq), 410, NULL, "This resource is no longer available. No forwarding address is given.");
}

static const struct route rows[] = {
    ROUTE(GET, "/",                       NULL, list_versions, .flags = NO_TOKEN),
    ROUTE(GET, "/v2/",                    NULL, show_version,  NO_TOKEN),
    ROUTE(GET, "/v2.1/",                  NULL, show_version,  NO_TOKEN),
    ROUTE(GET, "/v2.1/extensions",         "os_compute_api:extensions", list_extensions),
    ROUTE(GET, "/v2.1/extensions/{alias}", "os_compute_api:extensions", show_extension),
    ROUTE(GET,    "/v2.1/os-agents",       "os_compute_api:extensions", agents_gone),
    ROUTE(POST,   "/v2.1/os-agents",       "os_compute_api:extensions", agents_gone),
    ROUTE(PUT,    "/v2.1/os-agents/{id}",  "os_compute_api:extensions", agents_gone),
    ROUTE(DELETE, "/v2.1/os-agents/{id}",  "os_compute_api:extensions", agents_gone),
};
const struct route_table nova_version_routes = ROUTES(rows);
