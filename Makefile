# The short way in. The build is CMakeLists.txt and CMakePresets.json; this only forwards.
PREFIX ?= /usr/local
export CMAKE_BUILD_PARALLEL_LEVEL ?= $(shell nproc)
export CTEST_PARALLEL_LEVEL ?= $(shell nproc)

all: build/release/CMakeCache.txt   ## build the program: build/release/src/lockstep
	cmake --build --preset release
demo:                               ## set up, build, compare the built-in models with llama.cpp
	tools/demo
test:                               ## set up, build, and run every test there is
	tools/test
asan tsan coverage fuzz: %:         ## one instrumented build with its tests
	tools/setup build $(if $(filter fuzz,$@),fuzz)
	cmake --workflow --preset $@
	$(if $(filter coverage,$@),tools/coverage build/coverage)
bench: all                          ## time the kernels and both engines on this machine
	tools/bench
fmt:                                ## lay out every C file
	tools/setup lint
	tools/check-format --fix
lint: build/clang/CMakeCache.txt    ## clang-tidy and cppcheck
	tools/setup lint
	tools/lint build/clang
install: all                        ## install below PREFIX (/usr/local)
	cmake --install build/release --prefix $(PREFIX)
clean:                              ## remove everything that was built
	rm -rf build
help:                               ## this list
	@sed -n 's/^\([a-z][a-z ]*\):[^#]*## */\1\t/p' Makefile | expand -t 26

build/%/CMakeCache.txt:
	tools/setup build $(if $(filter clang,$*),test)
	cmake --preset $*

.PHONY: all demo test asan tsan coverage fuzz bench fmt lint install clean help
