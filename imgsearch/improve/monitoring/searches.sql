-- The searches from $start to before $end; a click on a later page counts for the first page of that query.
firsts AS (
    SELECT search_id, happened_at, visitor, query_key, encoder, score, total_ms
    FROM impressions WHERE rank = 1 AND happened_at >= $start AND happened_at < $end
),
clicked AS (SELECT DISTINCT search_id FROM clicks WHERE happened_at >= $start),
later_pages AS (
    SELECT DISTINCT search_id, happened_at, visitor, query_key
    FROM impressions SEMI JOIN (FROM clicked ANTI JOIN firsts USING (search_id)) USING (search_id)
    WHERE rank > 1 AND happened_at >= $start AND happened_at < $end
),
begun_by AS (
    SELECT firsts.search_id FROM later_pages ASOF JOIN firsts
    ON later_pages.visitor = firsts.visitor AND later_pages.query_key = firsts.query_key
    AND later_pages.happened_at >= firsts.happened_at
),
searches AS (
    SELECT *, search_id IN (SELECT search_id FROM clicked UNION ALL SELECT search_id FROM begun_by) AS was_clicked
    FROM firsts
)
