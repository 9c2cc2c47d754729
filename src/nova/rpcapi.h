/* SPDX-License-Identifier: Apache-2.0
 *
 * rpcapi: the messages between nova's programs: topics, versions, methods, arguments.
 *
 * Instances are named by UUID; what is known about one is in its row. The API, the conductor and the scheduler read the
 * row; a compute host asks the conductor (the CONDUCTOR_* calls). Names are nova's (nova/compute/rpcapi.py,
 * nova/conductor/rpcapi.py, nova/scheduler/rpcapi.py); arguments in the comments, all in one JSON object.
 *
 * Receiving sides: conductor/, scheduler/, compute/. All handlers are safe to run twice.
 */
#ifndef NOVA_RPCAPI_H
#define NOVA_RPCAPI_H

#define TOPIC_CONDUCTOR   "conductor"
#define CONDUCTOR_VERSION "3.0"
#define TOPIC_SCHEDULER   "scheduler"
#define SCHEDULER_VERSION "4.5"
#define TOPIC_COMPUTE     "compute"
#define COMPUTE_VERSION   "6.0"

/* To the conductor, cast by the API after its rows (vm_state building, task_state scheduling, action create) are
 * written: {"instance_uuids": [..], "request_spec": instance.request_spec with "flavor" added, "num_instances": n,
 * "admin_password": text or null}. Image: request_spec.image. Same as nova's schedule_and_build_instances. */
#define RPC_BUILD_INSTANCES "schedule_and_build_instances"

/* To the conductor, cast: {"aggregate": {"id", "uuid", "name", "metadata", "hosts"}, "image_ids": [..]}; and from it
 * to each of the hosts, call: {"image_ids"} -> {image id: "cached", "existing", "unsupported" or "error"} */
#define RPC_CACHE_IMAGES "cache_images"

/* To the scheduler, call: {"request_spec": {..}, "instance_uuids": [..], "project_id", "user_id", "retry": {"hosts":
 * [..]}} -> [{"instance_uuid", "host", "node", "provider", "availability_zone", "allocation_request", "limits"}], or
 * fault NoValidHost whose detail says, per filter, how many hosts it removed. */
#define RPC_SELECT_DESTINATIONS "select_destinations"

/* To a compute host, cast: {"instance_uuid", "admin_password", "retry"}; the request's networks, files and image are
 * in the row. */
#define RPC_BUILD_AND_RUN_INSTANCE "build_and_run_instance"
/* Cast by the API with task_state set: {"instance_uuid"}. An instance without a host is ended by the API itself. */
#define RPC_TERMINATE_INSTANCE "terminate_instance"  /* task_state deleting */
#define RPC_START_INSTANCE     "start_instance"      /* powering-on */
#define RPC_STOP_INSTANCE      "stop_instance"       /* powering-off; also "clean_shutdown": bool */
#define RPC_REBOOT_INSTANCE    "reboot_instance"     /* rebooting or rebooting_hard; also "reboot_type": "SOFT" | "HARD" */
#define RPC_PAUSE_INSTANCE     "pause_instance"      /* pausing */
#define RPC_UNPAUSE_INSTANCE   "unpause_instance"    /* unpausing */
#define RPC_SUSPEND_INSTANCE   "suspend_instance"    /* suspending */
#define RPC_RESUME_INSTANCE    "resume_instance"     /* resuming */
/* Call: {"instance_uuid", "tail_length": n or null} -> text */
#define RPC_GET_CONSOLE_OUTPUT "get_console_output"
/* Call: {"instance_uuid"} -> object: the driver's flat names; resp. the fields of nova's Diagnostics object (2.48) */
#define RPC_GET_DIAGNOSTICS          "get_diagnostics"
#define RPC_GET_INSTANCE_DIAGNOSTICS "get_instance_diagnostics"
/* Cast: {"events": [{"name": "network-vif-plugged", "tag": port id, "status": "completed", "instance_uuid"}]} */
#define RPC_EXTERNAL_INSTANCE_EVENT  "external_instance_event"
/* Call: {"instance_uuid", "network_id", "port_id", "requested_ip", "tag"} -> the VIF, as in network_info */
#define RPC_ATTACH_INTERFACE "attach_interface"
/* Cast: {"instance_uuid", "port_id"} */
#define RPC_DETACH_INTERFACE "detach_interface"
/* Call: {} -> text like uptime(1) prints */
#define RPC_GET_HOST_UPTIME  "get_host_uptime"

/* To the conductor, calls by compute hosts. instance objects are instance_to_json()'s. */
#define RPC_INSTANCE_GET       "instance_get"         /* {"instance_uuid", "deleted": also then} -> instance */
#define RPC_INSTANCE_LIST_HOST "instance_get_by_host" /* {"host"} -> [instance] */
/* {"instance_uuid", "changes": {column: value}, "expected_task_states": ["", ..] or null, "expected_vm_states"} ->
 * null. Optional, in the same transaction: "event_start": {"event", "host"}, "event_progress": {"event", "details"},
 * "event_finish": {"event", "result", "details", "traceback"} */
#define RPC_INSTANCE_UPDATE    "instance_update"
/* {"instance_uuid"}: instance_destroy(), server groups too; optional "event_finish" as above */
#define RPC_INSTANCE_DESTROY   "instance_destroy"
/* {"instance_uuid", "code", "message", "details", "host"}: becomes the row's fault */
#define RPC_INSTANCE_FAULT     "instance_fault_create"
#define RPC_ACTION_EVENT_START "action_event_start"   /* {"instance_uuid", "event", "host"} */
/* {"instance_uuid", "event", "result": "Success" | "Error", "details", "traceback"} */
#define RPC_ACTION_EVENT_FINISH "action_event_finish"
#define RPC_SERVICE_REPORT     "service_report"       /* {"hosts": [..], "binary", "topic"} -> null: all hosts of a process */
#define RPC_COMPUTE_NODE_UPDATE "compute_node_update" /* {"nodes": [compute nodes' objects]} -> [uuid, ..] */
/* {"instance_uuid", "host", "reason", "retry": {"num_attempts", "hosts": [..]}}: the build failed on this host;
 * schedule again elsewhere. A call: when it returns the conductor has taken the instance over, or has ended it as
 * ERROR. */
#define RPC_RESCHEDULE         "reschedule_instance"

#endif
