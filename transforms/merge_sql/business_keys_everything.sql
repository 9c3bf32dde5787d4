-- A rebuild: every key that a touchpoint or a reference input names.
CREATE OR REPLACE TEMP TABLE touched_contracts AS
SELECT contract_id FROM touchpoints WHERE contract_id IS NOT NULL
UNION
SELECT contract_id FROM ref_contracts;

CREATE OR REPLACE TEMP TABLE touched_quotes AS
SELECT DISTINCT quote_id FROM touchpoints WHERE quote_id IS NOT NULL;

CREATE OR REPLACE TEMP TABLE touched_claims AS
SELECT DISTINCT claim_id FROM touchpoints WHERE claim_id IS NOT NULL;

CREATE OR REPLACE TEMP TABLE touched_cases AS
SELECT DISTINCT case_id FROM touchpoints WHERE case_id IS NOT NULL;

CREATE OR REPLACE TEMP TABLE naming AS
SELECT rowid AS stored_row FROM touchpoints
WHERE contract_id IS NOT NULL OR quote_id IS NOT NULL OR claim_id IS NOT NULL OR case_id IS NOT NULL;
