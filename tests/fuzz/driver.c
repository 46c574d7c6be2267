/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The main() of every fuzz target: feeds LLVMFuzzerTestOneInput() with seeds that the target offers
 * and with mutations of them, from a generator with a fixed seed, so that every run of one build is
 * the same, and says the result as TAP. Linked with a target instead of libFuzzer; a target built
 * with clang -fsanitize=fuzzer does not need it. It does not look at coverage: the seeds have to
 * lead to the interesting places.
 *
 * usage: fuzz_x [COUNT] or fuzz_x FILE... (each file is one input; to look at a crash)
 * FUZZ_RUNS: number of inputs; FUZZ_SEED: another start of the generator.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_RUNS  20000
#define MAX_INPUT     8192
#define MAX_MUTATIONS 6
#define FIRST_STATE   UINT64_C(0x9e3779b97f4a7c15)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Seed number i: returns 0 past the last one. A target without it starts from an empty input. */
int fuzz_seeds(size_t i, const uint8_t **data, size_t *size) __attribute__((weak));
/* of ASan and UBSan, where they are linked in */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

struct fuzz {
	uint64_t rng;
	size_t n_seeds, size;
	unsigned long n; /* of the input that runs now */
	uint8_t data[MAX_INPUT];
};
static struct fuzz *fuzz_now; /* for the death callback, which gets no argument */

/* xorshift64*: small, fast, good enough to choose bytes */
static uint64_t fuzz_rand(struct fuzz *f, uint64_t below)
{
	f->rng ^= f->rng >> 12;
	f->rng ^= f->rng << 25;
	f->rng ^= f->rng >> 27;
	return (f->rng * UINT64_C(0x2545f4914f6cdd1d) >> 11) % below;
}

/* Numbers at the edges of what code compares with. */
static uint64_t fuzz_edge(struct fuzz *f)
{
	/* clang-format off */
	static const uint64_t edge[] = {
		0, 1, 2, 7, 8, 9, 15, 16, 17, 0x7f, 0x80, 0xff, 0x100, 0xfff, 0x1000, 0x7fff, 0x8000,
		0xffff, 0x10000, 0x10001, 0x7fffffff, 0x80000000, 0xffffffff, UINT64_C(0x100000000),
		INT64_MAX, UINT64_C(1) << 63, UINT64_MAX - 0xfff, UINT64_MAX
	};
	/* clang-format on */

	return edge[fuzz_rand(f, sizeof(edge) / sizeof(edge[0]))];
}

static bool fuzz_seed(struct fuzz *f, size_t i, const uint8_t **data, size_t *size)
{
	if (!fuzz_seeds || !fuzz_seeds(i, data, size))
		return false;
	if (*size > MAX_INPUT)
		*size = MAX_INPUT;
	return true;
}

static void fuzz_remove(struct fuzz *f)
{
	size_t at = fuzz_rand(f, f->size), n = 1 + fuzz_rand(f, f->size - at);

	memmove(f->data + at, f->data + at + n, f->size - at - n);
	f->size -= n;
}

/* Opens a gap of up to 32 bytes; a copy of other bytes of the input, or anything, fills it. */
static void fuzz_insert(struct fuzz *f, bool copy)
{
	size_t at = fuzz_rand(f, f->size + 1), n = 1 + fuzz_rand(f, 32), from;

	if (f->size + n > MAX_INPUT)
		return;
	from = copy && f->size > n ? fuzz_rand(f, f->size - n) : SIZE_MAX;
	memmove(f->data + at + n, f->data + at, f->size - at);
	f->size += n;
	for (size_t i = 0; i < n; i++)
		f->data[at + i] = from == SIZE_MAX ? (uint8_t)fuzz_rand(f, 256) : f->data[from + i];
}

/* From a place on, the input goes on as another seed does from a place of its own. */
static void fuzz_splice(struct fuzz *f)
{
	size_t at = fuzz_rand(f, f->size + 1), size, from, n;
	const uint8_t *other;

	if (!f->n_seeds || !fuzz_seed(f, fuzz_rand(f, f->n_seeds), &other, &size) || !size)
		return;
	from = fuzz_rand(f, size);
	n = size - from < MAX_INPUT - at ? size - from : MAX_INPUT - at;
	memcpy(f->data + at, other + from, n);
	f->size = at + n;
}

