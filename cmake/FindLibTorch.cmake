# The imported target `torch` from an unpacked torch wheel: headers, libtorch_cpu and c10, and the CUDA
# libraries when the wheel has them. The wheel's own package files want a CUDA toolkit and MKL at
# configure time; a program that only calls ATen needs neither.
if(NOT DSRASQ_TORCH_DIR)
  find_program(DSRASQ_PYTHON python3)
  execute_process(
    COMMAND ${DSRASQ_PYTHON} -c "import importlib.util as u, os; print(os.path.dirname(u.find_spec('torch').origin))"
    OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(found)
    set(DSRASQ_TORCH_DIR ${found} CACHE PATH "The torch folder of an unpacked wheel" FORCE)
  endif()
endif()
find_library(LibTorch_CPU torch_cpu PATHS ${DSRASQ_TORCH_DIR}/lib NO_DEFAULT_PATH)
find_library(LibTorch_C10 c10 PATHS ${DSRASQ_TORCH_DIR}/lib NO_DEFAULT_PATH)
find_library(LibTorch_CUDA torch_cuda PATHS ${DSRASQ_TORCH_DIR}/lib NO_DEFAULT_PATH)
find_library(LibTorch_C10_CUDA c10_cuda PATHS ${DSRASQ_TORCH_DIR}/lib NO_DEFAULT_PATH)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch REQUIRED_VARS LibTorch_CPU LibTorch_C10
  REASON_FAILURE_MESSAGE "set DSRASQ_TORCH_DIR to the torch folder of the wheel (scripts/setup does it)")
if(LibTorch_FOUND AND NOT TARGET torch)
  add_library(torch INTERFACE IMPORTED GLOBAL)
  target_include_directories(torch SYSTEM INTERFACE
    ${DSRASQ_TORCH_DIR}/include ${DSRASQ_TORCH_DIR}/include/torch/csrc/api/include)
  target_link_libraries(torch INTERFACE ${LibTorch_CPU} ${LibTorch_C10})
  if(LibTorch_CUDA)
    # Nothing calls into it by name: it registers itself when it is loaded.
    target_link_libraries(torch INTERFACE
      -Wl,--no-as-needed ${LibTorch_CUDA} ${LibTorch_C10_CUDA} -Wl,--as-needed)
  endif()
endif()
