# A list of scans, in parts.
#
# A part is done when every scan of it has its folder or a reason in the status file: exit code 3 (some scans failed) is an answer, and
# `collect` lists them. Everything else (75: stopped, go on; a kill) is a failure of the job, which Snakemake starts again
# (--retries); what was done is not done twice.

COHORT = config.get("cohort", {})
PARTS = int(COHORT.get("parts", 1))


rule segment:
    input:
        list=COHORT.get("list", []),
    output:
        touch(COHORT.get("results", "results") + "/.parts/{part}-of-{parts}"),
    params:
        results=COHORT.get("results", "results"),
        options=COHORT.get("options", ""),
    threads: COHORT.get("threads", 2)
    retries: 3
    resources:
        mem_mb=COHORT.get("mem_mb", 2000),
        runtime=COHORT.get("minutes", 240),
    shell:
        "RAYON_NUM_THREADS={threads} {PROGRAM} segment --list {input.list} --part {wildcards.part}/{wildcards.parts}"
        " -o {params.results} {params.options} || [ $? -eq 3 ]"


rule collect:
    input:
        list=COHORT.get("list", []),
        parts=[f"{COHORT.get('results', 'results')}/.parts/{k}-of-{PARTS}" for k in range(1, PARTS + 1)],
    output:
        COHORT.get("summary", "summary") + "/organs.csv",
        COHORT.get("summary", "summary") + "/failures.csv",
        COHORT.get("summary", "summary") + "/cohort.html",
    params:
        results=COHORT.get("results", "results"),
        summary=COHORT.get("summary", "summary"),
    resources:
        mem_mb=4000,
        runtime=60,
    shell:
        "{PROGRAM} collect {input.list} {params.results} -o {params.summary}"


rule cohort:
    input:
        rules.collect.output,
