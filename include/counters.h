/*
 * counters: everything that can be counted, lost or fail, one row each: {id, name, sentence}.
 *
 * Both halves use the list: the kernel half counts the KERNEL rows in a per-CPU array, the
 * agent's stages count theirs in a struct counters. Two sums must agree, and tests check them:
 *   kernel.records = kernel.submitted + all kernel.lost.*
 *   spans.made     = spans.sent + spans.held + all spans.dropped.*
 */
#ifndef COUNTERS_H
#define COUNTERS_H

#define COUNTERS_KERNEL(X) \
	X(KERNEL_RECORDS, "kernel.records", "records that the probes had to send") \
	X(KERNEL_SUBMITTED, "kernel.submitted", "records put into the ring") \
	X(LOST_RING_FULL, "kernel.lost.ring_full", \
	  "the ring was full: the agent reads too slowly") \
	X(LOST_READ_FAULT, "kernel.lost.read_fault", "the program's memory could not be read") \
	X(FAIL_READ_FAULT, "kernel.fail.read_fault", \
	  "a part of a record or a label could not be read; the record came without it") \
	X(FAIL_STASH_FULL, "kernel.fail.stash_full", "no room to remember a call in flight") \
	X(FAIL_CONN_FULL, "kernel.fail.conn_full", "no room for a new connection's state") \
	X(FAIL_LABEL_FULL, "kernel.fail.label_full", "no room for a label: its parent is lost") \
	X(FAIL_TASK_TYPE, "kernel.fail.task_type", "a runtime task was not what it should be") \
	X(FAIL_HEADERS_CUT, "kernel.fail.headers_cut", "Kafka headers did not fit the record") \
	X(FAIL_BATCH_CUT, "kernel.fail.batch_cut", \
	  "an acknowledged batch was longer than we walk") \
	X(FAIL_TARGETS_FULL, "kernel.fail.targets_full", "no room to follow a child process") \
	X(FAIL_BATCH_LOST, "kernel.fail.batch_lost", \
	  "messages of acknowledged batches whose record found no room or could not be read") \
	X(FAIL_REFUSED_UNTOLD, "kernel.fail.refused_untold", \
	  "produce calls that found the queue full, beyond 100 of a thread in 0.1 s: no span")

#define COUNTERS_AGENT(X) \
	X(RECORDS_SEEN, "records.seen", "records read from the ring or a recording") \
	X(RECORDS_DECODED, "records.decoded", "records understood") \
	X(RECORDS_REJECTED, "records.rejected", "records with a wrong length or kind") \
	X(RECORDS_LATE, "records.late", "records that came after their place in the order") \
	X(IO_GAPS, "decode.io_gaps", "places where bytes of a connection are missing") \
	X(HTTP_RESYNCS, "decode.http_resyncs", \
	  "times that a connection was read anew from a message's start") \
	X(HTTP_CONFLICTS, "decode.http_conflicts", \
	  "connections given up: their framing contradicts itself") \
	X(HTTP_CONNS_EVICTED, "decode.http_conns_evicted", \
	  "connections forgotten to stay within memory") \
	X(CONTEXT_INVALID, "decode.context_invalid", "trace headers that are not valid") \
	X(CONTEXT_CONFLICTS, "join.context_conflicts", \
	  "messages whose contexts name two traces") \
	X(KAFKA_HEADERS_INVALID, "decode.kafka_headers_invalid", \
	  "Kafka header blocks that end too early or lie") \
	X(SPANS_MADE, "spans.made", "spans made") \
	X(SPANS_SENT, "spans.sent", "spans delivered to every output") \
	X(SPANS_HELD, "spans.held", "spans of traces that are not finished yet") \
	X(SPANS_DROPPED_MEMORY, "spans.dropped.memory", "spans dropped: too many traces open") \
	X(SPANS_DROPPED_SAMPLED, "spans.dropped.sampled", "spans dropped by the sampler") \
	X(SPANS_DROPPED_QUEUE, "spans.dropped.queue_full", \
	  "spans dropped: the export queue was full") \
	X(SPANS_DROPPED_REJECTED, "spans.dropped.rejected", "spans that the back end refused") \
	X(SPANS_DROPPED_UNREACHABLE, "spans.dropped.unreachable", \
	  "spans dropped: the back end did not answer in time") \
	X(SPANS_DROPPED_WRITE, "spans.dropped.write_failed", \
	  "spans that could not be written to the file") \
	X(SPANS_UNFINISHED, "spans.unfinished", \
	  "spans that ended by a timeout, an exit or the end of the run") \
	X(JOIN_OFFSET, "join.kafka_offset", "consumer spans joined to their producer by offset") \
	X(JOIN_SEQUENCE, "join.socket_sequence", \
	  "server spans joined to their client by TCP sequence") \
	X(JOIN_HEADER, "join.header", "spans placed by the context in their message") \
	X(JOIN_TASK, "join.task", "spans placed by their runtime task") \
	X(JOIN_THREAD, "join.thread", "spans placed by their blocking thread") \
	X(JOIN_EXEC, "join.exec", "process spans placed by their pod or environment") \
	X(JOIN_CORRELATION, "join.correlation", "spans placed by a configured attribute") \
	X(JOIN_NONE, "join.none", "spans without a parent: roots") \
	X(JOIN_DISAGREE, "join.disagree", \
	  "spans whose evidence named two parents: the better one won") \
	X(JOIN_STALE, "join.stale_label", "labels of work that had ended: no parent claimed") \
	X(JOIN_KEYS_EVICTED, "join.keys_evicted", "join keys forgotten to stay within memory") \
	X(LINKS_DROPPED, "join.links_dropped", \
	  "links of batches left out: too many messages in one, or in all") \
	X(LATE_SPANS, "join.late_spans", "spans that came after their trace had been sent")

#define COUNTER_ID(id, name, sentence) id,
enum counter {
	COUNTERS_KERNEL(COUNTER_ID)
	COUNTER_KERNEL_MAX,
	COUNTER_AGENT_FIRST = COUNTER_KERNEL_MAX - 1,	/* so that the next row follows on */
	COUNTERS_AGENT(COUNTER_ID)
	COUNTER_MAX,
};
#undef COUNTER_ID

#endif
