# inatdet: from COCO-style boxes to the paper's tables. `make` alone prints what there is.
#
# Nothing has to be installed first: each target makes .venv, with the versions of constraints.txt,
# when there is none. Long steps go on where they were interrupted.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

GRANULARITIES := species super generic

## Variables
DATA_DIR ?=#                  the dataset's folder; without one, the generated mini dataset
GRANULARITY ?=#               species, super or generic: which model to train or detect with
WORK_DIR ?= runs/$(if $(DATA_DIR),$(notdir $(DATA_DIR:%/=%)),mini)# where everything made goes
PIPELINE ?= pipelines/$(if $(DATA_DIR),,mini_)$(GRANULARITY).yaml#  the settings to train with
MODEL_DIR ?= $(WORK_DIR)/models/$(GRANULARITY)#  where the model is kept
NUM_GPUS ?= $(shell nvidia-smi -L 2>/dev/null | grep -c ^GPU)#  how many GPUs to use; 0 is the CPU
OVERRIDES ?=#                 more settings: trainer.train_steps=100,task.short_edge=128
TRAIN_JSON ?= $(DATA)/train_2017_bboxes.json#  the training boxes
VAL_JSON ?= $(DATA)/val_2017_bboxes.json#  the validation boxes
IMAGES_DIR ?= $(DATA)#        the folder that the file names of the annotations start from
TFRECORD_FLAGS ?=#            more flags for writing TFRecords: --on_bad=skip
EVAL_FLAGS ?=#                more flags for evaluating: --all_images
TEST_FLAGS ?=#                more flags for pytest: -k anchors
PYTHON ?= $(shell for p in python3 python3.12 python3.11 python3.10; do \
  if $$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; \
  then echo $$p; break; fi; done)#  the Python to make .venv with, 3.10 to 3.12

DATA = $(if $(DATA_DIR),$(DATA_DIR:%/=%),runs/mini/data)
RECORDS_DIR = $(WORK_DIR)/tfrecords
DETECTIONS_DIR = $(WORK_DIR)/detections
REPORT_DIR = $(WORK_DIR)/report

# The settings that only this file knows, as one string without spaces.
, := ,
TRAIN_DATA = task.train_data.input_path='$(RECORDS_DIR)/train-*'
VAL_DATA = task.validation_data.input_path='$(RECORDS_DIR)/val-*'
TAXONOMY = task.taxonomy='$(RECORDS_DIR)/taxonomy.json'
SETTINGS = $(TRAIN_DATA),$(VAL_DATA),$(TAXONOMY),runtime.num_gpus=$(NUM_GPUS)$(if $(OVERRIDES),$(,)$(OVERRIDES))

PY := .venv/bin/python
READY := .venv/.ready

# What TensorFlow says of itself at its start is of no use here, without a GPU not even its errors.
export TF_CPP_MIN_LOG_LEVEL ?= $(if $(filter 0,$(NUM_GPUS)),3,2)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

NEEDS_GRANULARITY = $(if $(filter $(GRANULARITY),$(GRANULARITIES)),,\
  $(error set GRANULARITY to species, super or generic: make $@ GRANULARITY=super))
NEEDS_DATA = @$(if $(DATA_DIR),true,$(PY) -m inatdet.data.mini --output_dir=$(DATA))

.PHONY: help
help: ## Prints this.
	@echo "Targets:"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{printf "%-14s%s\n", $$1, $$2}'
	@echo
	@echo "Variables (make TARGET NAME=value):"
	@sed -n 's/^\([A-Z_]*\) ?=[^#]*# *\(.*\)/  \1|\2/p; s/^.*done)# *\(the Python.*\)/  PYTHON|\1/p' \
	  Makefile | awk -F'|' '{printf "%-18s%s\n", $$1, $$2}'
	@echo
	@echo "The two to begin with: make demo (everything on generated images), make test."

.PHONY: setup
setup: $(READY) ## Makes .venv and installs everything into it.

