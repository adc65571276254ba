/* join of traces by what messages carry: contexts, span ids of the wire, contradictions. */
#include "scene.h"

#define T1 1
#define T2 2

static const struct who server = { 100, 100, 1 }, backend = { 200, 200, 2 };
static const struct who consumer = { 300, 300, 3 };

static struct msg serving(const char *tag)
{
	return tagged(request(&server, HTTP_SERVER, 1, 1, "GET /in"), tag);
}

static struct msg calling(uint32_t line, const char *tag)
{
	return by_thread(tagged(request(&server, HTTP_CLIENT, line, 1, "GET /out"), tag),
			 http_label(1, 1));
}

static struct msg sending(uint64_t object, const char *tag)
{
	return by_thread(tagged(sent(&server, object, "t", "k"), tag), http_label(1, 1));
}

static bool has_wire_id(const struct seen *sn, struct context c)
{
	return !memcmp(sn->span.span_id, c.span_id, 8) &&
	       !memcmp(sn->span.trace_id, c.trace_id, 16);
}

static bool links_to(const struct seen *sn, const uint8_t trace_id[16], const uint8_t span_id[8])
{
	struct seen to = { 0 };

	memcpy(to.span.trace_id, trace_id, 16);
	memcpy(to.span.span_id, span_id, 8);
	return has_link(sn, &to);
}

TEST(identity_context_of_an_untraced_sender)
{
	struct context c = context_of(T1, 11);
	struct scene s;
	const struct seen *sn;

	scene_init(&s);
	c.tracestate = "vendor=1";
	feed(&s, carrying(serving("in"), c));
	feed(&s, carrying(calling(2, "passed on"), c));
	feed(&s, carrying(tagged(sent(&server, 1, "t", "k"), "no label"), c));
	scene_flush(&s);
	sn = span_of(&s, "in");
	check(is_trace(sn, T1), "its trace");
	check(sn->span.has_parent && !memcmp(sn->span.parent_id, c.span_id, 8), "its sender");
	check(sn->span.parent_is_remote, "not seen here");
	check_eq(sn->span.evidence, EVIDENCE_HEADER, "evidence");
	check_eq(sn->span.flags, 1, "flags");
	check_str(sn->span.tracestate, "vendor=1", "tracestate");
	check_parent(&s, "passed on", "in", EVIDENCE_THREAD);
	check(!has_wire_id(span_of(&s, "passed on"), c), "the id is the sender's");
	check(!memcmp(span_of(&s, "no label")->span.parent_id, c.span_id, 8), "the ancestor");
	check_eq(scene_traces(&s), 1, "one trace");
	check_eq(s.counters.value[CONTEXT_CONFLICTS], 0, "nothing contradicts");
	scene_done(&s);
}

TEST(identity_span_id_is_taken_from_the_wire_once)
{
	struct context c = context_of(T1, 11), d = context_of(T1, 12);
	struct scene s;

	scene_init(&s);
	feed(&s, serving("in"));
	feed(&s, carrying(sending(1, "first"), c));
	feed(&s, carrying(sending(2, "again"), c));
	feed(&s, carrying(tagged(sent(&server, 3, "t", "k"), "no label"), c));
	feed(&s, carrying(calling(2, "another"), d));
	feed(&s, carrying(tagged(request(&backend, HTTP_SERVER, 2, 1, "GET /out"), "server"), d));
	scene_flush(&s);
	check(is_trace(span_of(&s, "in"), T1), "late adoption");
	check(has_wire_id(span_of(&s, "first"), c), "taken");
	check(!has_wire_id(span_of(&s, "again"), c), "once only");
	check(has_wire_id(span_of(&s, "another"), d), "a fresh one is taken too");
	check_parent(&s, "first", "in", EVIDENCE_THREAD);
	check_parent(&s, "again", "in", EVIDENCE_THREAD);
	check_parent(&s, "no label", "first", EVIDENCE_HEADER);
	check_parent(&s, "server", "another", EVIDENCE_HEADER);
	scene_done(&s);
}

TEST(identity_activity_that_sends_another_trace)
{
	struct context c = context_of(T2, 12);
	struct scene s;
	const struct seen *sn;

	scene_init(&s);
	feed(&s, carrying(serving("in"), context_of(T1, 11)));
	feed(&s, carrying(sending(1, "out"), c));
	feed(&s, calling(2, "plain"));
	scene_flush(&s);
	sn = span_of(&s, "out");
	check(has_wire_id(sn, c), "as its message says");
	check(has_link(sn, span_of(&s, "in")), "a link to whose work it was");
	check_root(&s, "out");
	check_str(attrs_get_str(&sn->span.attrs, "spanstitch.parent.reason"),
		  "its message names another trace", "reason");
	check(is_trace(span_of(&s, "in"), T1), "the activity stays");
	check_parent(&s, "plain", "in", EVIDENCE_THREAD);
	check_eq(s.counters.value[CONTEXT_CONFLICTS], 1, "counted");
	scene_done(&s);
}

