/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a harness without libFuzzer: every file of the corpus as it is, then mutations of them that are the
 * same in every run. Usage: fuzz_NAME CORPUS [MUTATIONS], or fuzz_NAME FILE... for one crash again. FUZZ_SEED
 * gives another sequence. The input being run is kept in a file that is left behind when the harness dies.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/rng.h"

#define MUTATIONS 3000
#define INPUT_MAX ((size_t)64 << 10)
#define INPUTS_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct buf inputs[INPUTS_MAX];
static size_t input_count;
static struct rng rng;

/* What is being run, in memory that survives the child. */
static struct {
	size_t len;
	char data[INPUT_MAX];
} * current;

/* The harness gets a copy of its exact size, so that the address sanitizer sees a byte too far. */
static void run(const char *data, size_t len)
{
	memcpy(current->data, data, len);
	current->len = len;
	CLEANUP(free) uint8_t *copy = mem_alloc(len);
	memcpy(copy, data, len);
	LLVMFuzzerTestOneInput(copy, len);
}

static void load(const char *path)
{
	struct err err = ERR_INIT;
	if (input_count == INPUTS_MAX)
		return;
	if (fd_read_file(AT_FDCWD, path, INPUT_MAX, &inputs[input_count], &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		exit(1);
	}
	buf_reserve(&inputs[input_count++], 0);
}

static void load_folder(const char *path)
{
	struct dirent **names = NULL;
	int n = scandir(path, &names, NULL, alphasort); /* the order decides the mutations */
	for (int i = 0; i < n; i++) {
		char file[PATH_MAX];
		snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
		if (names[i]->d_name[0] != '.')
			load(file);
		free(names[i]);
	}
	free(names);
}

static void insert(struct buf *b, size_t at, const char *data, size_t len)
{
	if (b->len + len > INPUT_MAX)
		return;
	CLEANUP(buf) struct buf tail = BUF_INIT;
	buf_add(&tail, b->data + at, b->len - at);
	b->len = at;
	buf_add(b, data, len);
	buf_add(b, buf_str(&tail), tail.len);
}

static void mutate_once(struct buf *b)
{
	static const char *const words[] = {"\xff\xff\xff\xff",
					    "\x80",
					    "-1",
					    "18446744073709551616",
					    "\"",
					    "{",
					    "[",
					    "../",
					    "\r\n",
					    "%00",
					    "1e999",
					    "\xf0\x9f\x98\x80"};
	size_t at = rng_below(&rng, b->len + 1), left = b->len - at;
	size_t n = left ? rng_below(&rng, left < 32 ? left : 32) + 1 : 0;
	const struct buf *other = &inputs[rng_below(&rng, input_count)];
	const char *word = words[rng_below(&rng, ARRAY_LEN(words))];
	char random = (char)rng_u64(&rng);
	switch (rng_below(&rng, 7)) {
	case 0: /* flip a bit */
		if (left)
			b->data[at] ^= (char)(1 << rng_below(&rng, 8));
		break;
	case 1: /* another byte */
		if (left)
			b->data[at] = random;
		break;
	case 2: /* one byte more */
		insert(b, at, &random, 1);
		break;
	case 3: /* a word that parsers trip over */
		insert(b, at, word, strlen(word));
		break;
	case 4: /* some bytes less */
		memmove(b->data + at, b->data + at + n, left - n);
		b->len -= n;
		break;
	case 5: /* the tail of another input */
		b->len = at;
		at = rng_below(&rng, other->len + 1);
		insert(b, b->len, other->data + at, other->len - at);
		break;
	default: /* some bytes twice */
		if (n) {
			char twice[32];
			memcpy(twice, b->data + at, n);
			insert(b, at, twice, n);
		}
	}
}

static void run_mutations(long count)
{
	for (long i = 0; i < count; i++) {
		CLEANUP(buf) struct buf b = BUF_INIT;
		const struct buf *from = &inputs[rng_below(&rng, input_count)];
		buf_add(&b, from->data, from->len);
		for (uint64_t k = rng_below(&rng, 8) + 1; k; k--)
			mutate_once(&b);
		run(b.data, b.len);
	}
}

static void run_all(long mutations)
{
	for (size_t i = 0; i < input_count; i++)
		run(inputs[i].data, inputs[i].len);
	run_mutations(mutations);
	for (size_t i = 0; i < input_count; i++)
		buf_done(&inputs[i]);
}

static int keep_input(void)
{
	struct err err = ERR_INIT;
	char path[] = "/tmp/cloudml-fuzz-XXXXXX";
	CLEANUP(fd) int fd = mkstemp(path);
	if (fd < 0 || fd_write_all(fd, current->data, current->len, &err) < 0)
		perror("cannot keep the input");
	else
		fprintf(stderr, "died of the input in %s (%zu bytes)\n", path, current->len);
	return 1;
}

static int run_in_child(long mutations)
{
	current = mmap(NULL, sizeof(*current), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (current == MAP_FAILED)
		abort();
	pid_t pid = fork();
	if (pid < 0)
		abort();
	if (pid == 0) {
		run_all(mutations);
		exit(0);
	}
	int status = 0;
	waitpid(pid, &status, 0);
	return status == 0 ? 0 : keep_input();
}

int main(int argc, char **argv)
{
	struct stat st;
	if (argc < 2 || stat(argv[1], &st) < 0) {
		fprintf(stderr, "usage: %s CORPUS [MUTATIONS] | FILE...\n", argv[0]);
		return 2;
	}
	bool is_corpus = S_ISDIR(st.st_mode);
	const char *seed = getenv("FUZZ_SEED");
	rng_seed(&rng, seed ? strtoull(seed, NULL, 0) : 1);
	if (is_corpus)
		load_folder(argv[1]);
	for (int i = 1; i < argc && !is_corpus; i++)
		load(argv[i]);
	if (input_count == 0) {
		fprintf(stderr, "no inputs in '%s'\n", argv[1]);
		return 1;
	}
	long mutations = !is_corpus ? 0 : argc > 2 ? atol(argv[2]) : MUTATIONS;
	int r = run_in_child(mutations);
	printf("%zu inputs, %ld mutations\n", input_count, mutations);
	for (size_t i = 0; i < input_count; i++)
		buf_done(&inputs[i]);
	return r;
}
