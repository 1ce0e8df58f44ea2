// Measurements of everything that is not a linear layer, in the shape of a small encoder: 12 heads of 32.

#ifndef LAYERS_H
#define LAYERS_H

#include "CApusKernels.h"

/// Microseconds a token of attention, of the attention half and of its two linear layers alone, for texts of 12 to 256 tokens.
void measure_attention(apus_format format);

/// Microseconds a token of looking up and normalising embeddings, with words from all over a table of 30,522 rows, and of mean pooling.
void measure_embedding(apus_format format);

#endif
