-- What intervals and tests are made of, as expressions over counts: quantiles at 95 % and a p-value, all to a relative
-- error below 1e-10. Least and greatest pass over nulls, hence the conditions before them.
-- DuckDB has neither the normal distribution nor Student's nor the gamma, so small arguments are read from a list, and
-- others go into a polynomial. Lists and polynomials were made once with scipy 1.17: stdtrit and gammaincinv at the whole
-- arguments, and Chebyshev fits through 200 nodes (of degree 8, 14 and 20; what more terms would add is below 1e-12) of
-- functions that are smooth down to the end of their range:
--   Student's quantile in 1/df, from 0 to 1/20;
--   the gamma quantile over its shape in ±1/sqrt(shape), from -1/sqrt(20) to 1/sqrt(20): its expansion for large shapes
--   is one for both ends, in which the 2.5 % quantile takes the negative root;
--   exp(x²) erfc(x) / t in t = 2 / (2 + x), from 0 to 1, which is every x >= 0.
-- A polynomial is written out by Horner's rule, since a lambda's names would capture columns of the same name.

CREATE MACRO wilson_low(successes, n) AS
CASE WHEN n > 0 AND successes IS NOT NULL THEN greatest(0e0, (2e0 * successes + 3.841458881296e0 - 1.959964e0 * sqrt(
    3.841458881296e0 + 4e0 * successes * (n - successes) / n
)) / (2e0 * (n + 3.841458881296e0))) END;

CREATE MACRO wilson_high(successes, n) AS
CASE WHEN n > 0 AND successes IS NOT NULL THEN least(1e0, (2e0 * successes + 3.841458881296e0 + 1.959964e0 * sqrt(
    3.841458881296e0 + 4e0 * successes * (n - successes) / n
)) / (2e0 * (n + 3.841458881296e0))) END;

CREATE MACRO nps_margin(promoters, detractors, n) AS
CASE WHEN n > 0 AND promoters IS NOT NULL AND detractors IS NOT NULL THEN 195.9964e0 * sqrt(greatest(0e0,
    (promoters + detractors) * 1e0 / n - ((promoters - detractors) * 1e0 / n) ** 2
) / n) END;

CREATE MACRO t_975(df) AS
CASE
    WHEN df % 1 <> 0 OR df < 1 THEN NULL
    WHEN df < 20 THEN [
        12.70620473617469e0, 4.302652729749462, 3.182446305283708, 2.776445105197793, 2.570581835636315,
        2.446911851144979, 2.364624251592784, 2.306004135204166, 2.262157162798205, 2.228138851986274,
        2.200985160091639, 2.178812829667228, 2.160368656462791, 2.144786687917804, 2.131449545559776,
        2.119905299221255, 2.109815577833316, 2.100922040241038, 2.093024054408309
    ][df::BIGINT]
    ELSE
        1.959963984540054 + 1e0 / df * (2.372271230298149 + 1e0 / df * (2.822498615905391 + 1e0 / df * (
        2.555849650878272 + 1e0 / df * (1.58953668304207 + 1e0 / df * (0.7327580340188434 + 1e0 / df * (
        0.6319283784250728 + 1e0 / df * (0.04717003321275116 + 1e0 / df * -0.9499490261077882)))))))
END;

CREATE MACRO gamma_ratio(root) AS
    0.9999999999999999 + root * (1.95996398454006 + root * (0.9471529402318403 + root * (
    -0.1719618598678234 + root * (-0.06809954255782459 + root * (0.03444176558631591 + root * (
    -0.02439405754159908 + root * (0.01500177746529416 + root * (-0.003400732566660737 + root * (
    -0.0007568410118542661 + root * (0.003917721187463035 + root * (-0.005320707649091817 + root * (
    0.003533205017447475 + root * (-0.002271227201410301 + root * 0.002328306436538699)))))))))))));

