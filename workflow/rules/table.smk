# The paper's table: the systems of `ablation`, trained apart and put together.
#
# What there is to do, the program says itself (--plan); a checkpoint asks for it when the workflow is begun. A training that is stopped
# keeps a checkpoint and goes on when its job is started again.

import json
import os

TABLE = config.get("table", {})
RUNS = TABLE.get("runs", "runs/table")


def call(task):
    return (
        f"{PROGRAM} ablation {TABLE['training']} --data {TABLE['data']} -o {RUNS}"
        f" --seeds {TABLE.get('seeds', 3)} {'--folds ' + str(TABLE['folds']) if TABLE.get('folds') else ''}"
        f" {TABLE.get('options', '')} {task}"
    )


checkpoint plan:
    input:
        TABLE.get("training", []),
    output:
        RUNS + ".plan.jsonl",
    params:
        call=lambda _: call("--plan --step-seconds " + str(TABLE.get("step_seconds", 1))),
    localrule: True
    shell:
        "{params.call} > {output}"


def trainings(_):
    with open(checkpoints.plan.get().output[0]) as plan:
        return [f"{RUNS}/{json.loads(line)['id']}/evaluation.json" for line in plan]


rule training:
    input:
        TABLE.get("training", []),
    output:
        RUNS + "/{task}/evaluation.json",
    params:
        call=lambda wildcards: call(f"--task {wildcards.task}"),
    threads: TABLE.get("threads", 2)
    retries: 10
    resources:
        mem_mb=TABLE.get("mem_mb", 8000),
        runtime=TABLE.get("minutes", 1440),
    shell:
        "RAYON_NUM_THREADS={threads} {params.call}"


rule results:
    input:
        trainings,
    output:
        RUNS + "/results.md",
    params:
        call=lambda _: call("--collect"),
    localrule: True
    shell:
        "{params.call} > /dev/null"


rule table:
    input:
        rules.results.output,
