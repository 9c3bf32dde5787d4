-- The keys of contracts, quotes, claims and cases whose rows are worked out anew: a touchpoint that names them came, went
-- or changed hands, or what the reference inputs say of them did.
CREATE OR REPLACE TEMP TABLE shifted AS
SELECT contract_id, quote_id, claim_id, case_id
FROM touchpoints
WHERE rowid IN (SELECT stored_row FROM demoted UNION ALL SELECT -1 - rid FROM moved);

CREATE OR REPLACE TEMP TABLE arrived_keys AS
SELECT contract_id, quote_id, claim_id, case_id FROM newcomers JOIN staged USING (rid)
WHERE contract_id IS NOT NULL OR quote_id IS NOT NULL OR claim_id IS NOT NULL OR case_id IS NOT NULL
UNION ALL
FROM shifted;

CREATE OR REPLACE TEMP TABLE touched_contracts AS
SELECT contract_id FROM arrived_keys WHERE contract_id IS NOT NULL
UNION
SELECT contract_id FROM changed_contracts
UNION
SELECT contract_id FROM ref_contracts SEMI JOIN changed_people USING (customer_id);

CREATE OR REPLACE TEMP TABLE touched_quotes AS
SELECT DISTINCT quote_id FROM arrived_keys WHERE quote_id IS NOT NULL;

CREATE OR REPLACE TEMP TABLE touched_claims AS
SELECT DISTINCT claim_id FROM arrived_keys WHERE claim_id IS NOT NULL;

CREATE OR REPLACE TEMP TABLE touched_cases AS
SELECT DISTINCT case_id FROM arrived_keys WHERE case_id IS NOT NULL;

DROP TABLE shifted;
DROP TABLE arrived_keys;

-- One column at a time: most touchpoints name no key, and the rows that do are few.
CREATE OR REPLACE TEMP TABLE naming AS
SELECT t.rowid AS stored_row FROM touchpoints AS t SEMI JOIN touched_contracts USING (contract_id)
UNION
SELECT t.rowid FROM touchpoints AS t SEMI JOIN touched_quotes USING (quote_id)
UNION
SELECT t.rowid FROM touchpoints AS t SEMI JOIN touched_claims USING (claim_id)
UNION
SELECT t.rowid FROM touchpoints AS t SEMI JOIN touched_cases USING (case_id);
