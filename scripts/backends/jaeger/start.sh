#!/bin/bash
# start.sh: becomes Jaeger (so the caller's child is Jaeger itself), building it when needed.
# JAEGER_QUERY_PORT and JAEGER_OTLP_PORT say where it listens on loopback. A caller makes sure
# that this very process holds them (tests/acceptance/ports.py) before it talks to anybody there.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
binary=$("$here/build.sh")
# However its caller ends, Jaeger ends with it.
exec setpriv --pdeathsig TERM "$binary" --config "$here/config.yaml"
