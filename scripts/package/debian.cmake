# cpack -G DEB: one package with everything. What it links (luv, too) is found by dpkg-shlibdeps;
# what Lua requires by name is listed here.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME axosandbox)
set(CPACK_PACKAGE_CONTACT "axosandbox maintainers <maintainers@axosandbox.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "working sessions in hardened podman containers")
set(CPACK_PACKAGE_DESCRIPTION
"An embeddable engine that gives each working session its own long-lived,
hardened podman container, with the session's directory mounted at the same
path. This package holds the command axolua, the Lua module axosandbox, the
policy files, and the C library with its header.")
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "lua5.4, lua-argparse, lua-cjson")
# A podman that lies elsewhere, or on another machine, serves as well.
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS
  "podman, crun | runc, uidmap, slirp4netns | passt, fuse-overlayfs, busybox-static, nftables")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS
  "mmdebstrap | debootstrap, bash-completion, libuv1-dev, libjansson-dev, libvterm-dev")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_LIST_DIR}/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CMAKE_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

install(FILES ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)
install(FILES ${CMAKE_SOURCE_DIR}/README.md ${CMAKE_SOURCE_DIR}/CHANGELOG.md
    ${CMAKE_CURRENT_LIST_DIR}/NOTICE
  DESTINATION ${CMAKE_INSTALL_DOCDIR})
include(CPack)
