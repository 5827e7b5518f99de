#include "link/link_spawn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ARGS_MAX 65535
#define ENV_MAX 32767

static size_t count_strings(char *const *list, size_t *bytes) {
  size_t n = 0;
  for (; list && list[n]; n++)
    *bytes += strlen(list[n]) + 1;
  return n;
}

static char *put(char *at, const char *text) {
  size_t len = strlen(text) + 1;
  memcpy(at, text, len);
  return at + len;
}

static char *put_all(char *at, char *const *list) {
  for (; list && *list; list++)
    at = put(at, *list);
  return at;
}

int axo__spawn_body(const axo_spawn_spec_t *spec, axo__body_t *out, axo_err_t *err) {
  const char *cwd = spec->cwd ? spec->cwd : "";
  const char *user = spec->user ? spec->user : "";
  size_t len = sizeof(axo_spawn_t) + strlen(cwd) + strlen(user) + 2;
  size_t argc = count_strings(spec->argv, &len);
  size_t envc = count_strings(spec->env, &len);
  if (argc == 0 || (spec->name && strlen(spec->name) >= AXO_NAME_MAX))
    return axo__err_set(err, UV_EINVAL, "spawn", NULL, "no command, or too long an id");
  if (len > AXO_BODY_MAX || argc > ARGS_MAX || envc > ENV_MAX)
    return axo__err_set(err, UV_E2BIG, "spawn",
                        "Write the data to a file, or to stdin.",
                        "the command line is too long (%zu bytes)", len);
  char *bytes = calloc(1, len);
  if (!bytes)
    return axo__err_set(err, UV_ENOMEM, "spawn", NULL, "out of memory");
  axo_spawn_t *fixed = (axo_spawn_t *)(void *)bytes;
  fixed->kind = (uint32_t)spec->kind;
  fixed->argc = (uint32_t)argc;
  fixed->envc = (uint32_t)envc;
  fixed->ring = (uint32_t)spec->ring;
  fixed->rows = spec->rows;
  fixed->cols = spec->cols;
  if (spec->name)
    memcpy(fixed->name, spec->name, strlen(spec->name));
  char *at = put(put(bytes + sizeof *fixed, cwd), user);
  put_all(put_all(at, spec->argv), spec->env);
  *out = (axo__body_t){bytes, len};
  return 0;
}

static const char *stage_text(const axo_failed_t *failed) {
  switch (failed->stage) {
  case AXO_STAGE_LIMIT:
    return "the session runs too much at once";
  case AXO_STAGE_FORK:
    return "the container cannot make another process";
  case AXO_STAGE_USER:
    return "no such user or group in the container";
  case AXO_STAGE_CWD:
    return "the working directory cannot be entered";
  case AXO_STAGE_EXEC:
    return "the command cannot be run";
  case AXO_STAGE_TERMINAL:
    return "no terminal could be made";
  case AXO_STAGE_RING:
    return "no memory for its output";
  case AXO_STAGE_FILE:
    return "the file operation failed";
  case AXO_STAGE_SOCKET:
    return "no socket could be made in the container";
  case AXO_STAGE_WORK:
    if (failed->error == ETIMEDOUT)
      return "some of it cannot be killed";
    return "there is no such task or terminal";
  default:
    return "the guest refused the request";
  }
}

int axo__failed_error(const axo_failed_t *failed, const char *what, axo_err_t *err) {
  /* The guest's word for it; made negative whatever it is. */
  int code = failed->error > 0 && failed->error < 4096 ? -failed->error : UV_EPROTO;
  char words[AXO_CODE_TEXT_MAX];
  if (!what)
    what = "the request";
  if (failed == &axo__silence)
    return axo__err_set(err, code, "link",
                        "a paused container says nothing: podman unpause",
                        "%s: the guest does not answer", what);
  axo__err_set(err, code, "guest", NULL, "%s: %s: %s", what, stage_text(failed),
               axo_code_text(code, words, sizeof words));
  if (err)
    err->stage = (int)failed->stage;
  return code;
}

int axo__link_error(int code, axo_err_t *err) {
  if (code == UV_ENOTCONN)
    return axo__err_set(err, code, "link", NULL, "the guest is not connected");
  if (code == UV_ENOBUFS)
    return axo__err_set(err, code, "link", "wait until some of it has ended",
                        "too much is in flight");
  return axo__err_code(err, code, "link", "the guest cannot be asked");
}
