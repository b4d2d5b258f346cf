/* The loops of `_fused.py`: operations on history slots besides matrix products. Arrays are row-major.
 *
 * B impressions, U distinct items, n slots of a group, E item width, H units of a level.
 * `row` (n) is the impression of each slot, `item` (n) its distinct item.
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__linux__) && !defined(__clang__) && __GNUC__ >= 12
/* One build serves all machines: the loader selects the widest available instruction set. */
#define EVERY_CPU __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define EVERY_CPU
#endif

/* 1 / (1 + e^-x) with a relative error of at most 4e-7: e^-x = 2^k e^r with |r| <= ln 2 / 2, and
 * e^r as a series of seven terms.
 */
static inline float sigmoid(float x)
{
    x = x > 80 ? 80 : x < -80 ? -80 : x;
    float k = rintf(-1.44269504f * x);
    float r = -x - k * 0.69314718f;
    float e = 1.3888889e-3f;
    e = e * r + 8.3333333e-3f;
    e = e * r + 4.1666667e-2f;
    e = e * r + 1.6666667e-1f;
    e = e * r + 0.5f;
    e = e * r + 1.0f;
    e = e * r + 1.0f;
    int32_t bits = ((int32_t)k + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return 1.0f / (1.0f + e * power);
}

/* product = q * k; summed = of_query[row] + of_item[item]. */
EVERY_CPU void pair_forward(
    int64_t n, int64_t E, int64_t H, const int64_t *restrict row, const int64_t *restrict item,
    const float *restrict query, const float *restrict items, const float *restrict of_query,
    const float *restrict of_item, float *restrict product, float *restrict summed)
{
    for (int64_t m = 0; m < n; m++) {
        const float *q = query + row[m] * E, *k = items + item[m] * E;
        const float *a = of_query + row[m] * H, *b = of_item + item[m] * H;
        for (int64_t e = 0; e < E; e++)
            product[m * E + e] = q[e] * k[e];
        for (int64_t h = 0; h < H; h++)
            summed[m * H + h] = a[h] + b[h];
    }
}

/* Sums of the differences from an estimated mean, and of their squares: sums (2, H). */
EVERY_CPU void moments(
    int64_t n, int64_t H, const float *restrict summed, const float *restrict guess,
    float *restrict sums)
{
    for (int64_t m = 0; m < n; m++)
        for (int64_t h = 0; h < H; h++) {
            float distance = summed[m * H + h] - guess[h];
            sums[h] += distance;
            sums[H + h] += distance * distance;
        }
}

/* p = sigmoid((s - mean) / deviation); activated = s (alpha + (1 - alpha) p). */
EVERY_CPU void dice_forward(
    int64_t n, int64_t H, const float *restrict summed, const float *restrict mean,
    const float *restrict inverse, const float *restrict alpha, float *restrict p,
    float *restrict activated)
{
    for (int64_t m = 0; m < n; m++)
        for (int64_t h = 0; h < H; h++) {
            float s = summed[m * H + h];
            float x = sigmoid((s - mean[h]) * inverse[h]);
            p[m * H + h] = x;
            activated[m * H + h] = s * (alpha[h] + (1 - alpha[h]) * x);
        }
}

/* `gradient` is the gradient of the activations on entry and that of the sums on exit, without the
 * part through mean and deviation. sums (3, H) accumulate the gradients of alpha, z, and z times s.
 */
EVERY_CPU void dice_backward(
    int64_t n, int64_t H, const float *restrict summed, const float *restrict mean,
    const float *restrict inverse, const float *restrict alpha, const float *restrict p,
    float *restrict gradient, float *restrict activated, float *restrict sums)
{
    for (int64_t m = 0; m < n; m++)
        for (int64_t h = 0; h < H; h++) {
            float s = summed[m * H + h], x = p[m * H + h], g = gradient[m * H + h];
            float gate = alpha[h] + (1 - alpha[h]) * x;
            float of_gate = g * s;
            float of_z = of_gate * (1 - alpha[h]) * x * (1 - x);
            activated[m * H + h] = s * gate;
            gradient[m * H + h] = g * gate + of_z * inverse[h];
            sums[h] += of_gate * (1 - x);
            sums[H + h] += of_z;
            sums[2 * H + h] += of_z * (s - mean[h]) * inverse[h];
        }
}

/* The part through mean and deviation: gradient -= slope (s - mean) + shift; total (H) sums it. */
EVERY_CPU void dice_finish(
    int64_t n, int64_t H, const float *restrict summed, const float *restrict mean,
    const float *restrict slope, const float *restrict shift, float *restrict gradient,
    float *restrict total)
{
    for (int64_t m = 0; m < n; m++)
        for (int64_t h = 0; h < H; h++) {
            float g = gradient[m * H + h] - slope[h] * (summed[m * H + h] - mean[h]) - shift[h];
            gradient[m * H + h] = g;
            total[h] += g;
        }
}

/* Recomputes product = q * k, and accumulates the gradients of the products (n, E) and of the sums
 * (n, H) into those of their inputs.
 */
EVERY_CPU void pair_backward(
    int64_t n, int64_t E, int64_t H, const int64_t *restrict row, const int64_t *restrict item,
    const float *restrict query, const float *restrict items, const float *restrict to_product,
    const float *restrict to_summed, float *restrict product, float *restrict to_query,
    float *restrict to_items, float *restrict to_of_query, float *restrict to_of_item)
{
    for (int64_t m = 0; m < n; m++) {
        const float *q = query + row[m] * E, *k = items + item[m] * E;
        const float *g = to_product + m * E, *s = to_summed + m * H;
        float *to_q = to_query + row[m] * E, *to_k = to_items + item[m] * E;
        float *to_a = to_of_query + row[m] * H, *to_b = to_of_item + item[m] * H;
        for (int64_t e = 0; e < E; e++) {
            product[m * E + e] = q[e] * k[e];
            to_q[e] += g[e] * k[e];
            to_k[e] += g[e] * q[e];
        }
        for (int64_t h = 0; h < H; h++) {
            to_a[h] += s[h];
            to_b[h] += s[h];
        }
    }
}

/* pooled (B, E) += weight * items, slot by slot. */
EVERY_CPU void pool_forward(
    int64_t n, int64_t E, const int64_t *restrict row, const int64_t *restrict item,
    const float *restrict items, const float *restrict weight, float *restrict pooled)
{
    for (int64_t m = 0; m < n; m++) {
        const float *k = items + item[m] * E;
        float *sum = pooled + row[m] * E;
        for (int64_t e = 0; e < E; e++)
            sum[e] += weight[m] * k[e];
    }
}

/* The gradients of items and weights from that of pooled. */
EVERY_CPU void pool_backward(
    int64_t n, int64_t E, const int64_t *restrict row, const int64_t *restrict item,
    const float *restrict items, const float *restrict weight, const float *restrict to_pooled,
    float *restrict to_items, float *restrict to_weight)
{
    for (int64_t m = 0; m < n; m++) {
        const float *k = items + item[m] * E, *g = to_pooled + row[m] * E;
        float *to_k = to_items + item[m] * E, sum = 0;
        for (int64_t e = 0; e < E; e++) {
            sum += g[e] * k[e];
            to_k[e] += weight[m] * g[e];
        }
        to_weight[m] = sum;
    }
}

/* The version of the names and arguments above; `_loading.py` requires it. */
int64_t loops_version(void)
{
    return 1;
}
