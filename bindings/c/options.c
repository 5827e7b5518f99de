/* Tables of options into C structs, by shape. Everything is read raw and copied out of
 * reach of Lua code: strings are kept by an anchor table, arrays are userdata in it. */
#include "laxo.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHERE_MAX 128
#define SECONDS_MAX 1e12 /* more is forever */

/* Where a value stands: put into words, "run.ports[2]", only for a message. */
typedef struct place {
  const struct place *in; /* NULL: the name is the whole of it */
  const char *name;       /* NULL: an item */
  lua_Integer item;
} place_t;

typedef struct place_text {
  char text[WHERE_MAX];
} place_text_t;

static void read_shape(laxo_reader_t *reader, int index, const laxo_shape_t *shape,
                       const place_t *where, void *out);

static size_t put_place(const place_t *where, char *out, size_t room) {
  size_t at = where->in ? put_place(where->in, out, room) : 0;
  const char *dot = where->in ? "." : "";
  int n = where->name ? snprintf(out + at, room - at, "%s%s", dot, where->name)
                      : snprintf(out + at, room - at, "[%lld]", (long long)where->item);
  return n < 0 ? at : (size_t)n < room - at ? at + (size_t)n : room - 1;
}

static place_text_t words(const place_t *where) {
  place_text_t out = {.text = ""};
  put_place(where, out.text, sizeof out.text);
  return out;
}

