--- The three ways to call an operation of the engine, for specs that hold in each.
local proc = require "spec.support.proc"

local styles = {}

--- `call(fn, ...)` calls `fn(...)` in that style and returns what the operation gave,
--- `nil, err` included.
styles.all = {
  {
    name = "at top level",
    call = function(fn, ...) return fn(...) end,
  },
  {
    name = "inside a coroutine",
    call = function(fn, ...)
      local results
      local co = coroutine.create(function(...) results = table.pack(fn(...)) end)
      local ok, err = coroutine.resume(co, ...)
      if not ok then error(debug.traceback(co, tostring(err)), 0) end
      proc.eventually(function() return results or coroutine.status(co) == "dead" end,
        "the end of the coroutine")
      assert(results, "the coroutine died")
      return table.unpack(results, 1, results.n)
    end,
  },
  {
    name = "with a callback",
    call = function(fn, ...)
      local results, returned
      local args = table.pack(...)
      args[args.n + 1] = function(...)
        assert(returned, "the callback fired before its call had returned")
        assert(not results, "the callback fired twice")
        results = table.pack(...)
      end
      local handle, err = fn(table.unpack(args, 1, args.n + 1))
      returned = true
      if handle == nil then return nil, err end
      proc.eventually(function() return results end, "the callback")
      if results[1] ~= nil then return nil, results[1] end
      return table.unpack(results, 2, results.n)
    end,
  },
}

return styles
