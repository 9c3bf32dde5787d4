#!/bin/sh
# The demo behind `make run`: simulated files in, journey tables out.
# usage: demo.sh FOLDER EVENTS
set -eu
folder=$1
events=$2
rm -rf "$folder"
mkdir -p "$folder"

parcours simulate --events "$events" --seed 1 --format json --out "$folder/events"
parcours init "$folder/parcours.toml"
parcours run --config "$folder/parcours.toml"

ask() {
    printf '\n> %s\n' "$1"
    parcours query --config "$folder/parcours.toml" "$1"
}

printf '\nStage conversion: of the journeys that entered a stage, how many went on to the next one in time\n'
ask "SELECT from_stage, to_stage, window_days, sum(numerator) AS converted, sum(denominator) AS entered, round(100.0 * sum(numerator) / sum(denominator), 1) AS percent FROM kpi_stage_conversion WHERE grain = 'year' AND dimensions = ['total'] GROUP BY ALL ORDER BY min(from_rank), min(to_rank)"

printf '\nThree queries to try\n'
ask "SELECT first_channel, count(*) AS journeys, count(purchase_at) AS bought, round(median(days_to_purchase), 1) AS median_days FROM journeys GROUP BY ALL ORDER BY journeys DESC LIMIT 5"
ask "SELECT previous_channel, channel, count(*) AS steps FROM journey_steps WHERE previous_channel <> channel GROUP BY ALL ORDER BY steps DESC LIMIT 5"
ask "SELECT reason, field, count(*) AS records, min(message) AS example FROM quarantine GROUP BY ALL ORDER BY records DESC LIMIT 5"

printf '\nThe store is %s: parcours query --config %s "SELECT …"\n' "$folder/parcours.duckdb" "$folder/parcours.toml"
