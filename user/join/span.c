/* span: names of what span.h lists. */
#include "join/span.h"

static const char *const evidence_names[EVIDENCE_MAX] = {
	[EVIDENCE_HEADER] = "header",
	[EVIDENCE_TASK_PYTHON] = "task:python",
	[EVIDENCE_THREAD] = "thread",
	[EVIDENCE_KAFKA_OFFSET] = "kafka.offset",
	[EVIDENCE_SOCKET_SEQUENCE] = "socket.sequence",
	[EVIDENCE_EXEC] = "exec",
	[EVIDENCE_CORRELATION] = "correlation",
	[EVIDENCE_NONE] = "none",
};

const char *evidence_name(enum evidence e)
{
	return evidence_names[e];
}
