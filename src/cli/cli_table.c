/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands: dispatch, help, completion and the man page come from here. */
#include "cli/cli_int.h"

const struct cli_option cli_global_options[] = {
    {"data", 0, "DIR", "data folder of the platform on this machine"},
    {"json", 0, NULL, "print JSON in place of text"},
    {"quiet", 'q', NULL, "no notes, no table heads"},
    {"yes", 'y', NULL, "answer yes to every question"},
    {"help", 'h', NULL, "explain the command"},
    {"version", 0, NULL, "print the version"},
    {0},
};

static const struct cli_option up_options[] = {
    {"detach", 'd', NULL, "start in the background"},
    {"port", 'p', "PORT", "port of console and API (default 8080)"},
    {"listen", 0, "ADDRESS", "address to listen on (default 127.0.0.1)"},
    {"label", 0, "KEY=VALUE", "a label of this machine, for --node-label of jobs; may be repeated"},
    {"abort-uploads", 0, "TIME",
     "forget uploads in parts that got none for so long (default 7d, 0 for never)"},
    {0},
};
static const struct cli_option down_options[] = {
    {"jobs", 0, NULL, "also cancel live jobs and stop models first"},
    {0},
};
static const struct cli_option backup_options[] = {
    {"without-metadata", 0, NULL, "only the files: for metadata in PostgreSQL, which pg_dump backs up"},
    {0},
};
static const struct cli_option spec_options[] = {
    {"name", 'n', "NAME", "name of the job (default: from the module or command)"},
    {"framework", 'F', "NAME[:VERSION]",
     "environment, see 'cloudml frameworks' (default: guessed from imports)"},
    {"requirement", 'r', "LINE", "one more Python requirement, for example 'pandas==2.2.2'; may be repeated"},
    {"cpu", 'c', "CORES", "cores, for example 2 or 500m (default 1)"},
    {"memory", 'm', "SIZE", "memory, for example 4G (default 2G)"},
    {"gpu", 'g', "COUNT", "GPUs (default 0)"},
    {"tasks", 0, "N", "so many tasks, each with these resources, that start and end together (default 1)"},
    {"env", 'e', "KEY=VALUE", "environment variable; KEY alone takes ours; may be repeated"},
    {"prepare", 0, "COMMAND", "shell command before the program"},
    {"finish", 0, "COMMAND", "shell command after the program, however it ended"},
    {"retries", 0, "COUNT", "start again after a failure at most so many times (default 0)"},
    {"max-duration", 0, "TIME", "stop after this time, for example 2h"},
    {"grace-period", 0, "TIME", "time from SIGTERM to SIGKILL (default 10s)"},
    {"hang-timeout", 0, "TIME", "stop as hung after so long without output or use of the processor"},
    {"queue-timeout", 0, "TIME", "fail when it was not started after this time"},
    {"after", 0, "JOB[:CONDITION]", "start after this job: ok (default), any or failed; may be repeated"},
    {"array", 0, "COUNT[%MOST]", "so many jobs, numbered by CLOUDML_ARRAY_INDEX; at most MOST at a time"},
    {"priority", 0, "0-100", "higher goes first (default 50)"},
    {"preemptible", 0, NULL, "work of higher priority may stop it; it starts again later"},
    {"start-after", 0, "TIME", "start no earlier: 2026-11-25T08:30:00Z, or after a time such as 2h"},
    {"deadline", 0, "TIME", "must have ended by then: 2026-11-25T18:00:00Z, or a time from now such as 8h"},
    {"node-label", 0, "KEY=VALUE", "only on a node with this label; may be repeated"},
    {"network", 0, "MODE", "egress (default): outgoing traffic; none: no network"},
    {"idempotency-key", 0, "KEY", "the same key never makes a second job"},
    {"file", 'f', "FILE", "YAML or JSON file with the same fields; flags win over it"},
    {0},
};
static const struct cli_option tensorboard_options[] = {
    {"name", 'n', "NAME", "its name (default: the job's, or the folder's)"},
    {"cpu", 'c', "CORES", "cores (default 1)"},
    {"memory", 'm', "SIZE", "memory (default 1G)"},
    {"detach", 'd', NULL, "do not wait until it is ready"},
    {0},
};
static const struct cli_option attach_options[] = {
    {"detach", 'd', NULL, "do not wait; print the job's id"},
    {0},
};
static const struct cli_option submit_options[] = {
    {"module", 'M', "MODULE", "Python module to run, as python -m MODULE"},
    {"arg", 'a', "ARG", "argument for the module or command; may be repeated; those after -- come last"},
    {"batch", 0, "FILE", "many jobs: one specification as JSON a line, '-' = standard input; prints the ids"},
    {"kind", 0, "KIND",
     "folder: unpack and run there; python: install as a package (default: by pyproject.toml)"},
    {0},
};
static const struct cli_option cron_options[] = {
    {"schedule", 's', "TEXT",
     "minute, hour, day of month, month, day of week, in UTC: '0 3 * * mon-fri', or @daily"},
    {"overlap", 0, "WORD", "while the job before lives: skip (default), allow or replace"},
    {"missed", 0, "WORD", "ticks that passed while no server ran: once (default) or drop"},
    {"package", 0, "PACKAGE", "folder, sdist, wheel or fds:// address of the code"},
    {"module", 'M', "MODULE", "Python module to run, as python -m MODULE"},
    {0},
};
static const struct cli_option list_options[] = {
    {"state", 's', "STATE", "only this state"},
    {"name", 'n', "NAME", "only jobs of this name"},
    {"array", 0, "JOB", "the elements of this array; without it, an array is one line"},
    {"limit", 'l', "COUNT", "at most so many, newest first (default 50)"},
    {"ids", 0, NULL, "print only ids"},
    {0},
};
static const struct cli_option task_options[] = {
    {"task", 0, "N", "of a job with several tasks: which one, from 0 (default 0)"},
    {0},
};
static const struct cli_option log_options[] = {
    {"follow", 'f', NULL, "go on until the end"},
    {"tail", 't', "BYTES", "only the last bytes"},
    {"attempt", 0, "N", "log of an earlier attempt"},
    {0},
};
static const struct cli_option metrics_options[] = {
    {"attempt", 0, "N", "metrics of an earlier attempt"},
    {"name", 'n', "NAME", "all points of one metric, as lines 'time step value'"},
    {0},
};
static const struct cli_option model_options[] = {
    {"name", 'n', "NAME", "name of the model (default: from the job or folder)"},
    {"framework", 'F', "NAME[:VERSION]", "runtime (default: tensorflow for a SavedModel, onnx for .onnx)"},
    {"model-version", 0, "N", "version number when the folder has none (default 1)"},
    {"cpu", 'c', "CORES", "cores (default 1)"},
    {"memory", 'm', "SIZE", "memory (default 2G)"},
    {"replicas", 'R', "N", "model servers behind the one address (default 1)"},
    {"weights", 'w', "V=N,...", "versions that are served and their per mille of the requests: 1=900,2=100"},
    {"startup-grace", 0, "TIME", "from the start of a replica until it must be ready (default 10m)"},
    {"health-interval", 0, "TIME", "between two health checks (default 5s)"},
    {"health-failures", 0, "N", "failed checks in a row that replace a replica (default 3)"},
    {"idempotency-key", 0, "KEY", "the same key does it once"},
    {0},
};
static const struct cli_option replica_options[] = {
    {"replica", 0, "N", "only this replica; when following, the first one by default"},
    {0},
};
static const struct cli_option watch_options[] = {
    {"watch", 0, NULL, "again every two seconds, until Ctrl-C"},
    {0},
};
static const struct cli_option update_options[] = {
    {"detach", 'd', NULL, "do not wait; print the revision"},
    {0},
};
static const struct cli_option uri_options[] = {
    {"uri", 'u', "URI", "fds:// folder of a SavedModel or an .onnx file"},
    {"job", 'j', "JOB", "a completed job whose output holds the model"},
    {0},
};
static const struct cli_option predict_options[] = {
    {"file", 'f', "FILE",
     "request as JSON, '-' = standard input (default: an example made from the signature)"},
    {"grpc", 'g', NULL, "ask over gRPC instead of HTTP"},
    {0},
};
static const struct cli_option ids_options[] = {{"ids", 0, NULL, "print only names"}, {0}};
static const struct cli_option lifecycle_options[] = {
    {"prefix", 0, "PREFIX", "of which keys; a bucket has at most one rule for a prefix (default: all keys)"},
    {"expire", 0, "TIME", "remove objects that are older, for example 30d"},
    {"noncurrent", 0, "TIME", "remove versions so long after they were replaced"},
    {"abort-uploads", 0, "TIME", "forget uploads in parts that began so long ago"},
    {"keep-last", 0, "N", "keep the newest N checkpoints, remove the others"},
    {0},
};
static const struct cli_option sync_options[] = {
    {"delete", 0, NULL, "remove from TO what is not in FROM, after all else is copied"},
    {"dry-run", 0, NULL, "only say what would be done"},
    {0},
};
static const struct cli_option copy_options[] = {
    {"recursive", 'R', NULL, "copy whole folders"},
    {"version", 0, "VERSION", "this version of the object, not the newest"},
    {0},
};
static const struct cli_option move_options[] = {{"recursive", 'R', NULL, "move whole folders"}, {0}};
static const struct cli_option remove_options[] = {
    {"recursive", 'R', NULL, "remove everything below the prefix"},
    {"version", 0, "VERSION", "only this version, for good"},
    {"versions", 0, NULL, "with --recursive: all versions, for good"},
    {0},
};
static const struct cli_option ls_options[] = {
    {"recursive", 'R', NULL, "list everything below"},
    {"versions", 0, NULL, "all versions of everything below, newest first, and removals"},
    {0},
};
static const struct cli_option version_options[] = {
    {"version", 0, "VERSION", "instead of the newest version; see 'cloudml store ls --versions'"},
    {0},
};
static const struct cli_option presign_options[] = {
    {"expires", 0, "TIME", "how long it is good for, at most 7d (default 1h)"},
    {"put", 0, NULL, "for writing the object, instead of reading it"},
    {"version", 0, "VERSION", "instead of the newest version"},
    {0},
};
static const struct cli_option du_options[] = {
    {"versions", 0, NULL, "count all versions, not only the newest"},
    {0},
};
static const struct cli_option mount_options[] = {
    {"foreground", 0, NULL, "stay until the folder is unmounted, instead of going to the background"},
    {0},
};
static const struct cli_option fsck_options[] = {
    {"stop", 0, NULL, "stop the check that is under way"},
    {0},
};

