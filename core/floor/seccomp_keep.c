/* What the base allows a call under: a rule of ours that allows it asks for that as
 * well. */
#include "floor/seccomp.h"

#include <string.h>

#define CONDITIONS_MAX 6

/* Those that containers of ours have; SETFCAP only with nested namespaces. What the
 * base says under any other is not for them. */
static const char *const held[] = {
    "CAP_CHOWN",  "CAP_DAC_OVERRIDE", "CAP_FOWNER",           "CAP_KILL", "CAP_SETGID",
    "CAP_SETUID", "CAP_SYS_CHROOT",   "CAP_NET_BIND_SERVICE", NULL};

static bool is_held(const json_t *name) {
  const char *text = json_string_value(name);
  for (const char *const *one = held; text && *one; one++)
    if (strcmp(text, *one) == 0)
      return true;
  return false;
}

static bool is_active(const json_t *rule) {
  const json_t *needs = json_object_get(json_object_get(rule, "includes"), "caps");
  const json_t *bars = json_object_get(json_object_get(rule, "excludes"), "caps");
  for (size_t i = 0; i < json_array_size(needs); i++)
    if (!is_held(json_array_get(needs, i)))
      return false;
  for (size_t i = 0; i < json_array_size(bars); i++)
    if (is_held(json_array_get(bars, i)))
      return false;
  return true;
}

static bool is_of(const json_t *rule, const char *call) {
  const json_t *names = json_object_get(rule, "names");
  const char *single = json_string_value(json_object_get(rule, "name"));
  if (single && strcmp(single, call) == 0)
    return true;
  for (size_t i = 0; i < json_array_size(names); i++) {
    const char *name = json_string_value(json_array_get(names, i));
    if (name && strcmp(name, call) == 0)
      return true;
  }
  return false;
}

static bool allows(const json_t *rule) {
  const char *action = json_string_value(json_object_get(rule, "action"));
  return action && strcmp(action, "SCMP_ACT_ALLOW") == 0;
}

/* ---- one condition of the base under those of ours ---- */

static bool holds(const char *op, uint64_t one, uint64_t two, uint64_t value) {
  if (strcmp(op, "SCMP_CMP_EQ") == 0)
    return value == one;
  if (strcmp(op, "SCMP_CMP_NE") == 0)
    return value != one;
  if (strcmp(op, "SCMP_CMP_LT") == 0)
    return value < one;
  if (strcmp(op, "SCMP_CMP_LE") == 0)
    return value <= one;
  if (strcmp(op, "SCMP_CMP_GT") == 0)
    return value > one;
  if (strcmp(op, "SCMP_CMP_GE") == 0)
    return value >= one;
  return strcmp(op, "SCMP_CMP_MASKED_EQ") == 0 && (value & one) == two;
}

static bool is(const axo__condition_t *c, const char *op) {
  return strcmp(c->op, op) == 0;
}

/* Makes `c`, on the same argument, ask for `base` as well; false when one condition
 * cannot say both, or nothing fulfils them. */
static bool narrow(axo__condition_t *c, const axo__condition_t *base) {
  if (is(c, "SCMP_CMP_EQ"))
    return holds(base->op, base->value, base->value_two, c->value);
  if (!is(c, "SCMP_CMP_MASKED_EQ"))
    return false;
  if (is(base, "SCMP_CMP_EQ")) {
    bool fits = holds(c->op, c->value, c->value_two, base->value);
    *c = *base;
    return fits;
  }
  uint64_t shared = c->value & base->value;
  if (!is(base, "SCMP_CMP_MASKED_EQ") ||
      (c->value_two & shared) != (base->value_two & shared))
    return false;
  c->value |= base->value;
  c->value_two |= base->value_two;
  return true;
}

/* What a number in the file says; a negative one is none. */
static bool read_one(const json_t *arg, axo__condition_t *out) {
  json_t *index = json_object_get(arg, "index"), *value = json_object_get(arg, "value");
  json_int_t two = json_integer_value(json_object_get(arg, "valueTwo"));
  out->op = json_string_value(json_object_get(arg, "op"));
  if (!out->op || !json_is_integer(index) || !json_is_integer(value) ||
      json_integer_value(index) < 0 || json_integer_value(index) > 5 ||
      json_integer_value(value) < 0 || two < 0)
    return false;
  out->index = (unsigned)json_integer_value(index);
  out->value = (uint64_t)json_integer_value(value);
  out->value_two = (uint64_t)two;
  return true;
}

/* Adds what `args` asks for to `list`, which has room for CONDITIONS_MAX; false where
 * that cannot be said. */
static bool add_all(axo__condition_t *list, size_t *count, const json_t *args) {
  bool seen[CONDITIONS_MAX] = {false};
  for (size_t i = 0; i < json_array_size(args); i++) {
    axo__condition_t base;
    size_t at = 0;
    /* Twice on one argument: runtimes differ in what that means. */
    if (!read_one(json_array_get(args, i), &base) || seen[base.index])
      return false;
    seen[base.index] = true;
    while (at < *count && list[at].index != base.index)
      at++;
    if (at == *count)
      list[(*count)++] = base;
    else if (!narrow(&list[at], &base))
      return false;
  }
  return true;
}

static bool is_same(const axo__condition_t *a, const axo__condition_t *b,
                    size_t count) {
  for (size_t i = 0; i < count; i++)
    if (a[i].index != b[i].index || !is(&a[i], b[i].op) || a[i].value != b[i].value ||
        a[i].value_two != b[i].value_two)
      return false;
  return true;
}

typedef struct kept {
  axo__condition_t list[CONDITIONS_MAX];
  size_t count;
} kept_t;

/* What is there beyond that is not allowed. */
#define KEPT_MAX 32

static bool is_new(const kept_t *all, size_t found, const kept_t *one) {
  for (size_t i = 0; i < found; i++)
    if (all[i].count == one->count && is_same(all[i].list, one->list, one->count))
      return false;
  return true;
}

void axo__seccomp_keep(const json_t *base, const char *call,
                       const axo__condition_t *ours, size_t count, axo__keep_cb emit,
                       void *data) {
  kept_t all[KEPT_MAX];
  size_t found = 0;
  bool speaks = false, as_is = false;
  for (size_t i = 0; i < json_array_size(base) && !as_is; i++) {
    const json_t *rule = json_array_get(base, i);
    if (!is_of(rule, call) || !allows(rule) || !is_active(rule))
      continue;
    kept_t one = {.count = count};
    speaks = true;
    memcpy(one.list, ours, count * sizeof *ours);
    if (!add_all(one.list, &one.count, json_object_get(rule, "args")))
      continue;
    as_is = one.count == count && is_same(one.list, ours, count);
    if (found < KEPT_MAX && is_new(all, found, &one))
      all[found++] = one;
  }
  /* Not spoken of: it is allowed by a capability that is not there, and ours is meant.
   */
  if (as_is || !speaks) {
    emit(data, ours, count);
    return;
  }
  for (size_t i = 0; i < found; i++)
    emit(data, all[i].list, all[i].count);
}
