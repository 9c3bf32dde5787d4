CREATE MACRO ladder_rung(identified, touchpoints, journeys, purchases, referrals, good_reviews, last_nps, contracts_in_force, longest_in_force_years, tenure_years, holds_nothing_any_more) AS
CASE
    WHEN (purchases >= 1 AND NOT holds_nothing_any_more AND (referrals >= 1 OR good_reviews >= 1 OR last_nps >= 9)) THEN 'advocate'
    WHEN (contracts_in_force >= 2 OR tenure_years >= 3) THEN 'loyal customer'
    WHEN (purchases >= 2 OR longest_in_force_years > 1) THEN 'customer'
    WHEN (purchases >= 1) THEN 'consumer'
    ELSE 'prospect'
END;

COMMENT ON MACRO ladder_rung IS 'The rung of the loyalty ladder of one for whom these facts hold: the highest whose condition holds, by [ladder] in the config.';
