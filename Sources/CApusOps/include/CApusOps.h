// The kernels of CApusKernels as operators of the engine: domain `apus`, version 1, on the CPU provider.
//
//   Embed          words, positions, types?, gamma [H], beta [H], input_ids [1, T], position_ids [1, T], token_type_ids? [1, T] -> [T, H]
//                  epsilon
//   SelfAttention  x [T, H], starts [B + 1], qkv, qkv_bias? [3H], out, out_bias? [H], gamma [H], beta [H],
//                  relative_bias? [1, heads, S, S] -> [T, H]
//                  heads, scale, epsilon
//   FeedForward    x [T, H], up, up_bias? [N], down, down_bias? [H], gamma [H], beta [H] -> [T, H]
//                  activation, epsilon
//   Linear         x [T, K], packed, bias? [N] -> [T, N]
//                  activation
//   Pool           x [T, H], starts [B + 1] -> [B, H]
//                  mode (mean, cls, last, max, mean_sqrt_length, weighted_mean)
//   AllReduce      x of any shape -> the sum of all ranks' x, in the same shape
//                  group (a name, for messages), rank, ranks
//
// words, positions, types, qkv, out, up, down and packed are blobs of CApusKernels, uint8 [bytes]; ids and starts are int32; all else is
// float. Activations are none, gelu, gelu_tanh, relu, silu, tanh and sigmoid. Every attribute is required. T rows are those of all
// sequences one after the other; sequence i is rows starts[i] ..< starts[i + 1].
//
// An operator computes on the thread that it is called on and holds nothing but its attributes, so that runs of one session may overlap.
// AllReduce adds up with those ranks that run the same step: whoever starts runs tells each thread before (``apus_thread_join``) in which
// communicator it is which rank. So runs of one session may overlap here too, each with a communicator of its own.
// Whatever is wrong with its inputs becomes a status with a sentence: shapes, blobs, ids and starts are checked in every run, and blobs
// that are constants also when the session is made.
#ifndef C_APUS_OPS_H
#define C_APUS_OPS_H

#include "COnnxRuntime.h"

#pragma clang assume_nonnull begin

/// The domain's name in nodes.
#define APUS_OPS_DOMAIN "apus"

/// Makes the domain with all its operators. The caller keeps it at least as long as any session that is made with options it was added to.
OrtStatus *_Nullable ApusOpsCreateDomain(const OrtApi *api, OrtCustomOpDomain *_Nullable *_Nonnull domain);

#pragma clang assume_nonnull end

#endif
