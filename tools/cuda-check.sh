#!/usr/bin/env bash
# Type-checks the CUDA and cuDNN builds of fer-tools on a machine without CUDA: candle's build scripts
# get tools/nvcc-stand-in in place of nvcc. No kernel is compiled and none is run.
#   tools/cuda-check.sh [further cargo options]
set -euo pipefail
cd "$(dirname "$0")/.."

# The bindings look for a program called `nvcc`. A fixed place, so that the next run finds its work done.
bin=${CARGO_TARGET_DIR:-target}/nvcc-stand-in
mkdir -p "$bin"
bin=$(cd "$bin" && pwd)
cmp -s tools/nvcc-stand-in "$bin/nvcc" || install -m 755 tools/nvcc-stand-in "$bin/nvcc"
export PATH=$bin:$PATH NVCC=$bin/nvcc CUDA_COMPUTE_CAP=80

for feature in cuda cudnn; do
  echo "cargo check -p fer-tools --features $feature"
  cargo check --locked -p fer-tools --features "$feature" "$@"
done
echo "The Rust side of the cuda and cudnn builds compiles. No CUDA kernel was compiled or run: nvcc was a stand-in."