static void fuzz_write_number(struct fuzz *f)
{
	size_t width = (size_t)1 << fuzz_rand(f, 4), at;
	uint64_t v = fuzz_edge(f);

	if (f->size < width)
		return;
	at = fuzz_rand(f, f->size - width + 1);
	if (fuzz_rand(f, 2))
		at &= ~(width - 1); /* fields of messages are aligned */
	if (!fuzz_rand(f, 4)) {
		memcpy(&v, f->data + at, width);
		v += fuzz_rand(f, 33) - 16;
	}
	memcpy(f->data + at, &v, width);
}

static void fuzz_mutate(struct fuzz *f)
{
	switch (f->size ? fuzz_rand(f, 9) : 5) {
	case 0:
	case 1: f->data[fuzz_rand(f, f->size)] ^= (uint8_t)(1u << fuzz_rand(f, 8)); break;
	case 2:
	case 3: fuzz_write_number(f); break;
	case 4: f->data[fuzz_rand(f, f->size)] = (uint8_t)fuzz_rand(f, 256); break;
	case 5: fuzz_insert(f, false); break;
	case 6: fuzz_insert(f, true); break;
	case 7: fuzz_remove(f); break;
	case 8: fuzz_splice(f); break;
	}
}

/* The first inputs are the seeds as they are; all others mutations of a seed. */
static void fuzz_make(struct fuzz *f)
{
	size_t i = f->n < f->n_seeds ? f->n : f->n_seeds ? fuzz_rand(f, f->n_seeds) : 0;
	const uint8_t *data = NULL;

	f->size = 0;
	if (fuzz_seed(f, i, &data, &f->size))
		memcpy(f->data, data, f->size);
	if (f->n < f->n_seeds)
		return;
	for (uint64_t m = 1 + fuzz_rand(f, MAX_MUTATIONS); m > 0; m--)
		fuzz_mutate(f);
}

/* The target gets a block of exactly that size: ASan then sees a read past its end. */
static int fuzz_run(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
	return 0;
}

static void fuzz_died(void)
{
	FILE *out = fuzz_now ? fopen("fuzz-crash.bin", "w") : NULL;

	if (!fuzz_now)
		return;
	fprintf(stderr, "# died on input %lu (%zu bytes)%s\n", fuzz_now->n, fuzz_now->size,
		out ? ", kept in fuzz-crash.bin" : "");
	if (out) {
		fwrite(fuzz_now->data, 1, fuzz_now->size, out);
		fclose(out);
	}
}

static int fuzz_file(struct fuzz *f, const char *path)
{
	FILE *in = fopen(path, "r");

	if (!in) {
		fprintf(stderr, "# %s: %s\n", path, strerror(errno));
		return -errno;
	}
	f->size = fread(f->data, 1, sizeof(f->data), in);
	fclose(in);
	return fuzz_run(f->data, f->size);
}

static int fuzz_files(struct fuzz *f, char **path)
{
	for (; *path; path++)
		if (fuzz_file(f, *path) < 0)
			return 1;
	return 0;
}

static unsigned long fuzz_count(const char *arg)
{
	const char *s = arg ? arg : getenv("FUZZ_RUNS");
	unsigned long n = s ? strtoul(s, NULL, 0) : 0;

	return n ? n : DEFAULT_RUNS;
}

int main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	const char *seed = getenv("FUZZ_SEED");
	static struct fuzz f;
	unsigned long runs = fuzz_count(argc == 2 ? argv[1] : NULL);
	const uint8_t *data;
	size_t size;

	if (argc > 1 && strspn(argv[1], "0123456789") != strlen(argv[1]))
		return fuzz_files(&f, argv + 1);
	f.rng = FIRST_STATE + (seed ? strtoull(seed, NULL, 0) : 0);
	if (!f.rng)
		f.rng = FIRST_STATE;
	while (fuzz_seed(&f, f.n_seeds, &data, &size))
		f.n_seeds++;
	fuzz_now = &f;
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(fuzz_died);
	printf("1..1\n");
	fflush(stdout);
	for (f.n = 0; f.n < runs; f.n++) {
		fuzz_make(&f);
		if (fuzz_run(f.data, f.size) < 0) {
			printf("not ok 1 - %s: no memory\n", name);
			return 1;
		}
	}
	fuzz_now = NULL;
	printf("ok 1 - %s: %lu inputs, %zu of them seeds\n", name, runs,
	       f.n_seeds < runs ? f.n_seeds : (size_t)runs);
	return 0;
}
