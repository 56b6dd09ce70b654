#!/usr/bin/env bash
# Trains a small model from scratch: clips of the simulated world, all stages, a model folder. The same command resumes
# a stopped run.
#
#   examples/train_mini.sh                                       egotwin-mini: 64 px, two cores, some hours
#   CONFIG=mini-128 SIZE=128 CPU=false examples/train_mini.sh    on a GPU
#
# Settings, from the environment:
#   MOCAP      a folder of motion capture to train on too, none by default
#   CONFIG     a configuration of docs/training.md        SIZE   pixels along a side of its frames
#   CLIPS      of train, val and test                     DATA, RUNS, OUT   folders of clips, stages, the model
#   PROCESSES  that share a batch; CPU=true trains without a GPU
#   EXPORT     more options of `egotwin export`           EGOTWIN, PYTHON   the programs
set -euo pipefail

CONFIG=${CONFIG:-mini} SIZE=${SIZE:-64} CLIPS=${CLIPS:-12000 320 600} CPU=${CPU:-true}
DATA=${DATA:-data/world} RUNS=${RUNS:-runs/$CONFIG} OUT=${OUT:-models/egotwin-$CONFIG-mine}
PROCESSES=${PROCESSES:-$([ "$CPU" = true ] && echo 2 || echo 1)} EXPORT=${EXPORT:-}
PYTHON=${PYTHON:-.venv/bin/python} EGOTWIN=${EGOTWIN:-.venv/bin/egotwin}

mocap=()
if [ -n "${MOCAP:-}" ]; then mocap=(--mocap "$MOCAP"); fi
read -r train val test <<<"$CLIPS"
"$EGOTWIN" data world --out "$DATA/train" --split train --clips "$train" --size "$SIZE" --hand-pixels --keyframe-depth \
  --past 8 "${mocap[@]}"
"$EGOTWIN" data world --out "$DATA" --split val test --clips "$val" "$test" --size "$SIZE" --hand-pixels \
  --keyframe-depth --past 8

launch=("$PYTHON")
if [ "$PROCESSES" -gt 1 ]; then
  launch=("$PYTHON" -m torch.distributed.run --standalone --nproc-per-node "$PROCESSES")
  export OMP_NUM_THREADS=1
fi
if [ "$CPU" = true ]; then export ACCELERATE_USE_CPU=true; fi
for stage in depth video-codec motion-vae motion-decoder text-to-motion joint; do
  "${launch[@]}" -m training.stages.command "$stage" --config "$CONFIG" --data "$DATA" --runs "$RUNS" "${mocap[@]}"
done

# shellcheck disable=SC2086  # EXPORT is a list of words
"$EGOTWIN" export --runs "$RUNS" --out "$OUT" --name "egotwin-$CONFIG" $EXPORT
"$EGOTWIN" tune --model "$OUT" --data "$DATA" --clips $((val < 64 ? val : 64)) --record
