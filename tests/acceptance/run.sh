#!/bin/bash
# run.sh: the platform, traced, its spans sent to a real Jaeger; then jaeger.py asks for them.
#
# 200 executions, 32 in flight, in mode traceparent. Everything lies in build/acceptance/jaeger,
# logs too, and stays there for a look after a failure. What is started here ends here.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly EXECUTIONS=${EXECUTIONS:-200} IN_FLIGHT=32
readonly SLOW_S=0.3	# what a slow execution sleeps; longer only takes longer
readonly STEP_S=0.1	# between looks at whether something is ready
readonly READY_S=90	# until the platform or the tracer is, on a loaded machine
readonly SETTLE_S=1	# the last pod's deletion comes after the answer that the client waits for
readonly FLUSH_S=60	# until the tracer has sent what it holds, and ended
readonly PYTHON=/usr/bin/python3
readonly RUN=build/acceptance/jaeger
readonly SPANSTITCH=${SPANSTITCH:-build/spanstitch}
readonly CONFIG=${CONFIG_FILE:-deploy/spanstitch.yaml}
readonly TRACED="api worker kube pod-monitor result-processor"

jaeger='' platform='' tracer=''

# One that will not end is killed: this script must not leave anything behind.
stop() { # PID SIGNAL SECONDS
	local i

	kill -0 "$1" 2>/dev/null || return 0
	kill -"$2" "$1" 2>/dev/null
	for ((i = 0; i < $3 * 10; i++)); do
		kill -0 "$1" 2>/dev/null || return 0
		sleep "$STEP_S"
	done
	kill -KILL "$1" 2>/dev/null
	return 1
}

# The tracer first, for it looks at the platform; Jaeger last.
clean_up() {
	local pid

	for pid in $tracer $platform $jaeger; do
		stop "$pid" TERM "$FLUSH_S"
		wait "$pid" 2>/dev/null
	done
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

give_up() { # WHAT [LOG]
	echo "FAIL $1"
	if [ -n "${2-}" ]; then
		tail -n 15 "$2"
	fi
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
}

# Until COMMAND says yes, as long as PID lives.
await() { # PID COMMAND...
	local pid=$1 i

	shift
	for ((i = 0; i < READY_S * 10; i++)); do
		"$@" && return 0
		kill -0 "$pid" 2>/dev/null || return 1
		sleep "$STEP_S"
	done
	return 1
}

of_platform() { # NAME FIELD
	"$PYTHON" -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]][sys.argv[3]])' \
		"$RUN/platform.json" "$1" "$2"
}

start_jaeger() {
	local query otlp

	scripts/backends/jaeger/build.sh >/dev/null || give_up "Jaeger cannot be built"
	read -r query otlp < <("$PYTHON" tests/acceptance/ports.py free 2)
	JAEGER_QUERY_PORT=$query JAEGER_OTLP_PORT=$otlp \
		scripts/backends/jaeger/start.sh >"$RUN/jaeger.log" 2>&1 &
	jaeger=$!
	"$PYTHON" tests/acceptance/ports.py wait "$jaeger" "$query" "$otlp" ||
		give_up "Jaeger does not start" "$RUN/jaeger.log"
	query_url=http://127.0.0.1:$query
	otlp_url=http://127.0.0.1:$otlp
}

start_platform() {
	"$PYTHON" tests/platform/up.py --dir "$RUN" --propagation traceparent >"$RUN/up.log" 2>&1 &
	platform=$!
	await "$platform" test -s "$RUN/platform.json" ||
		give_up "the platform does not start" "$RUN/up.log"
	api_url=http://$(of_platform api address)
}

# A shell without job control starts its children with SIGINT ignored; the tracer is stopped by it
# here, as by a user's ctrl-c, so that it flushes. setpriv: it ends even if this shell is killed.
start_tracer() {
	local name pids=()

	for name in $TRACED; do
		pids+=(--pid "$(of_platform "$name" pid)")
	done
	setpriv --pdeathsig INT env --default-signal=INT "$SPANSTITCH" trace "${pids[@]}" \
		--otlp "$otlp_url" --otlp-file "$RUN/otlp.json" --config "$CONFIG" \
		>"$RUN/tracer.out" 2>"$RUN/tracer.err" &
	tracer=$!
	await "$tracer" grep -q '^spanstitch: tracing' "$RUN/tracer.err" ||
		give_up "the tracer does not start" "$RUN/tracer.err"
}

stop_tracer() {
	local code

	stop "$tracer" INT "$FLUSH_S" ||
		give_up "the tracer did not end in $FLUSH_S s after SIGINT" "$RUN/tracer.err"
	wait "$tracer"
	code=$?
	tracer=
	[ "$code" -eq 0 ] || give_up "the tracer ended with $code" "$RUN/tracer.err"
}

rm -rf "$RUN"
mkdir -p "$RUN"
start_jaeger
start_platform
start_tracer
echo "submitting $EXECUTIONS executions, $IN_FLIGHT in flight"
"$PYTHON" tests/platform/submit.py --api "$api_url" -n "$EXECUTIONS" -c "$IN_FLIGHT" \
	--slow "$SLOW_S" >"$RUN/executions.jsonl" 2>"$RUN/submit.err" ||
	give_up "an execution did not end as its kind says" "$RUN/submit.err"
sleep "$SETTLE_S"
stop_tracer
"$PYTHON" tests/acceptance/jaeger.py --query "$query_url" --otlp-file "$RUN/otlp.json" \
	--executions "$RUN/executions.jsonl" --api-log "$RUN/api.log" --expect "$EXECUTIONS"
