/* SPDX-License-Identifier: Apache-2.0 */
/* Help texts, shell completion and the man page from the command table. */
#include <stdlib.h>
#include <string.h>
#include "cli/help.h"

static void print_options(FILE *f, const struct cli_option *o)
{
	for (; o->name; o++) {
		char left[64];
		snprintf(left, sizeof(left), "%c%c%s --%s%s%s", o->letter ? '-' : ' ',
			 o->letter ? o->letter : ' ', o->letter ? "," : " ", o->name, o->arg ? " " : "",
			 o->arg ? o->arg : "");
		fprintf(f, "  %-30s %s\n", left, o->help);
	}
}

void help_overview(FILE *f)
{
	fputs("usage: cloudml [options] COMMAND [arguments]\n\n"
	      "Train a model and serve it, on this machine or on a cluster.\n\n"
	      "  cloudml up                      start the platform here\n"
	      "  cloudml run -- python train.py  run the code of this folder, watch it\n"
	      "  cloudml serve JOB               serve the model that a job made, over HTTP and "
	      "gRPC\n\ncommands:\n",
	      f);
	for (size_t i = 0; i < cli_command_count; i++) {
		const struct cli_command *c = &cli_commands[i];
		char left[64];
		if (!c->summary)
			continue;
		snprintf(left, sizeof(left), "%s%s%s", c->group, *c->group ? " " : "", c->name);
		fprintf(f, "  %-21s %s\n", left, c->summary);
	}
	fputs("\noptions everywhere:\n", f);
	print_options(f, cli_global_options);
	fputs("\n'cloudml COMMAND --help' says more about one command.\n", f);
}

void help_group(FILE *f, const char *group)
{
	fprintf(f, "usage: cloudml %s COMMAND [arguments]\n\ncommands:\n", group);
	for (size_t i = 0; i < cli_command_count; i++)
		if (!strcmp(cli_commands[i].group, group))
			fprintf(f, "  %-12s %s\n", cli_commands[i].name, cli_commands[i].summary);
	fprintf(f, "\n'cloudml %s COMMAND --help' says more about one command.\n", group);
}

void help_command(FILE *f, const struct cli_command *c)
{
	fprintf(f, "usage: cloudml %s%s%s%s %s\n\n%s\n", c->group, *c->group ? " " : "", c->name,
		c->options ? " [options]" : "", c->usage, c->summary ? c->summary : "");
	if (c->detail)
		fprintf(f, "\n%s\n", c->detail);
	if (c->options) {
		fputs("\noptions:\n", f);
		for (size_t i = 0; c->options[i]; i++)
			print_options(f, c->options[i]);
	}
	fputs("\noptions everywhere:\n", f);
	print_options(f, cli_global_options);
}

/* Levenshtein distance, capped by the sizes of words that people type. */
static size_t distance(const char *a, const char *b)
{
	size_t row[64], n = strlen(b);
	if (n >= 63 || strlen(a) >= 63)
		return 64;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t up = row[j], best = diagonal + (a[i - 1] != b[j - 1]);
			best = up + 1 < best ? up + 1 : best;
			best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
			diagonal = up;
			row[j] = best;
		}
	}
	return row[n];
}

int help_unknown(const char *group, const char *word, struct err *err)
{
	const char *best = NULL;
	size_t best_distance = 3;
	for (size_t i = 0; i < cli_command_count; i++) {
		const char *name = !strcmp(cli_commands[i].group, group) ? cli_commands[i].name
				   : !*group				 ? cli_commands[i].group
									 : "";
		size_t d = *name ? distance(word, name) : 64;
		if (d < best_distance) {
			best = name;
			best_distance = d;
		}
	}
	const char *space = *group ? " " : "";
	if (best)
		return err_set(err, ERR_INVALID,
			       "there is no command '%s%s%s'; did you mean 'cloudml %s%s%s'?", group, space,
			       word, group, space, best);
	return err_set(err, ERR_INVALID, "there is no command '%s%s%s'; see 'cloudml --help'", group, space,
		       word);
}

static void bash_options(const struct cli_command *c)
{
	for (size_t i = 0; c->options && c->options[i]; i++)
		for (const struct cli_option *o = c->options[i]; o->name; o++)
			printf(" --%s", o->name);
	for (const struct cli_option *o = cli_global_options; o->name; o++)
		printf(" --%s", o->name);
}

