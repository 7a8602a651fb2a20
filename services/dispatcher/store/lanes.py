"""Fairness between submitters within a queue: start-time fair queuing by tags, as SQL that inserts and moves share."""

TAGGED = """heads as (
    select q.queue, coalesce(
        (select w.tag from work w where w.queue = q.queue and w.state = 'ready' order by w.prio desc, w.tag limit 1),
        (select max(l.last_tag) from lanes l where l.queue = q.queue),
        0
    ) as head
    from (select distinct queue from fresh) q
), ahead as (
    select id, queue, submitter, sum(parts) over (partition by queue, submitter order by place) as parts from fresh
), bases as (
    select a.queue, a.submitter, greatest(h.head, coalesce(l.last_tag, 0)) as base, max(a.parts) as total
    from ahead a join heads h using (queue) left join lanes l using (queue, submitter)
    group by a.queue, a.submitter, h.head, l.last_tag
), lanes_now as (
    insert into lanes as l (queue, submitter, last_tag)
    select queue, submitter, base + total from bases order by queue, submitter
    on conflict (queue, submitter) do update set last_tag = greatest(l.last_tag, excluded.last_tag)
), tagged as (
    select a.id, b.base + a.parts as tag from ahead a join bases b using (queue, submitter)
)"""
"""From `fresh (id, queue, submitter, parts, place)` to `tagged (id, tag)`, with the lanes brought up to date.

A submitter's next message stands behind its own last one and not before the head of the queue. An empty queue begins
where its last lane ended, so that nobody pays for having been served.
"""

OUTLOOK = """
    select o.parts_per_s, greatest(w.parts, (
        select sum(least(l.last_tag, w.tag) - o.head_tag)
        from lanes l where l.queue = w.queue and l.last_tag > o.head_tag
    ))::bigint as ahead
    from outlooks o where o.queue = w.queue
"""
"""For work `w`: the parts that go out up to and with it (each lane's share up to its tag), and how many a second do."""
