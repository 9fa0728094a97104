/* help.c: pages printed from the tables of commands and options. */
#include "base/utf8.h"
#include "cli/commands.h"
#include <stdio.h>
#include <string.h>

void as_help_all(as_buf *out) {
    const as_command *rows;
    const size_t count = as_command_table(&rows);
    as_buf_str(out, "assay measures pre-trained language models: fine-tunes, evaluates and explains them.\n\n"
                    "usage: assay COMMAND [ARGUMENTS] [OPTIONS]\n\nCommands:\n");
    for (size_t i = 0; i < count; i++) as_buf_fmt(out, "  %-10s %s\n", rows[i].name, rows[i].brief);
    as_buf_str(out, "\nassay COMMAND --help    its options and an example\n"
                    "assay --version         assay --man         assay --completion bash|zsh\n\n"
                    "Exit status: 0 done; 1 a check failed; 2 usage; 3 a file could not be read or written;\n"
                    "4 malformed input; 5 shapes disagree; 6 not enough memory; 7 a number is not finite;\n"
                    "130 interrupted, the same command goes on.\n");
}

/* Text in lines of at most AS_OUT_COLUMNS; `at` columns are taken in the first, the others are indented by `indent`. */
static void wrap(as_buf *out, const char *text, int at, int indent) {
    while (*text) {
        const size_t n = strcspn(text, " ");
        if (at > indent && at + 1 + (int)n > AS_OUT_COLUMNS) {
            as_buf_fmt(out, "\n%*s", indent, "");
            at = indent;
        } else if (at > indent) {
            as_buf_char(out, ' ');
            at++;
        }
        as_buf_add(out, text, n);
        at += (int)n;
        text += n;
        while (*text == ' ') text++;
    }
    as_buf_char(out, '\n');
}

static void help_option(as_buf *out, const as_option *o) {
    enum { INDENT = 28 };
    char left[128], text[256], shown[64];
    snprintf(left, sizeof left, "  --%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
    const char *value = as_option_default(o, shown, sizeof shown);
    snprintf(text, sizeof text, "%s%s%s%s", o->help, *value ? " (" : "", value, *value ? ")" : "");
    const int width = (int)strlen(left);
    if (width + 2 > INDENT)
        as_buf_fmt(out, "%s\n%*s", left, INDENT, "");
    else
        as_buf_fmt(out, "%-*s", INDENT, left);
    wrap(out, text, INDENT, INDENT);
}

void as_help_command(as_buf *out, const as_command *c) {
    const as_option *rows;
    const size_t count = as_option_table(&rows);
    as_buf_fmt(out, "assay %s: %s\n\nusage: assay %s %s [OPTIONS]\n\n", c->name, c->brief, c->name, c->args);
    wrap(out, c->about, 0, 0);
    for (int g = 0; g < GROUP_COUNT; g++) {
        bool any = false;
        for (size_t i = 0; i < count; i++) {
            if ((int)rows[i].group != g || !as_command_takes(c, &rows[i])) continue;
            if (!any) as_buf_fmt(out, "\n%s:\n", as_option_group_name((as_option_group)g));
            any = true;
            help_option(out, &rows[i]);
        }
    }
    as_buf_fmt(out, "\nExample:\n  $ %s\n", c->example);
    for (const char *at = c->shows; *at;) {
        const size_t n = strcspn(at, "\n");
        as_buf_fmt(out, "  %.*s\n", (int)n, at);
        at += n + (at[n] == '\n');
    }
}

/* Text for roff: no line begins with a control character, backslashes and dashes stand for themselves. */
static void roff(as_buf *out, const char *text) {
    if (*text == '.' || *text == '\'') as_buf_str(out, "\\&");
    for (; *text; text++) {
        if (*text == '\\')
            as_buf_str(out, "\\e");
        else if (*text == '-')
            as_buf_str(out, "\\-");
        else {
            as_buf_char(out, *text);
            if (*text == '\n' && (text[1] == '.' || text[1] == '\'')) as_buf_str(out, "\\&");
        }
    }
}

static void man_options(as_buf *out) {
    const as_option *rows;
    const size_t count = as_option_table(&rows);
    for (int g = 0; g < GROUP_COUNT; g++) {
        as_buf_fmt(out, ".SS %s options\n", as_option_group_name((as_option_group)g));
        for (size_t i = 0; i < count; i++) {
            if ((int)rows[i].group != g) continue;
            char shown[64];
            const char *value = as_option_default(&rows[i], shown, sizeof shown);
            as_buf_str(out, ".TP\n.B \\-\\-");
            roff(out, rows[i].name);
            if (rows[i].arg) {
                as_buf_str(out, " \\fI");
                roff(out, rows[i].arg);
                as_buf_str(out, "\\fR");
            }
            as_buf_char(out, '\n');
            roff(out, rows[i].help);
            if (*value) {
                as_buf_str(out, " (");
                roff(out, value);
                as_buf_char(out, ')');
            }
            as_buf_str(out, ".\n");
        }
    }
}

void as_help_man(as_buf *out) {
    const as_command *rows;
    const size_t count = as_command_table(&rows);
    as_buf_fmt(out, ".TH ASSAY 1 \"\" \"assay %s\" \"User Commands\"\n", AS_VERSION);
    as_buf_str(out, ".SH NAME\nassay \\- measure pre-trained language models\n.SH SYNOPSIS\n.B assay\n.I COMMAND\n[ARGUMENTS] [OPTIONS]\n"
                    ".SH DESCRIPTION\nFine\\-tunes, evaluates and explains pre\\-trained language models in Hugging Face layout. Every score comes with its\n"
                    "interval, and every scored item is stored.\n.SH COMMANDS\n");
    for (size_t i = 0; i < count; i++) {
        as_buf_str(out, ".TP\n.B assay ");
        roff(out, rows[i].name);
        as_buf_str(out, " \\fR");
        roff(out, rows[i].args);
        as_buf_char(out, '\n');
        roff(out, rows[i].brief);
        as_buf_str(out, ".\n");
        roff(out, rows[i].about);
        as_buf_str(out, "\n.RS\n.nf\n$ ");
        roff(out, rows[i].example);
        as_buf_char(out, '\n');
        roff(out, rows[i].shows);
        as_buf_str(out, "\n.fi\n.RE\n");
    }
    as_buf_str(out, ".SH OPTIONS\nA command takes those that\n.B assay\n.I COMMAND\n.B \\-\\-help\nlists. Values follow a blank or =; \\-\\- ends the options.\n");
    man_options(out);
    as_buf_str(out, ".SH EXIT STATUS\n0 done; 1 a check failed; 2 usage, unknown column, metric or option; 3 a file could not be read or written;\n"
                    "4 malformed or unsupported input; 5 shapes disagree; 6 not enough memory; 7 a weight, loss or logit is not finite;\n"
                    "130 interrupted: the same command goes on.\n.SH ENVIRONMENT\n.TP\n.B NO_COLOR\nno colours on standard error.\n"
                    ".TP\n.B HF_HUB_CACHE, HF_HOME\nwhere models named by their Hub id are looked for, and where pull puts them.\n"
                    ".TP\n.B HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE\nof pull: the Hub's address, an access token, and 1 to use no network.\n"
                    ".SH FILES\n.TP\n.B assay.db\nthe store of runs in the working folder; \\-\\-db names another.\n");
}
