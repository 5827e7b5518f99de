-- From the top of the tree: luarocks make bindings/axosandbox-0.1.0-1.rockspec. The version is
-- CMakeLists.txt's; spec/unit/axosandbox/version_spec.lua sees to it.
rockspec_format = "3.0"
package = "axosandbox"
version = "0.1.0-1"
source = { url = "." }
description = {
  summary = "Each working session in its own hardened podman container",
  detailed = "An embeddable engine that gives each working session its own long-lived, "
    .. "hardened podman container, with the session's directory mounted at the same path.",
  license = "MIT",
}
supported_platforms = { "linux", "macosx" }
dependencies = { "lua ~> 5.4", "luv >= 1.44", "argparse >= 0.7", "lua-cjson >= 2.1" }
external_dependencies = { UV = { header = "uv.h" }, JANSSON = { header = "jansson.h" },
  VTERM = { header = "vterm.h" } }
build = {
  type = "cmake",
  variables = {
    CMAKE_BUILD_TYPE = "RelWithDebInfo",
    CMAKE_INSTALL_PREFIX = "$(PREFIX)/installed",
    AXO_TESTS = "OFF",
    AXO_ROCK = "ON",
  },
}
-- axolua is its own Lua host.
deploy = { wrap_bin_scripts = false }
