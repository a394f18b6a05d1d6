# DSRASQ_FAISS: whether `data index` is built, which needs FAISS.
set(DSRASQ_FAISS OFF)
if(DSRASQ_WITH_FAISS AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # FAISS links to a target of FindOpenMP, which would name the compiler's libgomp by its path; LibTorch
  # brings one of the same name, and a program is to have one.
  if(NOT TARGET OpenMP::OpenMP_CXX)
    add_library(OpenMP::OpenMP_CXX INTERFACE IMPORTED)
    set_target_properties(OpenMP::OpenMP_CXX PROPERTIES INTERFACE_LINK_OPTIONS -fopenmp)
  endif()
  find_package(faiss QUIET CONFIG)
  if(TARGET faiss)
    set(DSRASQ_FAISS ON)
    # LibTorch has a BLAS of its own under the usual names, and calls it by them: it has to come before
    # the one that FAISS links to, or its matrix products would run there, many times slower.
    set_property(TARGET faiss APPEND PROPERTY INTERFACE_LINK_OPTIONS
      "SHELL:-Wl,--push-state,--no-as-needed ${LibTorch_CPU} -Wl,--pop-state")
  else()
    message(STATUS "no FAISS (libfaiss-dev): `dsrasq data index` will say so")
  endif()
endif()
