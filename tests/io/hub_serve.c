/* hub_serve.c: hub_server as a program, for the tests of the command line.
 *   hub_serve PORTFILE ORG/NAME FOLDER [FAULT ARG TIMES MATCH TEXT]...
 * serves the plain files of FOLDER as a model, those of more than 100 kB as LFS files, writes its port into PORTFILE when it is
 * ready, and prints the heads of all requests when it is told to end (SIGTERM). */
#include "hub_server.c"
#include <dirent.h>
#include <signal.h>

static void add_file(hub_server *s, const char *folder, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *const f = fopen(path, "rb");
    static unsigned char body[1 << 23];
    const size_t n = f != NULL ? fread(body, 1, sizeof body, f) : 0;
    if (f == NULL) return;
    hub_server_add(s, name, body, n, n > 100000);
    fclose(f);
}

static hub_fault fault_of(const char *name) {
    static const struct { const char *name; hub_fault kind; } known[] = {
        {"status", HUB_STATUS}, {"cut", HUB_CUT}, {"flip", HUB_FLIP}, {"slow", HUB_SLOW}, {"hang-up", HUB_HANG_UP}, {"short", HUB_SHORT}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].name, name) == 0) return known[i].kind;
    abort();
}

int main(int argc, char **argv) {
    sigset_t set;
    int got;
    if (argc < 4) return 2;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    hub_server *const s = hub_server_start();
    DIR *const d = opendir(argv[3]);
    if (s == NULL || d == NULL) return 3;
    hub_server_repo(s, "models", argv[2], "0123456789abcdef0123456789abcdef01234567");
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.') add_file(s, argv[3], e->d_name);
    closedir(d);
    for (int i = 4; i + 4 < argc; i += 5)
        hub_server_fault(s, argv[i + 3], fault_of(argv[i]), atoll(argv[i + 1]), argv[i + 4], atoi(argv[i + 2]));
    char part[4096];
    snprintf(part, sizeof part, "%s.part", argv[1]);
    FILE *const f = fopen(part, "w");
    if (f == NULL) return 3;
    fprintf(f, "%d\n", hub_server_port(s));
    fclose(f);
    if (rename(part, argv[1]) != 0) return 3;
    sigwait(&set, &got);
    for (size_t at = 0; at < s->logged; at += strlen(s->log + at) + 1) puts(s->log + at);
    hub_server_stop(s);
    return 0;
}
