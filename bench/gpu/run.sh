#!/bin/sh
# Checks and times the CUDA engine in one go, on a machine that needs no more than an NVIDIA driver: in a checkout after "npm run build", or in what
# bundle.mjs has made.
#
#   bench/gpu/run.sh [--small] [check] [ceilings] [kernels] [table] [peers]      all of them if none is named
#
# Other flags go to the stages: --dtype=float16, --model=turbo, --runs=3.
#
# Results: gpu.json and gpu.txt in $OUT, or bench/results/. Each stage has $STAGE_LIMIT seconds (default 570). It ends with 3 where there is no GPU.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${OUT:-$root/bench/results}
limit=${STAGE_LIMIT:-570}
mkdir -p "$out"

stages=
flags=
for argument in "$@"; do
  case $argument in
    --*) flags="$flags $argument" ;;
    check | ceilings | kernels | table | peers) stages="$stages $argument" ;;
    *) echo "Unknown argument \"$argument\"" >&2; exit 2 ;;
  esac
done
[ -n "$stages" ] || stages="check ceilings kernels table peers"

# Node: the one that was carried, else the machine's.
node=${NODE:-}
if [ -z "$node" ]; then
  if [ -f "$root/node.xz" ] && [ ! -x "$root/node" ]; then
    xz -dk "$root/node.xz" 2>/dev/null ||
      python3 -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), open(sys.argv[2], "wb"))' "$root/node.xz" "$root/node"
    chmod +x "$root/node"
  fi
  if [ -x "$root/node" ]; then node=$root/node; else node=$(command -v node); fi
fi
[ -n "$node" ] || { echo "There is no Node.js" >&2; exit 2; }

# The driver, where the loader does not look for it, or where its device file has another name.
if [ -z "${SOTTO_LIBCUDA:-}" ] && ldconfig -p 2>/dev/null | grep -q 'libcuda\.so\.1'; then
  [ -e /dev/nvidiactl ] || export SOTTO_LIBCUDA=libcuda.so.1
elif [ -z "${SOTTO_LIBCUDA:-}" ]; then
  for folder in /usr/local/nvidia/lib64 /usr/local/nvidia/lib /usr/lib/x86_64-linux-gnu /usr/lib64 /usr/lib/wsl/lib; do
    [ -e "$folder/libcuda.so.1" ] || continue
    export SOTTO_LIBCUDA="$folder/libcuda.so.1"
    break
  done
fi

echo "$("$node" --version), $(uname -sm), $(nproc) processors"
command -v nvidia-smi > /dev/null && nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm,clocks.mem --format=csv,noheader

failed=
for stage in $stages; do
  echo "== $stage"
  if [ "$stage" = peers ]; then
    if ! python3 -c 'import torch' 2>/dev/null; then echo "There is no PyTorch"; continue; fi
    timeout "$limit" "$node" "$here/peers.mjs" $flags
  else
    timeout "$limit" "$node" "$here/$stage.mjs" $flags
  fi
  status=$?
  if [ $status -ne 0 ]; then
    echo "$stage ended with $status" >&2
    failed="$failed $stage"
    [ $status -eq 3 ] && exit 3
    # Nothing is timed that is wrong.
    [ "$stage" = check ] && exit 1
  fi
done

echo
echo "=================================================="
cat "$out/gpu.txt" 2>/dev/null
[ -z "$failed" ] || { echo "Failed:$failed"; exit 1; }
