--- SHA-256, for short texts (FIPS 180-4).
local sha256 = {}

-- The first 32 bits of the fractional parts of the roots of the first primes.
local function fraction(value)
  return math.floor((value - math.floor(value)) * 2 ^ 32)
end

local function constants()
  local k, h, candidate = {}, {}, 2
  while #k < 64 do
    local is_prime = true
    for d = 2, math.floor(candidate ^ 0.5) do
      if candidate % d == 0 then is_prime = false end
    end
    if is_prime then
      k[#k + 1] = fraction(candidate ^ (1 / 3))
      if #h < 8 then h[#h + 1] = fraction(candidate ^ 0.5) end
    end
    candidate = candidate + 1
  end
  return k, h
end

local K, H = constants()

local function rotate(x, n)
  return (x >> n | x << (32 - n)) & 0xffffffff
end

local function pad(text)
  local zeros = (55 - #text) % 64
  return text .. "\x80" .. ("\0"):rep(zeros) .. (">I8"):pack(#text * 8)
end

local function schedule(block)
  local w = { (">" .. ("I4"):rep(16)):unpack(block) }
  for i = 17, 64 do
    local a, b = w[i - 15], w[i - 2]
    local s0 = rotate(a, 7) ~ rotate(a, 18) ~ a >> 3
    local s1 = rotate(b, 17) ~ rotate(b, 19) ~ b >> 10
    w[i] = w[i - 16] + s0 + w[i - 7] + s1 & 0xffffffff
  end
  return w
end

local function compress(state, w)
  local a, b, c, d, e, f, g, h = table.unpack(state)
  for i = 1, 64 do
    local s1 = rotate(e, 6) ~ rotate(e, 11) ~ rotate(e, 25)
    local t1 = h + s1 + (e & f ~ (~e & g)) + K[i] + w[i] & 0xffffffff
    local s0 = rotate(a, 2) ~ rotate(a, 13) ~ rotate(a, 22)
    local t2 = s0 + (a & b ~ a & c ~ b & c) & 0xffffffff
    h, g, f, e, d, c, b, a = g, f, e, d + t1 & 0xffffffff, c, b, a, t1 + t2 & 0xffffffff
  end
  for i, value in ipairs { a, b, c, d, e, f, g, h } do
    state[i] = state[i] + value & 0xffffffff
  end
end

--- The digest of a text.
---@param text string
---@return string bytes 32 of them
function sha256.digest(text)
  local padded, state = pad(text), table.move(H, 1, 8, 1, {})
  for at = 1, #padded, 64 do compress(state, schedule(padded:sub(at, at + 63))) end
  return (">" .. ("I4"):rep(8)):pack(table.unpack(state))
end

return sha256
