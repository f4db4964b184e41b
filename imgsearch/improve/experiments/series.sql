-- The moments over visitors by arm and bucket of time, of the ratio of two SQL expressions over searches.
WITH steps AS (
    SELECT arm, visitor,
        greatest(0, least($last_bucket, floor(epoch(began - $start) / $width)))::INT AS bucket,
        sum({x})::DOUBLE AS x, sum({y})::DOUBLE AS y
    FROM temp.experiment_searches GROUP BY ALL
),
paths AS (
    SELECT arm, bucket, x, y, sum(x) OVER so_far AS xs, sum(y) OVER so_far AS ys,
        (row_number() OVER so_far = 1)::INT AS is_new
    FROM steps
    WINDOW so_far AS (PARTITION BY arm, visitor ORDER BY bucket ROWS UNBOUNDED PRECEDING)
)
SELECT arm, bucket, sum(is_new), sum(x), sum(y), sum(xs * xs - (xs - x) * (xs - x)),
    sum(xs * ys - (xs - x) * (ys - y)), sum(ys * ys - (ys - y) * (ys - y))
FROM paths GROUP BY arm, bucket ORDER BY arm, bucket
