#!/bin/sh
# From two files of your own to a model that a server answers with, as a new user would type it.
#
#   scripts/first_model.sh [FOLDER [STEPS]]      # first_model/, 200 steps: a few minutes on a CPU
#
# It writes a small corpus, a CSV of reviews and a CoNLL file of names, and then: looks at them
# (mtl init, mtl data), trains both tasks on one trunk, evaluates, answers, exports, serves what
# was exported, asks the server once, and stops it. MTL says how mtl is called, and MORE has further
# overrides for training.
set -eu

FOLDER=${1:-first_model}
STEPS=${2:-200}
MTL=${MTL:-mtl}

if [ -e "$FOLDER" ]; then
  echo "Expected FOLDER to be a new folder, but '$FOLDER' is there; name another one." >&2
  exit 2
fi
command -v curl >/dev/null || { echo "Expected curl to be installed, but it is not." >&2; exit 2; }

step() { printf '\n== %s\n' "$*"; }

reviews() {  # THINGS: a header, and a row for each thing and judgment
  echo "text,label"
  for thing in $1; do
    for pair in warm:good cold:bad lovely:good awful:bad fresh:good stale:bad; do
      echo "The $thing was ${pair%:*} and we will tell our friends.,${pair#*:}"
    done
  done
}

letters() {  # NAMES PLACES: a word a line with its label, a sentence for each name and place
  for name in $1; do
    for place in $2; do
      printf '%s B-PER\nTalbot I-PER\nleft O\n%s B-LOC\nin O\nthe O\nrain O\n. O\n\n' "$name" "$place"
      printf 'Nobody O\nin O\n%s B-LOC\nknew O\n%s B-PER\n. O\n\n' "$place" "$name"
    done
  done
}

step "Two files a task: what to learn from, and what to be judged by"
mkdir -p "$FOLDER/reviews" "$FOLDER/letters"
cd "$FOLDER"
reviews "soup bread tea room garden music coffee service" >reviews/train.csv
reviews "cake terrace" >reviews/test.csv
letters "Ines Tom Ada Olu Mara Piet" "Brackwater Skerrow Harrow Dunmere" >letters/train.conll
letters "Edda Jonas" "Brackwater Lowfield" >letters/test.conll
wc -l reviews/*.csv letters/*.conll

step "What is in them: a YAML file for each task"
$MTL init reviews letters --output my_conf
tasks=$(ls my_conf/task | sed 's/\.yaml$//' | paste -s -d, -)
asked="--config-dir my_conf task=$tasks"
# shellcheck disable=SC2086
$MTL data $asked

step "Train both on one trunk"
# shellcheck disable=SC2086
$MTL train $asked "trainer.max_steps=$STEPS" logger=none hydra.run.dir=run ${MORE:-}

step "Evaluate, and answer a text"
$MTL evaluate run
$MTL predict run --text "Ines Talbot left Skerrow. The soup was cold."

step "Export"
$MTL export run exported

step "Serve what was exported, and ask"
$MTL serve exported --port 0 2>server.log &
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT
address=
for _ in $(seq 600); do
  address=$(sed -n 's|.*\(http://[0-9.:]*\) answers.*|\1|p' server.log)
  [ -z "$address" ] || break
  kill -0 "$server" 2>/dev/null || { cat server.log >&2; exit 1; }
  sleep 0.2
done
[ -n "$address" ] || { echo "The server did not begin:" >&2; cat server.log >&2; exit 1; }
curl --fail --silent --show-error "$address/v1/predict" -H 'Content-Type: application/json' \
  -d '{"texts": "Ines Talbot left Skerrow. The soup was cold."}' | tee answer.json
echo

step "Stop"
kill -TERM "$server"
wait "$server" || [ $? -eq 143 ]
trap - EXIT
echo "The model is in $FOLDER/exported, its run in $FOLDER/run."
