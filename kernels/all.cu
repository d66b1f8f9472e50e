// Every kernel, as one translation unit: built by scripts/build-kernels.mjs.
#include "platform.cuh"

#if __has_include("gemm.cuh")
#include "gemm.cuh"
#endif
#if __has_include("gemm_rows.cuh")
#include "gemm_rows.cuh"
#endif
#if __has_include("gemm_float.cuh")
#include "gemm_float.cuh"
#endif
#if __has_include("gemm_wgmma.cuh")
#include "gemm_wgmma.cuh"
#endif
#if __has_include("encoder_attention.cuh")
#include "encoder_attention.cuh"
#endif
#if __has_include("self_attention.cuh")
#include "self_attention.cuh"
#endif
#if __has_include("cross_attention.cuh")
#include "cross_attention.cuh"
#endif
#if __has_include("attention_scores.cuh")
#include "attention_scores.cuh"
#endif
#if __has_include("layer_norm.cuh")
#include "layer_norm.cuh"
#endif
#if __has_include("embed.cuh")
#include "embed.cuh"
#endif
#if __has_include("rows.cuh")
#include "rows.cuh"
#endif
#if __has_include("rules.cuh")
#include "rules.cuh"
#endif
#if __has_include("probabilities.cuh")
#include "probabilities.cuh"
#endif
#if __has_include("log_mel.cuh")
#include "log_mel.cuh"
#endif
#if __has_include("weights.cuh")
#include "weights.cuh"
#endif
