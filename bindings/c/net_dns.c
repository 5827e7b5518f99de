/* core.net.query and core.net.answer. */
#include "laxo.h"

#include <string.h>

static void push_type(lua_State *L, uint16_t type) {
  if (type == AXO_DNS_A)
    lua_pushstring(L, "A");
  else if (type == AXO_DNS_AAAA)
    lua_pushstring(L, "AAAA");
  else
    lua_pushinteger(L, type);
}

/* core.net.query(bytes) */
static int dns_query(lua_State *L) {
  size_t len;
  const char *bytes = luaL_checklstring(L, 1, &len);
  axo_dns_query_t query;
  axo_err_t err;
  if (axo_dns_query(bytes, len, &query, &err) != 0)
    return laxo_fail(L, &err);
  lua_createtable(L, 0, 2);
  lua_pushstring(L, query.name);
  lua_setfield(L, -2, "name");
  push_type(L, query.type);
  lua_setfield(L, -2, "type");
  return 1;
}

/* In the order of enum axo_dns_rcode. */
static const char *const rcodes[] = {"NOERROR",  "FORMERR", "SERVFAIL",
                                     "NXDOMAIN", "NOTIMP",  "REFUSED"};

static int check_rcode(lua_State *L, const char *name) {
  for (size_t i = 0; name != NULL && i < sizeof rcodes / sizeof *rcodes; i++)
    if (strcmp(rcodes[i], name) == 0)
      return (int)i;
  return luaL_argerror(L, 2, "rcode: NOERROR, NXDOMAIN, REFUSED, SERVFAIL, ...");
}

typedef struct asked {
  const char *rcode, *address;
  unsigned ttl;
} asked_t;

static const laxo_field_t answer_fields[] = {
    LAXO_NEED("rcode", LAXO_STRING, offsetof(asked_t, rcode)),
    LAXO_KEY("address", LAXO_STRING, offsetof(asked_t, address)),
    LAXO_KEY("ttl", LAXO_UINT, offsetof(asked_t, ttl)),
};
static const laxo_shape_t answer_shape = LAXO_SHAPE(answer_fields, asked_t);

/* core.net.answer(bytes, { rcode, address?, ttl? }) */
static int dns_answer(lua_State *L) {
  size_t len, size;
  const char *bytes = luaL_checklstring(L, 1, &len);
  uint8_t out[AXO_DNS_ANSWER_MAX];
  asked_t asked = {.ttl = 5};
  laxo_reader_t reader;
  axo_err_t err;
  luaL_checktype(L, 2, LUA_TTABLE);
  laxo_reader_init(L, &reader, "dns");
  laxo_read(&reader, 2, &answer_shape, &asked);
  if (reader.err.code != 0)
    return laxo_fail(L, &reader.err);
  axo_dns_answer_t answer = {check_rcode(L, asked.rcode), asked.address, asked.ttl};
  if (axo_dns_answer(bytes, len, &answer, out, &size, &err) != 0)
    return laxo_fail(L, &err);
  lua_pushlstring(L, (const char *)out, size);
  return 1;
}

static const luaL_Reg functions[] = {
    {"query", dns_query}, {"answer", dns_answer}, {NULL, NULL}};

void laxo_net_dns_register(lua_State *L) { luaL_setfuncs(L, functions, 0); }