/* The first id that an activity publishes is its own; it cannot have two. */
TEST(identity_activity_adopts_one_id)
{
	struct scene s;

	scene_init(&s);
	feed(&s, serving("in"));
	feed(&s, carrying(sending(1, "first"), context_of(T1, 11)));
	feed(&s, carrying(sending(2, "second"), context_of(T2, 12)));
	scene_flush(&s);
	check(is_trace(span_of(&s, "in"), T1), "the first");
	check(is_trace(span_of(&s, "first"), T1), "the first");
	check(is_trace(span_of(&s, "second"), T2), "as its message says");
	check(has_link(span_of(&s, "second"), span_of(&s, "in")), "a link");
	scene_done(&s);
}

TEST(identity_header_wins_over_the_offset)
{
	struct scene s;

	scene_init(&s);
	feed(&s, carrying(tagged(sent(&server, 1, "t", "k"), "send"), context_of(T1, 11)));
	feed(&s, acked(&server, 1, 0, 5));
	feed(&s, carrying(tagged(consumed(&consumer, "t", "k", 0, 5), "process"),
			  context_of(T2, 12)));
	scene_flush(&s);
	check(is_trace(span_of(&s, "process"), T2), "the header's trace");
	check(has_link(span_of(&s, "process"), span_of(&s, "send")), "a link to the producer");
	check(!memcmp(span_of(&s, "process")->span.parent_id, context_of(T2, 12).span_id, 8),
	      "the header's parent");
	check_eq(s.counters.value[JOIN_DISAGREE], 1, "counted");
	scene_done(&s);
}

TEST(identity_header_wins_over_the_sequence)
{
	struct scene s;

	scene_init(&s);
	feed(&s, carrying(serving("in"), context_of(T1, 11)));
	feed(&s, calling(2, "out"));	/* its head's end, with the header, was not captured */
	feed(&s, carrying(tagged(request(&backend, HTTP_SERVER, 2, 1, "GET /out"), "server"),
			  context_of(T2, 12)));
	scene_flush(&s);
	check(is_trace(span_of(&s, "server"), T2), "the header's trace");
	check(has_link(span_of(&s, "server"), span_of(&s, "out")), "a link to its client");
	check(is_trace(span_of(&s, "out"), T1), "the client stays");
	check_eq(s.counters.value[JOIN_DISAGREE], 1, "counted");
	scene_done(&s);
}

TEST(identity_second_context_is_a_link)
{
	struct context c = context_of(T1, 11), other = context_of(T2, 12);
	struct scene s;

	scene_init(&s);
	c.has_other = true;
	memcpy(c.other_trace_id, other.trace_id, 16);
	memcpy(c.other_span_id, other.span_id, 8);
	feed(&s, carrying(serving("in"), c));
	feed(&s, carrying(calling(2, "out"), c));
	memset(c.other_span_id, 0, 8);
	feed(&s, carrying(calling(3, "no span"), c));
	scene_flush(&s);
	check(is_trace(span_of(&s, "in"), T1), "the first one's trace");
	check(links_to(span_of(&s, "in"), other.trace_id, other.span_id), "inbound");
	check(links_to(span_of(&s, "out"), other.trace_id, other.span_id), "outgoing");
	check_eq(span_of(&s, "no span")->span.link_count, 0, "a link needs a span");
	check_eq(s.counters.value[CONTEXT_CONFLICTS], 3, "counted");
	scene_done(&s);
}

/* Two that were apart are one when a message says so; then all of both has the id. */
TEST(identity_traces_merge)
{
	struct scene s;
	uint64_t begin;

	scene_init(&s);
	feed(&s, serving("in"));
	feed(&s, sending(1, "send"));
	begin = feed(&s, tagged(consumed(&consumer, "t", "k", 0, 5), "process"));
	feed(&s, carrying(by_thread(tagged(sent(&consumer, 9, "u", "k"), "publish"),
				    kafka_label(begin, &consumer)), context_of(T1, 11)));
	feed(&s, by_thread(tagged(sent(&consumer, 8, "u", "l"), "more"),
			   kafka_label(begin, &consumer)));
	feed(&s, acked(&server, 1, 0, 5));	/* the larger part has the later root */
	feed(&s, carrying(tagged(sent(&backend, 7, "u", "m"), "no label"), context_of(T1, 0)));
	scene_flush(&s);
	check_eq(scene_traces(&s), 1, "one trace");
	check(is_trace(span_of(&s, "in"), T1), "the id goes to all of it");
	check_parent(&s, "process", "send", EVIDENCE_KAFKA_OFFSET);
	check_parent(&s, "publish", "process", EVIDENCE_THREAD);
	check_parent(&s, "no label", "in", EVIDENCE_HEADER);
	scene_done(&s);
}

/* --- correlation ------------------------------------------------------------------------------ */

static struct msg begun(uint32_t line, const char *tag)
{
	return identified(tagged(request(&server, HTTP_SERVER, line, 1, "POST /execute"), tag),
			  "e1", IDENTIFY_PARENT);
}

