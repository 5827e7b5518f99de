-- The shipped decision, for a machine that may be a hundred times slower than any: how long a start
-- takes there is not what is tested.
return function(request, default)
  local decision = default(request)
  local timeouts = decision.timeouts
  if timeouts then timeouts.start, timeouts.stop = 1500, 600 end
  return decision
end
