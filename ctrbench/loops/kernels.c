/* Loops over rows, mostly history slots. Arrays are row-major.
 *
 * B impressions, U distinct items, n slots or rows, E item width, S slot width, H units of a level,
 * O outputs of a level. `row` (n) is the impression of each slot, `item` (n) its distinct item.
 *
 * Each loop processes blocks of rows that remain in the nearest cache, matrix products included.
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

enum {
    BLOCK = 96, /* rows of a block */
    DEPTH = 256, /* products of a sum in registers */
    TILE = 6, /* rows of a tile, whose 6 x 16 sums stay in registers */
    COLUMNS = 16, /* of `gradient_of_columns` */
};

static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

typedef float wide __attribute__((vector_size(64), aligned(4), may_alias));
typedef float half __attribute__((vector_size(32), aligned(4), may_alias));

/* c (R, columns of V) = a (R, depth) b (depth, ...), or += if `add`. The strides of `a` are free:
 * its transpose is multiplied without a copy. The sums stay in registers.
 */
#define DEFINE_TILE(NAME, V) \
    static inline __attribute__((always_inline)) void NAME( \
        const int R, int64_t add, int64_t depth, const float *a, int64_t row_step, \
        int64_t depth_step, const float *b, int64_t b_step, float *c, int64_t c_step) \
    { \
        V sum[TILE]; \
        for (int r = 0; r < R; r++) \
            sum[r] = (V){0}; \
        for (int64_t d = 0; d < depth; d++) { \
            V of_b = *(const V *)(b + d * b_step); \
            for (int r = 0; r < R; r++) \
                sum[r] += a[r * row_step + d * depth_step] * of_b; \
        } \
        for (int r = 0; r < R; r++) { \
            if (add) \
                sum[r] += *(V *)(c + r * c_step); \
            *(V *)(c + r * c_step) = sum[r]; \
        } \
    }
DEFINE_TILE(tile_of_16, wide)
DEFINE_TILE(tile_of_8, half)
DEFINE_TILE(tile_of_1, float)

/* Covers the columns that remain with tiles of one width. */
#define TILES(NAME, WIDTH) \
    for (; column + WIDTH <= columns; column += WIDTH) { \
        int64_t r = 0; \
        for (; r + TILE <= rows; r += TILE) \
            NAME(TILE, TILE_ARGUMENTS); \
        for (; r + 4 <= rows; r += 4) \
            NAME(4, TILE_ARGUMENTS); \
        for (; r + 2 <= rows; r += 2) \
            NAME(2, TILE_ARGUMENTS); \
        for (; r < rows; r++) \
            NAME(1, TILE_ARGUMENTS); \
    }
#define TILE_ARGUMENTS \
    add, part, a + r * row_step, row_step, depth_step, b + column, columns, \
    c + r * columns + column, columns

static inline void clear(float *values, int64_t count)
{
    memset(values, 0, count * sizeof *values);
}

/* c (rows, columns) = a (rows, depth) b (depth, columns), or += if `add`; `a` has free strides. */
EVERY_CPU void multiply(
    int64_t rows, int64_t depth, int64_t columns, int64_t add, const float *restrict a,
    int64_t row_step, int64_t depth_step, const float *restrict b, float *restrict c)
{
    if (depth == 0 && !add)
        clear(c, rows * columns);
    for (int64_t part; depth > 0; depth -= part) {
        part = smaller(depth, DEPTH);
        int64_t column = 0;
        TILES(tile_of_16, 16)
        TILES(tile_of_8, 8)
        TILES(tile_of_1, 1)
        a += part * depth_step;
        b += part * columns;
        add = 1;
    }
}

/* summed = of_query[row] + of_item[item] + (query[row] * items[item]) of_product + slot of_slot.
 * product (BLOCK, E) is scratch.
 */
