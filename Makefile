# `make` alone lists the targets and variables. Lines that begin with ## are that help.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SECONDARY:

comma := ,
empty :=
space := $(empty) $(empty)
# A path as a prerequisite, and as a folder's name; the settings of a model.
escaped = $(subst $(space),\ ,$(1))
joined = $(subst $(space),_,$(strip $(1)))
pipeline = pipelines/$(PREFIX)$(1).yaml

# --- Variables ------------------------------------------------------------------------------------

## A dataset in iNat2017's layout, or where to put it; by default the mini dataset.
DATA_DIR ?=
## Kind of model: detection (default), classification or, for `make eval`, both.
TASK ?= $(if $(filter classify,$(MAKECMDGOALS)),classification,detection)
## The model to train or detect with: species, super, generic or a rank.
GRANULARITY ?= species
## The classifier to train or classify with: resnet_101, inception_v3_se, ...
NETWORK ?= inception_v3
## Training settings; by default those of GRANULARITY or TASK in pipelines/.
PIPELINE ?= $(if $(CLASSIFIER),$(call pipeline,classification),$(or $(strip \
    $(wildcard $(call pipeline,$(GRANULARITY)))),$(call pipeline,super)))
## Settings to change: task.train_data.batch_size=2,trainer.train_steps=1000
OVERRIDES ?=
## Number of GPUs; 0 is the CPU, above 0 the CUDA libraries are installed.
NUM_GPUS ?= 0
## Several processes: parameter_server or multi_worker_mirrored
STRATEGY ?= mirrored
## Processes that compute gradients with such a STRATEGY; by default NUM_GPUS, or 2.
WORKERS ?=
## Output folder; by default runs/mini, or runs/ and the last part of DATA_DIR.
WORK_DIR ?= runs/$(RUN)
## The model's folder: WORK_DIR/models/GRANULARITY or WORK_DIR/classifiers/NETWORK
MODEL_DIR ?= $(WORK_DIR)/$(if $(CLASSIFIER),classifiers/$(CLASSIFIER),models/$(GRANULARITY))
## Boxes to train on; by default DATA_DIR/train_2017_bboxes.json.
TRAIN_JSON ?= $(DATA)/train_2017_bboxes.json
## Boxes to evaluate on; by default DATA_DIR/val_2017_bboxes.json.
VAL_JSON ?= $(DATA)/val_2017_bboxes.json
## What all training images show, with boxes or without: DIR/train2017.json
TRAIN_LABELS ?=
## What all validation images show, with boxes or without: DIR/val2017.json
VAL_LABELS ?=
## Folder that the file names start from; by default DATA_DIR.
IMAGES_DIR ?= $(DATA)
## Prefix of the TFRecords to train on.
TRAIN_SPLIT ?= train
## Prefix of the TFRecords to detect in and to classify.
VAL_SPLIT ?= val
## More flags for `inatdet tfrecords`: --on_bad=skip --genus_from_names
TFRECORDS_FLAGS ?=
## More flags for `inatdet download`: --accept_terms --parts=boxes,labels
DOWNLOAD_FLAGS ?=
## Random halves of the images behind the 95% intervals; 0 for no intervals.
RESAMPLES ?= 200
## More flags for `inatdet evaluate`: --all_images --latex --noerrors
EVAL_FLAGS ?=
## More flags for `inatdet statistics`: --genus_from_names --latex
STATS_FLAGS ?=
## Arguments for pytest: TESTS='tests/data -k taxonomy'
TESTS ?=
## Python that creates .venv; by default the newest working 3.10 to 3.12.
PYTHON ?=
## Extras to install; by default train,dev and, with NUM_GPUS, gpu.
EXTRAS ?= train,$(if $(filter-out 0,$(NUM_GPUS)),gpu$(comma))dev

