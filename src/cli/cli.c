/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the command, parses its arguments, runs it, prints its error. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/rng.h"
#include "cli/cli_int.h"
#include "cli/help.h"

const char *cli_opt_n(const struct cli_args *a, const char *name, int n)
{
	for (int i = 0; i < a->option_count; i++)
		if (!strcmp(a->options[i].name, name) && n-- == 0)
			return a->options[i].value;
	return NULL;
}

const char *cli_opt(const struct cli_args *a, const char *name)
{
	const char *last = NULL;
	for (int i = 0; i < a->option_count; i++)
		if (!strcmp(a->options[i].name, name))
			last = a->options[i].value;
	return last;
}

static const struct cli_option *find_option(const struct cli_command *command, const char *name, size_t len,
					    char letter)
{
	static const struct cli_option *const none[] = {NULL};
	const struct cli_option *const *lists = command->options ? command->options : none;
	for (size_t i = 0;; i++) {
		const struct cli_option *o = lists[i] ? lists[i] : cli_global_options;
		for (; o->name; o++)
			if (letter ? o->letter == letter
				   : strlen(o->name) == len && !strncmp(o->name, name, len))
				return o;
		if (!lists[i])
			return NULL;
	}
}

static int add_option(struct cli_args *a, const struct cli_option *o, const char *value, struct err *err)
{
	if (a->option_count >= CLI_OPTIONS_MAX)
		return err_set(err, ERR_INVALID, "more than %d options", CLI_OPTIONS_MAX);
	a->options[a->option_count].name = o->name;
	a->options[a->option_count++].value = value;
	return 0;
}

/* One argument that starts with '-'. Advances *i over a value in the next argument. */
static int parse_option(struct cli_args *a, int argc, char **argv, int *i, struct err *err)
{
	const char *arg = argv[*i], *value = NULL;
	const struct cli_option *o;
	if (arg[1] == '-') {
		const char *eq = strchr(arg, '=');
		size_t len = eq ? (size_t)(eq - arg - 2) : strlen(arg + 2);
		o = find_option(a->command, arg + 2, len, 0);
		value = eq ? eq + 1 : NULL;
	} else {
		o = find_option(a->command, NULL, 0, arg[1]);
		value = arg[2] ? arg + 2 + (arg[2] == '=') : NULL;
	}
	const char *group = a->command->group;
	if (!o)
		return err_set(err, ERR_INVALID, "unknown option '%s'; see 'cloudml %s%s%s --help'", arg,
			       group, *group ? " " : "", a->command->name);
	if (!o->arg)
		return value ? err_set(err, ERR_INVALID, "the option '--%s' takes no value", o->name)
			     : add_option(a, o, "", err);
	if (!value) {
		if (*i + 1 >= argc)
			return err_set(err, ERR_INVALID, "the option '--%s' needs a value: %s", o->name,
				       o->arg);
		value = argv[++*i];
	}
	return add_option(a, o, value, err);
}

int cli_parse_args(const struct cli_command *command, int argc, char **argv, struct cli_args *ret,
		   struct err *err)
{
	*ret = (struct cli_args){.command = command, .positional = argv};
	int kept = 0;
	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "--")) {
			ret->rest = argv + i + 1;
			break;
		}
		if (argv[i][0] == '-' && argv[i][1]) {
			int r = parse_option(ret, argc, argv, &i, err);
			if (r < 0)
				return r;
			continue;
		}
		argv[kept++] = argv[i];
	}
	ret->count = kept;
	if (cli_opt(ret, "help"))
		return 0;
	bool too_many = command->max_args >= 0 && kept > command->max_args;
	if (too_many || kept < command->min_args)
		return err_set(err, ERR_INVALID, "%s%s%susage: cloudml %s%s%s%s%s", too_many ? "'" : "",
			       too_many ? argv[command->max_args] : "", too_many ? "' is too much; " : "",
			       command->group, *command->group ? " " : "", command->name,
			       *command->usage ? " " : "", command->usage);
	return 0;
}

int cli_connect(struct cli *c, struct err *err)
{
	if (c->client)
		return 0;
	if (!c->config.endpoint)
		return err_set(err, ERR_UNAVAILABLE,
			       "there is no server for the data folder '%s'; start one with 'cloudml up'",
			       c->config.data_folder);
	return client_new(c->config.endpoint, c->config.token, &c->client, err);
}

void cli_new_key(char ret[33])
{
	rng_id(&rng_system, ret, 32);
}

