# luarocks deploys a rock's lua/, lib/ and bin/ and knows nothing of the rest. So the installation
# stays together in a directory of the rock, and these two, which are deployed, lead to it.
get_filename_component(AXO_ROCK_DIR ${CMAKE_INSTALL_PREFIX} DIRECTORY)
set(AXO_ROCK_MODULE ${CMAKE_BINARY_DIR}/rock/axosandbox.lua)
set(AXO_ROCK_PROGRAM ${CMAKE_BINARY_DIR}/rock/axolua)
file(WRITE ${AXO_ROCK_MODULE} "local prefix = [[${CMAKE_INSTALL_PREFIX}]]
package.path = prefix .. [[/${AXO_LUA_MOD_DIR}/?.lua;]]
  .. prefix .. [[/${AXO_LUA_MOD_DIR}/?/init.lua;]] .. package.path
package.cpath = prefix .. [[/${AXO_LUA_CMOD_DIR}/?.so;]] .. package.cpath
return dofile(prefix .. [[/${AXO_LUA_MOD_DIR}/axosandbox/init.lua]])
")
file(WRITE ${AXO_ROCK_PROGRAM} "#!/bin/sh
exec '${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/axolua' \"$@\"
")
install(FILES ${AXO_ROCK_MODULE} DESTINATION ${AXO_ROCK_DIR}/lua)
install(PROGRAMS ${AXO_ROCK_PROGRAM} DESTINATION ${AXO_ROCK_DIR}/bin)
