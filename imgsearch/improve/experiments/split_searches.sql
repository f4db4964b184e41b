-- One row for each search of a split: its arm and visitor, its clicks and verdicts, and its times in seconds.
WITH shown AS MATERIALIZED (
    SELECT search_id, happened_at, arm, visitor, query_key,
        sum((first_rank = 1)::INT) OVER (
            PARTITION BY visitor, query_key ORDER BY happened_at, first_rank ROWS UNBOUNDED PRECEDING
        ) AS number
    FROM exposures WHERE experiment = $experiment
),
clicked AS MATERIALIZED (
    SELECT search_id, item_id, min(nullif(rank, 0)) AS rank, min(happened_at) AS moment
    FROM clicks SEMI JOIN shown USING (search_id) WHERE action <> 'less' GROUP BY search_id, item_id
),
clicks_of AS (
    SELECT search_id, count(*) AS clicks, count(*) FILTER (rank <= $top) AS top,
        arg_min(rank, moment) AS first_rank, min(moment) AS first_moment, max(moment) AS last_moment
    FROM clicked GROUP BY search_id
),
verdicts_of AS (
    SELECT search_id, count(*) FILTER (verdict = 'good') AS good, count(*) FILTER (verdict = 'bad') AS bad
    FROM (
        SELECT search_id, arg_max(verdict, happened_at) AS verdict
        FROM judgments SEMI JOIN shown USING (search_id) GROUP BY search_id, item_id, labeler
    ) GROUP BY search_id
),
pages_joined AS (
    SELECT arm, visitor, min(happened_at) AS began,
        coalesce(sum(clicks), 0) AS clicks, coalesce(sum(top), 0) AS top,
        coalesce(sum(good), 0) AS good, coalesce(sum(bad), 0) AS bad,
        arg_min(first_rank, first_moment) AS first_rank,
        min(first_moment) AS first_moment, max(last_moment) AS last_moment
    FROM shown LEFT JOIN clicks_of USING (search_id) LEFT JOIN verdicts_of USING (search_id)
    GROUP BY arm, visitor, query_key, number
)
SELECT *,
    CASE WHEN epoch(first_moment - began) BETWEEN 0 AND $max_time_s
        THEN epoch(first_moment - began) END AS first_click_s,
    CASE WHEN epoch(left_at - began) BETWEEN 0 AND $max_time_s THEN epoch(left_at - began) END AS time_s
FROM (
    SELECT *, greatest(
        last_moment, CASE WHEN next_began - began <= to_seconds($max_time_s) THEN next_began END
    ) AS left_at
    FROM (SELECT *, lead(began) OVER (PARTITION BY visitor ORDER BY began) AS next_began FROM pages_joined)
)
