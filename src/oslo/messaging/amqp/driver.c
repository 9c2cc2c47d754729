/* SPDX-License-Identifier: Apache-2.0
 * driver: the AMQP 0-9-1 transport (RabbitMQ) as a module. Names of exchanges, queues and keys are oslo.messaging's. */
#include "oslo/messaging/amqp/driver.h"

#include "base/random.h"
#include "oslo/app.h"

#include <stdio.h>
#include <stdlib.h>

static struct fault *amqp_open(struct context *cx, struct transport *transport, const struct messaging_url *url, void **ret)
{
    if (transport_option_bool(transport, url, "oslo_messaging_rabbit", "rabbit_quorum_queue") &&
        transport_option_bool(transport, url, "oslo_messaging_rabbit", "rabbit_ha_queues"))
        return FAULT(cx, 500, NULL, "Configuration Error: rabbit_quorum_queue and rabbit_ha_queues both enabled, queue type is "
            "quorum or HA (mirrored) not both");
    struct broker *broker;
    TRY(broker_create(cx, transport, url, &broker));
    struct amqp_wire *wire = calloc(1, sizeof(*wire));
    if (wire == NULL)
        abort();
    wire->transport = transport;
    wire->broker = broker;
    snprintf(wire->reply_queue, sizeof(wire->reply_queue), "reply_%s", uuid_new_hex(cx->arena));
    wire->publisher = publisher_create(wire);
    wire->consumer = consumer_create(wire);
    *ret = wire;
    return NULL;
}

/* The publisher first: what it still sends lets deliveries go, which the consumer tells the broker. */
static void amqp_close(void *argument)
{
    struct amqp_wire *wire = argument;
    publisher_destroy(wire->publisher);
    consumer_destroy(wire->consumer);
    arena_destroy(wire->broker->arena);
    free(wire);
}

static void amqp_serve(void *argument, const char *exchange, const char *topic, const char *name, struct server *server)
{
    consumer_serve(((struct amqp_wire *)argument)->consumer, exchange, topic, name, server);
}

static void amqp_unserve(void *argument, const struct server *server)
{
    consumer_unserve(((struct amqp_wire *)argument)->consumer, server);
}

static const char *amqp_reply_address(void *argument)
{
    return ((struct amqp_wire *)argument)->reply_queue;
}

static struct fault *amqp_send(void *argument, struct arena *arena, const struct wire_send *send)
{
    return publisher_send(((struct amqp_wire *)argument)->publisher, arena, send);
}

static void amqp_answer(void *argument, const struct wire_send *send, struct delivery delivery)
{
    publisher_answer(((struct amqp_wire *)argument)->publisher, send, delivery);
}

static void amqp_done(void *argument, struct delivery delivery, bool handled)
{
    consumer_done(((struct amqp_wire *)argument)->consumer, delivery, handled);
}

__attribute__((visibility("default"))) const struct wire_driver messaging_amqp_driver = {
    .name = "rabbit",
    .notifies = true,
    .open = amqp_open,
    .close = amqp_close,
    .serve = amqp_serve,
    .unserve = amqp_unserve,
    .reply_address = amqp_reply_address,
    .send = amqp_send,
    .answer = amqp_answer,
    .done = amqp_done,
};
