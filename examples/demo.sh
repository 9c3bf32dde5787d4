#!/bin/sh
# The demo behind `make run`: simulated files in, journey tables out, four questions answered; then a check and a copy.
# usage: demo.sh FOLDER EVENTS
set -eu
rm -rf "$1"
mkdir -p "$1"
cd "$1"

run() {
    printf '\n$ parcours %s\n' "$*"
    parcours "$@"
}

ask() {
    printf '\n%s\n\n$ parcours query "%s"\n\n' "$1" "$2"
    parcours query "$2"
}

run init
run simulate --events "$2" --seed 1 --format json --out touchpoints

# what the simulator writes beside its touchpoints: who the customers are, what they hold, ids of another name,
# what was spent on marketing, events held, what institutes measure, what the board wants
for input in customers contracts aliases spend events_held indicators targets; do
    cat >> parcours.toml <<END

[[source]]
name = "$input"
loads = "$input"
kind = "file"
format = "csv"
path = "touchpoints/$input.csv"
END
done
run run

ask "Stage conversion: of the journeys that entered a stage, how many entered the next one within its window?" "
    SELECT
        from_stage, to_stage, window_days,
        sum(denominator) AS entered, sum(numerator) AS converted,
        round(100 * sum(numerator) / sum(denominator), 1) AS percent,
        sum(b_before_a) AS b_before_a, sum(after_window) AS after_window, sum(not_yet) AS not_yet
    FROM kpi_stage_conversion,
        (SELECT ['awareness', 'consideration', 'purchase', 'service', 'loyalty', 'advocacy'] AS stages)
    WHERE grain = 'year' AND dimensions = ['total']
        AND list_position(stages, to_stage) = list_position(stages, from_stage) + 1
    GROUP BY ALL
    ORDER BY any_value(list_position(stages, from_stage))"

ask "Which channel begins journeys that end in a purchase?" "
    SELECT
        first_channel, count(*) AS journeys, count(purchase_at) AS bought,
        round(100 * count(purchase_at) / count(*), 1) AS percent,
        round(median(days_to_purchase), 1) AS median_days
    FROM journeys GROUP BY ALL ORDER BY journeys DESC LIMIT 6"

ask "Where do people change channel?" "
    SELECT previous_channel, channel, count(*) AS steps, count(DISTINCT profile_id) AS people
    FROM journey_steps WHERE previous_channel <> channel GROUP BY ALL ORDER BY steps DESC LIMIT 6"

ask "What was rejected, and why?" "
    SELECT reason, count(*) AS records, arg_min(field, (source_topic, source_offset)) AS field,
        left(arg_min(message, (source_topic, source_offset)), 75) || '…' AS example
    FROM quarantine GROUP BY ALL ORDER BY records DESC, reason LIMIT 6"

run check || test $? -eq 7 # warnings alone
run publish

printf '\nAsk your own:  cd %s && parcours query "SELECT …"    (the tables: docs/tables.md)\n' "$1"
