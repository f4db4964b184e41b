-- After searches.sql: the figures of each moment of $step seconds that has any.
events AS (
    SELECT CAST(floor((epoch(happened_at) - epoch($start)) / $step) AS INTEGER) AS place, count(*) AS searches,
           count(*) FILTER (NOT was_clicked) AS unclicked,
           quantile_cont(total_ms, [0.5, 0.95]) AS latency
    FROM searches GROUP BY place
),
empties AS (
    SELECT CAST(floor((epoch(happened_at) - epoch($start)) / $step) AS INTEGER) AS place, count(*) AS empty FROM empty_searches
    WHERE happened_at >= $start AND happened_at < $end GROUP BY place
),
counts AS (
    SELECT CAST(floor((epoch(minute) - epoch($start)) / $step) AS INTEGER) AS place,
           coalesce(sum(amount) FILTER (series = 'searches'), 0) AS searches,
           coalesce(sum(amount) FILTER (series = 'unclicked'), 0) AS unclicked,
           coalesce(sum(amount) FILTER (series = 'empty'), 0) AS empty,
           coalesce(sum(amount) FILTER (series = 'failure'), 0) AS failed
    FROM telemetry WHERE minute >= $start AND minute < $end GROUP BY place
)
SELECT place,
       coalesce(events.searches, 0) + coalesce(empties.empty, 0) + coalesce(counts.searches, 0),
       coalesce(events.unclicked, 0) + coalesce(empties.empty, 0) + coalesce(counts.unclicked, 0),
       coalesce(empties.empty, 0) + coalesce(counts.empty, 0), coalesce(counts.failed, 0), latency
FROM events FULL JOIN empties USING (place) FULL JOIN counts USING (place)
