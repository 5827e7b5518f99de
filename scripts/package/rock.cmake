# What luarocks puts into its tree: it takes modules out of lua/ and programs out of bin/, and
# knows nothing of the rest. So the whole installation stays together in the rock's directory,
# and these two lead to it.
set(AXO_ROCK_MODULE ${CMAKE_BINARY_DIR}/rock/axosandbox.lua)
set(AXO_ROCK_PROGRAM ${CMAKE_BINARY_DIR}/rock/axolua)
file(WRITE ${AXO_ROCK_MODULE} "local prefix = [[${CMAKE_INSTALL_PREFIX}]]
package.path = prefix .. [[/${AXO_LUA_MOD_DIR}/?.lua;]] .. package.path
package.cpath = prefix .. [[/${AXO_LUA_CMOD_DIR}/?.so;]] .. package.cpath
return dofile(prefix .. [[/${AXO_LUA_MOD_DIR}/axosandbox/init.lua]])
")
file(WRITE ${AXO_ROCK_PROGRAM} "#!/bin/sh
exec '${CMAKE_INSTALL_PREFIX}/libexec/axolua' \"$@\"
")
install(FILES ${AXO_ROCK_MODULE} DESTINATION lua)
install(PROGRAMS ${AXO_ROCK_PROGRAM} DESTINATION bin)
