/* completion.c: what a shell needs to complete commands and options. Files are completed by the shell itself. */
#include "cli/commands.h"
#include <string.h>

static void option_words(as_buf *out, const as_command *c) {
    const as_option *rows;
    const size_t count = as_option_table(&rows);
    bool any = false;
    for (size_t i = 0; i < count; i++)
        if (as_command_takes(c, &rows[i])) as_buf_fmt(out, "%s--%s", any ? " " : "", rows[i].name), any = true;
}

static void choice_words(as_buf *out, const char *choices) {
    for (const char *p = choices; *p; p++) as_buf_char(out, *p == '|' ? ' ' : *p);
}

static void bash(as_buf *out) {
    const as_command *commands;
    const as_option *options;
    const size_t count = as_command_table(&commands), rows = as_option_table(&options);
    as_buf_str(out, "# bash completion of assay; printed by `assay --completion bash`\n_assay() {\n"
                    "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=\n"
                    "    if ((COMP_CWORD == 1)); then\n        words='");
    for (size_t i = 0; i < count; i++) as_buf_fmt(out, "%s ", commands[i].name);
    as_buf_str(out, "--help --version --man --completion'\n        COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n        return\n    fi\n"
                    "    case $before in\n");
    for (size_t i = 0; i < rows; i++)
        if (options[i].type == OPTION_CHOICE) {
            as_buf_fmt(out, "    --%s) words='", options[i].name);
            choice_words(out, options[i].arg);
            as_buf_str(out, "' ;;\n");
        }
    as_buf_str(out, "    esac\n    if [[ -z $words && $word == -* ]]; then\n        case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; i < count; i++) {
        as_buf_fmt(out, "        %s) words='", commands[i].name);
        option_words(out, &commands[i]);
        as_buf_str(out, "' ;;\n");
    }
    as_buf_str(out, "        esac\n    fi\n    [[ -n $words ]] && COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\n"
                    "complete -o default -F _assay assay\n");
}

/* Inside '...[...]': quotes and brackets of a text would end it. */
static void zsh_text(as_buf *out, const char *text) {
    for (; *text; text++) {
        if (*text == '\'')
            as_buf_str(out, "'\\''");
        else {
            if (strchr("[]:\\", *text)) as_buf_char(out, '\\');
            as_buf_char(out, *text);
        }
    }
}

static void zsh(as_buf *out) {
    const as_command *commands;
    const as_option *options;
    const size_t count = as_command_table(&commands), rows = as_option_table(&options);
    as_buf_str(out, "#compdef assay\n# printed by `assay --completion zsh`\n_assay() {\n    if ((CURRENT == 2)); then\n        local -a commands=(\n");
    for (size_t i = 0; i < count; i++) {
        as_buf_fmt(out, "            '%s:", commands[i].name);
        zsh_text(out, commands[i].brief);
        as_buf_str(out, "'\n");
    }
    as_buf_str(out, "        )\n        _describe command commands\n        return\n    fi\n    case $words[2] in\n");
    for (size_t i = 0; i < count; i++) {
        as_buf_fmt(out, "    %s) _arguments \\\n", commands[i].name);
        for (size_t k = 0; k < rows; k++) {
            if (!as_command_takes(&commands[i], &options[k])) continue;
            as_buf_fmt(out, "        '--%s[", options[k].name);
            zsh_text(out, options[k].help);
            as_buf_str(out, "]");
            if (options[k].type == OPTION_CHOICE) {
                as_buf_str(out, ":value:(");
                choice_words(out, options[k].arg);
                as_buf_char(out, ')');
            } else if (options[k].arg) {
                as_buf_str(out, ":value:_files");
            }
            as_buf_str(out, "' \\\n");
        }
        as_buf_str(out, "        '*:argument:_files' ;;\n");
    }
    as_buf_str(out, "    esac\n}\n_assay \"$@\"\n");
}

as_status as_completion(as_buf *out, const char *shell, as_err *err) {
    if (strcmp(shell, "bash") == 0) return bash(out), AS_OK;
    if (strcmp(shell, "zsh") == 0) return zsh(out), AS_OK;
    (void)as_fail(err, AS_USAGE, "--completion: unknown shell \"%.32s\"", shell);
    as_hint(err, "Write --completion bash or --completion zsh.");
    return AS_USAGE;
}