static void bash_words(const char *group)
{
	const char *last = "";
	for (size_t i = 0; i < cli_command_count; i++) {
		const struct cli_command *c = &cli_commands[i];
		if (!*group && *c->group) {
			if (strcmp(last, c->group))
				printf(" %s", c->group);
			last = c->group;
		} else if (!strcmp(c->group, group) && c->summary) {
			printf(" %s", c->name);
		}
	}
}

static void print_bash(void)
{
	puts("# bash completion for cloudml; also for zsh after 'autoload -U bashcompinit && bashcompinit'\n"
	     "_cloudml() {\n"
	     "\tlocal cur=\"${COMP_WORDS[COMP_CWORD]}\" group=\"${COMP_WORDS[1]}\" words=\"\"\n"
	     "\tlocal ids=\"cloudml jobs list --quiet --ids\" models=\"cloudml models list --quiet --ids\"\n"
	     "\tif [ \"$COMP_CWORD\" = 1 ]; then");
	printf("\t\twords=\"");
	bash_words("");
	puts("\"\n\telse case \"$group ${COMP_WORDS[2]}\" in");
	for (size_t i = 0; i < cli_command_count; i++) {
		const struct cli_command *c = &cli_commands[i];
		if (!c->summary)
			continue;
		printf("\t\t\"%s%s%s%s\"*) words=\"", c->group, *c->group ? " " : "", c->name,
		       *c->group ? "" : " ");
		bash_options(c);
		printf("\"");
		if (strstr(c->usage, "JOB"))
			printf("; words=\"$words $($ids 2>/dev/null)\"");
		if (strstr(c->usage, "MODEL"))
			printf("; words=\"$words $($models 2>/dev/null)\"");
		puts(" ;;");
	}
	const char *last = "";
	for (size_t i = 0; i < cli_command_count; i++) {
		const char *group = cli_commands[i].group;
		if (!*group || !strcmp(group, last))
			continue;
		last = group;
		printf("\t\t\"%s \"*) words=\"", group);
		bash_words(group);
		puts("\" ;;");
	}
	puts("\tesac; fi\n"
	     "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	     "}\n"
	     "complete -o default -F _cloudml cloudml");
}

static void print_fish(void)
{
	for (size_t i = 0; i < cli_command_count; i++) {
		const struct cli_command *c = &cli_commands[i];
		if (!c->summary)
			continue;
		if (*c->group) {
			printf("complete -c cloudml -f -n __fish_use_subcommand -a %s\n", c->group);
			printf("complete -c cloudml -f -n '__fish_seen_subcommand_from %s' -a %s -d \"%s\"\n",
			       c->group, c->name, c->summary);
		} else {
			printf("complete -c cloudml -f -n __fish_use_subcommand -a %s -d \"%s\"\n", c->name,
			       c->summary);
		}
	}
}

int cmd_completion(struct cli *c, const struct cli_args *a, struct err *err)
{
	const char *shell = a->positional[0];
	if (!strcmp(shell, "bash"))
		print_bash();
	else if (!strcmp(shell, "zsh"))
		puts("autoload -U bashcompinit && bashcompinit"), print_bash();
	else if (!strcmp(shell, "fish"))
		print_fish();
	else
		return err_set(err, ERR_INVALID,
			       "no completion for the shell '%s'; there is bash, zsh and fish", shell);
	return 0;
}

int cmd_help(struct cli *c, const struct cli_args *a, struct err *err)
{
	if (!a->count) {
		help_overview(stdout);
		return 0;
	}
	const char *first = a->positional[0], *second = a->count > 1 ? a->positional[1] : NULL;
	for (size_t i = 0; i < cli_command_count; i++) {
		const struct cli_command *x = &cli_commands[i];
		bool hit = second ? !strcmp(x->group, first) && !strcmp(x->name, second)
				  : !*x->group && !strcmp(x->name, first);
		if (hit) {
			help_command(stdout, x);
			return 0;
		}
	}
	for (size_t i = 0; i < cli_command_count && !second; i++)
		if (*cli_commands[i].group && !strcmp(cli_commands[i].group, first)) {
			help_group(stdout, first);
			return 0;
		}
	return help_unknown(second ? first : "", second ? second : first, err);
}

/* mdoc: a backslash and a leading dot or quote are special. */
static void print_roff(const char *s)
{
	for (bool start = true; *s; s++) {
		if (start && (*s == '.' || *s == '\''))
			fputs("\\&", stdout);
		fputs(*s == '\\' ? "\\e" : *s == '-' ? "\\-" : (char[]){*s, 0}, stdout);
		start = *s == '\n';
	}
}

