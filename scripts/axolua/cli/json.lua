--- JSON for scripts to read: the library's own.
return require "axosandbox.base.json"