ALWAYS := species super generic
ifneq ($(words $(GRANULARITY)),1)
$(error GRANULARITY is '$(GRANULARITY)'; it must be one of $(ALWAYS), or a rank, such as genus)
endif
ifneq ($(words $(NETWORK)),1)
$(error NETWORK is '$(NETWORK)'; it must be one network, such as inception_v3)
endif
TASKS := detection classification both
ifneq ($(words $(TASK))$(filter-out $(TASKS),$(TASK)),1)
$(error TASK is '$(TASK)'; it must be one of $(TASKS))
endif
CLUSTERS := multi_worker_mirrored parameter_server
STRATEGIES := one_device mirrored $(CLUSTERS)
ifneq ($(words $(STRATEGY))$(filter-out $(STRATEGIES),$(STRATEGY)),1)
$(error STRATEGY is '$(STRATEGY)'; it must be one of $(STRATEGIES))
endif
CLUSTER := $(filter $(CLUSTERS),$(STRATEGY))
# The one whose folder is MODEL_DIR.
DETECTOR := $(if $(filter detection,$(TASK)),$(GRANULARITY))
CLASSIFIER := $(if $(filter classification,$(TASK)),$(NETWORK))

ifeq ($(strip $(DATA_DIR)),)
RUN := mini
PREFIX := mini_
DATA = $(WORK_DIR)/data
# Written last, when the dataset is complete.
TRAIN_SOURCE = $(DATA)/.complete
VAL_SOURCE = $(DATA)/.complete
else
# Not DATA_DIR's last part as it stands, which may be `.`.
RUN := $(call joined,$(shell cd "$(DATA_DIR)" 2> /dev/null && basename "$$PWD" || \
    basename "$(DATA_DIR)"))
PREFIX :=
DATA = $(DATA_DIR)
TRAIN_SOURCE = $(call escaped,$(TRAIN_JSON))
VAL_SOURCE = $(call escaped,$(VAL_JSON))
endif

# The ranks that a model is trained at or is to be, from fine to coarse, between the levels that
# there always are; which of them the dataset has, the programs know.
ORDER := subgenus genus subtribe tribe subfamily family superfamily infraorder suborder order \
    superorder subclass class
