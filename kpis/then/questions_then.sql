-- Questions: the first that was asked under each case_id, and each one without. theme is what it is about; answers and
-- first_answer_at are of those under its case_id, by whomever, within 30 days.
WITH asked AS (
    SELECT
        event_id, case_id, occurred_at, channel, product,
        coalesce(list_filter(attributes, lambda a: a.key = 'theme' AND trim(a.value) <> '')[1].value, product) AS theme
    FROM touchpoints_then
    WHERE list_contains(roles, 'question_asked')
    QUALIFY case_id IS NULL OR row_number() OVER (PARTITION BY case_id ORDER BY occurred_at, event_id) = 1
),
answered AS (
    SELECT asked.event_id, count(*) AS answers, min(answer.occurred_at) AS first_answer_at
    FROM asked JOIN touchpoints_then AS answer USING (case_id)
    WHERE list_contains(answer.roles, 'question_answered') AND answer.event_id <> asked.event_id
        AND answer.occurred_at BETWEEN asked.occurred_at AND asked.occurred_at + INTERVAL 30 DAY
    GROUP BY asked.event_id
)
SELECT asked.*, coalesce(answers, 0) AS answers, first_answer_at
FROM asked LEFT JOIN answered USING (event_id)
