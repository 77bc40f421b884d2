-- From observations to splits: Section 3.2 of Van Horn et al., "The iNaturalist Species
-- Classification and Detection Dataset", CVPR 2018.
--
-- Reads two tables:
--   photographs (photo, observation, observer, taxon, is_licensed, ...): a row for each photograph
--     of an observation; further columns are passed on.
--   settings: one row with the arguments; `Rule` in splits.py explains them.
-- Leaves, besides steps on the way:
--   efforts: how many observations and photographs each observer has of each taxon.
--   classes: the taxa that are chosen.
--   places: the split of each observer of a class.
--   images: the images to write, each with its part of the dataset.
--
-- DuckDB and Spark SQL both run this file, statement by statement. Nothing depends on the order of
-- rows: what is drawn follows from md5 of the seed and of what is drawn, of which the first twelve
-- hexadecimal digits are compared as text.

-- A photograph may belong to several observations, also of other taxa or observers.
CREATE TABLE shared AS
SELECT photo
FROM photographs
GROUP BY photo
HAVING COUNT(*) > 1;

-- For each of them, a taxon and an observer are drawn, once for all that follows.
CREATE TABLE claims AS
SELECT p.*,
    DENSE_RANK() OVER (
        PARTITION BY p.photo
        ORDER BY
            SUBSTR(MD5(CONCAT(s.seed, ':', p.photo, ':', p.taxon, ':', p.observer)), 1, 12),
            p.taxon,
            p.observer
    ) AS choice,
    ROW_NUMBER() OVER (
        PARTITION BY p.photo, p.taxon, p.observer
        ORDER BY p.observation
    ) AS repetition
FROM photographs AS p
JOIN shared ON shared.photo = p.photo
CROSS JOIN settings AS s;

CREATE TABLE disputed AS
SELECT photo
FROM claims
WHERE choice > 1
GROUP BY photo;

-- What is left. The other observations of the same taxon by the same observer still count as
-- observations, but `repetition` counts the photograph once.
CREATE TEMPORARY VIEW decided AS
SELECT p.*, 0 AS choice, 1 AS repetition
FROM photographs AS p
WHERE NOT EXISTS (SELECT 1 FROM shared WHERE shared.photo = p.photo)
UNION ALL
SELECT c.*
FROM claims AS c
CROSS JOIN settings AS s
WHERE c.choice = 1
    AND (
        s.shared = 'draw'
        OR NOT EXISTS (SELECT 1 FROM disputed WHERE disputed.photo = c.photo)
    );

CREATE TABLE efforts AS
SELECT taxon, observer,
    COUNT(*) AS observations,
    CAST(SUM(photographs) AS BIGINT) AS photographs
FROM (
    SELECT taxon, observer, observation,
        SUM(CASE WHEN repetition = 1 THEN 1 ELSE 0 END) AS photographs
    FROM decided
    GROUP BY taxon, observer, observation
) AS of_observations
GROUP BY taxon, observer;

-- "At least 20 observations, submitted from at least 20 unique observers"; the first 40% of the
-- observers will be test. Nine decimals, so that 0.07 * 100 is 7 and not a little more.
CREATE TABLE classes AS
SELECT c.taxon, c.observers, c.observations, c.photographs,
    CAST(
        CASE s.rounding
            WHEN 'down' THEN FLOOR(ROUND(s.test_share * c.observers, 9))
            WHEN 'up' THEN CEIL(ROUND(s.test_share * c.observers, 9))
            ELSE FLOOR(ROUND(s.test_share * c.observers, 9) + 0.5)
        END AS BIGINT
    ) AS test_observers
FROM (
    SELECT taxon,
        COUNT(*) AS observers,
        CAST(SUM(observations) AS BIGINT) AS observations,
        CAST(SUM(photographs) AS BIGINT) AS photographs
    FROM efforts
    GROUP BY taxon
) AS c
CROSS JOIN settings AS s
WHERE c.observations >= s.min_observations AND c.observers >= s.min_observers;

