#include "laxo.h"

#include <signal.h>
#include <string.h>

static const struct {
  const char *name;
  int number;
} signals[] = {
    {"HUP", SIGHUP},       {"INT", SIGINT},   {"QUIT", SIGQUIT},   {"ILL", SIGILL},
    {"TRAP", SIGTRAP},     {"ABRT", SIGABRT}, {"BUS", SIGBUS},     {"FPE", SIGFPE},
    {"KILL", SIGKILL},     {"USR1", SIGUSR1}, {"SEGV", SIGSEGV},   {"USR2", SIGUSR2},
    {"PIPE", SIGPIPE},     {"ALRM", SIGALRM}, {"TERM", SIGTERM},   {"CHLD", SIGCHLD},
    {"CONT", SIGCONT},     {"STOP", SIGSTOP}, {"TSTP", SIGTSTP},   {"TTIN", SIGTTIN},
    {"TTOU", SIGTTOU},     {"URG", SIGURG},   {"XCPU", SIGXCPU},   {"XFSZ", SIGXFSZ},
    {"VTALRM", SIGVTALRM}, {"PROF", SIGPROF}, {"WINCH", SIGWINCH}, {"IO", SIGIO},
    {"SYS", SIGSYS},
#ifdef SIGSTKFLT
    {"STKFLT", SIGSTKFLT},
#endif
#ifdef SIGPWR
    {"PWR", SIGPWR},
#endif
};

#define SIGNAL_COUNT (sizeof signals / sizeof signals[0])

static const char *name_of(int signum) {
  for (size_t i = 0; i < SIGNAL_COUNT; i++) {
    if (signals[i].number == signum)
      return signals[i].name;
  }
  return NULL;
}

void laxo_push_signal(lua_State *L, int signum) {
  const char *name = name_of(signum);
  if (name != NULL)
    lua_pushstring(L, name);
  else
    lua_pushfstring(L, "%d", signum);
}

static int by_name(const char *name) {
  if (strncmp(name, "SIG", 3) == 0)
    name += 3;
  for (size_t i = 0; i < SIGNAL_COUNT; i++) {
    if (strcmp(signals[i].name, name) == 0)
      return signals[i].number;
  }
  return -1;
}

int laxo_check_signal(lua_State *L, int index) {
  if (lua_type(L, index) == LUA_TSTRING) {
    int signum = by_name(lua_tostring(L, index));
    if (signum < 0)
      luaL_argerror(L, index,
                    lua_pushfstring(L, "unknown signal '%s'", lua_tostring(L, index)));
    return signum;
  }
  lua_Integer signum = luaL_checkinteger(L, index);
  luaL_argcheck(L, signum >= 0 && signum <= 64, index, "not a signal number");
  return (int)signum;
}