ABOVE_SUPER := subphylum phylum kingdom
FOUND := $(filter-out $(ALWAYS),$(GRANULARITY) \
    $(notdir $(patsubst %/checkpoint,%,$(wildcard $(WORK_DIR)/models/*/checkpoint))))
RANKS := $(filter $(FOUND),$(ORDER)) $(filter-out $(ORDER) $(ABOVE_SUPER),$(sort $(FOUND)))
GRANULARITIES := $(strip species $(RANKS) super $(filter $(FOUND),$(ABOVE_SUPER)) generic)

RECORDS = $(WORK_DIR)/records
DETECTIONS = $(WORK_DIR)/detections
PREDICTIONS = $(WORK_DIR)/predictions
REPORT = $(WORK_DIR)/report
STATISTICS = $(WORK_DIR)/statistics
VENV := .venv
INSTALLED := $(VENV)/.installed-$(subst $(comma),-,$(EXTRAS))
PY := $(VENV)/bin/python

# Without this, TensorFlow reports a missing GPU as an error whenever it starts. Failures still show
# as exceptions; TF_CPP_MIN_LOG_LEVEL=0 in the environment brings all messages back.
export TF_CPP_MIN_LOG_LEVEL ?= 3
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

# --- Installing -----------------------------------------------------------------------------------

.PHONY: help
## Prints this help.
help:
	@echo "inatdet: a benchmark suite for detecting thousands of species"
	@echo
	@echo "Targets"
	@awk '/^## / { text = substr($$0, 4); next } \
	    text && /^[a-z-]+:/ { sub(/:.*/, ""); printf "  %-16s %s\n", $$0, text } { text = "" }' \
	    Makefile
	@echo
	@echo "Variables, as in: make train GRANULARITY=super DATA_DIR=/data/inat2017"
	@awk '/^## / { text = substr($$0, 4); next } \
	    text && /^[A-Z_]+ \?=/ { name = $$1; sub(/^[A-Z_]+ \?= ?/, ""); \
	    printf "  %-16s %s%s\n", name, text, $$0 ~ /^[a-z0-9]+$$/ ? " [" $$0 "]" : "" } \
	    { text = "" }' Makefile

.PHONY: setup
## Installs everything into .venv; the other targets do so when needed.
setup: $(INSTALLED)

# Exported, so that the recipe is `sh -c` on it and needs no backslashes.
define MAKE_VENV
right='import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))'
"$(PY)" -c "$$right" 2> /dev/null && exit
incomplete=
for python in $(or $(PYTHON),python3.12 python3.11 python3.10 python3 python); do
    # A name on the path may still not run: pyenv's shims are such names.
    "$$python" -c "$$right" 2> /dev/null || continue
    if ! "$$python" -c 'import ensurepip, venv' 2> /dev/null; then
        incomplete=$${incomplete:-$$python}
        continue
    fi
    echo "making $(VENV) with $$("$$python" --version)"
    exec "$$python" -m venv --clear "$(VENV)"
done
if [ "$$incomplete" ]; then
    version=$$("$$incomplete" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "error: $$incomplete cannot make virtual environments (it has no ensurepip);" \
        "on Debian and Ubuntu, install the package python$$version-venv" >&2
else
    echo "error: no Python 3.10, 3.11 or 3.12 found$(if $(PYTHON), as $(PYTHON));" \
        "install one, or name it: make PYTHON=/path/to/python3.11" >&2
fi
exit 2
endef
export MAKE_VENV

# The file's name lists the extras.
$(VENV)/.installed-%: pyproject.toml constraints.txt
	@sh -c "$$MAKE_VENV"
	@echo "installing into $(VENV); this takes a few minutes the first time"
	@$(PY) -m pip install -qq -c constraints.txt pip setuptools wheel
	@$(PY) -m pip install -qq -c constraints.txt -e '.[$(subst -,$(comma),$*)]'
	@touch $@

# --- The benchmark --------------------------------------------------------------------------------

# The trainings are short, so the detectors begin with the classifier's features, as the paper's do
# with ImageNet's, and learn at a lower rate than from random weights.
DEMO_DIR := $(if $(filter file default undefined,$(origin WORK_DIR)),runs/demo,$(WORK_DIR))
DEMO = --no-print-directory DATA_DIR= WORK_DIR='$(DEMO_DIR)' NETWORK=inception_v3 \
    TASK=$(1) GRANULARITY=$(2) OVERRIDES='$(3)$(if $(and $(3),$(OVERRIDES)),$(comma))$(OVERRIDES)'
demo_schedule = $(subst $(space),$(comma),$(strip trainer.train_steps=$(1) \
    trainer.optimizer_config.learning_rate.cosine.decay_steps=$(1) \
    trainer.optimizer_config.learning_rate.cosine.initial_learning_rate=$(2)))
demo_detector = $(call DEMO,detection,$(1),$(call demo_schedule,$(2),$(3))$(comma)$(strip \
    )trainer.optimizer_config.warmup.linear.warmup_steps=50$(comma)$(strip \
    )task.model.backbone.weights=$(DEMO_DIR)/classifiers/inception_v3)

.PHONY: demo
## Runs the whole benchmark on the mini dataset, with four models, in minutes.
demo:
	@$(MAKE) $(call DEMO,detection,species) tfrecords
	@$(MAKE) $(call DEMO,classification,species,$(call demo_schedule,250,0.003)) train
	@$(MAKE) $(call demo_detector,generic,200,0.003) train
	@$(MAKE) $(call demo_detector,super,250,0.0015) train
	@$(MAKE) $(call demo_detector,species,350,0.0015) train
	@$(MAKE) $(call DEMO,both,species) eval
	@echo "Open the report in a browser: $(DEMO_DIR)/report/report.html"

.PHONY: data
## Generates the mini dataset, or checks that DATA_DIR has a dataset.
data: $(TRAIN_SOURCE) $(VAL_SOURCE)

ifeq ($(strip $(DATA_DIR)),)
$(DATA)/.complete: | $(INSTALLED)
	$(PY) -m inatdet mini --output_dir='$(DATA)'
	@touch $@
else
# Reached only when the file does not exist.
$(TRAIN_SOURCE) $(VAL_SOURCE):
	@echo "error: $@: no such file; DATA_DIR must hold train_2017_bboxes.json," \
	    "val_2017_bboxes.json and the images, or TRAIN_JSON, VAL_JSON and IMAGES_DIR" \
	    "say where they are" >&2; exit 2
endif

.PHONY: download
## Downloads iNat2017 to DATA_DIR, 199 GB; first shows sizes and terms.
download: $(if $(strip $(DATA_DIR)),$(INSTALLED))
ifeq ($(strip $(DATA_DIR)),)
	@echo "error: DATA_DIR must name the folder to download iNat2017 to:" \
	    "make download DATA_DIR=/data/inat2017" >&2; exit 2
else
	$(PY) -m inatdet download --output_dir='$(DATA_DIR)' $(DOWNLOAD_FLAGS)
endif

.PHONY: stats
## Counts species, images and boxes of both splits (the paper's Section 3).
stats: $(TRAIN_SOURCE) $(VAL_SOURCE) | $(INSTALLED)
	$(PY) -m inatdet statistics --train_annotations='$(TRAIN_JSON)' \
	    --val_annotations='$(VAL_JSON)' \
	    $(if $(TRAIN_LABELS),--train_labels='$(TRAIN_LABELS)') \
	    $(if $(VAL_LABELS),--val_labels='$(VAL_LABELS)') \
	    --output_dir='$(STATISTICS)' $(STATS_FLAGS)

# What whole images show has label spaces of its own where TRAIN_LABELS is, or was, given.
IMAGE_LABELS = $(RECORDS)/image_taxonomy.json
IMAGE_TAXONOMY = $(if $(TRAIN_LABELS)$(wildcard $(IMAGE_LABELS)),$(IMAGE_LABELS),$(strip \
    $(RECORDS)/taxonomy.json))

# Records written before TRAIN_LABELS was given lack the labels, and are written again.
.PHONY: again
again:
LABELS_LACKING = $(if $(TRAIN_LABELS),$(if $(wildcard $(IMAGE_LABELS)),,again))

LABEL_FILES := $(call escaped,$(TRAIN_LABELS)) $(call escaped,$(VAL_LABELS))
# Reached only when the file does not exist.
$(LABEL_FILES):
	@echo "error: $@: no such file; TRAIN_LABELS and VAL_LABELS name JSON that says what" \
	    "each image shows, such as train2017.json" >&2; exit 2

.PHONY: tfrecords
## Writes the TFRecords of both splits, with labels at all granularities.
tfrecords: $(LABEL_FILES) $(RECORDS)/$(TRAIN_SPLIT).json $(RECORDS)/$(VAL_SPLIT).json

$(RECORDS)/$(TRAIN_SPLIT).json: $(TRAIN_SOURCE) $(call escaped,$(TRAIN_LABELS)) $(LABELS_LACKING) \
    | $(INSTALLED)
	$(PY) -m inatdet tfrecords --annotations='$(TRAIN_JSON)' --images_dir='$(IMAGES_DIR)' \
	    --output_dir='$(RECORDS)' --split=$(TRAIN_SPLIT) $(if $(TRAIN_LABELS), \
	    --image_labels='$(TRAIN_LABELS)') $(TFRECORDS_FLAGS)
	@touch $@

# Validation uses the label spaces of training, so that labels mean the same in both.
$(RECORDS)/$(VAL_SPLIT).json: $(VAL_SOURCE) $(call escaped,$(VAL_LABELS)) \
    $(RECORDS)/$(TRAIN_SPLIT).json | $(INSTALLED)
	$(PY) -m inatdet tfrecords --annotations='$(VAL_JSON)' --images_dir='$(IMAGES_DIR)' \
	    --output_dir='$(RECORDS)' --split=$(VAL_SPLIT) $(if $(VAL_LABELS), \
	    --image_labels='$(VAL_LABELS)' --image_taxonomy='$(IMAGE_TAXONOMY)') \
	    --taxonomy='$(RECORDS)/taxonomy.json' $(TFRECORDS_FLAGS)
	@touch $@

SETTINGS = runtime.num_gpus=$(NUM_GPUS)$(if $(OVERRIDES),$(comma)$(OVERRIDES))

# What starts several processes says itself how many GPUs each of them has.
LAUNCH = launch --strategy=$(CLUSTER) --num_gpus=$(NUM_GPUS) $(if $(WORKERS),--workers=$(WORKERS) )--
TRAIN_SETTINGS = $(if $(CLUSTER),$(OVERRIDES),$(if $(filter one_device,$(STRATEGY)),$(strip \
    )runtime.distribution_strategy=one_device$(comma))$(SETTINGS))

TRAIN_FLAGS = --config_file='$(PIPELINE)' --mode=train --model_dir='$(MODEL_DIR)' \
    --params_override="task.granularity=$(GRANULARITY),$(strip \
    )task.taxonomy=$(if $(CLASSIFIER),$(IMAGE_TAXONOMY),$(RECORDS)/taxonomy.json),$(strip \
    $(if $(CLASSIFIER),task.model.network=$(CLASSIFIER)$(comma)))$(strip \
    )task.train_data.input_path=$(RECORDS)/$(TRAIN_SPLIT)-*.tfrecord,$(strip \
    )task.validation_data.input_path=$(RECORDS)/$(VAL_SPLIT)-*.tfrecord$(strip \
    $(if $(TRAIN_SETTINGS),$(comma)$(TRAIN_SETTINGS)))"

.PHONY: train
## Trains the model of GRANULARITY or NETWORK; resumes after an interruption.
train: $(if $(filter both,$(TASK)),one-task) tfrecords
	$(PY) -m inatdet $(if $(CLUSTER),$(LAUNCH) )train $(TRAIN_FLAGS)

.PHONY: plan
## Says what `make train` will take here, or has left: time, memory and disk.
plan: $(if $(filter both,$(TASK)),one-task) tfrecords
	$(PY) -m inatdet plan $(TRAIN_FLAGS)

.PHONY: one-task
one-task:
	@echo "error: TASK=both is for make eval; a model is trained with TASK=detection" \
	    "or TASK=classification" >&2; exit 2

# MODEL_DIR is one model's; the others are in their default folders.
model_dir = $(if $(filter $(1),$(DETECTOR)),$(MODEL_DIR),$(WORK_DIR)/models/$(1))
TRAINED = $(strip $(foreach g,$(GRANULARITIES),\
    $(if $(wildcard $(call model_dir,$(g))/checkpoint),$(g))))

.PHONY: detect
## Detects in the validation images with GRANULARITY's newest checkpoint.
detect: $(DETECTIONS)/$(GRANULARITY).parquet

# The same pass gives a fine model's detections at the coarser levels, by summed probabilities.
coarser = $(strip $(subst @,$(space),$(lastword $(subst @$(1)@,@ @,$(strip \
    @$(subst $(space),@,$(GRANULARITIES))@)))))
$(foreach g,$(GRANULARITIES),$(eval COARSER_$(g) := $(call coarser,$(g))))

# Detections made before a rank had a model lack the sums at that rank, and are made again.
lacking = $(foreach c,$(filter-out $(ALWAYS),$(COARSER_$(1))),\
    $(if $(wildcard $(DETECTIONS)/$(1).$(c).parquet),,$(c)))

# TensorFlow rewrites the file `checkpoint` with each checkpoint.
define DETECT_WITH
$(DETECTIONS)/$(1).parquet: $(call model_dir,$(1))/checkpoint $(RECORDS)/$(VAL_SPLIT).json \
    $(if $(strip $(call lacking,$(1))),again) | $(INSTALLED)
	$$(PY) -m inatdet detect --model_dir='$(call model_dir,$(1))' \
	    --input='$$(RECORDS)/$$(VAL_SPLIT)-*.tfrecord' --output='$$@' \
	    $(if $(COARSER_$(1)),--granularities=$(subst $(space),$(comma),$(COARSER_$(1)))) \
	    --params_override="$$(SETTINGS)"

# Reached only when the file does not exist.
$(call model_dir,$(1))/checkpoint:
	@echo "error: no $(1) model in $$(@D); train it first: make train GRANULARITY=$(1)" >&2; exit 2
endef
$(foreach g,$(GRANULARITIES),$(eval $(call DETECT_WITH,$(g))))

classifier_dir = $(if $(filter $(1),$(CLASSIFIER)),$(MODEL_DIR),$(WORK_DIR)/classifiers/$(1))
NETWORKS := $(sort $(NETWORK) \
    $(notdir $(patsubst %/checkpoint,%,$(wildcard $(WORK_DIR)/classifiers/*/checkpoint))))
TRAINED_NETWORKS = $(strip $(foreach n,$(NETWORKS),\
    $(if $(wildcard $(call classifier_dir,$(n))/checkpoint),$(n))))

.PHONY: classify
## Classifies the validation images with NETWORK's newest checkpoint.
classify: $(PREDICTIONS)/$(NETWORK).parquet

define CLASSIFY_WITH
$(PREDICTIONS)/$(1).parquet: $(call classifier_dir,$(1))/checkpoint $(RECORDS)/$(VAL_SPLIT).json \
    | $(INSTALLED)
	$$(PY) -m inatdet classify --model_dir='$(call classifier_dir,$(1))' \
	    --input='$$(RECORDS)/$$(VAL_SPLIT)-*.tfrecord' --output='$$@' \
	    --params_override="$$(SETTINGS)"

# Reached only when the file does not exist.
$(call classifier_dir,$(1))/checkpoint:
	@echo "error: no $(1) model in $$(@D);" \
	    "train it first: make train TASK=classification NETWORK=$(1)" >&2; exit 2
endef
$(foreach n,$(NETWORKS),$(eval $(call CLASSIFY_WITH,$(n))))

.PHONY: eval
## Runs every trained model of TASK, evaluates and writes the report.
eval:
	@$(MAKE) --no-print-directory report-of-trained

# What the trained models of TASK are evaluated with: files to be made, and flags.
DETECTORS := $(if $(filter-out classification,$(TASK)),$(TRAINED))
CLASSIFIERS := $(if $(filter-out detection,$(TASK)),$(TRAINED_NETWORKS))
DETECTORS_FLAGS = --taxonomy='$(RECORDS)/taxonomy.json' \
    $(foreach g,$(DETECTORS),--detections='$(g)=$(DETECTIONS)/$(g).parquet' \
    $(foreach c,$(COARSER_$(g)),--detections='$(g)/$(c)=$(DETECTIONS)/$(g).$(c).parquet'))
CLASSIFIERS_FLAGS = --image_taxonomy='$(IMAGE_TAXONOMY)' \
    $(foreach n,$(CLASSIFIERS),--predictions='$(n)=$(PREDICTIONS)/$(n).parquet') \
    $(if $(VAL_LABELS),--labels='$(VAL_LABELS)') \
    $(if $(TRAIN_LABELS),--train_labels='$(TRAIN_LABELS)')
# The boxes also say what images show, where nothing else does.
needs_boxes = $(or $(DETECTORS),$(if $(1),,$(CLASSIFIERS)))

# A separate make, because make looks for trained models when it starts: this way
# `make train eval` works.
.PHONY: report-of-trained
report-of-trained: $(DETECTORS:%=$(DETECTIONS)/%.parquet) $(CLASSIFIERS:%=$(PREDICTIONS)/%.parquet)
ifeq ($(DETECTORS)$(CLASSIFIERS),)
	@echo "error: no trained model in $(WORK_DIR)/$(if \
	    $(filter classification,$(TASK)),classifiers,models); train one first:" \
	    "make train$(if $(filter classification,$(TASK)), TASK=classification)" >&2; exit 2
else
	$(PY) -m inatdet evaluate \
	    $(if $(call needs_boxes,$(VAL_LABELS)),--annotations='$(VAL_JSON)') \
	    $(if $(call needs_boxes,$(TRAIN_LABELS)),--train_annotations='$(TRAIN_JSON)') \
	    $(if $(DETECTORS),$(DETECTORS_FLAGS)) $(if $(CLASSIFIERS),$(CLASSIFIERS_FLAGS)) \
	    --images_dir='$(IMAGES_DIR)' --resamples=$(RESAMPLES) --output_dir='$(REPORT)' $(EVAL_FLAGS)
endif

# --- Development ----------------------------------------------------------------------------------

# Processes that run tests, each a file at a time; one takes up to 5 GB of memory.
AT_ONCE := --numprocesses=auto --maxprocesses=4 --dist=loadfile
# Slow tests start processes of their own; two of them take up to 8 GB.
SLOW_AT_ONCE := --numprocesses=auto --maxprocesses=2 --dist=loadfile

.PHONY: test
## Runs the tests, but for the slow ones; a few minutes.
test: $(INSTALLED)
	$(PY) -m pytest $(AT_ONCE) -m "not slow" $(TESTS)

.PHONY: test-slow
## Runs the slow tests; some twenty minutes.
test-slow: $(INSTALLED)
	$(PY) -m pytest $(SLOW_AT_ONCE) -m slow $(TESTS)

.PHONY: bench
## Measures speed and memory against peers, which it installs; half an hour.
bench: $(INSTALLED)-bench
	$(PY) -m benchmarks.training_step
	$(PY) -m benchmarks.detection
	$(PY) -m benchmarks.postprocessing
	$(PY) -m benchmarks.input_pipeline
	$(PY) -m benchmarks.profile_step

.PHONY: lint
## Checks style, layout and types.
lint: $(INSTALLED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

.PHONY: format
## Fixes style and layout where that can be automated.
format: $(INSTALLED)
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

.PHONY: clean
## Removes .venv and caches, but not runs/, which took long to compute.
clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find inatdet tests benchmarks -name __pycache__ -type d -exec rm -rf {} +
