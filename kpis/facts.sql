-- What is known of persons and of what is theirs at an instant: relations as they stood then, and facts beside their
-- columns. Days since an instant are 24 hours each; days until a date are days of the calendar, in the configured zone.

CREATE OR REPLACE MACRO local_day(instant) AS CAST(timezone('$time_zone', timezone('UTC', instant)) AS DATE);

COMMENT ON MACRO local_day IS 'The day of an instant (UTC) in the configured time zone.';

CREATE OR REPLACE MACRO days_between(since, until) AS (epoch_us(until) - epoch_us(since)) / 86_400_000_000;

COMMENT ON MACRO days_between IS 'Days of 24 hours from one instant to another, with their part.';

CREATE OR REPLACE MACRO contract_facts_at(as_of) AS TABLE
WITH instant AS MATERIALIZED (SELECT CAST(as_of AS TIMESTAMP) AS until),
due AS (
    SELECT
        contracts.*,
        until,
        CASE WHEN in_force THEN local_day(coalesce(due_at, began_at)) END AS first_due_on,
        local_day(until) AS today,
        greatest(0, year(today) - year(first_due_on)) AS years
    FROM contracts_at(as_of) AS contracts CROSS JOIN instant
)
SELECT
    * EXCLUDE (until, first_due_on, today, years),
    CAST(
        CASE
            WHEN first_due_on + to_years(years::INTEGER) >= today THEN first_due_on + to_years(years::INTEGER)
            ELSE first_due_on + to_years(years::INTEGER + 1)
        END AS DATE
    ) AS next_due_on,
    date_diff('day', today, next_due_on) AS days_until_due,
    days_between(in_force_since, until) AS days_in_force
FROM due;

COMMENT ON MACRO TABLE contract_facts_at IS 'Contracts as they stood at an instant (UTC): the columns of contracts_at; of those in force next_due_on, the first day not before that instant''s on which it is due (due_at or an anniversary of it, else of its beginning), days_until_due (days of the calendar) and days_in_force (24 hours each).';

CREATE OR REPLACE MACRO quote_facts_at(as_of) AS TABLE
WITH instant AS MATERIALIZED (SELECT CAST(as_of AS TIMESTAMP) AS until),
held AS (
    SELECT profile_id, product, true AS holds_product
    FROM contracts_at(as_of)
    WHERE in_force AND product IS NOT NULL
    GROUP BY profile_id, product
)
SELECT
    quotes.*,
    bound_at IS NOT NULL AS bound,
    days_between(quoted_at, until) AS days_since_quoted,
    coalesce(holds_product, false) AS holds_product
FROM quotes_at(as_of) AS quotes CROSS JOIN instant LEFT JOIN held USING (profile_id, product)
WHERE quoted_at IS NOT NULL;

COMMENT ON MACRO TABLE quote_facts_at IS 'Quotes made by an instant (UTC), as they stood then: the columns of quotes_at, bound, days_since_quoted (24 hours each), and holds_product: whether the person had a contract of that product in force.';

CREATE OR REPLACE MACRO case_facts_at(as_of) AS TABLE
WITH instant AS MATERIALIZED (SELECT CAST(as_of AS TIMESTAMP) AS until),
settled AS (
    SELECT
        cases.*,
        until,
        list_max(list_filter(answered_at || closed_at, lambda settled: settled >= opened_at)) AS last_settled_at
    FROM cases_at(as_of) AS cases CROSS JOIN instant
    WHERE opened_at IS NOT NULL
)
SELECT
    * EXCLUDE (until, last_settled_at),
    coalesce(last_settled_at < greatest(opened_at, list_max(reopened_at)), true) AS is_open,
    days_between(opened_at, until) AS days_since_opened,
    CASE WHEN kind = 'complaint' THEN CAST(local_day(opened_at) + INTERVAL 2 MONTH AS DATE) END AS answer_due_on,
    date_diff('day', local_day(until), answer_due_on) AS days_until_answer_due
FROM settled;

COMMENT ON MACRO TABLE case_facts_at IS 'Cases opened by an instant (UTC), as they stood then: the columns of cases_at, is_open (neither answered nor closed since it was last opened), days_since_opened (24 hours each), and of complaints answer_due_on, the last of the two months, and days_until_answer_due (days of the calendar; below 0: late).';

CREATE OR REPLACE MACRO journey_facts_at(as_of) AS TABLE
WITH instant AS MATERIALIZED (SELECT CAST(as_of AS TIMESTAMP) AS until)
SELECT journeys.*, days_between(last_at, until) AS days_since_last
FROM journeys_at(as_of) AS journeys CROSS JOIN instant;

COMMENT ON MACRO TABLE journey_facts_at IS 'Journeys as they stood at an instant (UTC): the columns of journeys_at, and days_since_last, since their last touchpoint then (24 hours each).';

