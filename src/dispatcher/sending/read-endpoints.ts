/**
 * Of the businesses `$1`, those whose revision is not the one known, `$2`. A former signing secret comes with the time
 * that is left to it, by the database's clock.
 */
export const readEndpoints = `
  select b.business_id, b.revision, b.inbound_webhook_url, b.outbound_webhook_url, b.generic_webhook_url,
         b.headers_sealed, b.signing_secret_sealed, b.max_concurrency, to_json(b.rate_per_second) as rate_per_second,
         b.previous_signing_secret_sealed,
         to_json(extract(epoch from b.previous_secret_until - clock_timestamp()) * 1000) as previous_secret_ms
  from unnest($1::bigint[], $2::integer[]) as known (business_id, revision)
  join callbox.businesses b on b.business_id = known.business_id
  where b.revision is distinct from known.revision`