/* `format` goes on after the place. */
static void reject(laxo_reader_t *reader, const place_t *where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void reject(laxo_reader_t *reader, const place_t *where, const char *format,
                   ...) {
  char rest[WHERE_MAX];
  va_list args;
  if (reader->err.code != 0)
    return;
  reader->err.code = UV_EINVAL;
  reader->err.op = reader->op;
  va_start(args, format);
  vsnprintf(rest, sizeof rest, format, args);
  va_end(args);
  snprintf(reader->err.message, sizeof reader->err.message, "%s %s", words(where).text,
           rest);
}

static void wrong_type(lua_State *L, int index, const place_t *where,
                       const char *expected) {
  luaL_error(L, "%s: expected %s, got %s", words(where).text, expected,
             luaL_typename(L, index));
}

void laxo_reader_init(lua_State *L, laxo_reader_t *reader, const char *op) {
  memset(reader, 0, sizeof *reader);
  reader->L = L;
  reader->op = op;
  lua_createtable(L, 8, 0);
  reader->anchor = lua_gettop(L);
}

/* Pops the value and keeps it alive. */
static void anchor(laxo_reader_t *reader) {
  lua_rawseti(reader->L, reader->anchor,
              (lua_Integer)lua_rawlen(reader->L, reader->anchor) + 1);
}

static void *anchored_memory(laxo_reader_t *reader, size_t count, size_t size) {
  void *memory;
  if (count > SIZE_MAX / 2 / size)
    luaL_error(reader->L, "%s: too many items", reader->op);
  memory = lua_newuserdatauv(reader->L, count * size, 0);
  memset(memory, 0, count * size);
  anchor(reader);
  return memory;
}

/* ---- single values --------------------------------------------------------------- */

static laxo_bytes_t read_bytes(laxo_reader_t *reader, int index, const place_t *where) {
  laxo_bytes_t bytes;
  if (lua_type(reader->L, index) != LUA_TSTRING)
    wrong_type(reader->L, index, where, "string");
  bytes.data = lua_tolstring(reader->L, index, &bytes.len);
  lua_pushvalue(reader->L, index);
  anchor(reader);
  return bytes;
}

static void reject_nul(laxo_reader_t *reader, const place_t *where) {
  if (reader->err.code != 0)
    return;
  reject(reader, where, "holds a NUL byte, where the kernel takes texts to end");
  snprintf(
      reader->err.hint, sizeof reader->err.hint,
      "no argument, path or variable can hold one: pass such bytes on stdin, or in a "
      "file");
}

static const char *read_string(laxo_reader_t *reader, int index, const place_t *where) {
  laxo_bytes_t bytes = read_bytes(reader, index, where);
  if (strlen(bytes.data) != bytes.len)
    reject_nul(reader, where);
  return bytes.data;
}

const char *laxo_check_text(lua_State *L, int index) {
  size_t len;
  const char *text = luaL_checklstring(L, index, &len);
  luaL_argcheck(L, strlen(text) == len, index, "holds a NUL byte");
  return text;
}

static double read_number(laxo_reader_t *reader, int index, const place_t *where) {
  double value;
  if (lua_type(reader->L, index) != LUA_TNUMBER)
    wrong_type(reader->L, index, where, "number");
  value = lua_tonumber(reader->L, index);
  if (isnan(value))
    reject(reader, where, "is not a number");
  return value;
}

static lua_Integer read_integer(laxo_reader_t *reader, int index, const place_t *where,
                                lua_Integer low, lua_Integer high) {
  int is_integer;
  lua_Integer value;
  if (lua_type(reader->L, index) != LUA_TNUMBER)
    wrong_type(reader->L, index, where, "integer");
  value = lua_tointegerx(reader->L, index, &is_integer);
  if (!is_integer) {
    reject(reader, where, "must be a whole number, got %g",
           lua_tonumber(reader->L, index));
    return low;
  }
  if (value < low || value > high) {
    reject(reader, where, "must be between %lld and %lld, got %lld", (long long)low,
           (long long)high, (long long)value);
    return low;
  }
  return value;
}

static uint64_t read_ms(laxo_reader_t *reader, int index, const place_t *where) {
  double seconds = read_number(reader, index, where);
  if (seconds < 0) {
    reject(reader, where, "must not be negative, got %g", seconds);
    return 0;
  }
  if (!(seconds <= SECONDS_MAX))
    return 0;
  return (uint64_t)ceil(seconds * 1000);
}

static uint64_t read_bound(laxo_reader_t *reader, int index, const place_t *where) {
  if (read_number(reader, index, where) > SECONDS_MAX)
    return (uint64_t)(SECONDS_MAX * 1000);
  uint64_t ms = read_ms(reader, index, where);
  return ms > 0 ? ms : 1;
}

/* ---- sequences and maps ---------------------------------------------------------- */

/* The length of a table that must be a sequence and nothing else. */
static size_t sequence_length(lua_State *L, int index, const place_t *where) {
  size_t count = 0;
  size_t length;
  if (lua_type(L, index) != LUA_TTABLE)
    wrong_type(L, index, where, "a sequence");
  length = lua_rawlen(L, index);
  lua_pushnil(L);
  while (lua_next(L, index) != 0) {
    int is_integer = lua_isinteger(L, -2);
    lua_Integer key = is_integer ? lua_tointeger(L, -2) : 0;
    if (!is_integer || key < 1 || (lua_Unsigned)key > length)
      luaL_error(L, "%s: expected a sequence without holes, found the key '%s'",
                 words(where).text, luaL_tolstring(L, -2, NULL));
    count++;
    lua_pop(L, 1);
  }
  if (count != length)
    luaL_error(L, "%s: a sequence must not have holes", words(where).text);
  return length;
}

static const char *const *read_strings(laxo_reader_t *reader, int index,
                                       const place_t *where) {
  lua_State *L = reader->L;
  size_t length = sequence_length(L, index, where);
  const char **items = anchored_memory(reader, length + 1, sizeof *items);
  for (size_t i = 0; i < length; i++) {
    place_t place = {where, NULL, (lua_Integer)i + 1};
    lua_rawgeti(L, index, place.item);
    items[i] = read_string(reader, lua_gettop(L), &place);
    lua_pop(L, 1);
  }
  return items;
}

const char *const *laxo_read_strings(laxo_reader_t *reader, int index,
                                     const char *where) {
  return read_strings(reader, lua_absindex(reader->L, index),
                      &(place_t){.name = where});
}

static int compare_pairs(const void *a, const void *b) {
  return strcmp(((const axo_pair_t *)a)->key, ((const axo_pair_t *)b)->key);
}

static size_t count_keys(lua_State *L, int index, const place_t *where) {
  size_t count = 0;
  if (lua_type(L, index) != LUA_TTABLE)
    wrong_type(L, index, where, "a table with string keys");
  lua_pushnil(L);
  while (lua_next(L, index) != 0) {
    count++;
    lua_pop(L, 1);
  }
  return count;
}

static const axo_pair_t *read_pairs(laxo_reader_t *reader, int index,
                                    const place_t *where, size_t *count) {
  lua_State *L = reader->L;
  size_t room = count_keys(L, index, where);
  axo_pair_t *pairs = anchored_memory(reader, room + 1, sizeof *pairs);
  size_t n = 0;
  int top = lua_gettop(L);
  lua_pushnil(L);
  while (n < room && lua_next(L, index) != 0) {
    if (lua_type(L, -2) != LUA_TSTRING)
      luaL_error(L, "%s: keys must be strings, found %s", words(where).text,
                 luaL_typename(L, -2));
    place_t place = {.in = where, .name = lua_tostring(L, -2)};
    pairs[n].key = read_string(reader, lua_gettop(L) - 1, where);
    pairs[n].value = read_string(reader, lua_gettop(L), &place);
    n++;
    lua_pop(L, 1);
  }
  lua_settop(L, top);
  qsort(pairs, n, sizeof *pairs, compare_pairs);
  *count = n;
  return pairs;
}

static void *read_array(laxo_reader_t *reader, int index, const laxo_shape_t *items,
                        const place_t *where, size_t *count) {
  lua_State *L = reader->L;
  size_t length = sequence_length(L, index, where);
  char *memory = anchored_memory(reader, length + 1, items->size);
  for (size_t i = 0; i < length; i++) {
    place_t place = {where, NULL, (lua_Integer)i + 1};
    lua_rawgeti(L, index, place.item);
    read_shape(reader, lua_gettop(L), items, &place, memory + i * items->size);
    lua_pop(L, 1);
  }
  *count = length;
  return memory;
}

/* ---- tables with known keys ------------------------------------------------------ */

#define PUT(type, value) (*(type *)target = (type)(value))

static void read_integer_field(laxo_reader_t *reader, int index, laxo_kind_t kind,
                               const place_t *where, void *target) {
  switch (kind) {
  case LAXO_SIZE:
    PUT(size_t, read_integer(reader, index, where, 1, LUA_MAXINTEGER));
    break;
  case LAXO_UINT64:
    PUT(uint64_t, read_integer(reader, index, where, 0, LUA_MAXINTEGER));
    break;
  case LAXO_INT64:
    PUT(int64_t, read_integer(reader, index, where, LUA_MININTEGER, LUA_MAXINTEGER));
    break;
  case LAXO_INT:
    PUT(int, read_integer(reader, index, where, INT32_MIN, INT32_MAX));
    break;
  case LAXO_UINT:
    PUT(unsigned, read_integer(reader, index, where, 0, INT32_MAX));
    break;
  default:
    PUT(uint16_t, read_integer(reader, index, where, 0, UINT16_MAX));
    break;
  }
}

static void read_compound(laxo_reader_t *reader, int index, const laxo_field_t *field,
                          const place_t *where, char *out) {
  void *target = out + field->offset;
  size_t *count = (size_t *)(void *)(out + field->count_offset);
  if (field->kind == LAXO_STRINGS)
    PUT(const void *, read_strings(reader, index, where));
  else if (field->kind == LAXO_PAIRS)
    PUT(const void *, read_pairs(reader, index, where, count));
  else
    PUT(const void *, read_array(reader, index, field->items, where, count));
}

static void read_field(laxo_reader_t *reader, int index, const laxo_field_t *field,
                       const place_t *where, char *out) {
  lua_State *L = reader->L;
  void *target = out + field->offset;
  switch (field->kind) {
  case LAXO_ANY:
    reader->untaken = true;
    break;
  case LAXO_FUNCTION:
    reader->untaken = true;
    if (lua_type(L, index) != LUA_TFUNCTION)
      wrong_type(L, index, where, "function");
    break;
  case LAXO_BOOL:
    if (lua_type(L, index) != LUA_TBOOLEAN)
      wrong_type(L, index, where, "boolean");
    PUT(bool, lua_toboolean(L, index));
    break;
  case LAXO_STRING:
    PUT(const char *, read_string(reader, index, where));
    break;
  case LAXO_BYTES:
    *(laxo_bytes_t *)target = read_bytes(reader, index, where);
    break;
  case LAXO_NUMBER:
    PUT(double, read_number(reader, index, where));
    break;
  case LAXO_MS:
    PUT(uint64_t, read_ms(reader, index, where));
    break;
  case LAXO_BOUND:
    PUT(uint64_t, read_bound(reader, index, where));
    break;
  case LAXO_STRINGS:
  case LAXO_PAIRS:
  case LAXO_ARRAY:
    read_compound(reader, index, field, where, out);
    break;
  default:
    read_integer_field(reader, index, field->kind, where, target);
    break;
  }
}

static void unknown_key(lua_State *L, int key, const laxo_shape_t *shape,
                        const place_t *where) {
  luaL_Buffer names;
  const char *text = luaL_tolstring(L, key, NULL);
  luaL_buffinit(L, &names);
  for (size_t i = 0; i < shape->count; i++) {
    if (i > 0)
      luaL_addstring(&names, ", ");
    luaL_addstring(&names, shape->fields[i].name);
  }
  luaL_pushresult(&names);
  luaL_error(L, "%s: unknown key '%s' (known: %s)", words(where).text, text,
             lua_tostring(L, -1));
}

/* The field's index, or the count when there is none of this name. */
static size_t find_field(lua_State *L, int key, const laxo_shape_t *shape) {
  if (lua_type(L, key) != LUA_TSTRING)
    return shape->count;
  const char *name = lua_tostring(L, key);
  size_t i = 0;
  while (i < shape->count && (shape->fields[i].name[0] != name[0] ||
                              strcmp(shape->fields[i].name, name) != 0))
    i++;
  return i;
}

/* Which fields the table has, a bit each. */
static uint64_t fields_given(lua_State *L, int index, const laxo_shape_t *shape,
                             const place_t *where) {
  uint64_t given = 0;
  lua_pushnil(L);
  while (lua_next(L, index) != 0) {
    size_t i = find_field(L, lua_gettop(L) - 1, shape);
    if (i == shape->count)
      unknown_key(L, lua_gettop(L) - 1, shape, where);
    given |= UINT64_C(1) << i;
    lua_pop(L, 1);
  }
  return given;
}

/* In the order of the shape, so that of several mistakes always the same is named. */
static void read_shape(laxo_reader_t *reader, int index, const laxo_shape_t *shape,
                       const place_t *where, void *out) {
  lua_State *L = reader->L;
  luaL_checkstack(L, 12, "options");
  if (lua_type(L, index) != LUA_TTABLE)
    wrong_type(L, index, where, "table");
  uint64_t given = fields_given(L, index, shape, where);
  for (size_t i = 0; i < shape->count; i++) {
    const laxo_field_t *field = &shape->fields[i];
    place_t place = {.in = where, .name = field->name};
    if (given & UINT64_C(1) << i) {
      lua_pushstring(L, field->name);
      lua_rawget(L, index);
      read_field(reader, lua_gettop(L), field, &place, out);
      lua_pop(L, 1);
    } else if (field->required) {
      luaL_error(L, "%s is required", words(&place).text);
    }
  }
}

void laxo_read(laxo_reader_t *reader, int index, const laxo_shape_t *shape, void *out) {
  read_shape(reader, lua_absindex(reader->L, index), shape,
             &(place_t){.name = reader->op}, out);
}
