#!/usr/bin/env bash
# Trains on the CPU of this machine: RANKS processes of one thread each share every batch. Stopped at any time (SIGTERM, Ctrl-C), it goes on
# from checkpoint/last.pt.
#
#   ./train.sh [RANKS] [ARGUMENTS of train.py]      default 2; the log of rank N is train.N.log; PYTHON names another python3
set -euo pipefail
cd "$(dirname "$0")"

ranks=${1:-2}
shift || true
export WORLD=$ranks OMP_NUM_THREADS=1
# Every step allocates the same large blocks again: without these, glibc gives them back to the kernel each time.
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=68719476736 MALLOC_TOP_PAD_=268435456

pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait' EXIT
for ((rank = 0; rank < ranks; rank++)); do
  RANK=$rank "${PYTHON:-python3}" train.py "$@" >"train.$rank.log" 2>&1 &
  pids+=($!)
done
wait "${pids[@]}"
