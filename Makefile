# make imagine [BAG=recording] [GOAL="turn left"] [OUT=out]   imagine the next seconds of a recording
# make test                                                   lint, types, all tests but the long ones
# make test-long                                              the tests that take minutes
# make setup                                                  only what `make imagine` needs, into .venv
# make clean                                                  remove what was built and imagined (distclean: .venv too)
#
# Needs Python 3.11, a C++ compiler, make and, for a library that is missing, apt. Every step is done once: its stamp
# in .venv/.stamps is named after a hash of the step's inputs.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup imagine test test-long lint lock clean distclean

# A sourced ROS installation would mix its libraries with those of .venv.
ifdef ROS_DISTRO
unexport AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH LD_LIBRARY_PATH PYTHONPATH ROS_DISTRO ROS_VERSION
endif

OUT ?= out
WORKERS ?= $(shell n=$$(nproc); echo $$((n < 4 ? n : 4)))
VENV := $(CURDIR)/.venv
STAMPS := $(VENV)/.stamps
BUILD := build/wheels

hash = $(shell cat $(1) | sha256sum | cut -c1-16)
DEPENDENCIES := pyproject.toml training/pyproject.toml requirements.lock
INTERFACES := $(sort $(wildcard msg/*.msg action/*.action)) CMakeLists.txt package.xml egotwin_ros/__init__.py egotwin_ros/wheels.py
VENV_DONE := $(STAMPS)/venv
RUN_DONE := $(STAMPS)/run-$(call hash,$(DEPENDENCIES))
DEV_DONE := $(STAMPS)/dev-$(call hash,$(DEPENDENCIES))
INTERFACES_DONE := $(STAMPS)/interfaces-$(call hash,$(INTERFACES) $(DEPENDENCIES))
MESA_DONE := $(STAMPS)/mesa

PIP := $(VENV)/bin/python -m pip --disable-pip-version-check -qq

# $(call apt,packages): installs Debian or Ubuntu packages, or says which command would.
define apt
echo "installing by apt: $(1)"; \
if [ "$$(id -u)" = 0 ]; then as=; else as="sudo -n"; fi; \
{ $$as apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$as apt-get install -y -qq $(1) >/dev/null; } || \
{ echo "could not install them; run: sudo apt-get install $(1), then make again" >&2; exit 1; }
endef

help:
	@sed -n '1,5s/^# //p' Makefile

setup: $(RUN_DONE) $(INTERFACES_DONE)
	@true

imagine: setup
	@$(VENV)/bin/egotwin imagine --out "$$OUT" $(if $(value BAG),--bag "$$BAG") $(if $(value GOAL),--goal "$$GOAL")
imagine: export OUT := $(OUT)

lint: setup $(DEV_DONE)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# Several processes of one thread each: most tests are one small step after another. Each may take 3 GB.
PYTEST := OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -q --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

# What draws has processes of its own: software OpenGL aborts in one that ran hundreds of other tests before.
DRAWING := tests/training/simulator tests/training/datasets tests/training/actions

test: lint $(MESA_DONE)
	$(PYTEST) -m "not long" $(DRAWING)
	$(PYTEST) -m "not long" $(DRAWING:%=--ignore=%) tests

# pytest ends with 5 where no test is marked long.
test-long: $(DEV_DONE) setup $(MESA_DONE)
	$(PYTEST) -m long || [ $$? = 5 ]

clean:
	rm -rf build training/build install log out .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf .venv *.egg-info

$(VENV_DONE):
	@echo "creating .venv"
	@python=; for candidate in $(PYTHON) python3.11 python3 python; do \
	  if $$candidate -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then python=$$candidate; break; fi; \
	done; \
	[ -n "$$python" ] || { echo "no Python 3.11 found; install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }; \
	$$python -c 'import ensurepip' 2>/dev/null || { $(call apt,python3.11-venv); }; \
	headers=$$($$python -c 'import sysconfig; print(sysconfig.get_path("include"))'); \
	[ -f "$$headers/Python.h" ] || { $(call apt,python3.11-dev); }; \
	$$python -m venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

$(RUN_DONE): | $(VENV_DONE)
	@echo "installing what 'make imagine' needs into .venv (some minutes)"
	@$(PIP) install --constraint requirements.lock --editable '.[ros]'
	@touch $@

$(DEV_DONE): | $(RUN_DONE)
	@echo "installing what the tests need into .venv (some minutes)"
	@$(PIP) install --constraint requirements.lock --editable '.[ros,paper]' --editable './training[world,train,aria,dev]'
	@touch $@

$(INTERFACES_DONE): | $(RUN_DONE)
	@echo "building the ROS interfaces"
	@$(VENV)/bin/python -m egotwin_ros.wheels
	@$(VENV)/bin/cmake -S . -B $(BUILD) -G Ninja -Wno-dev -DCMAKE_MAKE_PROGRAM=$(VENV)/bin/ninja \
	  -DCMAKE_INSTALL_PREFIX=$(VENV) -DCMAKE_PREFIX_PATH=$(VENV) -DPython3_EXECUTABLE=$(VENV)/bin/python \
	  -DBUILD_TESTING=OFF -DEGOTWIN_PYTHON_FROM_SOURCE=ON --log-level=WARNING >/dev/null
	@$(VENV)/bin/cmake --build $(BUILD) -- --quiet >/dev/null
	@$(VENV)/bin/cmake --install $(BUILD) >/dev/null
	@touch $@

# What the simulator renders with on a machine without a screen.
$(MESA_DONE): | $(VENV_DONE)
	@missing=; for package in libegl1 libgl1 libgl1-mesa-dri libosmesa6; do \
	  dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; \
	done; \
	[ -z "$$missing" ] || { $(call apt,$$missing); }
	@touch $@

# Pins everything that pip installed in .venv: run after changing a range in a pyproject.toml.
lock: $(DEV_DONE)
	$(VENV)/bin/python -c "$$LIST_PINS" > requirements.lock.new
	mv requirements.lock.new requirements.lock

define LIST_PINS
from importlib.metadata import distributions
pins = {d.name: d.version.split("+")[0] for d in distributions() if (d.read_text("INSTALLER") or "").strip() == "pip"}
print(*(f"{name}=={pins[name]}" for name in sorted(pins, key=str.lower) if name not in {"egotwin", "egotwin-training", "pip"}), sep="\n")
endef
export LIST_PINS