$(READY): setup.py constraints.txt
	@if [ -z "$(PYTHON)" ]; then \
	  echo "error: no Python 3.10 to 3.12 found; install one, or name it: make setup PYTHON=..." >&2; \
	  exit 2; fi
	@echo "installing into .venv with $(PYTHON); this takes a minute or two"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
	  echo "error: $(PYTHON) cannot make a virtual environment;" \
	    "on Debian and Ubuntu install python3-venv" >&2; exit 2; }
	@$(PY) -m pip install --quiet -c constraints.txt -e '.[train,dev]' 2>&1 \
	  | { grep -v '^WARNING: Location' || true; }
	@touch $@

.PHONY: data
data: $(READY) ## Makes the mini dataset (nothing to do when DATA_DIR is set).
	$(NEEDS_DATA)

.PHONY: tfrecords
tfrecords: $(READY) ## Writes the TFRecords of both splits, with the labels of all granularities.
	$(NEEDS_DATA)
	@$(PY) -m inatdet.data.tfrecords --split=train --annotations="$(TRAIN_JSON)" \
	  --images_dir="$(IMAGES_DIR)" --output_dir="$(RECORDS_DIR)" $(TFRECORD_FLAGS)
	@$(PY) -m inatdet.data.tfrecords --split=val --annotations="$(VAL_JSON)" \
	  --images_dir="$(IMAGES_DIR)" --output_dir="$(RECORDS_DIR)" \
	  --taxonomy="$(RECORDS_DIR)/taxonomy.json" $(TFRECORD_FLAGS)

.PHONY: train
train: $(READY) ## Trains one model, or goes on training it: make train GRANULARITY=super
	$(NEEDS_GRANULARITY)@$(PY) -m inatdet.train --config_file="$(PIPELINE)" --mode=train \
	  --model_dir="$(MODEL_DIR)" --params_override="$(SETTINGS)"

.PHONY: detect
detect: $(READY) ## Detects in the validation images with one model, if it is newer than its detections.
	$(NEEDS_GRANULARITY)@out="$(DETECTIONS_DIR)/$(GRANULARITY).parquet"; \
	if [ "$$out" -nt "$(MODEL_DIR)/checkpoint" ]; then echo "$$out is up to date" >&2; else \
	  $(PY) -m inatdet.detect --model_dir="$(MODEL_DIR)" --input="$(RECORDS_DIR)/val-*" \
	    --output="$$out" --params_override="runtime.num_gpus=$(NUM_GPUS)"; fi

.PHONY: eval
eval: $(READY) ## Detects with whichever models are trained, evaluates them and writes the report.
	@models=(); \
	for g in $(GRANULARITIES); do \
	  if [ -e "$(WORK_DIR)/models/$$g/checkpoint" ]; then \
	    $(MAKE) --no-print-directory detect GRANULARITY=$$g; \
	    models+=("--detections=$$g=$(DETECTIONS_DIR)/$$g.parquet"); fi; done; \
	if [ $${#models[@]} = 0 ]; then \
	  echo "error: no trained model in $(WORK_DIR)/models; train one: make train GRANULARITY=super" >&2; \
	  exit 2; fi; \
	$(PY) -m inatdet.evaluate --annotations="$(VAL_JSON)" --taxonomy="$(RECORDS_DIR)/taxonomy.json" \
	  "$${models[@]}" --output_dir="$(REPORT_DIR)" $(EVAL_FLAGS)

.PHONY: demo
demo: $(READY) ## Runs the whole benchmark on the mini dataset: about a quarter of an hour on two cores.
	@$(MAKE) --no-print-directory tfrecords DATA_DIR=
	@for g in $(GRANULARITIES); do echo "training the $$g model"; \
	  $(MAKE) --no-print-directory train DATA_DIR= GRANULARITY=$$g; done
	@$(MAKE) --no-print-directory eval DATA_DIR=

.PHONY: test
test: $(READY) ## Runs the tests.
	@$(PY) -m pytest $(TEST_FLAGS)

.PHONY: lint
lint: $(READY) ## Checks style.
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

.PHONY: format
format: $(READY) ## Mends style where that can be done automatically.
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

.PHONY: clean
clean: ## Removes what was made from the mini dataset; .venv and other runs stay.
	rm -rf runs/mini