CREATE OR REPLACE MACRO profile_facts_at(as_of) AS TABLE
WITH instant AS MATERIALIZED (SELECT CAST(as_of AS TIMESTAMP) AS until),
-- what the reference input says of a customer by then; a person's own row, else that of the smallest other id
customers AS (
    SELECT coalesce(people.profile_id, ref.customer_id) AS profile_id, ref.*
    FROM ref_customers AS ref CROSS JOIN instant LEFT JOIN internal.people AS people USING (customer_id)
    WHERE valid_from IS NULL OR valid_from <= until
    QUALIFY row_number() OVER (
        PARTITION BY coalesce(people.profile_id, ref.customer_id)
        ORDER BY
            ref.customer_id <> coalesce(people.profile_id, ref.customer_id),
            ref.customer_id,
            coalesce(valid_from, '-infinity'::TIMESTAMP) DESC
    ) = 1
),
told AS (
    SELECT
        profile_id,
        max(occurred_at) FILTER (survey = 'nps') AS last_nps_at,
        max(occurred_at) FILTER (medium = 'human') AS last_human_at,
        max(occurred_at) FILTER (list_contains(roles, 'touch')) AS last_touch_at,
        max_by(consent, (occurred_at, event_id)) FILTER (len(consent) > 0) AS consent,
        sum(value) FILTER (money_role = 'revenue' AND currency = 'EUR') AS revenue_to_date,
        sum(value) FILTER (money_role IN ('claim_paid', 'claim_reserve') AND currency = 'EUR') AS claim_cost_to_date
    FROM touchpoints CROSS JOIN instant
    WHERE occurred_at <= until
    GROUP BY profile_id
),
holdings AS (
    SELECT
        profile_id,
        list(DISTINCT product ORDER BY product) FILTER (in_force AND product IS NOT NULL) AS products_in_force,
        bool_or(held_from IS NOT NULL OR began_at IS NOT NULL) AS has_held
    FROM contracts_at(as_of)
    GROUP BY profile_id
),
premiums AS (
    SELECT profile_id, sum(annual_premium) AS premium_in_force
    FROM contract_premiums_at(as_of)
    WHERE until_at IS NULL AND currency = 'EUR'
    GROUP BY profile_id
),
quoted AS (SELECT profile_id, count(*) AS unbound_quotes FROM quote_facts_at(as_of) WHERE NOT bound GROUP BY profile_id),
complained AS (
    SELECT profile_id, count(*) AS open_complaints
    FROM case_facts_at(as_of)
    WHERE kind = 'complaint' AND is_open
    GROUP BY profile_id
)
SELECT
    profiles.*,
    days_between(last_at, until) AS days_since_last,
    last_nps_at,
    days_between(last_nps_at, until) AS days_since_nps,
    last_human_at,
    last_touch_at,
    days_between(last_touch_at, until) AS days_since_touch,
    coalesce(consent, []) AS consent,
    purchases >= 1 OR coalesce(has_held, false) AS is_customer,
    coalesce(products_in_force, []) AS products_in_force,
    coalesce(premium_in_force, 0) AS premium_in_force,
    coalesce(revenue_to_date, 0) AS revenue_to_date,
    coalesce(claim_cost_to_date, 0) AS claim_cost_to_date,
    coalesce(unbound_quotes, 0) AS unbound_quotes,
    coalesce(open_complaints, 0) AS open_complaints,
    region,
    birth_year,
    segment,
    potential,
    member_since,
    member_until
FROM profiles_at(as_of) AS profiles
CROSS JOIN instant
LEFT JOIN told USING (profile_id)
LEFT JOIN holdings USING (profile_id)
LEFT JOIN premiums USING (profile_id)
LEFT JOIN quoted USING (profile_id)
LEFT JOIN complained USING (profile_id)
LEFT JOIN customers USING (profile_id);

COMMENT ON MACRO TABLE profile_facts_at IS 'Persons as they stood at an instant (UTC): the columns of profiles_at; days_since_last (touchpoint), last_nps_at and days_since_nps, last_human_at (touchpoint whose medium is human), last_touch_at and days_since_touch (role touch; 24 hours each); consent (purposes, by the newest touchpoint that records any); is_customer (bought or held a contract), products_in_force, premium_in_force, revenue_to_date and claim_cost_to_date (paid and reserves), all three in EUR and without what is in other currencies; unbound_quotes, open_complaints; and region, birth_year, segment, potential, member_since and member_until as the newest row of ref_customers says that was valid then (of a person of several customer ids: that of profile_id, else of the smallest).';

CREATE OR REPLACE MACRO opted_out() AS TABLE
WITH decided AS (
    SELECT coalesce(profile_id, id) AS profile_id, id, kind, decided_at, decision_id
    FROM decisions LEFT JOIN internal.people ON people.customer_id = id
    WHERE kind IN ('opt_out', 'opt_in')
    UNION ALL
    -- a device that opted out while it was nobody's; what others did on it under their own names stays theirs
    SELECT touchpoints.profile_id, id, kind, decided_at, decision_id
    FROM decisions JOIN touchpoints ON id = 'anon:' || anonymous_id AND touchpoints.customer_id IS NULL
    WHERE kind IN ('opt_out', 'opt_in')
)
SELECT profile_id
FROM decided
GROUP BY profile_id
HAVING arg_max(kind, (decided_at, decision_id)) = 'opt_out';

COMMENT ON MACRO TABLE opted_out IS 'Persons who want no marketing, by the last of their decisions, whichever of their ids it was on: profile_id.';