int64_t cli_now_ms(void)
{
	return clock_wall_ms(&clock_real);
}

static const struct cli_command *find_command(const char *group, const char *name)
{
	for (size_t i = 0; i < cli_command_count; i++)
		if (!strcmp(cli_commands[i].group, group) && !strcmp(cli_commands[i].name, name))
			return &cli_commands[i];
	return NULL;
}

static bool is_group(const char *word)
{
	for (size_t i = 0; i < cli_command_count; i++)
		if (*word && !strcmp(cli_commands[i].group, word))
			return true;
	return false;
}

/* Global options may stand before the command. Returns the index of the first other word. */
static int skip_globals(int argc, char **argv, struct cli_args *globals, struct err *err)
{
	static const struct cli_command none = {.group = "", .name = "", .usage = "COMMAND"};
	*globals = (struct cli_args){.command = &none};
	int i = 1;
	for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
		int r = parse_option(globals, argc, argv, &i, err);
		if (r < 0)
			return r;
	}
	return i;
}

/* Standard output is for answers only, so that a script may read it without looking at the exit status first.
 */
static int report(const struct cli *c, int r, const struct err *err)
{
	if (r >= 0)
		return r;
	if (c->json) {
		CLEANUP(json)
		json_t *j =
		    json_pack("{s:{s:s,s:s}}", "error", "code", err_word(err->code), "message", err->msg);
		CLEANUP(free) char *text = json_dumps(j, JSON_COMPACT);
		fprintf(stderr, "%s\n", text ? text : "{\"error\":{}}");
		return err_exit(err->code);
	}
	fprintf(stderr, "cloudml: ");
	cli_print_safe(stderr, err->msg);
	fputc('\n', stderr);
	return err_exit(err->code);
}

static void apply_globals(struct cli *c, const struct cli_args *a)
{
	c->json |= cli_opt(a, "json") != NULL;
	c->yes |= cli_opt(a, "yes") != NULL;
	c->quiet |= cli_opt(a, "quiet") != NULL;
	if (cli_opt(a, "data"))
		c->data_flag = cli_opt(a, "data");
}

static void print_changed(const struct cli *c)
{
	CLEANUP(json) json_t *list = c->changed ? json_pack("{s:O}", "data", c->changed) : NULL;
	if (list)
		cli_print_json(list);
}

static int run_command(struct cli *c, const struct cli_args *globals, const struct cli_command *command,
		       int argc, char **argv, struct err *err)
{
	struct cli_args a;
	int r = cli_parse_args(command, argc, argv, &a, err);
	if (r < 0)
		return r;
	apply_globals(c, globals);
	apply_globals(c, &a);
	if (cli_opt(&a, "help")) {
		help_command(stdout, command);
		return 0;
	}
	client_config_load(c->data_flag, &c->config);
	r = command->run(c, &a, err);
	if (c->json && (r >= 0 || json_array_size(c->changed)))
		print_changed(c);
	json_decref(c->changed);
	client_free(c->client);
	client_config_done(&c->config);
	return r;
}

int cli_main(int argc, char **argv, const struct cli_hooks *hooks)
{
	struct cli c = {.hooks = hooks, .tty_out = isatty(1), .tty_err = isatty(2)};
	struct err err = ERR_INIT;
	struct cli_args globals;
	c.color = c.tty_out && !getenv("NO_COLOR");
	int i = skip_globals(argc, argv, &globals, &err);
	if (i < 0)
		return report(&c, i, &err);
	if (cli_opt(&globals, "version")) {
		puts("cloudml " CLOUDML_VERSION);
		return 0;
	}
	if (i >= argc || cli_opt(&globals, "help")) {
		help_overview(i >= argc && !cli_opt(&globals, "help") ? stderr : stdout);
		return i >= argc && !cli_opt(&globals, "help") ? 2 : 0;
	}
	const char *word = argv[i], *second = i + 1 < argc ? argv[i + 1] : NULL;
	const struct cli_command *command = find_command("", word);
	if (command)
		return report(&c, run_command(&c, &globals, command, argc - i - 1, argv + i + 1, &err), &err);
	if (!is_group(word))
		return report(&c, help_unknown("", word, &err), &err);
	if (!second || second[0] == '-') {
		help_group(second ? stdout : stderr, word);
		return second ? 0 : 2;
	}
	command = find_command(word, second);
	if (!command)
		return report(&c, help_unknown(word, second, &err), &err);
	return report(&c, run_command(&c, &globals, command, argc - i - 2, argv + i + 2, &err), &err);
}
