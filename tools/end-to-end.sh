#!/usr/bin/env bash
# From labelled faces to emotions at the edge, with the commands of the README: train, prune, fine-tune
# with a teacher, export, judge, run. At the end the edge must have decided as `eval` counted.
#
#   tools/end-to-end.sh         on drawn faces; needs no data and takes about a minute
#   tools/end-to-end.sh real    on the first 1,500 + 300 faces of FER2013, one epoch of VGG19
#
# `real` reads fer2013.csv.xz from FER_DATA (default ../shared/data). It shows that the line holds, not
# how good a model gets: that takes all faces and more epochs (host/recipes).
set -euo pipefail
cd "$(dirname "$0")/.."

mode=${1:-synth}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "end-to-end: $*" >&2
    exit 1
}

# Says what is done, then does it.
step() {
    printf '\n## %s\n' "$1"
    shift
    printf '$ %s\n' "$*" | sed "s|$work|work|g"
    "$@"
}

run="cargo run --quiet --bin"

case $mode in
synth)
    data=$work/synth.csv
    step "Draw faces" $run fer-tools -- data synth --seed 7 --count 1050 --out "$data"
    network="--arch vgg11 --width 0.125 --channels 1"
    training="--epochs 6 --batch 16 --schedule one-cycle --lr 0.01 --clip-norm 5 --nesterov"
    tuning="--epochs 4 --batch 16 --schedule one-cycle --lr 0.01 --clip-norm 5 --nesterov"
    least=0.7
    ;;
real)
    source=${FER_DATA:-../shared/data}/fer2013.csv.xz
    [ -f "$source" ] || fail "no $source: set FER_DATA to the folder of fer2013.csv.xz"
    command -v xz >/dev/null || fail "unpacking $source needs xz"
    data=$work/fer2013-small.csv
    printf '\n## Take the first faces of %s\n' "$source"
    # shellcheck disable=SC2016 # $NF is awk's
    xz -dc "$source" | awk -F, 'NR == 1 || ($NF ~ /Training/ && ++training <= 1500) ||
        ($NF ~ /PublicTest/ && ++public <= 300)' >"$data"
    network="--arch vgg19 --width 0.25 --channels 1"
    training="--epochs 1 --batch 32"
    tuning="--epochs 1 --batch 32"
    least=0
    ;;
*) fail "expected synth or real, found $mode" ;;
esac

step "What is in it" $run fer-tools -- data info "$data"

# shellcheck disable=SC2086 # flags are words
step "Train with sparse channel scales" \
    $run fer-tools -- train "$data" $network $training --sparsity 1e-4 --out "$work/base"

step "Cut half of the channels" \
    $run fer-tools -- prune "$work/base/best.safetensors" --percent 0.5 --out "$work/slim.safetensors"

# shellcheck disable=SC2086
step "Fine-tune, with the unpruned network as teacher" \
    $run fer-tools -- train "$data" --from "$work/slim.safetensors" \
    --distill "$work/base/best.safetensors" $tuning --out "$work/tuned"

step "Export, checked in tract" \
    $run fer-tools -- export "$work/tuned/best.safetensors" --data "$data" --name end-to-end \
    --images 100 --out "$work/model"

step "Judge the checkpoint" \
    $run fer-tools -- eval "$work/tuned/best.safetensors" "$data" --picture "$work/confusion.svg"
step "Judge the exported file" $run fer-tools -- eval "$work/model" "$data"
[ -s "$work/confusion.svg" ] || fail "no confusion matrix was drawn"

accuracy() {
    $run fer-tools -- eval "$1" "$data" --json | sed -E 's/.*"accuracy":([0-9.e-]+).*/\1/'
}
checkpoint=$(accuracy "$work/tuned/best.safetensors")
exported=$(accuracy "$work/model")

printf '\n## Faces as pictures, for the edge\n'
mkdir "$work/faces"
awk -F, -v folder="$work/faces" '
    BEGIN { split("angry disgust fear happy sad surprise neutral", label, " ") }
    NR > 1 && $NF ~ /PublicTest/ {
        file = sprintf("%s/%05d-%s.pgm", folder, NR, label[$1 + 1])
        printf "P2 48 48 255\n%s\n", $2 >file
        close(file)
    }' "$data"
faces=$(find "$work/faces" -name '*.pgm' | wc -l)
echo "$faces pictures"

step "Run the edge on them" \
    $run fer-edge -- run --detector none --model "$work/model" "$work/faces" | tee "$work/edge.log" |
    sed -n '1,6p'
grep '^{' "$work/edge.log" >"$work/lines.jsonl"
[ "$(wc -l <"$work/lines.jsonl")" -eq "$faces" ] || fail "not one line for each picture"

right=$(grep -cE '"file":"[0-9]+-([a-z]+)\.pgm".*"label":"\1"' "$work/lines.jsonl" || true)

printf '\n## Do they agree?\n'
awk -v checkpoint="$checkpoint" -v exported="$exported" -v right="$right" -v faces="$faces" \
    -v least="$least" 'BEGIN {
    edge = right / faces
    printf "checkpoint %.2f %%, exported %.2f %%, edge %.2f %% of %d faces\n",
        100 * checkpoint, 100 * exported, 100 * edge, faces
    gap = checkpoint - exported; if (gap < 0) gap = -gap
    if (gap > 0.002) { print "checkpoint and export differ by more than 0.2 points"; exit 1 }
    gap = edge - exported; if (gap < 0) gap = -gap
    if (gap > 1e-6) { print "the edge decides otherwise than eval"; exit 1 }
    if (exported < least) { print "the network has not learnt"; exit 1 }
}'
printf '\nThe line holds.\n'
