/*
 * kafka_error: names of librdkafka's rd_kafka_resp_err_t (rdkafka.h 2.0.2), without the prefix
 * and the underscore of those that librdkafka itself makes: MSG_TIMED_OUT, NOT_ENOUGH_REPLICAS.
 */
#ifndef JOIN_KAFKA_ERROR_H
#define JOIN_KAFKA_ERROR_H

const char *kafka_error_name(int err);	/* static; NULL: not in the table */

#endif
