#!/usr/bin/env bash
# Fuzzes the Rust kernel without Python for so many seconds, with the address sanitizer and overflow checks.
# What breaks it is left in .build/fuzz and named.
set -euo pipefail

cd "$(dirname "$0")/.."
python=$1
seconds=$2
folder=$PWD/.build/fuzz
cargo_folder=$(scripts/find_cargo.sh)
export PATH="$cargo_folder:$PATH"
system=$(rustc --version --verbose | sed -n 's/^host: //p')

# The sanitizer is unstable, and in the libraries of a stable compiler all the same.
export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$folder/target"
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-pc-table"
coverage="$coverage -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-trace-compares"
RUSTFLAGS="--cfg fuzzing $coverage -Ccodegen-units=1 -Zsanitizer=address" \
    cargo build --quiet --locked --release --target "$system" --manifest-path native/fuzz/Cargo.toml

"$python" -m tests.fuzz --kernel-seeds "$folder/kernel"
log=$folder/kernel.log
if ! "$CARGO_TARGET_DIR/$system/release/kernel" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2000 -max_len=16384 \
    -print_final_stats=1 -artifact_prefix="$folder/kernel-broken-" "$folder/kernel" >"$log" 2>&1; then
    tail -n 60 "$log" >&2
    exit 1
fi
echo "kernel: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") executions in $seconds s"
