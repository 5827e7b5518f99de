/* Image references: whatever parses is within the grammar, and its normalised text
 * parses to the same again. The input is the text. */
#include "axo.h"
#include "fuzz.h"

static bool is_in(const char *text, const char *allowed) {
  return strspn(text, allowed) == strlen(text);
}

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/* Nothing that could be an option, a path upwards, or more than one argument. */
static void check_fields(const axo_reference_t *ref) {
  CHECK(ref->registry[0] && ref->repository[0] && (ref->tag[0] || ref->digest[0]));
  CHECK(is_in(ref->registry, LOWER DIGITS ".-:[]"));
  CHECK(is_in(ref->repository, LOWER DIGITS "._-/"));
  CHECK(is_in(ref->tag, LOWER UPPER DIGITS "._-"));
  CHECK(is_in(ref->digest, LOWER UPPER DIGITS "+._-:"));
  CHECK(ref->registry[0] != '-' && ref->repository[0] != '-' && ref->tag[0] != '-');
  CHECK(!strstr(ref->repository, "..") && !strstr(ref->repository, "//"));
  CHECK(ref->repository[strlen(ref->repository) - 1] != '/');
  CHECK(strlen(ref->registry) + strlen(ref->repository) < 255);
  CHECK(strlen(ref->tag) <= 128 && strlen(ref->digest) < sizeof ref->digest);
  CHECK(strcmp(ref->registry, "index.docker.io") != 0);
}

/* A buffer of exactly this size is enough, and of one less is not. */
static void check_sizes(const axo_reference_t *ref, const char *text) {
  size_t len = strlen(text);
  char *exact = malloc(len + 1);
  CHECK(exact && len < 800);
  CHECK(axo_reference_format(ref, exact, len + 1) == 0 && strcmp(exact, text) == 0);
  CHECK(axo_reference_format(ref, exact, len) == UV_ENOBUFS);
  free(exact);
}

static void check_again(const axo_reference_t *ref) {
  axo_reference_t again;
  axo_err_t err;
  char text[800], second[800];
  CHECK(axo_reference_format(ref, text, sizeof text) == 0);
  CHECK(axo_reference_parse(text, &again, &err) == 0);
  CHECK(strcmp(ref->registry, again.registry) == 0 &&
        strcmp(ref->repository, again.repository) == 0);
  CHECK(strcmp(ref->tag, again.tag) == 0 && strcmp(ref->digest, again.digest) == 0);
  CHECK(axo_reference_format(&again, second, sizeof second) == 0);
  CHECK(strcmp(text, second) == 0);
  check_sizes(ref, text);
}

static void check_refusal(const axo_reference_t *out, int rc, const axo_err_t *err) {
  static const axo_reference_t untouched;
  CHECK(rc == UV_EINVAL && err->code == rc);
  CHECK(err->message[0] && memchr(err->message, 0, sizeof err->message));
  CHECK(err->hint[0] || strstr(err->message, "invalid image reference"));
  CHECK(memcmp(out, &untouched, sizeof untouched) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  axo_reference_t ref = {0};
  axo_err_t err = {0};
  /* Of exactly its length, so that a look beyond its end is seen. */
  char *text = malloc(size + 1);
  CHECK(text);
  if (size)
    memcpy(text, data, size);
  text[size] = 0;
  int rc = axo_reference_parse(text, &ref, &err);
  free(text);
  if (rc != 0) {
    check_refusal(&ref, rc, &err);
    return 0;
  }
  check_fields(&ref);
  check_again(&ref);
  return 0;
}