static const struct cli_option org_options[] = {
    {"org", 'o', "NAME", "of this organisation (default: one's own)"},
    {0},
};
static const struct cli_option description_options[] = {
    {"description", 0, "TEXT", "a line for people"},
    {0},
};
static const struct cli_option org_delete_options[] = {
    {"force", 0, NULL, "also when it has jobs, models or objects; asks first"},
    {0},
};
static const struct cli_option user_options[] = {
    {"role", 'r', "ROLE", "viewer, member or admin (a new user: member)"},
    {"platform", 0, "yes|no", "may make organisations and act in all of them; needs the role admin"},
    {0},
};
static const struct cli_option key_options[] = {
    {"user", 'u', "NAME", "whose key (default: one's own)"},
    {"role", 'r', "ROLE", "at most one's own and the user's (default: as much as they have)"},
    {"expires", 0, "TIME", "ends after this time, for example 90d (default: never)"},
    {"note", 0, "TEXT", "what it is for"},
    {0},
};
static const struct cli_option key_list_options[] = {{"user", 'u', "NAME", "only this user's"}, {0}};
static const struct cli_option quota_options[] = {
    {"purpose", 'p', "PURPOSE", "of cpu, memory, gpu, count: training (default), models or development"},
    {"cpu", 'c', "CORES", "cores at the same time; -1 for no limit"},
    {"memory", 'm', "SIZE", "memory at the same time; -1 for no limit"},
    {"gpu", 'g', "COUNT", "GPUs at the same time; -1 for no limit"},
    {"count", 0, "COUNT", "tasks at the same time; -1 for no limit"},
    {"storage", 0, "SIZE", "bytes in the store, all versions; -1 for no limit"},
    {"objects", 0, "COUNT", "objects in the store, all versions; -1 for no limit"},
    {"borrow", 0, "yes|no", "may hold more while nobody who is owed waits"},
    {"weight", 0, "N", "in the fair share; 100 is usual"},
    {"user-running", 0, "COUNT", "jobs of one user at the same time; -1 for no limit"},
    {"user-queued", 0, "COUNT", "unfinished jobs of one user; -1 for no limit"},
    {0},
};
static const struct cli_option usage_options[] = {
    {"user", 'u', "NAME", "only this user's"},
    {"job", 'j', "NAME", "only this job or model"},
    {"since", 0, "DAY", "first day, as 2026-01-31 (default: 30 days)"},
    {"until", 0, "DAY", "last day (default: today, UTC)"},
    {"by", 0, "WHAT", "a row for each org (default), day, user or job"},
    {"all", 0, NULL, "all organisations; for administrators of the platform"},
    {"csv", 0, NULL, "comma-separated, with all columns"},
    {0},
};
static const struct cli_option event_options[] = {
    {"limit", 'l', "COUNT", "at most so many, newest first (default 50)"},
    {0},
};

