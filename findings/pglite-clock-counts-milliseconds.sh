#!/bin/sh
# @electric-sql/pglite 0.5.17 (npm; PostgreSQL 18.7 in WebAssembly) on Node 20: its clock has no microseconds.
#
# Guess: `clock_timestamp()` and `now()` tell microseconds, as those of a PostgreSQL server do, so that rows that are
#        inserted one after the other get times in that order.
# Seen:  every time is a whole millisecond: of 2,000 calls in one statement not one has a digit below it, and these share
#        a few dozen values at most. The type itself keeps microseconds: a literal comes back whole.
# So:    order rows by a number of their own (an identity column), never by the time at which they came; a cursor
#        "later than the last time seen" loses rows here that it would not lose on a server.
set -eu
D=$(mktemp -d); trap 'rm -rf "$D"' EXIT; cd "$D"
npm install --silent --no-fund --no-audit --no-save @electric-sql/pglite@0.5.17 >/dev/null 2>&1
cat > clock.mjs <<'END'
import { PGlite } from '@electric-sql/pglite';
const database = await PGlite.create();
const times = `select clock_timestamp() as t from generate_series(1, 2000)`;
const { rows } = await database.query(`
  select count(*)::int as calls,
    count(*) filter (where extract(microseconds from t)::int8 % 1000 <> 0)::int as with_microseconds,
    count(distinct t) < 200 as many_are_alike
  from (${times}) as x`);
console.log(JSON.stringify(rows[0]));
const literal = `select '2026-01-01 00:00:00.123456+00'::timestamptz at time zone 'UTC' as t`;
console.log((await database.query(`select t::text from (${literal}) as x`)).rows[0].t);
await database.close();
END
node clock.mjs | tee seen
{
  echo '{"calls":2000,"with_microseconds":0,"many_are_alike":true}'
  echo '2026-01-01 00:00:00.123456'
} | cmp - seen