EVERY_CPU void pair_forward(
    int64_t n, int64_t E, int64_t S, int64_t H, const int64_t *restrict row,
    const int64_t *restrict item, const float *restrict query, const float *restrict items,
    const float *restrict of_query, const float *restrict of_item,
    const float *restrict of_product, const float *restrict slot, const float *restrict of_slot,
    float *restrict product, float *restrict summed)
{
    for (int64_t first = 0; first < n; first += BLOCK) {
        int64_t rows = smaller(BLOCK, n - first);
        float *out = summed + first * H;
        for (int64_t m = 0; m < rows; m++) {
            const float *q = query + row[first + m] * E, *k = items + item[first + m] * E;
            const float *a = of_query + row[first + m] * H, *b = of_item + item[first + m] * H;
            for (int64_t e = 0; e < E; e++)
                product[m * E + e] = q[e] * k[e];
            for (int64_t h = 0; h < H; h++)
                out[m * H + h] = a[h] + b[h];
        }
        multiply(rows, E, H, 1, product, E, 1, of_product, out);
        multiply(rows, S, H, 1, slot + first * S, S, 1, of_slot, out);
    }
}

/* Accumulates the gradient of the sums, to_summed (n, H), into those of all inputs. `moved` and
 * `product` (BLOCK, E) are scratch; of_product (H, E) and of_slot (H, S) are transposed.
 */
