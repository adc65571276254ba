/* otlp_proto: see otlp_proto.h. */
#include "send/otlp_proto.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"

#include "send/otlp.h"
#include "send/request.h"

#define PB_RESPONSE Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceResponse

int otlp_proto_encode(char **ret, size_t *ret_len, const struct request *r)
{
	const ProtobufCMessage *msg = &r->msg->base;
	size_t len = protobuf_c_message_get_packed_size(msg);
	char *body = malloc(len + 1);

	if (!body)
		return -ENOMEM;
	protobuf_c_message_pack(msg, (uint8_t *)body);
	*ret = body;
	*ret_len = len;
	return 0;
}

int otlp_proto_decode_answer(struct otlp_answer *ret, const void *body, size_t len)
{
	const ProtobufCMessageDescriptor *kind =
	    &opentelemetry__proto__collector__trace__v1__export_trace_service_response__descriptor;
	PB_RESPONSE *answer = (PB_RESPONSE *)protobuf_c_message_unpack(kind, NULL, len, body);

	if (!answer)
		return -EINVAL;
	*ret = (struct otlp_answer){ 0 };
	if (answer->partial_success) {
		ret->rejected = answer->partial_success->rejected_spans;
		snprintf(ret->message, sizeof(ret->message), "%s",
			 answer->partial_success->error_message);
	}
	protobuf_c_message_free_unpacked(&answer->base, NULL);
	return 0;
}
