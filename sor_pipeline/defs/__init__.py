"""The Dagster shell: the flow's steps drawn as assets, with their checks, jobs, schedules and sensors.

Belongs here: what Dagster shows and when it starts what. Does not: any work of a step (`flow`
offers it), reading the environment (`definitions`).

No `from __future__ import annotations` in this folder: Dagster reads the annotations of what it runs.

    keys       names of assets, groups, owners        workplace     how an op gets to work
    columns    column schema and lineage              figures       numbers and samples for the UI
    sources    landed, staged                         publication   identity, canonical, conformed
    corrections, deliveries, cases                    checks        expectations as asset checks
    execution  processes and pools                    retention     old runs of Dagster
    jobs, schedules, sensors                          dagster.yaml  for the DAGSTER_HOME of one machine
"""
