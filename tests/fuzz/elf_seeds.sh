#!/bin/bash
# elf_seeds: assembles and links the seeds of tests/fuzz/corpus/elf anew.
set -eu
cd "$(dirname "$0")"
out=corpus/elf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p $out
as -o "$work/seed.o" elf_seed.s
common=(-z noseparate-code --eh-frame-hdr --build-id=sha1 -z max-page-size=16)
ld -shared "${common[@]}" -o $out/library "$work/seed.o"
ld -shared -s "${common[@]}" -o $out/library_stripped "$work/seed.o"
ld -e rd_kafka_version "${common[@]}" -o $out/program "$work/seed.o"
ld -s -e rd_kafka_version "${common[@]}" -o $out/program_stripped "$work/seed.o"
ld -shared -z separate-code --eh-frame-hdr -z max-page-size=16 -o $out/library_parts "$work/seed.o"