TEST(correlation_with_exactly_one_trace)
{
	struct scene s;

	scene_init(&s);
	feed(&s, begun(1, "root"));
	answer(&s, &server, HTTP_SERVER, 1, 202);
	feed(&s, identified(tagged(sent(&consumer, 1, "t", "e1"), "send"), "e1", IDENTIFY_PARENT));
	feed(&s, identified(tagged(sent(&consumer, 2, "t", "e2"), "other value"), "e2",
			    IDENTIFY_PARENT));
	scene_flush(&s);
	check_parent(&s, "send", "root", EVIDENCE_CORRELATION);
	check_str(attrs_get_str(&span_of(&s, "send")->span.attrs,
				"spanstitch.parent.confidence"), "configured", "it says so");
	check_root(&s, "other value");
	check_eq(s.counters.value[JOIN_CORRELATION], 1, "counted");
	scene_done(&s);
}

TEST(correlation_with_two_traces_abstains)
{
	struct scene s;

	scene_init(&s);
	feed(&s, carrying(begun(1, "one"), context_of(T1, 11)));
	feed(&s, carrying(begun(2, "two"), context_of(T2, 12)));
	answer(&s, &server, HTTP_SERVER, 1, 202);
	answer(&s, &server, HTTP_SERVER, 2, 202);
	feed(&s, identified(tagged(sent(&consumer, 1, "t", "e1"), "send"), "e1", IDENTIFY_PARENT));
	feed(&s, identified(tagged(request(&server, HTTP_SERVER, 3, 1, "GET /e1"), "look"), "e1",
			    IDENTIFY_LINK));
	answer(&s, &server, HTTP_SERVER, 3, 200);
	scene_flush(&s);
	check_root(&s, "send");
	check_eq(span_of(&s, "look")->span.link_count, 0, "no link either");
	scene_done(&s);
}

/* Each began before the other was known to have the value: none is above the other. */
TEST(correlation_needs_an_earlier_root)
{
	struct scene s;

	scene_init(&s);
	feed(&s, begun(1, "early"));
	feed(&s, identified(tagged(sent(&consumer, 1, "t", "e1"), "send"), "e1", IDENTIFY_PARENT));
	answer(&s, &server, HTTP_SERVER, 1, 202);
	scene_flush(&s);
	check_root(&s, "early");
	check_root(&s, "send");
	scene_done(&s);
}

TEST(correlation_is_the_last_evidence)
{
	struct scene s;

	scene_init(&s);
	feed(&s, begun(1, "root"));
	answer(&s, &server, HTTP_SERVER, 1, 202);
	feed(&s, tagged(request(&backend, HTTP_SERVER, 5, 1, "GET /x"), "in"));
	feed(&s, by_thread(identified(tagged(sent(&backend, 1, "t", "e1"), "send"), "e1",
				      IDENTIFY_PARENT), http_label(5, 1)));
	scene_flush(&s);
	check_parent(&s, "send", "in", EVIDENCE_THREAD);
	check(!is_same_trace(span_of(&s, "send"), span_of(&s, "root")), "another trace");
	scene_done(&s);
}

TEST(correlation_link_leaves_the_traces_apart)
{
	struct scene s;

	scene_init(&s);
	feed(&s, begun(1, "root"));
	answer(&s, &server, HTTP_SERVER, 1, 202);
	scene_wait(&s, 2 * SCENE_LINGER_NS);	/* long handed on, and still known */
	feed(&s, identified(tagged(request(&server, HTTP_SERVER, 3, 1, "GET /e1"), "look"), "e1",
			    IDENTIFY_LINK));
	answer(&s, &server, HTTP_SERVER, 3, 200);
	scene_flush(&s);
	check_root(&s, "look");
	check(has_link(span_of(&s, "look"), span_of(&s, "root")), "a link");
	check(!is_same_trace(span_of(&s, "look"), span_of(&s, "root")), "another trace");
	scene_done(&s);
}

RUN_TESTS(cmocka_unit_test(identity_context_of_an_untraced_sender),
	  cmocka_unit_test(identity_span_id_is_taken_from_the_wire_once),
	  cmocka_unit_test(identity_activity_that_sends_another_trace),
	  cmocka_unit_test(identity_activity_adopts_one_id),
	  cmocka_unit_test(identity_header_wins_over_the_offset),
	  cmocka_unit_test(identity_header_wins_over_the_sequence),
	  cmocka_unit_test(identity_second_context_is_a_link),
	  cmocka_unit_test(identity_traces_merge),
	  cmocka_unit_test(correlation_with_exactly_one_trace),
	  cmocka_unit_test(correlation_with_two_traces_abstains),
	  cmocka_unit_test(correlation_needs_an_earlier_root),
	  cmocka_unit_test(correlation_is_the_last_evidence),
	  cmocka_unit_test(correlation_link_leaves_the_traces_apart))
