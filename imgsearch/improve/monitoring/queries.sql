-- After searches.sql: the 12 most frequent queries, and the 12 that fail most.
-- Only scores of one kind of query compare: the lowest 5% are weak, where a kind has at least 20 queries.
seen AS (
    SELECT query_key, count(*) AS searches, count(*) FILTER (was_clicked) AS clicked,
           avg(score) AS best_score FROM searches GROUP BY query_key
),
ranked AS (
    SELECT *, {kind} AS kind,
           cume_dist() OVER (PARTITION BY kind ORDER BY best_score) AS place,
           count(*) OVER (PARTITION BY kind) AS comparable
    FROM seen
),
empties AS (
    SELECT query_key, count(*) AS empty FROM empty_searches
    WHERE happened_at >= $start AND happened_at < $end GROUP BY query_key
),
verdicts AS (
    SELECT query_key, arg_max(verdict, (happened_at, rowid)) AS verdict FROM judgments
    WHERE happened_at < $end GROUP BY query_key, item_id, labeler HAVING max(happened_at) >= $start
),
judged AS (
    SELECT query_key, count(*) FILTER (verdict = 'good') AS good, count(*) FILTER (verdict = 'bad') AS bad
    FROM verdicts GROUP BY query_key
),
figures AS (
    SELECT query_key, coalesce(searches, 0) + coalesce(empty, 0) AS searches, coalesce(clicked, 0) AS clicked,
           coalesce(empty, 0) AS empty, coalesce(good, 0) AS good, coalesce(bad, 0) AS bad, best_score,
           coalesce(clicked, 0) = 0 AND kind <> 'filtered'
           AND coalesce(place <= 0.05 AND comparable >= 20, false) AS weak
    FROM ranked FULL JOIN empties USING (query_key) FULL JOIN judged USING (query_key)
),
top AS (
    SELECT 'top', * FROM figures WHERE searches > 0 ORDER BY searches DESC, query_key LIMIT 12
),
failing AS (
    SELECT 'failing', * FROM figures
    WHERE empty > 0 OR bad > good OR (clicked = 0 AND searches >= $min_searches) OR weak
    ORDER BY empty + bad + if(clicked = 0, searches, 0) DESC, query_key LIMIT 12
)
FROM top UNION ALL FROM failing
