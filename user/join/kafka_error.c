/* kafka_error: see kafka_error.h. */
#include "join/kafka_error.h"

#include <stddef.h>

static const struct {
	int err;
	const char *name;
} names[] = {
	{ -199, "_BAD_MSG" },
	{ -197, "_DESTROY" },
	{ -196, "_FAIL" },
	{ -195, "_TRANSPORT" },
	{ -193, "_RESOLVE" },
	{ -192, "_MSG_TIMED_OUT" },
	{ -190, "_UNKNOWN_PARTITION" },
	{ -188, "_UNKNOWN_TOPIC" },
	{ -187, "_ALL_BROKERS_DOWN" },
	{ -185, "_TIMED_OUT" },
	{ -184, "_QUEUE_FULL" },
	{ -181, "_SSL" },
	{ -169, "_AUTHENTICATION" },
	{ -152, "_PURGE_QUEUE" },
	{ -151, "_PURGE_INFLIGHT" },
	{ -150, "_FATAL" },
	{ -1, "UNKNOWN" },
	{ 1, "OFFSET_OUT_OF_RANGE" },
	{ 2, "INVALID_MSG" },
	{ 3, "UNKNOWN_TOPIC_OR_PART" },
	{ 5, "LEADER_NOT_AVAILABLE" },
	{ 6, "NOT_LEADER_FOR_PARTITION" },
	{ 7, "REQUEST_TIMED_OUT" },
	{ 10, "MSG_SIZE_TOO_LARGE" },
	{ 17, "TOPIC_EXCEPTION" },
	{ 18, "RECORD_LIST_TOO_LARGE" },
	{ 19, "NOT_ENOUGH_REPLICAS" },
	{ 20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND" },
	{ 29, "TOPIC_AUTHORIZATION_FAILED" },
	{ 45, "OUT_OF_ORDER_SEQUENCE_NUMBER" },
	{ 46, "DUPLICATE_SEQUENCE_NUMBER" },
	{ 47, "INVALID_PRODUCER_EPOCH" },
	{ 56, "KAFKA_STORAGE_ERROR" },
};

const char *kafka_error_name(int err)
{
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].err == err)
			return names[i].name;
	return NULL;
}
