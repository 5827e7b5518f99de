--- What a terminal obeys or does not show, in text that comes from elsewhere: control characters,
--- marks without width, those that turn the direction of writing, and bytes that are no UTF-8.
--- What that is, core/base/text.c says.
local core = require "axosandbox.core"

local unseen = {}

--- A text with something else in their places.
---@param text string
---@param with string without any of them
---@return string
function unseen.replace(text, with)
  return core.unseen(text, "replace", with)
end

--- A text with their bytes as \x1b.
---
---     print(axo.text.escape "red: \27[31m")  --> red: \x1b[31m
---@param text string
---@return string
function unseen.escape(text)
  return core.unseen(text, "hex")
end

--- The same; line ends and tabs stay.
---
---     print((axo.text.escape_lines "a\tb\27"))  --> a	b\x1b
---@param text string
---@return string
function unseen.escape_lines(text)
  return (text:gsub("[^\n\t]+", unseen.escape))
end

--- JSON text with those in its strings as \u202e: it still says the same.
---@param text string valid JSON on one line
---@return string
function unseen.escape_json(text)
  return core.unseen(text, "json", "\u{FFFD}")
end

return unseen
