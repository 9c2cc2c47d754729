/* SPDX-License-Identifier: Apache-2.0
 *
 * driver: what the two halves of the AMQP driver know of each other. One connection consumes (consumer.c), one publishes
 * (publisher.c), each with its own thread; neither ever waits for the other.
 */
#ifndef OSLO_MESSAGING_AMQP_DRIVER_H
#define OSLO_MESSAGING_AMQP_DRIVER_H

#include "oslo/messaging/amqp/link.h"

struct consumer;
struct publisher;

struct amqp_wire {
    struct transport *transport;
    struct broker *broker;
    struct consumer *consumer;
    struct publisher *publisher;
    char reply_queue[48];
};

struct consumer *consumer_create(struct amqp_wire *wire);
void consumer_destroy(struct consumer *consumer);
void consumer_serve(struct consumer *consumer, const char *exchange, const char *topic, const char *name, struct server *server);
void consumer_unserve(struct consumer *consumer, const struct server *server);
void consumer_done(struct consumer *consumer, struct delivery delivery, bool handled);

struct publisher *publisher_create(struct amqp_wire *wire);
/* Sends what is queued, for a short while, then ends. */
void publisher_destroy(struct publisher *publisher);
struct fault *publisher_send(struct publisher *publisher, struct arena *arena, const struct wire_send *send);
void publisher_answer(struct publisher *publisher, const struct wire_send *send, struct delivery delivery);

#endif