#define OPTIONS(...) ((const struct cli_option *const[]){__VA_ARGS__, NULL})

const struct cli_command cli_commands[] = {
    {"", "up", "", "start the platform on this machine",
     "Runs in the foreground until Ctrl-C, or in the background with --detach. The first start makes the "
     "data folder, an\n"
     "organisation and a root token. Jobs and models go on when the platform stops and are found again at "
     "the next start.",
     OPTIONS(up_options), 0, 0, cmd_up},
    {"", "down", "", "stop the platform; jobs and models go on", NULL, OPTIONS(down_options), 0, 0, cmd_down},
    {"", "status", "", "is it running, what is it doing", NULL, NULL, 0, 0, cmd_status},
    {"", "doctor", "", "check what works on this machine", NULL, NULL, 0, 0, cmd_doctor},
    {"", "backup", "FILE", "back up the platform on this machine into one file, while it works",
     "Metadata, objects and checkpoints, as a tar file with the digest of every file in it. What was "
     "acknowledged before "
     "it began is in it.\n"
     "The objects are those of one moment; what is deleted meanwhile takes its room on the disk until the "
     "backup ends.\n"
     "Environments, logs of running tasks and secrets are not: the first are made anew, the last too. Reads "
     "the data "
     "folder, so it\n"
     "runs as the server's user on the server's machine. The file is as secret as the folder.",
     OPTIONS(backup_options), 1, 1, cmd_backup},
    {"", "restore", "FILE", "make a data folder from a backup",
     "The folder of --data must be absent or empty; it appears whole and checked, or not at all. Jobs that "
     "ran when "
     "the backup was\n"
     "made are lost tasks for the server that starts on it, and are tried again as their rules say.",
     NULL, 1, 1, cmd_restore},
    {"", "console", "", "print the link that opens the web console, logged in", NULL, NULL, 0, 0,
     cmd_console},
    {"", "run", "-- COMMAND...", "run a command with the code of this folder and watch it",
     "Uploads the present folder (without what .gitignore names), waits in the queue, shows the output and "
     "the progress,\n"
     "and ends with the exit status of the program. Ctrl-C detaches; the job goes on. Write results to\n"
     "$CLOUDML_OUTPUT_DIR: they are kept in the store. requirements.txt is respected.",
     OPTIONS(attach_options, spec_options), 0, 0, cmd_run},
    {"", "serve", "JOB|URI", "serve a job's model over HTTP and gRPC",
     "Starts a model service, waits until it is ready and prints its address and how to ask it. JOB is the "
     "id or name of a\n"
     "completed job, URI an fds:// folder that holds a SavedModel, or an .onnx file.",
     OPTIONS(attach_options, model_options), 1, 1, cmd_serve},
    {"", "explain", "JOB", "why a job waits, when it starts, and what would help",
     "Its place in the queue, which resource or quota is short, who holds it (by name what is yours), when "
     "it is "
     "expected to\n"
     "start and by what that is known, and what you could ask for so that it starts at once.",
     NULL, 1, 1, cmd_explain},
    {"jobs", "submit", "[PACKAGE] [-- ARGS...]", "submit a training job",
     "PACKAGE is a folder, an sdist, a wheel, or an fds:// address of one. Give --module for a Python "
     "package, or a command\n"
     "after --.",
     OPTIONS(attach_options, submit_options, spec_options), 0, 1, cmd_jobs_submit},
    {"jobs", "list", "", "list jobs, newest first", NULL, OPTIONS(list_options), 0, 0, cmd_jobs_list},
    {"jobs", "describe", "JOB", "everything about one job", NULL, NULL, 1, 1, cmd_jobs_describe},
    {"jobs", "logs", "JOB", "print a job's output", NULL, OPTIONS(log_options, task_options), 1, 1,
     cmd_jobs_logs},
    {"jobs", "attach", "JOB", "watch a job until it ends", NULL, NULL, 1, 1, cmd_jobs_attach},
    {"jobs", "events", "JOB", "what happened to a job, and when", NULL, NULL, 1, 1, cmd_jobs_events},
    {"jobs", "metrics", "JOB", "loss, accuracy, CPU and memory of a job", NULL,
     OPTIONS(metrics_options, task_options), 1, 1, cmd_jobs_metrics},
    {"jobs", "cancel", "JOB...", "stop jobs", NULL, NULL, 1, -1, cmd_jobs_cancel},
    {"jobs", "delete", "JOB...", "remove finished jobs with their outputs and logs", NULL, NULL, 1, -1,
     cmd_jobs_delete},
    {"cron", "create", "NAME [-- COMMAND...]", "submit a job again and again", NULL,
     OPTIONS(cron_options, spec_options), 1, 1, cmd_cron_create},
    {"cron", "list", "", "list crons", NULL, NULL, 0, 0, cmd_cron_list},
    {"cron", "describe", "CRON", "a cron, its job, and what happened to it", NULL, NULL, 1, 1,
     cmd_cron_describe},
    {"cron", "pause", "CRON...", "make no jobs until it is resumed", NULL, NULL, 1, -1, cmd_cron_pause},
    {"cron", "resume", "CRON...", "make jobs again, from the next tick on", NULL, NULL, 1, -1,
     cmd_cron_resume},
    {"cron", "delete", "CRON...", "remove crons; their jobs stay", NULL, NULL, 1, -1, cmd_cron_delete},
    {"models", "create", "NAME", "start a model service", NULL,
     OPTIONS(attach_options, uri_options, model_options), 1, 1, cmd_models_create},
    {"models", "update", "MODEL", "change a model while it serves",
     "New files, framework or limits are served by new replicas, which take over one by one when they are "
     "ready; a version\n"
     "that cannot be served leaves the one before in place. Replicas and weights change without a restart, "
     "as long as the\n"
     "weights name the same versions.",
     OPTIONS(update_options, uri_options, model_options), 1, 1, cmd_models_update},
    {"models", "list", "", "list model services", NULL, OPTIONS(ids_options), 0, 0, cmd_models_list},
    {"models", "describe", "MODEL", "address, state and signature of a model", NULL, NULL, 1, 1,
     cmd_models_describe},
    {"models", "predict", "MODEL", "ask a model", NULL, OPTIONS(predict_options), 1, 1, cmd_models_predict},
    {"models", "metrics", "MODEL", "requests, errors and latency of each replica and of all", NULL,
     OPTIONS(watch_options), 1, 1, cmd_models_metrics},
    {"models", "logs", "MODEL", "print what the replicas of a model wrote", NULL,
     OPTIONS(log_options, replica_options), 1, 1, cmd_models_logs},
    {"models", "events", "MODEL", "what happened to a model service", NULL, NULL, 1, 1, cmd_models_events},
    {"models", "delete", "MODEL...", "stop model services", NULL, NULL, 1, -1, cmd_models_delete},
    {"tensorboard", "create", "JOB|URI", "show a job or a folder of the store in TensorBoard",
     "Prints the address of its pages, which need a login of the platform (the console's will do). A job's "
     "summaries are\n"
     "those that it writes to $CLOUDML_TENSORBOARD_URI, or below $CLOUDML_OUTPUT_DIR; new points appear "
     "while "
     "it runs.",
     OPTIONS(tensorboard_options), 1, 1, cmd_tensorboard_create},
    {"tensorboard", "list", "", "list TensorBoards", NULL, NULL, 0, 0, cmd_tensorboard_list},
    {"tensorboard", "describe", "NAME", "address and state of a TensorBoard", NULL, NULL, 1, 1,
     cmd_tensorboard_describe},
    {"tensorboard", "open", "NAME", "print the address of its pages", NULL, NULL, 1, 1, cmd_tensorboard_open},
    {"tensorboard", "logs", "NAME", "print what a TensorBoard wrote", NULL, NULL, 1, 1, cmd_tensorboard_logs},
    {"tensorboard", "delete", "NAME...", "stop TensorBoards; what they show stays", NULL, NULL, 1, -1,
     cmd_tensorboard_delete},
    {"store", "ls", "[URI]", "list buckets, or what is below an fds:// address", NULL, OPTIONS(ls_options), 0,
     1, cmd_store_ls},
    {"store", "cp", "FROM TO", "copy between files and the store, or inside the store",
     "Several files or pieces of a large one go at the same time. What was interrupted goes on where it was "
     "when "
     "an upload\n"
     "of 32 MiB or more is repeated. A download appears under its name when its hash is the store's.\n"
     "Between two addresses the server copies, whatever the size; what cannot be copied is named, and the "
     "others "
     "go on.",
     OPTIONS(copy_options), 2, 2, cmd_store_cp},
    {"store", "mv", "FROM TO", "move or rename objects inside the store",
     "Each object is copied by the server and then goes; one that is written meanwhile is at both places. "
     "Where "
     "versions are\n"
     "kept, those of the old name stay.",
     OPTIONS(move_options), 2, 2, cmd_store_mv},
    {"store", "sync", "FROM TO", "copy a folder's changes to the store, from it or inside it",
     "Copies what is missing, of another size or younger than what is there. Links are left alone. "
     "Downloaded files "
     "get the\n"
     "times of their objects.",
     OPTIONS(sync_options), 2, 2, cmd_store_sync},
    {"store", "cat", "URI...", "print objects", NULL, OPTIONS(version_options), 1, -1, cmd_store_cat},
    {"store", "stat", "URI", "what is known of an object or a bucket", NULL, OPTIONS(version_options), 1, 1,
     cmd_store_stat},
    {"store", "du", "[URI]", "objects and bytes of buckets, or of each folder below an address",
     "A folder is counted with all that is below it; the last line is the sum. Without an address all "
     "versions "
     "in every\n"
     "bucket are counted. UPLOADS in parts that nobody has ended yet, and the bytes they hold, are beside: "
     "they count\n"
     "for the quota, and for the size of a bucket.",
     OPTIONS(du_options), 0, 1, cmd_store_du},
    {"store", "rm", "URI...", "remove objects", NULL, OPTIONS(remove_options), 1, -1, cmd_store_rm},
    {"store", "mb", "BUCKET", "make a bucket", NULL, NULL, 1, 1, cmd_store_mb},
    {"store", "versioning", "BUCKET on|suspended", "keep what is overwritten or removed, or no longer",
     "With versions a removal hides an object, and 'store rm --version' ends a version for good. Suspended: "
     "what there is\n"
     "stays, and nothing new is kept.",
     NULL, 2, 2, cmd_store_versioning},
    {"store", "lifecycle", "get|set|rm BUCKET", "what the store removes by itself",
     "'set' makes or replaces the rule for --prefix, 'rm' removes it. The server carries rules out once an "
     "hour; "
     "its log\n"
     "names what went. A checkpoint is a folder or the files whose name ends in a number before the "
     "suffixes, such as\n"
     "ckpt-100.index and ckpt-100.data-00000-of-00001; the newest by time stay. In a bucket that keeps "
     "versions a "
     "removal\n"
     "is a delete marker.",
     OPTIONS(lifecycle_options), 2, 2, cmd_store_lifecycle},
    {"store", "presign", "URI", "an address of the S3 gateway that works without a key",
     "Whoever has the address may read that one object (or write it, with --put) until it expires or the key "
     "it was\n"
     "made with ends.",
     OPTIONS(presign_options), 1, 1, cmd_store_presign},
    {"store", "mount", "URI FOLDER", "show what is below an fds:// address as files, for reading",
     "For programs that only know files. An open file stays the object that it was; where no versions are "
     "kept, one that is replaced meanwhile ends with 'stale file handle'. Calls wait up to two minutes for a "
     "server that is away. A folder that a killed mount has left is mounted anew. Needs the package fuse3.",
     OPTIONS(mount_options), 2, 2, cmd_store_mount},
    {"store", "unmount", "FOLDER", "end what 'store mount' has begun", NULL, NULL, 1, 1, cmd_store_unmount},
    {"store", "fsck", "", "read every object of the store and say what is damaged",
     "For administrators of the platform. The store works meanwhile. Ends with 0 when everything is whole, "
     "with 1 when\n"
     "something is not; Ctrl-C leaves the check running, and the command finds it again.",
     OPTIONS(fsck_options), 0, 0, cmd_store_fsck},
    {"store", "credentials", "", "access key for S3 clients, as lines for a shell",
     "Use it with eval: eval \"$(cloudml store credentials)\"; aws, boto3, rclone and s3fs then use this "
     "platform's store.",
     NULL, 0, 0, cmd_store_credentials},
    {"org", "create", "NAME", "make an organisation",
     "For administrators of the platform. The organisation gets a bucket of its name in the store.",
     OPTIONS(description_options), 1, 1, cmd_org_create},
    {"org", "list", "", "list organisations", NULL, NULL, 0, 0, cmd_org_list},
    {"org", "describe", "[NAME]", "one organisation with its quota", NULL, NULL, 0, 1, cmd_org_describe},
    {"org", "update", "NAME", "change an organisation's description", NULL, OPTIONS(description_options), 1,
     1, cmd_org_update},
    {"org", "delete", "NAME", "delete an organisation",
     "Refused while it has jobs, models or objects. With --force it says what goes and asks: users, keys, "
     "jobs (live\n"
     "ones are cancelled), models, objects and accounting go for good.",
     OPTIONS(org_delete_options), 1, 1, cmd_org_delete},
    {"user", "create", "NAME", "make a user", NULL, OPTIONS(user_options, org_options), 1, 1,
     cmd_user_create},
    {"user", "list", "", "list users", NULL, OPTIONS(org_options), 0, 0, cmd_user_list},
    {"user", "update", "NAME", "change a user's role, at once for all their keys", NULL,
     OPTIONS(user_options, org_options), 1, 1, cmd_user_update},
    {"user", "delete", "NAME...", "delete users with all their keys; jobs and models stay", NULL,
     OPTIONS(org_options), 1, -1, cmd_user_delete},
    {"key", "create", "", "make a key and print its token, once", NULL, OPTIONS(key_options, org_options), 0,
     0, cmd_key_create},
    {"key", "list", "", "list keys: of all for an administrator, else one's own", NULL,
     OPTIONS(key_list_options, org_options), 0, 0, cmd_key_list},
    {"key", "revoke", "ID...", "end keys at once, also for what they hold open", NULL, OPTIONS(org_options),
     1, -1, cmd_key_revoke},
    {"key", "rotate", "ID", "put a new key in the place of one and print its token", NULL,
     OPTIONS(org_options), 1, 1, cmd_key_rotate},
    {"quota", "get", "", "what an organisation may hold at the same time, and holds", NULL,
     OPTIONS(org_options), 0, 0, cmd_quota_get},
    {"quota", "list", "", "quotas of all organisations that one sees", NULL, NULL, 0, 0, cmd_quota_list},
    {"quota", "set", "", "change what an organisation may hold",
     "For administrators of the platform. What is left out stays. A quota below what is held now is taken "
     "with a warning\n"
     "and stops nothing.",
     OPTIONS(quota_options, org_options), 0, 0, cmd_quota_set},
    {"", "usage", "", "CPU-, memory- and GPU-hours of jobs and models", NULL,
     OPTIONS(usage_options, org_options), 0, 0, cmd_usage},
    {"", "events", "", "who changed users, keys and quotas", NULL, OPTIONS(event_options, org_options), 0, 0,
     cmd_events},
    {"", "login", "[ENDPOINT]", "remember a server and a token, read from standard input", NULL, NULL, 0, 1,
     cmd_login},
    {"", "logout", "", "forget the server and the token", NULL, NULL, 0, 0, cmd_logout},
    {"", "frameworks", "", "list the frameworks that jobs can name", NULL, NULL, 0, 0, cmd_frameworks},
    {"", "completion", "SHELL", "print the completion script for bash, zsh or fish", NULL, NULL, 1, 1,
     cmd_completion},
    {"", "help", "[COMMAND...]", "explain a command", NULL, NULL, 0, 2, cmd_help},
    {"", "version", "", "print the versions of the command line and the server", NULL, NULL, 0, 0,
     cmd_version},
    {"", "man", "", NULL, NULL, NULL, 0, 0, cmd_man}, /* the man page's source; made at build time */
};
const size_t cli_command_count = ARRAY_LEN(cli_commands);