static void man_options(const struct cli_option *o)
{
	for (; o->name; o++) {
		fputs(".It ", stdout);
		if (o->letter)
			printf("Fl %c , ", o->letter);
		printf("Fl \\-%s", o->name);
		if (o->arg)
			printf(" Ar %s", o->arg);
		putchar('\n');
		print_roff(o->help);
		putchar('\n');
	}
}

static const struct {
	const char *name, *text;
} variables[] = {
    {"CLOUDML_DATA", "The data folder, as --data."},
    {"CLOUDML_ENDPOINT , CLOUDML_TOKEN", "Address of the server and the credential, instead of what the data "
					 "folder or the configuration file says. "
					 "up and down mean the server of the data folder in any case."},
    {"CLOUDML_LOG", "What the server logs: debug, info (default), warn, error."},
    {"CLOUDML_RUNTIME", "crun or runc, instead of the first of them that is installed."},
    {"CLOUDML_UV", "The program uv, instead of the one beside cloudml or in PATH."},
    {"CLOUDML_FRAMEWORKS", "Folder of the catalogue of frameworks."},
    {"CLOUDML_LIBEXEC", "Folder of cloudml-init and cloudml-serving."},
    {"NO_COLOR", "No colours."},
};

/* One entry a status: the words of the errors that end with it. */
static void man_exit_statuses(void)
{
	for (int status = 1; status < 256; status++) {
		const char *separator = "";
		for (int code = 1; code < ERR_CODE_COUNT; code++) {
			if (err_exit(code) != status)
				continue;
			if (*separator)
				fputs(separator, stdout);
			else
				printf(".It %d\n", status);
			fputs(err_word(code), stdout);
			separator = ", ";
		}
		if (*separator)
			putchar('\n');
	}
}

int cmd_man(struct cli *c, const struct cli_args *a, struct err *err)
{
	puts(".Dd November 24, 2026\n.Dt CLOUDML 1\n.Os\n.Sh NAME\n.Nm cloudml\n.Nd train machine\\-learning "
	     "models and serve them\n"
	     ".Sh SYNOPSIS\n.Nm\n.Op Ar options\n.Ar command\n.Op Ar arguments\n.Sh DESCRIPTION\n.Nm\n"
	     "runs a training program in a container with its own limits, keeps its outputs in a store and "
	     "turns the model it\n"
	     "made into a gRPC and HTTP service.\n"
	     "Without a cluster everything runs on this machine:\n.Nm\n.Cm up\nstarts the platform on the "
	     "loopback address.\n"
	     ".Pp\nOptions everywhere:\n.Bl -tag -width Ds");
	man_options(cli_global_options);
	puts(".El\n.Sh COMMANDS\n.Bl -tag -width Ds");
	for (size_t i = 0; i < cli_command_count; i++) {
		const struct cli_command *x = &cli_commands[i];
		if (!x->summary)
			continue;
		printf(".It Cm %s%s%s%s", x->group, *x->group ? " " : "", x->name, *x->usage ? " Ar " : "");
		print_roff(x->usage);
		putchar('\n');
		print_roff(x->summary);
		puts(".");
		if (x->detail) {
			puts(".Pp");
			print_roff(x->detail);
			putchar('\n');
		}
		if (x->options) {
			puts(".Bl -tag -width Ds");
			for (size_t j = 0; x->options[j]; j++)
				man_options(x->options[j]);
			puts(".El");
		}
	}
	puts(".El\n.Sh ENVIRONMENT\n.Bl -tag -width Ds");
	for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
		printf(".It Ev %s\n", variables[i].name);
		print_roff(variables[i].text);
		putchar('\n');
	}
	puts(".El\n.Sh FILES\n.Bl -tag -width Ds\n.It Pa ~/.config/cloudml/config.json\nendpoint and token "
	     "of a "
	     "server elsewhere.\n"
	     ".It Pa /var/lib/cloudml , ~/.local/share/cloudml\nthe data folder of root and of other "
	     "users.\n.El\n"
	     ".Sh EXIT STATUS\n0 when what was asked for was done. doctor: 1 when something is missing. "
	     "Commands that wait for a job end with the "
	     "exit "
	     "status of its program,\n130 when it was cancelled or after Ctrl\\-C.\n"
	     "Otherwise, by what went wrong:\n.Bl -tag -width Ds");
	man_exit_statuses();
	puts(".El");
	return 0;
}