EVERY_CPU void pair_backward(
    int64_t n, int64_t E, int64_t S, int64_t H, const int64_t *restrict row,
    const int64_t *restrict item, const float *restrict query, const float *restrict items,
    const float *restrict of_product, const float *restrict slot, const float *restrict of_slot,
    const float *restrict to_summed, float *restrict moved, float *restrict product,
    float *restrict to_query, float *restrict to_items, float *restrict to_of_query,
    float *restrict to_of_item, float *restrict to_of_product, float *restrict to_slot,
    float *restrict to_of_slot)
{
    for (int64_t first = 0; first < n; first += BLOCK) {
        int64_t rows = smaller(BLOCK, n - first);
        const float *gradient = to_summed + first * H;
        multiply(rows, H, E, 0, gradient, H, 1, of_product, moved);
        for (int64_t m = 0; m < rows; m++) {
            int64_t at = row[first + m], of = item[first + m];
            const float *q = query + at * E, *k = items + of * E, *g = moved + m * E;
            const float *s = gradient + m * H;
            float *to_q = to_query + at * E, *to_k = to_items + of * E;
            float *to_a = to_of_query + at * H, *to_b = to_of_item + of * H;
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
        multiply(E, rows, H, 1, product, 1, E, gradient, to_of_product);
        multiply(rows, H, S, 0, gradient, H, 1, of_slot, to_slot + first * S);
        multiply(S, rows, H, 1, slot + first * S, 1, S, gradient, to_of_slot);
    }
}

/* Mean and variance over n rows. sums (2, H) is scratch. The moments of blocks are combined as in
 * Chan, Golub and LeVeque 1983, so that a mean far from zero costs no precision.
 */
EVERY_CPU void moments(
    int64_t n, int64_t H, const float *restrict summed, float *restrict sums,
    float *restrict mean, float *restrict variance)
{
    clear(mean, H);
    clear(variance, H);
    for (int64_t first = 0; first < n; first += BLOCK) {
        int64_t rows = smaller(BLOCK, n - first);
        const float *s = summed + first * H;
        clear(sums, 2 * H);
        for (int64_t m = 0; m < rows; m++)
            for (int64_t h = 0; h < H; h++)
                sums[h] += s[m * H + h];
        for (int64_t h = 0; h < H; h++)
            sums[h] /= rows;
        for (int64_t m = 0; m < rows; m++)
            for (int64_t h = 0; h < H; h++) {
                float distance = s[m * H + h] - sums[h];
                sums[H + h] += distance * distance;
            }
        float share = (float)rows / (first + rows), before = (float)first * share;
        for (int64_t h = 0; h < H; h++) {
            float apart = sums[h] - mean[h];
            mean[h] += apart * share;
            variance[h] += sums[H + h] + apart * apart * before;
        }
    }
    for (int64_t h = 0; h < H; h++)
        variance[h] /= n;
}

/* With p = sigmoid((s - mean) / deviation): out = s (alpha + (1 - alpha) p) weight + bias, (n, O).
 * activated (BLOCK, H) is scratch; weight (H, O) is transposed.
 */
EVERY_CPU void dice_forward(
    int64_t n, int64_t H, int64_t O, const float *restrict summed, const float *restrict mean,
    const float *restrict inverse, const float *restrict alpha, const float *restrict weight,
    const float *restrict bias, float *restrict activated, float *restrict out)
{
    for (int64_t first = 0; first < n; first += BLOCK) {
        int64_t rows = smaller(BLOCK, n - first);
        for (int64_t m = 0; m < rows; m++) {
            const float *row = summed + (first + m) * H;
            for (int64_t h = 0; h < H; h++) {
                float s = row[h], p = sigmoid((s - mean[h]) * inverse[h]);
                activated[m * H + h] = s * (alpha[h] + (1 - alpha[h]) * p);
            }
            for (int64_t o = 0; o < O; o++)
                out[(first + m) * O + o] = bias[o];
        }
        multiply(rows, H, O, 1, activated, H, 1, weight, out + first * O);
    }
}

/* `dice_backward` for a block and some columns, whose sums stay in registers. */
static inline __attribute__((always_inline)) void gradient_of_columns(
    const int columns, int64_t rows, int64_t H, const float *restrict summed,
    const float *restrict mean, const float *restrict inverse, const float *restrict alpha,
    float *restrict activated, float *restrict gradient, float *restrict sums)
{
    float to_alpha[COLUMNS] = {0}, to_z[COLUMNS] = {0}, to_z_times_z[COLUMNS] = {0};
    for (int64_t m = 0; m < rows; m++)
        for (int h = 0; h < columns; h++) {
            float s = summed[m * H + h], z = (s - mean[h]) * inverse[h], p = sigmoid(z);
            float g = gradient[m * H + h], gate = alpha[h] + (1 - alpha[h]) * p;
            float of_gate = g * s, of_z = of_gate * (1 - alpha[h]) * p * (1 - p);
            activated[m * H + h] = s * gate;
            gradient[m * H + h] = g * gate + of_z * inverse[h];
            to_alpha[h] += of_gate * (1 - p);
            to_z[h] += of_z;
            to_z_times_z[h] += of_z * z;
        }
    for (int h = 0; h < columns; h++) {
        sums[h] = to_alpha[h];
        sums[H + h] = to_z[h];
        sums[2 * H + h] = to_z_times_z[h];
    }
}

/* From to_out (n, O): gradient (n, H), that of the sums without the part through mean and
 * deviation; to_weight (O, H) += that of the weight; sums (3, H) += those of alpha, z, and z times s.
 * scratch (BLOCK + 3, H); weight (O, H).
 */
EVERY_CPU void dice_backward(
    int64_t n, int64_t H, int64_t O, const float *restrict summed, const float *restrict mean,
    const float *restrict inverse, const float *restrict alpha, const float *restrict weight,
    const float *restrict to_out, float *restrict scratch, float *restrict gradient,
    float *restrict to_weight, float *restrict sums)
{
    float *activated = scratch, *of_block = scratch + BLOCK * H;
    for (int64_t first = 0; first < n; first += BLOCK) {
        int64_t rows = smaller(BLOCK, n - first);
        float *to_row = gradient + first * H;
        multiply(rows, O, H, 0, to_out + first * O, O, 1, weight, to_row);
        for (int64_t h = 0; h < H; h += COLUMNS) {
            const float *of_rows = summed + first * H + h;
#define COLUMN_ARGUMENTS \
    rows, H, of_rows, mean + h, inverse + h, alpha + h, activated + h, to_row + h, of_block + h
            if (h + COLUMNS <= H) /* a constant number of columns is vectorised */
                gradient_of_columns(COLUMNS, COLUMN_ARGUMENTS);
            else
                gradient_of_columns(H - h, COLUMN_ARGUMENTS);
        }
        multiply(O, rows, H, 1, to_out + first * O, 1, O, activated, to_weight);
        for (int64_t h = 0; h < 3 * H; h++)
            sums[h] += of_block[h];
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

/* sums[index] += values, row by row, (n, E) each. */
EVERY_CPU void add_rows(
    int64_t n, int64_t E, const int64_t *restrict index, const float *restrict values,
    float *restrict sums)
{
    for (int64_t m = 0; m < n; m++) {
        float *sum = sums + index[m] * E;
        for (int64_t e = 0; e < E; e++)
            sum[e] += values[m * E + e];
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

/* factors: 1 - beta1, 1 - beta2, the step size divided by the correction of the mean, the inverse
 * root of the correction of the square, epsilon.
 */
static inline __attribute__((always_inline)) void adam_of_row(
    int64_t n, const float *restrict factors, const float *restrict gradient,
    float *restrict mean, float *restrict square, float *restrict weight)
{
    float of_mean = factors[0], of_square = factors[1], size = factors[2];
    float corrected = factors[3], eps = factors[4];
    for (int64_t i = 0; i < n; i++) {
        float g = gradient[i];
        mean[i] += of_mean * (g - mean[i]);
        square[i] += of_square * (g * g - square[i]);
        /* far below eps squared; fast roots of smaller numbers can be infinite */
        float root = sqrtf(square[i] + 1e-37f);
        weight[i] -= size * mean[i] / (root * corrected + eps);
    }
}

/* One step of Adam (Kingma and Ba 2015, algorithm 1). */
EVERY_CPU void adam(
    int64_t n, const float *restrict factors, const float *restrict gradient,
    float *restrict mean, float *restrict square, float *restrict weight)
{
    adam_of_row(n, factors, gradient, mean, square, weight);
}

/* One step of Adam for n rows of a table: distinct `ids` (n), gradient (n, E). */
EVERY_CPU void lazy_adam(
    int64_t n, int64_t E, const float *restrict factors, const int64_t *restrict ids,
    const float *restrict gradient, float *restrict mean, float *restrict square,
    float *restrict weight)
{
    for (int64_t m = 0; m < n; m++) {
        int64_t at = ids[m] * E;
        adam_of_row(E, factors, gradient + m * E, mean + at, square + at, weight + at);
    }
}

/* Adds up rows (n, E) with equal ids, in place: the first `count[0]` ids are distinct on exit.
 * places (capacity, a power of two and at least 2 n) is scratch.
 */
EVERY_CPU void merge_rows(
    int64_t n, int64_t E, int64_t capacity, int64_t *restrict ids, float *restrict rows,
    int64_t *restrict places, int64_t *restrict count)
{
    int64_t distinct = 0;
    memset(places, 0xff, capacity * sizeof *places); /* -1: empty */
    for (int64_t m = 0; m < n; m++) {
        int64_t id = ids[m], place = (uint64_t)id * 0x9E3779B97F4A7C15u >> 20 & (capacity - 1);
        while (places[place] >= 0 && ids[places[place]] != id)
            place = (place + 1) & (capacity - 1);
        if (places[place] < 0) {
            if (distinct < m)
                memcpy(rows + distinct * E, rows + m * E, E * sizeof *rows);
            ids[distinct] = id;
            places[place] = distinct++;
        } else {
            float *sum = rows + places[place] * E;
            for (int64_t e = 0; e < E; e++)
                sum[e] += rows[m * E + e];
        }
    }
    count[0] = distinct;
}

/* The version of the names and arguments above; `_loading.py` requires it. */
int64_t loops_version(void)
{
    return 3;
}
