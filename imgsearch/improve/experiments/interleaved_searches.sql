-- One row for each search of an interleaved experiment: its visitor, and the clicks credited to each arm.
WITH shown AS MATERIALIZED (
    SELECT search_id, happened_at, visitor FROM exposures WHERE experiment = $experiment
),
clicked AS MATERIALIZED (
    SELECT DISTINCT search_id, item_id FROM clicks SEMI JOIN shown USING (search_id) WHERE action <> 'less'
),
credits AS (
    SELECT search_id,
        count(*) FILTER (arm = $first) AS first_clicks, count(*) FILTER (arm = $second) AS second_clicks
    FROM clicked JOIN impressions USING (search_id, item_id) GROUP BY search_id
),
counted AS (
    SELECT visitor, happened_at AS began, coalesce(first_clicks, 0) AS first_clicks,
        coalesce(second_clicks, 0) AS second_clicks
    FROM shown LEFT JOIN credits USING (search_id)
)
SELECT *, '' AS arm, (first_clicks + second_clicks > 0)::INT AS any_click,
    (first_clicks > second_clicks)::INT AS first_won, (second_clicks > first_clicks)::INT AS second_won
FROM counted
