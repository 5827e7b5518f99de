--- What must be made only once a process. Busted loads modules anew for every spec file;
--- this table outlives that.
local registry = debug.getregistry()
registry.axotest_state = registry.axotest_state or {}
return registry.axotest_state
