#!/usr/bin/env bash
# Synchronous training on four machines with one GPU each: sbatch docs/recipes/slurm.sh
#
# Five minutes before its time is up the job saves, and is queued again to go on. RECORDS and MODEL
# must be on a disk that all machines see.
#SBATCH --job-name=inatdet
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@300
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

RECORDS=${RECORDS:-runs/inat2017/records}
MODEL=${MODEL:-runs/inat2017/models/super}

settings=(
    task.taxonomy="$RECORDS/taxonomy.json"
    task.train_data.input_path="$RECORDS/train-*.tfrecord"
    runtime.distribution_strategy=multi_worker_mirrored
    runtime.num_gpus=1
)
code=0
srun --distribution=block .venv/bin/inatdet train \
    --config_file=pipelines/super.yaml --model_dir="$MODEL" \
    --params_override="$(IFS=,; echo "${settings[*]}")" || code=$?

# 143: asked to end, and saved. Other errors that starting again may mend are 1; 2 is bad input.
if [ "$code" -eq 143 ] || [ "$code" -eq 1 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