CREATE MACRO poisson_low(k) AS
CASE
    WHEN k % 1 <> 0 OR k < 0 THEN NULL
    WHEN k < 20 THEN [
        0e0, 0.02531780798428988, 0.242209278543965, 0.6186721228956014, 1.089865373626325, 1.623486390118421,
        2.201894253490851, 2.814363051519865, 3.453832176748501, 4.115373097378334, 4.795388696132433,
        5.49116036723684, 6.200575108722218, 6.921952491003801, 7.653930276300595, 8.395386132783315,
        9.145382453641524, 9.903126469607294, 10.66794078039953, 11.43924116436673
    ][k::BIGINT + 1]
    ELSE k * gamma_ratio(-1e0 / sqrt(k))
END;

CREATE MACRO poisson_high(k) AS
CASE
    WHEN k % 1 <> 0 OR k < 0 THEN NULL
    WHEN k < 19 THEN [
        3.688879454113935e0, 5.571643390938898, 7.22468766772396, 8.767273069742323, 10.24158867540369,
        11.66833207932267, 13.05947402251869, 14.42267536170238, 15.76318922019331, 17.08480345141917,
        18.39035604201778, 19.68203851330195, 20.96158504817696, 22.23039591815887, 23.48962112183558,
        24.74021887148584, 25.98299759756094, 27.21864681590661, 28.44776026752798
    ][k::BIGINT + 1]
    ELSE (k + 1) * gamma_ratio(1e0 / sqrt(k + 1))
END;

CREATE MACRO erfcx_ratio(t) AS
    0.2820947917738694 + t * (0.2820947917810555 + t * (0.2468329418314183 + t * (0.1763092959179106 + t * (
    0.0837455147093169 + t * (-0.004386122652479847 + t * (-0.0569573943681399 + t * (-0.05226003732053385 + t * (
    -0.006505798210510737 + t * (0.03491615584633288 + t * (0.2286687776800616 + t * (-0.9021165812282059 + t * (
    2.878288387231718 + t * (-6.941401644330439 + t * (11.39071068644189 + t * (-12.81161799130181 + t * (
    10.02042894175672 + t * (-5.411322625201761 + t * (1.938207287674994 + t * (-0.4165374843163125 + t *
    0.04080810628491217)))))))))))))))))));

CREATE MACRO normal_two_sided(z) AS
CASE WHEN z IS NOT NULL THEN least(1e0,
    exp(-z * z / 2e0) * (2e0 / (2e0 + abs(z) / sqrt(2e0))) * erfcx_ratio(2e0 / (2e0 + abs(z) / sqrt(2e0)))
) END;

COMMENT ON MACRO wilson_low IS 'Lower end of Wilson''s 95 % interval for a share: z = 1.959964, no continuity correction, at least 0; null where n is 0.';
COMMENT ON MACRO wilson_high IS 'Upper end of Wilson''s 95 % interval for a share: z = 1.959964, no continuity correction, at most 1; null where n is 0.';
COMMENT ON MACRO nps_margin IS 'Half of the 95 % interval of a net promoter score, in points: 1.959964 × 100 × √((p₊ + p₋ − (p₊ − p₋)²) / n), where p₊ and p₋ are the shares of promoters and detractors among n answers; null where n is 0.';
COMMENT ON MACRO t_975 IS 'The 97.5 % quantile of Student''s t: what half of a 95 % interval of a mean is in standard errors. df is a whole number from 1 on (n - 1); null for any other.';
COMMENT ON MACRO poisson_low IS 'Lower end of the exact 95 % interval for a count: half the 2.5 % quantile of chi-square with 2 k degrees of freedom, 0 for 0; k is a whole number from 0 on, null for any other.';
COMMENT ON MACRO poisson_high IS 'Upper end of the exact 95 % interval for a count: half the 97.5 % quantile of chi-square with 2 k + 2 degrees of freedom; k is a whole number from 0 on, null for any other.';
COMMENT ON MACRO normal_two_sided IS 'Two-sided p-value of a standard normal z: how likely it is to be at least as far from 0.';
COMMENT ON MACRO gamma_ratio IS 'The 97.5 % quantile of the gamma distribution over its shape, at root = 1 / √shape; the 2.5 % quantile at root = -1 / √shape. For shapes from 20 on.';
COMMENT ON MACRO erfcx_ratio IS 'exp(x²) × erfc(x) / t for x = 2 / t - 2 and t from 0 to 1.';
