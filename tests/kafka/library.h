/*
 * library: the functions of a librdkafka that was named at run time. Those that its release does
 * not have yet are NULL. Compiled against the system's header, whose types all releases share.
 */
#ifndef KAFKA_LIBRARY_H
#define KAFKA_LIBRARY_H

#include <librdkafka/rdkafka.h>

#define LIBRARY_FUNCTIONS(X) \
	X(rd_kafka_version) X(rd_kafka_version_str) X(rd_kafka_err2name) X(rd_kafka_last_error) \
	X(rd_kafka_conf_new) X(rd_kafka_conf_set) X(rd_kafka_conf_destroy) \
	X(rd_kafka_conf_set_dr_msg_cb) X(rd_kafka_conf_set_events) \
	X(rd_kafka_conf_set_consume_cb) X(rd_kafka_conf_set_opaque) \
	X(rd_kafka_new) X(rd_kafka_destroy) X(rd_kafka_topic_new) X(rd_kafka_topic_destroy) \
	X(rd_kafka_produce) X(rd_kafka_producev) X(rd_kafka_produceva) X(rd_kafka_produce_batch) \
	X(rd_kafka_headers_new) X(rd_kafka_header_add) X(rd_kafka_headers_destroy) \
	X(rd_kafka_poll) X(rd_kafka_flush) X(rd_kafka_purge) X(rd_kafka_outq_len) \
	X(rd_kafka_queue_new) X(rd_kafka_queue_destroy) X(rd_kafka_queue_get_main) \
	X(rd_kafka_queue_get_consumer) X(rd_kafka_queue_poll) X(rd_kafka_queue_poll_callback) \
	X(rd_kafka_event_type) X(rd_kafka_event_message_next) X(rd_kafka_event_message_array) \
	X(rd_kafka_event_destroy) X(rd_kafka_message_destroy) \
	X(rd_kafka_consumer_poll) X(rd_kafka_poll_set_consumer) X(rd_kafka_consumer_close) \
	X(rd_kafka_assign) X(rd_kafka_subscribe) X(rd_kafka_commit) X(rd_kafka_commit_message) \
	X(rd_kafka_topic_partition_list_new) X(rd_kafka_topic_partition_list_add) \
	X(rd_kafka_topic_partition_list_destroy) \
	X(rd_kafka_consume_start) X(rd_kafka_consume_start_queue) X(rd_kafka_consume_stop) \
	X(rd_kafka_consume) X(rd_kafka_consume_batch) X(rd_kafka_consume_callback) \
	X(rd_kafka_consume_queue) X(rd_kafka_consume_batch_queue) \
	X(rd_kafka_consume_callback_queue) \
	X(rd_kafka_error_code) X(rd_kafka_error_destroy) X(rd_kafka_init_transactions) \
	X(rd_kafka_begin_transaction) X(rd_kafka_commit_transaction) \
	X(rd_kafka_abort_transaction)

struct library {
#define X(f) __typeof__(f) *f;
	LIBRARY_FUNCTIONS(X)
#undef X
};

/* The one that library_open() opened. */
extern struct library k;

/* 0, or -ENOENT when @path cannot be loaded: the reason is on stderr. */
int library_open(const char *path);

#endif
