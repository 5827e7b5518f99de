std = "lua54"
max_line_length = 100
-- An annotation is one line, however long.
max_comment_line_length = false
self = false
files["policy/"] = {
  -- Policy runs with a whitelisted environment (bindings/c/box_library.c) and `part`.
  std = { read_globals = {
    "assert", "error", "ipairs", "math", "next", "pairs", "part", "select", "string", "table",
    "tonumber", "tostring", "type", "utf8",
  } },
}
files["spec/"] = { std = "lua54+busted" }
exclude_files = { "build*" }
