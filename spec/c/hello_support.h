/* hello_support.h: ClientHellos as a client writes them, and others. */
#ifndef HELLO_SUPPORT_H
#define HELLO_SUPPORT_H

#include <stdint.h>
#include <string.h>

typedef struct hello {
  uint8_t bytes[20000];
  size_t len;
} hello_t;

static inline void put(hello_t *out, const void *bytes, size_t len) {
  memcpy(out->bytes + out->len, bytes, len);
  out->len += len;
}

static inline void put_number(hello_t *out, size_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; i--)
    out->bytes[out->len++] = (uint8_t)(value >> 8 * i);
}

/* Begins a part whose length stands before it; `end_part` writes that. */
static inline size_t begin_part(hello_t *out, int bytes) {
  put_number(out, 0, bytes);
  return out->len;
}

static inline void end_part(hello_t *out, size_t begun, int bytes) {
  size_t len = out->len - begun;
  for (int i = 0; i < bytes; i++)
    out->bytes[begun - 1 - (size_t)i] = (uint8_t)(len >> 8 * i);
}

static inline void put_name(hello_t *out, const char *name, size_t len) {
  put_number(out, 0, 2); /* server_name */
  size_t extension = begin_part(out, 2), list = begin_part(out, 2);
  put_number(out, 0, 1);
  put_number(out, len, 2);
  put(out, name, len);
  end_part(out, list, 2);
  end_part(out, extension, 2);
}

/* An extension of a type that nobody knows. */
static inline void put_padding(hello_t *out, size_t len) {
  put_number(out, 0x5a5a, 2);
  put_number(out, len, 2);
  memset(out->bytes + out->len, 'p', len);
  out->len += len;
}

/* The message without records: `padding` goes before the name, NULL is no name. */
static inline hello_t make_message(const char *name, size_t name_len, size_t padding) {
  hello_t out = {.len = 0};
  put_number(&out, 1, 1);
  size_t body = begin_part(&out, 3);
  put_number(&out, 0x0303, 2);
  memset(out.bytes + out.len, 'r', 32);
  out.len += 32;
  put_number(&out, 0, 1);
  size_t ciphers = begin_part(&out, 2);
  put_number(&out, 0x1301, 2);
  end_part(&out, ciphers, 2);
  put_number(&out, 0x0100, 2); /* no compression */
  size_t extensions = begin_part(&out, 2);
  if (padding)
    put_padding(&out, padding);
  if (name)
    put_name(&out, name, name_len);
  end_part(&out, extensions, 2);
  end_part(&out, body, 3);
  return out;
}

/* The message in records of so many bytes each. */
static inline hello_t in_records(const hello_t *message, size_t size) {
  hello_t out = {.len = 0};
  for (size_t at = 0; at < message->len; at += size) {
    size_t len = message->len - at < size ? message->len - at : size;
    put_number(&out, 22, 1);
    put_number(&out, 0x0301, 2);
    put_number(&out, len, 2);
    put(&out, message->bytes + at, len);
  }
  return out;
}

static inline hello_t make_hello(const char *name) {
  hello_t message = make_message(name, name ? strlen(name) : 0, 0);
  return in_records(&message, 16384);
}

#endif /* HELLO_SUPPORT_H */