-- "We sorted the observers by their number of observations (fewest first)".
CREATE TABLE sorted_observers AS
SELECT e.taxon, e.observer, e.observations, e.photographs, c.observers, c.test_observers,
    ROW_NUMBER() OVER (
        PARTITION BY e.taxon
        ORDER BY
            e.observations,
            CASE WHEN s.ties = 'photographs' THEN e.photographs ELSE 0 END,
            CASE
                WHEN s.ties = 'observer' THEN CAST(e.observer AS STRING)
                ELSE SUBSTR(MD5(CONCAT(s.seed, ':', e.taxon, ':', e.observer)), 1, 12)
            END,
            e.observer
    ) AS place
FROM efforts AS e
JOIN classes AS c ON c.taxon = e.taxon
CROSS JOIN settings AS s;

-- Observers are added to val "until either (1) the total number of photographs in the validation
-- set exceeds 30, or (2) 33% of the available photographs in the train-val set have been added".
-- `seen` counts the photographs of the observers before. Taken literally, this can take the last
-- observer too and leave train empty, so the last one stays in train.
CREATE TABLE places AS
SELECT taxon, observer, observations, photographs,
    CASE
        WHEN place <= test_observers THEN 'test'
        WHEN is_open AND place < observers THEN 'val'
        ELSE 'train'
    END AS split,
    is_open AND place > test_observers AND place = observers AS is_kept_from_val
FROM (
    SELECT a.*,
        a.seen <= s.max_val_photographs
            AND a.seen < ROUND(s.val_share * a.available, 9) AS is_open
    FROM (
        SELECT o.*,
            SUM(CASE WHEN place > test_observers THEN photographs ELSE 0 END) OVER (
                PARTITION BY taxon ORDER BY place
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) - photographs AS seen,
            SUM(CASE WHEN place > test_observers THEN photographs ELSE 0 END) OVER (
                PARTITION BY taxon
            ) AS available
        FROM sorted_observers AS o
    ) AS a
    CROSS JOIN settings AS s
) AS judged;

-- Photographs of the classes, and of all other taxa, which a model will not have seen.
CREATE TABLE split_photographs AS
SELECT d.*, p.split
FROM decided AS d
JOIN places AS p ON p.taxon = d.taxon AND p.observer = d.observer
WHERE d.repetition = 1 AND d.is_licensed
UNION ALL
SELECT d.*, 'unseen' AS split
FROM decided AS d
CROSS JOIN settings AS s
WHERE d.repetition = 1 AND d.is_licensed AND s.with_unseen
    AND NOT EXISTS (SELECT 1 FROM classes WHERE classes.taxon = d.taxon);

-- "Rather than release all test images, we randomly sampled ~183,000".
CREATE TABLE sampled AS
SELECT photo
FROM (
    SELECT t.photo, s.test_images,
        ROW_NUMBER() OVER (
            ORDER BY SUBSTR(MD5(CONCAT(s.seed, ':test:', t.photo)), 1, 12), t.photo
        ) AS place
    FROM split_photographs AS t
    CROSS JOIN settings AS s
    WHERE t.split = 'test' AND s.test_images IS NOT NULL
) AS drawn
WHERE place <= test_images;

-- The test set has a public and a private part; all images of an observer are in one of them, or
-- each image is drawn by itself.
CREATE TABLE images AS
SELECT i.*,
    CASE
        WHEN i.split <> 'test' THEN i.split
        WHEN s.test_images IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM sampled WHERE sampled.photo = i.photo)
            THEN 'test_reserve'
        WHEN s.private_below = '' THEN 'test'
        WHEN SUBSTR(
            MD5(CONCAT(s.seed, ':private:',
                CASE WHEN s.private_by = 'observer'
                    THEN CAST(i.observer AS STRING) ELSE CAST(i.photo AS STRING) END)),
            1, 12) < s.private_below
            THEN 'test_private'
        ELSE 'test_public'
    END AS part
FROM split_photographs AS i
CROSS JOIN settings AS s;
