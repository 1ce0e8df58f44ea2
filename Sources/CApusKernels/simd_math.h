// exp, erf, tanh, sigmoid and GELU of vectors. A source file includes this once per vector width with
//   LANES   floats in a vector,
//   TARGET  the attribute that lets the compiler use that width,
//   NAME(f) the name of `f` for that width.
// Written in the compiler's vector types, so that one text serves AVX-512, AVX2, NEON and plain C. A vector library (SLEEF, libmvec) would
// be one more dependency for five functions, called through pointers, and its versions do not inline into the kernels' epilogues.
// Errors are the largest found over all arguments against float64, with FMA and without.

typedef float NAME(vector) __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float)), may_alias));
typedef int32_t NAME(integers) __attribute__((vector_size(LANES * sizeof(int32_t)), aligned(sizeof(int32_t)), may_alias));

#define SIMD_INLINE TARGET static inline __attribute__((always_inline, unused))

/// Where `mask` is all ones `a`, where it is zero `b`.
SIMD_INLINE NAME(vector) NAME(select)(NAME(integers) mask, NAME(vector) a, NAME(vector) b) {
    return (NAME(vector))(((NAME(integers))a & mask) | ((NAME(integers))b & ~mask));
}

SIMD_INLINE NAME(vector) NAME(lesser)(NAME(vector) a, NAME(vector) b) { return NAME(select)(a < b, a, b); }

SIMD_INLINE NAME(vector) NAME(greater)(NAME(vector) a, NAME(vector) b) { return NAME(select)(a > b, a, b); }

/// Relative error 1.2e-7 in -87.3...88.3; below 0, above as at 88.3; NaN gives NaN or 0.
SIMD_INLINE NAME(vector) NAME(exp)(NAME(vector) x) {
    // Adding 1.5 · 2^23 rounds to an integer and leaves it in the low bits.
    const float round = 12582912.0f;
    NAME(integers) inside = x > -87.3f;
    x = NAME(lesser)(x, (NAME(vector)){} + 88.3f);
    NAME(vector) shifted = x * 1.44269504f + round;
    NAME(vector) whole = shifted - round;
    // log 2 in two parts (Cody and Waite).
    NAME(vector) r = x - whole * 0.693359375f;
    r = r + whole * 2.12194440e-4f;
    // Minimax of (exp(r) - 1 - r) / r^2 over ±log(2)/2 (Cephes expf).
    NAME(vector) p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r;
    p = p + 1.0f;
    NAME(integers) exponent = (NAME(integers))shifted << 23;
    return (NAME(vector))(((NAME(integers))p + exponent) & inside);
}

/// Absolute error 4e-7. The rational minimax of Eigen's and XLA's `erf` up to the point where erf rounds to 1.
SIMD_INLINE NAME(vector) NAME(erf)(NAME(vector) x) {
    const float end = 3.832506856900711f;
    x = NAME(greater)(NAME(lesser)(x, (NAME(vector)){} + end), (NAME(vector)){} - end);
    NAME(vector) s = x * x;
    NAME(vector) p = s * 0.00022905065861350646f + 0.0034082910107109506f;
    p = p * s + 0.050955695062380861f;
    p = p * s + 0.18520832239976145f;
    p = p * s + 1.128379143519084f;
    NAME(vector) q = s * -1.1791602954361697e-7f + 0.000023547966471313185f;
    q = q * s + 0.0010179625278914885f;
    q = q * s + 0.014070470171167667f;
    q = q * s + 0.11098505178285362f;
    q = q * s + 0.49746925110067538f;
    q = q * s + 1.0f;
    return x * p / q;
}

/// Absolute error 2e-7.
SIMD_INLINE NAME(vector) NAME(sigmoid)(NAME(vector) x) { return 1.0f / (1.0f + NAME(exp)(-x)); }

/// Absolute error 2e-7.
SIMD_INLINE NAME(vector) NAME(tanh)(NAME(vector) x) { return 1.0f - 2.0f / (1.0f + NAME(exp)(x + x)); }

/// Absolute error 1.3e-6 for |x| < 8 (at 5.4), relative 1.2e-7 above.
SIMD_INLINE NAME(vector) NAME(gelu)(NAME(vector) x) {
    NAME(vector) half = x * 0.5f;
    return half * NAME(erf)(x * 0.707106781f) + half;
}

/// The approximation 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))) = x · sigmoid(2 √(2/π) (x + 0.044715 x³)); absolute error 6e-7 for |x| < 8.
SIMD_INLINE NAME(vector) NAME(gelu_tanh)(NAME(vector) x) {
    return x * NAME(sigmoid)(x * (x * x * 0.0713548163f + 1.59576912f));
}

SIMD_INLINE NAME(vector) NAME(silu)(NAME(vector) x) { return x * NAME(sigmoid)(x); }

#undef SIMD_INLINE
